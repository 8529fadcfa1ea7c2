/**
 * One file of a checkpoint: a header, then blocks, each with a checksum (DESIGN.md D18, D20). The first
 * block is the head (small tables, opaque here), the last one says how much there should be. Between
 * them lie blocks of entries (checkpoint-format.ts), opaque here too. Numbers are little-endian.
 *
 *   header   0 u32 magic   4 u8 format   5 u8 kind   6 u8 entry format   8 u64 position   16 u64 epoch
 *           24 u64 position of the checkpoint it follows            60 u32 checksum
 *   block    0 u32 length  4 u32 type    8 u32 index   12 u32 checksum   16 bytes, zeros to a multiple of 8
 *   end     u64 blocks     u64 bytes of entry blocks
 */
import { crc32c } from '../runtime/crc32c.ts'
import type { Disk, DiskFile } from '../runtime/host.ts'
import { invariant } from '../runtime/invariant.ts'
import { entryFormat } from './checkpoint-format.ts'
import { StorageError } from './errors.ts'
import { readUint64, writeUint64 } from './journal-record.ts'

export const checkpointFormat = 1
export const fileKind = { base: 1, delta: 2 } as const
export const blockType = { head: 1, entries: 2, end: 3 } as const

export interface FileMark {
  readonly kind: 'base' | 'delta'
  readonly position: number
  readonly epoch: number
  /** Position of the checkpoint that a delta adds to; 0 for a base. */
  readonly follows: number
}

const fileMagic = 0x31504351
const headerBytes = 64
const blockHeaderBytes = 16
const endBytes = 16
const writeBytes = 1024 * 1024
/** So much is synced at a time: one large sync would hold up the journal's small ones. */
const syncBytes = 8 * 1024 * 1024
const readBytes = 4 * 1024 * 1024

/** Writes one file from the front; `finish` makes it durable. */
export class CheckpointFileWriter {
  readonly #file: DiskFile
  readonly #fsync: boolean
  #buffer = new Uint8Array(2 * writeBytes)
  #view = new DataView(this.#buffer.buffer)
  /** The buffer's first byte is this byte of the file. */
  #flushed = 0
  #at = headerBytes
  #unsynced = 0
  #blocks = 0
  #entryBytes = 0

  constructor(disk: Disk, path: string, mark: FileMark, fsync: boolean) {
    this.#file = disk.open(path, 'create')
    this.#file.truncate(0)
    this.#fsync = fsync
    const view = this.#view
    view.setUint32(0, fileMagic, true)
    view.setUint8(4, checkpointFormat)
    view.setUint8(5, fileKind[mark.kind])
    view.setUint8(6, entryFormat)
    writeUint64(view, 8, mark.position)
    writeUint64(view, 16, mark.epoch)
    writeUint64(view, 24, mark.follows)
    view.setUint32(headerBytes - 4, crc32c(this.#buffer, 0, 0, headerBytes - 4), true)
  }

  head(bytes: Uint8Array): void {
    invariant(this.#blocks === 0, 'the head comes first')
    this.#block(blockType.head, bytes)
  }

  entries(block: Uint8Array): void {
    this.#entryBytes += block.length
    this.#block(blockType.entries, block)
  }

  /** Returns the size of the file, which is durable. */
  finish(): number {
    const end = new Uint8Array(endBytes)
    const view = new DataView(end.buffer)
    writeUint64(view, 0, this.#blocks)
    writeUint64(view, 8, this.#entryBytes)
    this.#block(blockType.end, end)
    this.#flush()
    if (this.#fsync) this.#file.syncNow()
    this.#file.close()
    return this.#flushed
  }

  /** After an error. */
  abandon(): void {
    this.#file.close()
  }

  #block(type: number, bytes: Uint8Array): void {
    const padded = Math.ceil(bytes.length / 8) * 8
    this.#reserve(blockHeaderBytes + padded)
    const start = this.#at
    this.#buffer.set(bytes, start + blockHeaderBytes)
    this.#buffer.fill(0, start + blockHeaderBytes + bytes.length, start + blockHeaderBytes + padded)
    this.#at = start + blockHeaderBytes + padded
    const view = this.#view
    view.setUint32(start, bytes.length, true)
    view.setUint32(start + 4, type, true)
    view.setUint32(start + 8, this.#blocks++, true)
    view.setUint32(start + 12, blockChecksum(this.#buffer, start, this.#at), true)
    if (this.#at >= writeBytes) this.#flush()
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return
    this.#flush()
    if (bytes <= this.#buffer.length) return
    this.#buffer = new Uint8Array(bytes)
    this.#view = new DataView(this.#buffer.buffer)
  }

  #flush(): void {
    this.#file.write(this.#buffer.subarray(0, this.#at), this.#flushed)
    this.#flushed += this.#at
    this.#unsynced += this.#at
    this.#at = 0
    if (!this.#fsync || this.#unsynced < syncBytes) return
    this.#file.syncNow()
    this.#unsynced = 0
  }
}

/** What a file consists of; the bytes are the reader's and valid only during the call. */
export interface BlockConsumer {
  head?(bytes: Uint8Array): void
  entries?(block: Uint8Array): void
}

/**
 * Reads and verifies a whole file in large steps. Throws a `StorageError` that names file and offset
 * when it is not what was written.
 */
export function readCheckpointFile(disk: Disk, path: string, consumer: BlockConsumer): FileMark {
  const reader = new FileReader(disk, path)
  try {
    const mark = reader.header()
    let entryBytes = 0
    for (let index = 0; ; index++) {
      const block = reader.block(index)
      if (block.type === blockType.head) consumer.head?.(block.bytes)
      else if (block.type === blockType.entries) {
        entryBytes += block.bytes.length
        consumer.entries?.(block.bytes)
      } else {
        reader.checkEnd(block.bytes, index, entryBytes)
        return mark
      }
    }
  } finally {
    reader.close()
  }
}

/** Only the header and the head, which lie at the front. */
export function readHead(
  disk: Disk,
  path: string,
): { readonly mark: FileMark; readonly head: Uint8Array } {
  const reader = new FileReader(disk, path)
  try {
    const mark = reader.header()
    const block = reader.block(0)
    if (block.type !== blockType.head) throw reader.damaged('no head')
    return { mark, head: block.bytes.slice() }
  } finally {
    reader.close()
  }
}

interface Block {
  readonly type: number
  readonly bytes: Uint8Array
}

class FileReader {
  readonly #path: string
  readonly #file: DiskFile
  readonly #size: number
  #buffer: Uint8Array
  #view: DataView
  /** The buffer holds this part of the file; `#at` is the next byte, counted from the buffer's start. */
  #base = 0
  #filled = 0
  #at = 0

  constructor(disk: Disk, path: string) {
    this.#path = path
    this.#file = open(disk, path)
    this.#size = this.#file.sizeBytes()
    this.#buffer = new Uint8Array(Math.min(readBytes, Math.max(this.#size, headerBytes)))
    this.#view = new DataView(this.#buffer.buffer)
  }

  close(): void {
    this.#file.close()
  }

  header(): FileMark {
    this.#need(headerBytes)
    const view = this.#view
    if (view.getUint32(0, true) !== fileMagic) throw this.damaged('not a checkpoint')
    const checksum = crc32c(this.#buffer, 0, 0, headerBytes - 4)
    if (view.getUint32(headerBytes - 4, true) !== checksum) throw this.damaged('wrong checksum')
    this.#checkFormat('checkpoint', view.getUint8(4), checkpointFormat)
    this.#checkFormat('entry', view.getUint8(6), entryFormat)
    this.#at = headerBytes
    return {
      kind: view.getUint8(5) === fileKind.base ? 'base' : 'delta',
      position: readUint64(view, 8),
      epoch: readUint64(view, 16),
      follows: readUint64(view, 24),
    }
  }

  block(index: number): Block {
    this.#need(blockHeaderBytes)
    const start = this.#at
    const length = this.#view.getUint32(start, true)
    const size = blockHeaderBytes + Math.ceil(length / 8) * 8
    if (this.#base + start + size > this.#size) throw this.damaged('the file ends within a block')
    this.#need(size)
    const at = this.#at
    const checksum = blockChecksum(this.#buffer, at, at + size)
    if (this.#view.getUint32(at + 12, true) !== checksum) throw this.damaged('wrong checksum')
    const found = this.#view.getUint32(at + 8, true)
    if (found !== index) throw this.damaged(`block ${found} where ${index} belongs`)
    const type = this.#view.getUint32(at + 4, true)
    const bytes = this.#buffer.subarray(at + blockHeaderBytes, at + blockHeaderBytes + length)
    this.#at = at + size
    return { type, bytes }
  }

  checkEnd(bytes: Uint8Array, blocks: number, entryBytes: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const isRight = bytes.length === endBytes && readUint64(view, 0) === blocks
    if (!isRight || readUint64(view, 8) !== entryBytes) {
      throw this.damaged('the end does not fit what came before')
    }
    if (this.#base + this.#at !== this.#size) throw this.damaged('more after the end')
  }

  damaged(reason: string): StorageError {
    return new StorageError(
      'damaged',
      `${this.#path} is damaged at ${this.#base + this.#at}: ${reason}`,
    )
  }

  #checkFormat(what: string, found: number, known: number): void {
    if (found <= known) return
    const message = `${this.#path} has ${what} format ${found}; this version knows ${known}`
    throw new StorageError('newerFormat', message)
  }

  /** Brings `bytes` from `#at` on into the buffer, which may move them to its front. */
  #need(bytes: number): void {
    if (this.#at + bytes <= this.#filled) return
    const rest = this.#buffer.subarray(this.#at, this.#filled)
    if (bytes > this.#buffer.length) {
      const larger = new Uint8Array(bytes)
      larger.set(rest)
      this.#buffer = larger
      this.#view = new DataView(larger.buffer)
    } else this.#buffer.copyWithin(0, this.#at, this.#filled)
    this.#base += this.#at
    this.#filled = rest.length
    this.#at = 0
    this.#filled += this.#file.read(this.#buffer.subarray(this.#filled), this.#base + this.#filled)
    if (bytes > this.#filled) throw this.damaged('the file ends too early')
  }
}

function open(disk: Disk, path: string): DiskFile {
  if (!disk.exists(path)) throw new StorageError('damaged', `${path} is missing`)
  return disk.open(path, 'read')
}

/** Over the first three words of a block's header, its bytes and the zeros behind them. */
function blockChecksum(buffer: Uint8Array, start: number, end: number): number {
  const head = crc32c(buffer, 0, start, start + 12)
  return crc32c(buffer, head, start + blockHeaderBytes, end)
}

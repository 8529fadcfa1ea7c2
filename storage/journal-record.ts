/**
 * How a batch lies in the journal: whole sectors, so that a torn write never touches an older batch,
 * with a header, records, zeros, and a trailer in the very last bytes. Pure. Numbers little-endian.
 *
 *   0 u32 magic        4 u8 format  5 u8 kind  6 u16 zero    8 u64 sequence, one more each batch
 *  16 u32 sectors     20 u32 sectors that are all zero by content
 *  24 u32 checksum of the batch before    28 u32 store tag   32 u32 end of the records
 *  36 u32 checksum of the header          40 records         end-8 u32 magic   end-4 u32 checksum
 *
 * A record is u32 type, u32 length, then its bytes, filled up to a multiple of 8. The checksum in the
 * trailer rolls: it covers this batch and is seeded with that of the batch before (DESIGN.md D12, D20).
 */
import { crc32c } from '../runtime/crc32c.ts'
import { invariant } from '../runtime/invariant.ts'

export const journalFormat = 1
export const sectorBytes = 512
export const batchKind = { records: 1, seal: 2 } as const
export const recordType = { segment: 1, entries: 2, truncate: 3, hardState: 4, reset: 5 } as const

export const batchMagic = 0x31424a51
export const trailerMagic = 0x31454a51
export const headerBytes = 40
export const trailerBytes = 8

export const at = {
  magic: 0,
  format: 4,
  kind: 5,
  sequence: 8,
  sectors: 16,
  zeroSectors: 20,
  previous: 24,
  storeTag: 28,
  recordsEnd: 32,
  headerChecksum: 36,
} as const

/** Restated from actors/consensus/entry.ts, which storage may not import. */
export const entryAt = { length: 0, position: 8, epoch: 16, time: 24 } as const
export const entryBytesMin = 24

/** What every segment begins with. */
export interface SegmentRecord {
  readonly format: number
  readonly store: Uint8Array
  readonly segment: number
  /** Of its file when it was made: one that is shorter has lost something. */
  readonly sizeBytes: number
  /** No entry before this segment counts that has a higher position: recovery may begin here. */
  readonly highestBefore: number
}

export function readSegmentRecord(
  view: DataView,
  start: number,
  length: number,
): Omit<SegmentRecord, 'store'> {
  const storeEnd = start + 20 + storeIdBytes
  return {
    format: view.getUint32(start, true),
    segment: readUint64(view, start + 4),
    highestBefore: readUint64(view, start + 12),
    // Before the first release they ended with the store.
    sizeBytes: length < segmentRecordBytes ? 0 : readUint64(view, storeEnd),
  }
}

export const storeIdBytes = 16
const segmentRecordBytes = 28 + storeIdBytes

/** What ties a batch to one store, so that a file of another one is told apart. */
export function storeTag(store: Uint8Array): number {
  invariant(store.length === storeIdBytes, 'a store id has 16 bytes')
  return crc32c(store)
}

const twoTo32 = 4294967296

export function readUint64(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * twoTo32
}

export function writeUint64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value >>> 0, true)
  view.setUint32(offset + 4, (value / twoTo32) >>> 0, true)
}

/** A batch under construction; records may still be added after `finish`, which then is called again. */
export class BatchBuffer {
  readonly #initialBytes: number
  #bytes: Uint8Array<ArrayBuffer>
  #view: DataView
  #words: Int32Array
  #end = headerBytes
  /** Checksum of the batch as last finished. */
  checksum = 0

  constructor(initialBytes = initialBytesDefault) {
    this.#initialBytes = initialBytes
    this.#bytes = new Uint8Array(initialBytes)
    this.#view = new DataView(this.#bytes.buffer)
    this.#words = new Int32Array(this.#bytes.buffer)
  }

  get isEmpty(): boolean {
    return this.#end === headerBytes
  }

  /** What `finish` will return, in bytes. */
  get sizeBytes(): number {
    return Math.ceil((this.#end + trailerBytes) / sectorBytes) * sectorBytes
  }

  clear(): void {
    this.#end = headerBytes
    if (this.#bytes.length > keptBytesMax) this.#allocate(this.#initialBytes)
  }

  segment(record: SegmentRecord): void {
    const start = this.#record(recordType.segment, segmentRecordBytes)
    this.#view.setUint32(start, record.format, true)
    writeUint64(this.#view, start + 4, record.segment)
    writeUint64(this.#view, start + 12, record.highestBefore)
    this.#bytes.set(record.store, start + 20)
    writeUint64(this.#view, start + 20 + storeIdBytes, record.sizeBytes)
  }

  entries(bytes: Uint8Array): void {
    this.#blob(recordType.entries, bytes)
  }

  truncate(from: number): void {
    const start = this.#record(recordType.truncate, 8)
    writeUint64(this.#view, start, from)
  }

  hardState(bytes: Uint8Array): void {
    this.#blob(recordType.hardState, bytes)
  }

  reset(position: number, epoch: number): void {
    const start = this.#record(recordType.reset, 16)
    writeUint64(this.#view, start, position)
    writeUint64(this.#view, start + 8, epoch)
  }

  finish(kind: number, sequence: number, previous: number, tag: number): Uint8Array {
    const size = this.sizeBytes
    this.#reserve(size)
    this.#bytes.fill(0, this.#end, size - trailerBytes)
    const view = this.#view
    view.setUint32(at.magic, batchMagic, true)
    view.setUint32(at.format, journalFormat | (kind << 8), true)
    writeUint64(view, at.sequence, sequence)
    view.setUint32(at.sectors, size / sectorBytes, true)
    view.setUint32(at.previous, previous, true)
    view.setUint32(at.storeTag, tag, true)
    view.setUint32(at.recordsEnd, this.#end, true)
    view.setUint32(size - trailerBytes, trailerMagic, true)
    view.setUint32(at.zeroSectors, countZeroSectors(this.#words, 0, size / sectorBytes), true)
    view.setUint32(at.headerChecksum, crc32c(this.#bytes, 0, 0, at.headerChecksum), true)
    this.checksum = crc32c(this.#bytes, previous, 0, size - 4)
    view.setUint32(size - 4, this.checksum, true)
    return this.#bytes.subarray(0, size)
  }

  #blob(type: number, bytes: Uint8Array): void {
    const start = this.#record(type, bytes.length)
    this.#bytes.set(bytes, start)
  }

  /** Writes the head of a record (which may exchange the buffer) and returns where its bytes go. */
  #record(type: number, length: number): number {
    const head = this.#end
    const start = head + recordHeadBytes
    const end = start + Math.ceil(length / 8) * 8
    this.#reserve(end)
    this.#view.setUint32(head, type, true)
    this.#view.setUint32(head + 4, length, true)
    this.#bytes.fill(0, start + length, end)
    this.#end = end
    return start
  }

  #reserve(end: number): void {
    const needed = end + sectorBytes
    if (needed > this.#bytes.length) this.#allocate(Math.max(needed, this.#bytes.length * 2))
  }

  #allocate(bytes: number): void {
    const before = this.#bytes
    this.#bytes = new Uint8Array(Math.ceil(bytes / sectorBytes) * sectorBytes)
    this.#bytes.set(before.subarray(0, this.#end))
    this.#view = new DataView(this.#bytes.buffer)
    this.#words = new Int32Array(this.#bytes.buffer)
  }
}

const initialBytesDefault = 256 * 1024
/** A buffer that one large batch has blown up is given back. */
const keptBytesMax = 4 * 1024 * 1024
export const recordHeadBytes = 8

/** `words` begin at a sector. */
export function countZeroSectors(words: Int32Array, first: number, count: number): number {
  let zero = 0
  for (let sector = first; sector < first + count; sector++) {
    if (isZeroSector(words, sector)) zero++
  }
  return zero
}

function isZeroSector(words: Int32Array, sector: number): boolean {
  const end = (sector + 1) * wordsPerSector
  for (let index = sector * wordsPerSector; index < end; index++) {
    if (words[index] !== 0) return false
  }
  return true
}

const wordsPerSector = sectorBytes / 4

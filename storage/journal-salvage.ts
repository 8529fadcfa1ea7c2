/**
 * What can still be had of a journal that is damaged, and what is lost, as exactly as the bytes behind
 * the damage say. Changes nothing on disk. For `quorate recover` alone: a node never starts by itself on
 * a log that lacks something that may have been acknowledged (DESIGN.md D14).
 */
import type { Disk } from '../runtime/host.ts'
import { type SegmentImage, readBatch, readHeader, recordsOf } from './journal-reader.ts'
import { entryAt, entryBytesMin, readUint64, recordType, sectorBytes } from './journal-record.ts'
import { type Damaged, type Place, readAsFarAsIntact } from './journal-recovery.ts'
import { listSegments, readSegment, segmentPath } from './segment.ts'

export interface SalvagedEntries {
  readonly count: number
  /** Of the first and of the last one; 0: there is none. */
  readonly first: number
  readonly last: number
  readonly firstTimeMillis: number
  readonly lastTimeMillis: number
}

export interface Salvage {
  /** From `position` on, without a gap; concatenated in chunks. */
  readonly chunks: readonly Uint8Array[]
  readonly kept: SalvagedEntries
  readonly lastEpoch: number
  readonly hardState: Uint8Array
  readonly damage: Damaged | undefined
  /** Entries behind the damage that are whole, and of no use: what lies before them is gone. */
  readonly behind: SalvagedEntries
}

/** Nothing where there is no journal. `position`: entries up to here are in a checkpoint. */
export function salvageJournal({ disk, directory, position }: Place): Salvage | undefined {
  if (!disk.exists(directory)) return undefined
  const tag = tagOf(disk, directory)
  if (tag === undefined) return undefined
  const { result, log, hardState } = readAsFarAsIntact({ disk, directory, position }, tag)
  if (result.kind === 'empty') return undefined
  const hole = log.hole()
  if (hole !== undefined) log.truncate(hole)
  const chunks = [...log.chunks(chunkBytesMax)].map(({ entries }) => entries)
  const kept = new Tally()
  for (const chunk of chunks) kept.take(chunk, 0, chunk.length)
  const damage = result.kind === 'damaged' ? result : undefined
  const behind = new Tally()
  if (damage !== undefined) lookBehind(disk, directory, damage, tag, behind)
  return {
    chunks,
    kept: kept.entries,
    lastEpoch: kept.lastEpoch,
    hardState,
    damage,
    behind: behind.entries,
  }
}

const chunkBytesMax = 1024 * 1024

/** Of the store that wrote it, by the first batch header that is intact. */
function tagOf(disk: Disk, directory: string): number | undefined {
  for (const sequence of listSegments(disk, directory).sequences) {
    const header = readHeader(readSegment(disk, segmentPath(directory, sequence), sectorBytes), 0)
    if (header !== undefined) return header.storeTag
  }
  return undefined
}

function lookBehind(
  disk: Disk,
  directory: string,
  damage: Damaged,
  tag: number,
  tally: Tally,
): void {
  for (const sequence of listSegments(disk, directory).sequences) {
    const path = segmentPath(directory, sequence)
    if (path < damage.path) continue
    const image = readSegment(disk, path)
    let offset = path === damage.path ? damage.offset + sectorBytes : 0
    while (offset < image.bytes.length) offset = takeBatch(image, offset, tag, tally)
  }
}

/** Returns where to look next. */
function takeBatch(image: SegmentImage, offset: number, tag: number, tally: Tally): number {
  const header = readHeader(image, offset)
  if (header === undefined || header.storeTag !== tag) return offset + sectorBytes
  const chain = { sequence: header.sequence, checksum: header.previous, storeTag: tag }
  const batch = readBatch(image, offset, chain)
  if (batch.kind !== 'records') return offset + sectorBytes
  for (const { type, start, length } of recordsOf(image, offset, batch.recordsEnd)) {
    if (type === recordType.entries) tally.take(image.bytes, start, start + length)
  }
  return batch.end
}

class Tally {
  #count = 0
  #first = 0
  #last = 0
  #firstTimeMillis = 0
  #lastTimeMillis = 0
  lastEpoch = 0

  get entries(): SalvagedEntries {
    return {
      count: this.#count,
      first: this.#first,
      last: this.#last,
      firstTimeMillis: this.#firstTimeMillis,
      lastTimeMillis: this.#lastTimeMillis,
    }
  }

  take(bytes: Uint8Array, start: number, end: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (let at = start; at + entryBytesMin <= end; ) {
      const length = view.getUint32(at + entryAt.length, true)
      if (length < entryAt.time + 8 || at + length > end) return
      const position = readUint64(view, at + entryAt.position)
      const time = readUint64(view, at + entryAt.time)
      if (this.#count === 0) {
        this.#first = position
        this.#firstTimeMillis = time
      }
      if (position >= this.#last) {
        this.#last = position
        this.#lastTimeMillis = time
        this.lastEpoch = readUint64(view, at + entryAt.epoch)
      }
      this.#count += 1
      at += length
    }
  }
}

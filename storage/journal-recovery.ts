/**
 * Reads a journal back at start. What it finds is a value: whole, torn at its end (which is cut off),
 * or damaged, and then the node neither votes nor counts (DESIGN.md D14). It changes nothing on disk.
 */
import type { Disk } from '../runtime/host.ts'
import { StorageError } from './errors.ts'
import {
  type BatchHeader,
  type Chain,
  endOfContent,
  judgeTail,
  readBatch,
  readHeader,
  recordsOf,
  type SegmentImage,
} from './journal-reader.ts'
import {
  journalFormat,
  readSegmentRecord,
  readUint64,
  recordType,
  storeTag,
} from './journal-record.ts'
import { RecoveredLog } from './recovered-log.ts'
import { type ClosedSegment, listSegments, readSegment, segmentPath } from './segment.ts'

export interface RecoveryOptions extends Place {
  readonly store: Uint8Array
}

export interface Place {
  readonly disk: Disk
  readonly directory: string
  /** Entries up to here are in a checkpoint; the one here is read too, if there is one. */
  readonly position: number
}

export interface Recovered {
  readonly kind: 'recovered'
  readonly log: RecoveredLog
  readonly hardState: Uint8Array
  readonly closed: readonly ClosedSegment[]
  /** The segment that goes on being written; its `sizeBytes` is that of the file. */
  readonly head: ClosedSegment & { readonly end: number }
  /** A segment of zeros made ahead; 0: none. */
  readonly spare: number
  readonly chain: Chain
  /** Bytes of the head that were never acknowledged; they have to be made zeros again. */
  readonly tornBytes: number
  /** The last whole batch of the head, which may be in the system's cache alone. */
  readonly lastBatch: { readonly start: number; readonly bytes: Uint8Array }
  /** What a crash left behind and nobody needs. */
  readonly leftovers: readonly string[]
}

export interface Damaged {
  readonly kind: 'damaged'
  readonly path: string
  readonly offset: number
  readonly reason: string
  /** It is whole, perhaps, and of another store. */
  readonly isForeign: boolean
}

export type RecoveryResult =
  | { readonly kind: 'empty'; readonly leftovers: readonly string[] }
  | Recovered
  | Damaged

export function recoverJournal(options: RecoveryOptions): RecoveryResult {
  return new Recovery(options, storeTag(options.store)).run()
}

/** With what was replayed before the end, or before the damage: for people who know what they give up. */
export interface FarAsIntact {
  readonly result: RecoveryResult
  readonly log: RecoveredLog
  readonly hardState: Uint8Array
}

/** Of whatever store the tag is. */
export function readAsFarAsIntact(options: Place, tag: number): FarAsIntact {
  const recovery = new Recovery(options, tag)
  const result = recovery.run()
  return { result, log: recovery.log, hardState: recovery.hardState }
}

class Recovery {
  readonly #options: Place
  readonly #log: RecoveredLog
  readonly #leftovers: string[] = []
  readonly #closed: ClosedSegment[] = []
  #chain: Chain
  #hardState: Uint8Array = new Uint8Array(0)
  #positionMax = 0

  constructor(options: Place, tag: number) {
    this.#options = options
    this.#log = new RecoveredLog(options.position)
    this.#chain = { sequence: 0, checksum: 0, storeTag: tag }
  }

  get log(): RecoveredLog {
    return this.#log
  }

  get hardState(): Uint8Array {
    return this.#hardState
  }

  run(): RecoveryResult {
    const { disk, directory } = this.#options
    const found = listSegments(disk, directory)
    this.#leftovers.push(...found.unfinished.map(name => `${directory}/${name}`))
    const sequences = this.#fromNeeded(this.#contiguous(found.sequences))
    let index = 0
    let image = this.#read(sequences[0])
    if (image === undefined) return { kind: 'empty', leftovers: this.#leftovers }
    const beginning = readHeader(image, 0)
    if (beginning === undefined) return this.#withoutStart(sequences, image)
    if (beginning.storeTag !== this.#chain.storeTag)
      return { ...this.#damaged(sequences[0]!, 0, 'a batch of another store'), isForeign: true }
    this.#beginChain(beginning)
    for (;;) {
      const sequence = sequences[index]!
      const replay = this.#replay(image, sequence)
      if (replay.kind === 'damaged') return replay
      const next = this.#read(sequences[index + 1])
      if (next === undefined || !this.#continues(next)) {
        return this.#finish(sequences.slice(index), image, next, replay)
      }
      this.#closed.push(this.#describe(sequence, image))
      this.#positionMax = 0
      image = next
      index++
    }
  }

  /** A removal that a crash cut short may leave a gap; what lies before it was already given up. */
  #contiguous(sequences: readonly number[]): number[] {
    let start = sequences.length - 1
    while (start > 0 && sequences[start - 1] === sequences[start]! - 1) start--
    for (const sequence of sequences.slice(0, Math.max(0, start))) {
      this.#leftovers.push(segmentPath(this.#options.directory, sequence))
    }
    return sequences.slice(Math.max(0, start))
  }

  /** Whole segments that the checkpoint covers are not read: the chain may begin at any segment. */
  #fromNeeded(sequences: number[]): number[] {
    for (let index = sequences.length - 1; index > 0; index--) {
      const highest = this.#highestBefore(sequences[index]!)
      if (highest === undefined || highest >= Math.max(1, this.#options.position)) continue
      for (const sequence of sequences.slice(0, index)) this.#skip(sequence, highest)
      return sequences.slice(index)
    }
    return sequences
  }

  /** What the opening of a segment says; nothing where it is not intact. */
  #highestBefore(sequence: number): number | undefined {
    const { disk, directory } = this.#options
    const image = readSegment(disk, segmentPath(directory, sequence), openingBytesMax)
    const header = readHeader(image, 0)
    if (header === undefined) return undefined
    const chain = { ...this.#chain, sequence: header.sequence, checksum: header.previous }
    const batch = readBatch(image, 0, chain)
    if (batch.kind !== 'records') return undefined
    for (const { type, start, length } of recordsOf(image, 0, batch.recordsEnd)) {
      if (type === recordType.segment)
        return readSegmentRecord(image.view, start, length).highestBefore
    }
    return undefined
  }

  #skip(sequence: number, positionMax: number): void {
    const path = segmentPath(this.#options.directory, sequence)
    const file = this.#options.disk.open(path, 'read')
    this.#closed.push({ sequence, path, sizeBytes: file.sizeBytes(), positionMax })
    file.close()
  }

  #read(sequence: number | undefined): SegmentImage | undefined {
    if (sequence === undefined) return undefined
    return readSegment(this.#options.disk, segmentPath(this.#options.directory, sequence))
  }

  /** The header of the oldest batch is believed: what it followed is gone. */
  #beginChain(header: BatchHeader): void {
    if (header.format > journalFormat) throw newerFormat(this.#options.directory, header.format)
    this.#chain = { ...this.#chain, sequence: header.sequence, checksum: header.previous }
  }

  /** Zeros only: a crash while the first segment was made. Anything else has lost its beginning. */
  #withoutStart(sequences: readonly number[], image: SegmentImage): RecoveryResult {
    if (sequences.length > 1 || endOfContent(image) > 0) {
      return this.#damaged(sequences[0]!, 0, 'the first batch header is not what was written')
    }
    const path = segmentPath(this.#options.directory, sequences[0]!)
    return { kind: 'empty', leftovers: [...this.#leftovers, path] }
  }

  #replay(image: SegmentImage, segment: number): Replayed | Damaged {
    let offset = 0
    let lastStart = 0
    for (;;) {
      const batch = readBatch(image, offset, this.#chain)
      if (batch.kind === 'invalid') {
        this.#refuseNewer(image, offset)
        return { kind: 'replayed', lastStart, end: offset, sealed: false }
      }
      if (batch.kind === 'seal') return { kind: 'replayed', lastStart, end: offset, sealed: true }
      const reason = this.#records(image, offset, batch.recordsEnd, segment)
      if (reason !== '') return this.#damaged(segment, offset, reason)
      this.#chain = { ...this.#chain, sequence: this.#chain.sequence + 1, checksum: batch.checksum }
      lastStart = offset
      offset = batch.end
    }
  }

  /** What a later version went on writing is neither torn nor damaged. */
  #refuseNewer(image: SegmentImage, offset: number): void {
    const header = readHeader(image, offset)
    if (header === undefined || header.storeTag !== this.#chain.storeTag) return
    if (header.format > journalFormat) throw newerFormat(this.#options.directory, header.format)
  }

  /** '' or what is wrong although the checksums are right. */
  #records(image: SegmentImage, offset: number, recordsEnd: number, segment: number): string {
    const log = this.#log
    for (const { type, start, length } of recordsOf(image, offset, recordsEnd)) {
      if (type === recordType.entries) {
        const highest = log.entries(image.bytes, image.view, start, start + length)
        if (typeof highest === 'string') return highest
        if (highest > this.#positionMax) this.#positionMax = highest
      } else if (type === recordType.truncate) log.truncate(readUint64(image.view, start))
      else if (type === recordType.hardState)
        this.#hardState = image.bytes.slice(start, start + length)
      else if (type === recordType.reset) log.reset(readUint64(image.view, start))
      else if (type === recordType.segment) {
        const opening = readSegmentRecord(image.view, start, length)
        if (opening.format > journalFormat)
          throw newerFormat(this.#options.directory, opening.format)
        if (opening.segment !== segment)
          return `segment ${opening.segment} under the name of ${segment}`
        if (image.sizeBytes < opening.sizeBytes)
          return `the file has ${image.sizeBytes} bytes, and had ${opening.sizeBytes}`
      } else return `unknown record type ${type}`
    }
    return ''
  }

  #continues(next: SegmentImage): boolean {
    return readBatch(next, 0, this.#chain).kind === 'records'
  }

  /** `rest` is the head and what lies behind it: nothing, zeros made ahead, or a torn opening. */
  #finish(
    rest: readonly number[],
    image: SegmentImage,
    next: SegmentImage | undefined,
    replay: Replayed,
  ): RecoveryResult {
    const head = rest[0]!
    if (replay.sealed) {
      const path = segmentPath(this.#options.directory, head + 1)
      const reason =
        next === undefined ? 'the segment is missing' : 'its first batch is missing or not intact'
      return { kind: 'damaged', path, offset: 0, reason, isForeign: false }
    }
    const tail = judgeTail(image, replay.end, this.#chain)
    if (tail.kind === 'damaged') return this.#damaged(head, tail.offset, tail.reason)
    const spare = next === undefined ? 0 : this.#judgeSpare(rest, next)
    if (typeof spare !== 'number') return spare
    const hole = this.#log.hole()
    if (hole !== undefined) {
      const reason = `the log above position ${this.#options.position} lacks position ${hole}`
      return this.#damaged(head, 0, reason)
    }
    return {
      kind: 'recovered',
      log: this.#log,
      hardState: this.#hardState,
      closed: this.#closed,
      head: { ...this.#describe(head, image), end: replay.end },
      spare,
      chain: this.#chain,
      tornBytes: tail.kind === 'torn' ? tail.end - replay.end : 0,
      lastBatch: {
        start: replay.lastStart,
        bytes: image.bytes.slice(replay.lastStart, replay.end),
      },
      leftovers: this.#leftovers,
    }
  }

  /** The segment after the head: its number when it is still zeros, 0 when its opening was torn. */
  #judgeSpare(rest: readonly number[], next: SegmentImage): number | Damaged {
    const sequence = rest[1]!
    if (rest.length > 2) return this.#damaged(sequence, 0, 'its first batch does not follow')
    const tail = judgeTail(next, 0, this.#chain)
    if (tail.kind === 'damaged') return this.#damaged(sequence, tail.offset, tail.reason)
    if (tail.kind === 'clean') return sequence
    this.#leftovers.push(segmentPath(this.#options.directory, sequence))
    return 0
  }

  #describe(sequence: number, image: SegmentImage): ClosedSegment {
    return {
      sequence,
      path: segmentPath(this.#options.directory, sequence),
      sizeBytes: image.bytes.length,
      positionMax: this.#positionMax,
    }
  }

  #damaged(segment: number, offset: number, reason: string): Damaged {
    const path = segmentPath(this.#options.directory, segment)
    return { kind: 'damaged', path, offset, reason, isForeign: false }
  }
}

/** Much more than an opening has. */
const openingBytesMax = 16 * 1024

interface Replayed {
  readonly kind: 'replayed'
  /** Where the last whole batch begins; `end` when there is none. */
  readonly lastStart: number
  readonly end: number
  readonly sealed: boolean
}

function newerFormat(directory: string, format: number): StorageError {
  const message = `${directory} has journal format ${format}; this version knows ${journalFormat}`
  return new StorageError('newerFormat', message)
}

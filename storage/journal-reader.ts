/**
 * Reads batches back, and tells a torn end from damage (DESIGN.md D14). Torn means: in the last batch,
 * with parts that were never written and so still are zero. Everything else is damage. Pure.
 */
import { crc32c } from '../runtime/crc32c.ts'
import {
  at,
  batchKind,
  batchMagic,
  countZeroSectors,
  headerBytes,
  journalFormat,
  readUint64,
  recordHeadBytes,
  sectorBytes,
  trailerBytes,
  trailerMagic,
} from './journal-record.ts'

/** A segment in memory, filled up with zeros to whole sectors. */
export class SegmentImage {
  readonly sizeBytes: number
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly words: Int32Array

  constructor(sizeBytes: number) {
    this.sizeBytes = sizeBytes
    this.bytes = new Uint8Array(Math.ceil(sizeBytes / sectorBytes) * sectorBytes)
    this.view = new DataView(this.bytes.buffer)
    this.words = new Int32Array(this.bytes.buffer)
  }

  get sectors(): number {
    return this.bytes.length / sectorBytes
  }
}

/** What the next batch has to be. */
export interface Chain {
  readonly sequence: number
  readonly checksum: number
  readonly storeTag: number
}

export type BatchRead =
  | {
      readonly kind: 'records'
      readonly end: number
      readonly recordsEnd: number
      readonly checksum: number
    }
  /** The segment goes on in the next one. */
  | { readonly kind: 'seal' }
  | { readonly kind: 'invalid'; readonly reason: string }

export function readBatch(image: SegmentImage, offset: number, chain: Chain): BatchRead {
  const header = readHeader(image, offset)
  if (header === undefined) return { kind: 'invalid', reason: 'no batch header' }
  const reason = mismatch(header, chain)
  if (reason !== '') return { kind: 'invalid', reason }
  if (!isIntact(image, offset, header)) return { kind: 'invalid', reason: 'wrong checksum' }
  if (header.kind === batchKind.seal) return { kind: 'seal' }
  const end = offset + header.sizeBytes
  const checksum = image.view.getUint32(end - 4, true)
  return { kind: 'records', end, recordsEnd: offset + header.recordsEnd, checksum }
}

export interface BatchHeader {
  readonly format: number
  readonly kind: number
  readonly sequence: number
  readonly sizeBytes: number
  readonly zeroSectors: number
  readonly previous: number
  readonly storeTag: number
  readonly recordsEnd: number
}

/** Nothing unless magic and the header's own checksum are right and the batch lies within the segment. */
export function readHeader(image: SegmentImage, offset: number): BatchHeader | undefined {
  const { view, bytes } = image
  if (offset + sectorBytes > bytes.length) return undefined
  if (view.getUint32(offset, true) !== batchMagic) return undefined
  const checksum = crc32c(bytes, 0, offset, offset + at.headerChecksum)
  if (view.getUint32(offset + at.headerChecksum, true) !== checksum) return undefined
  return {
    format: view.getUint8(offset + at.format),
    kind: view.getUint8(offset + at.kind),
    sequence: readUint64(view, offset + at.sequence),
    sizeBytes: view.getUint32(offset + at.sectors, true) * sectorBytes,
    zeroSectors: view.getUint32(offset + at.zeroSectors, true),
    previous: view.getUint32(offset + at.previous, true),
    storeTag: view.getUint32(offset + at.storeTag, true),
    recordsEnd: view.getUint32(offset + at.recordsEnd, true),
  }
}

export interface RawRecord {
  readonly type: number
  readonly start: number
  readonly length: number
}

/** The records of a batch that `readBatch` found intact. */
export function* recordsOf(
  image: SegmentImage,
  offset: number,
  recordsEnd: number,
): Generator<RawRecord> {
  for (let head = offset + headerBytes; head < recordsEnd; ) {
    const length = image.view.getUint32(head + 4, true)
    const start = head + recordHeadBytes
    yield { type: image.view.getUint32(head, true), start, length }
    head = start + Math.ceil(length / 8) * 8
  }
}

export type Tail =
  /** Zeros to the end of the segment. */
  | { readonly kind: 'clean' }
  /** A batch of which parts were never written: nobody was told that it is durable. */
  | { readonly kind: 'torn'; readonly end: number }
  | { readonly kind: 'damaged'; readonly offset: number; readonly reason: string }

/** Judges what follows the last intact batch of the journal's last segment. */
export function judgeTail(image: SegmentImage, offset: number, chain: Chain): Tail {
  const end = endOfContent(image)
  if (end <= offset) return { kind: 'clean' }
  const later = findLaterBatch(image, offset, chain)
  if (later !== undefined) {
    const reason = `the batch here is not intact, but one at ${later} is`
    return { kind: 'damaged', offset, reason }
  }
  const header = readHeader(image, offset)
  if (header !== undefined) return judgeBody(image, offset, chain, header, end)
  const isUnwritten = countZeroSectors(image.words, offset / sectorBytes, 1) === 1
  const isCut = end < offset + headerBytes
  if (isUnwritten || isCut) return { kind: 'torn', end }
  return { kind: 'damaged', offset, reason: 'the batch header is not what was written' }
}

function judgeBody(
  image: SegmentImage,
  offset: number,
  chain: Chain,
  header: BatchHeader,
  end: number,
): Tail {
  const reason = mismatch(header, chain)
  if (reason !== '') return { kind: 'damaged', offset, reason }
  const batchEnd = offset + header.sizeBytes
  // Only a batch that was to grow its segment may end behind it.
  if (end > batchEnd) return { kind: 'damaged', offset, reason: 'wrong checksum, and more follows' }
  const sectors = Math.min(header.sizeBytes, image.bytes.length - offset) / sectorBytes
  const zero = countZeroSectors(image.words, offset / sectorBytes, sectors)
  const isUnwritten = zero > header.zeroSectors
  if (
    isUnwritten ||
    batchEnd > image.bytes.length ||
    isTrailerCut(image, batchEnd, header, offset)
  ) {
    return { kind: 'torn', end }
  }
  return { kind: 'damaged', offset, reason: 'wrong checksum, though every sector was written' }
}

/** A trailer that is the right one up to some byte, and zero from there on. */
function isTrailerCut(
  image: SegmentImage,
  end: number,
  header: BatchHeader,
  offset: number,
): boolean {
  const { bytes, view } = image
  if (view.getUint32(end - trailerBytes, true) === 0) return view.getUint32(end - 4, true) === 0
  const right = new Uint8Array(trailerBytes)
  const rightView = new DataView(right.buffer)
  rightView.setUint32(0, trailerMagic, true)
  // What was cut off lies behind these bytes, so the checksum is taken with the right ones in place.
  const body = crc32c(bytes, header.previous, offset, end - trailerBytes)
  rightView.setUint32(4, crc32c(right, body, 0, 4), true)
  let same = 0
  while (same < trailerBytes && bytes[end - trailerBytes + same] === right[same]) same++
  for (let index = same; index < trailerBytes; index++) {
    if (bytes[end - trailerBytes + index] !== 0) return false
  }
  return same < trailerBytes
}

function mismatch(header: BatchHeader, chain: Chain): string {
  if (header.storeTag !== chain.storeTag) return 'a batch of another store'
  if (header.format > journalFormat) return `a batch of format ${header.format}`
  if (header.sequence !== chain.sequence) {
    return `batch ${header.sequence} where ${chain.sequence} belongs`
  }
  // A seal is beside the chain: it says only that the segment's successor is durable.
  const isChained = header.kind === batchKind.records
  if (isChained && header.previous !== chain.checksum) return 'does not follow the batch before it'
  return ''
}

function isIntact(image: SegmentImage, offset: number, header: BatchHeader): boolean {
  const end = offset + header.sizeBytes
  if (end > image.bytes.length) return false
  if (image.view.getUint32(end - trailerBytes, true) !== trailerMagic) return false
  const checksum = crc32c(image.bytes, header.previous, offset, end - 4)
  return image.view.getUint32(end - 4, true) === checksum
}

/** One batch is in flight at a time, so an intact later header proves that an acknowledged one is gone. */
function findLaterBatch(image: SegmentImage, offset: number, chain: Chain): number | undefined {
  for (let next = offset + sectorBytes; next < image.bytes.length; next += sectorBytes) {
    if (image.words[next / 4] !== magicWord) continue
    const header = readHeader(image, next)
    if (header?.storeTag === chain.storeTag && header.sequence >= chain.sequence) return next
  }
  return undefined
}

const magicWord = batchMagic | 0

/** Where the zeros begin that reach to the end of the segment. */
export function endOfContent({ bytes }: SegmentImage): number {
  let end = bytes.length
  // Most of a segment may be zeros, which the system compares much faster than a loop here.
  while (end > 0) {
    const start = Math.max(0, end - zeros.length)
    if (zeros.compare(bytes, start, end, 0, end - start) !== 0) break
    end = start
  }
  while (end > 0 && bytes[end - 1] === 0) end--
  return end
}

const zeros = Buffer.alloc(64 * 1024)

/**
 * One file of the journal: made of zeros ahead of its use, under its final name, so that a write to
 * the journal never changes a directory; filled once from the front; never recycled (DESIGN.md D14).
 */
import type { Disk, DiskFile } from '../runtime/host.ts'
import { directoryOf } from './files.ts'
import { SegmentImage } from './journal-reader.ts'
import { sectorBytes } from './journal-record.ts'

export class Segment {
  readonly sequence: number
  readonly path: string
  readonly file: DiskFile
  /** Where the next batch goes. */
  end: number
  /** Grows only when one batch is larger than a segment. */
  sizeBytes: number
  /** Highest position of any entry in it, also of one truncated since; 0: none. */
  positionMax: number

  constructor(
    sequence: number,
    path: string,
    file: DiskFile,
    end: number,
    sizeBytes: number,
    positionMax: number,
  ) {
    this.sequence = sequence
    this.path = path
    this.file = file
    this.end = end
    this.sizeBytes = sizeBytes
    this.positionMax = positionMax
  }

  /** Room for batches; the last sector stays free for the seal. */
  get roomBytes(): number {
    return this.sizeBytes - this.end - sectorBytes
  }

  write(batch: Uint8Array): void {
    this.file.write(batch, this.end)
    this.end += batch.length
    if (this.end > this.sizeBytes) this.sizeBytes = this.end
  }
}

/** A segment that is no longer written. */
export interface ClosedSegment {
  readonly sequence: number
  readonly path: string
  readonly sizeBytes: number
  readonly positionMax: number
}

const extension = '.journal'
const unfinished = '.tmp'

export function segmentPath(directory: string, sequence: number): string {
  return `${directory}/${sequence.toString(16).padStart(16, '0')}${extension}`
}

/** Sequences of the segments of a directory, ascending, and the names of unfinished ones. */
export function listSegments(
  disk: Disk,
  directory: string,
): { sequences: number[]; unfinished: string[] } {
  const names = disk.list(directory)
  const sequences = names
    .filter(name => /^[0-9a-f]{16}\.journal$/.test(name))
    .map(name => Number.parseInt(name, 16))
    .sort((left, right) => left - right)
  return { sequences, unfinished: names.filter(name => name.endsWith(unfinished)) }
}

/** The file appears under its name when its zeros are durable. Throws what the disk throws. */
export function prepareSegment(disk: Disk, path: string, sizeBytes: number, fsync: boolean): void {
  const temporary = `${path}${unfinished}`
  try {
    const file = disk.open(temporary, 'create')
    try {
      writeZeros(file, 0, sizeBytes)
      if (fsync) file.syncNow()
    } finally {
      file.close()
    }
  } catch (error) {
    if (disk.exists(temporary)) disk.remove(temporary)
    throw error
  }
  disk.rename(temporary, path)
  if (fsync) disk.syncDirectory(directoryOf(path))
}

export function writeZeros(file: DiskFile, start: number, end: number): void {
  const zeros = new Uint8Array(Math.min(end - start, zeroChunkBytes))
  for (let position = start; position < end; position += zeros.length) {
    file.write(zeros.subarray(0, Math.min(zeros.length, end - position)), position)
  }
}

const zeroChunkBytes = 1024 * 1024

export function readSegment(
  disk: Disk,
  path: string,
  bytesMax = Number.POSITIVE_INFINITY,
): SegmentImage {
  const file = disk.open(path, 'read')
  try {
    const size = Math.min(file.sizeBytes(), bytesMax)
    const image = new SegmentImage(size)
    let done = 0
    while (done < size) {
      const count = file.read(image.bytes.subarray(done, size), done)
      if (count === 0) break
      done += count
    }
    return image
  } finally {
    file.close()
  }
}

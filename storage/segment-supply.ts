/**
 * The segments around the one that is being written: the next one, made ahead off the thread, and the
 * closed ones, removed off the thread when no entry in them is needed.
 */
import { invariant } from '../runtime/invariant.ts'
import type { Disk, Jobs } from '../runtime/host.ts'
import { type JournalJob, type JournalJobResult, journalJobModule } from './journal-job.ts'
import { type ClosedSegment, Segment, segmentPath } from './segment.ts'

export interface SupplyOptions {
  readonly disk: Disk
  readonly jobs: Jobs
  readonly directory: string
  readonly segmentBytes: number
  readonly fsync: 'always' | 'never'
  /** Segments that are no longer needed are kept while they are not more than this together. */
  readonly retainedBytesMax: number
  /** Called from the event loop; the owner passes it on to `completed` in its own time. */
  readonly complete: (completion: SupplyCompletion) => void
}

/** `failure` is '' when it went well. */
export type SupplyCompletion =
  | {
      readonly kind: 'prepared'
      readonly sequence: number
      readonly full: boolean
      readonly failure: string
    }
  | { readonly kind: 'removed'; readonly failure: string }

export class SegmentSupply {
  readonly #options: SupplyOptions
  #closed: ClosedSegment[]
  /** Made ahead; 0: none. */
  #spare: number
  #isPreparing = false
  #isRefused = false
  /** On their way out; those that could not be removed come back. */
  #removing: readonly ClosedSegment[] = []
  #isRemoving = false
  #compacted = 0

  constructor(options: SupplyOptions, closed: readonly ClosedSegment[], spare: number) {
    this.#options = options
    this.#closed = [...closed]
    this.#spare = spare
  }

  get hasNext(): boolean {
    return this.#spare > 0
  }

  /** The disk was full when the next one was to be made; `prepare` tries again. */
  get isRefused(): boolean {
    return this.#isRefused
  }

  get count(): number {
    return this.#closed.length + (this.hasNext ? 1 : 0)
  }

  get sizeBytes(): number {
    return totalBytes(this.#closed) + (this.hasNext ? this.#options.segmentBytes : 0)
  }

  /** Highest position of any entry in the closed ones. */
  get highest(): number {
    return this.#closed.reduce((highest, segment) => Math.max(highest, segment.positionMax), 0)
  }

  /** Begins to make the one after `current`, if there is none. */
  prepare(current: number): void {
    if (this.hasNext || this.#isPreparing) return
    this.#isPreparing = true
    const { directory, segmentBytes, fsync, complete } = this.#options
    const sequence = current + 1
    const path = segmentPath(directory, sequence)
    this.#run(
      { kind: 'prepare', path, sizeBytes: segmentBytes, fsync: fsync === 'always' },
      (full, failure) => complete({ kind: 'prepared', sequence, full, failure }),
    )
  }

  completed(completion: SupplyCompletion): void {
    if (completion.kind === 'removed') return this.#removed()
    this.#isPreparing = false
    this.#isRefused = completion.full
    if (!completion.full) this.#spare = completion.sequence
  }

  openNext(): Segment {
    invariant(this.hasNext, 'a segment was made ahead')
    const { disk, directory } = this.#options
    const path = segmentPath(directory, this.#spare)
    const file = disk.open(path, 'write')
    // As it is, whatever a segment was to have when it was made.
    return new Segment(this.#spare, path, file, 0, file.sizeBytes(), 0)
  }

  /** The one opened is in use. */
  taken(): void {
    this.#spare = 0
  }

  /** The one opened may hold parts of an opening, so another one has to be made. */
  discard(segment: Segment): void {
    segment.file.close()
    this.#options.disk.remove(segment.path)
    this.#spare = 0
    this.#isRefused = true
  }

  close({ sequence, path, sizeBytes, positionMax, file }: Segment): void {
    file.close()
    this.#closed.push({ sequence, path, sizeBytes, positionMax })
    this.#removeOld()
  }

  /** The log was reset there: what the closed ones hold above it does not count. */
  forgetAbove(position: number): void {
    this.#closed = this.#closed.map(segment => ({ ...segment, positionMax: position }))
  }

  /** Those that lie wholly at or below this position may go. */
  compact(position: number): void {
    if (position <= this.#compacted) return
    this.#compacted = position
    this.#removeOld()
  }

  #removed(): void {
    const { disk } = this.#options
    this.#isRemoving = false
    this.#closed.unshift(...this.#removing.filter(({ path }) => disk.exists(path)))
    this.#removing = []
  }

  #removeOld(): void {
    if (this.#isRemoving) return
    const needed = this.#closed.findIndex(segment => segment.positionMax > this.#compacted)
    const removable = needed < 0 ? this.#closed : this.#closed.slice(0, needed)
    let bytes = totalBytes(removable)
    let count = 0
    for (const segment of removable) {
      if (bytes <= this.#options.retainedBytesMax) break
      bytes -= segment.sizeBytes
      count++
    }
    if (count === 0) return
    this.#removing = this.#closed.splice(0, count)
    this.#isRemoving = true
    const paths = this.#removing.map(({ path }) => path)
    this.#run({ kind: 'remove', paths }, (_full, failure) =>
      this.#options.complete({ kind: 'removed', failure }),
    )
  }

  #run(job: JournalJob, done: (full: boolean, failure: string) => void): void {
    this.#options.jobs.run<JournalJobResult>(journalJobModule, job, (error, result) => {
      if (error !== undefined) return done(false, error.message || 'a journal job failed')
      if (result?.kind === 'failed') return done(false, result.reason)
      done(result?.kind === 'full', '')
    })
  }
}

function totalBytes(segments: readonly ClosedSegment[]): number {
  return segments.reduce((sum, segment) => sum + segment.sizeBytes, 0)
}

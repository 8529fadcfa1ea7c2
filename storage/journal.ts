/**
 * The log on disk (DESIGN.md D12, D14, D15). Records gather in one buffer; `flush` makes them one
 * write and one sync. One batch is in flight at a time; what comes meanwhile is the next batch. A full
 * disk is waited out and loses nothing; any other failed write, and any failed sync, throws and is final.
 */
import type { Clock, DiskFile } from '../runtime/host.ts'
import { invariant } from '../runtime/invariant.ts'
import { diskFailed, isDiskFull } from './errors.ts'
import type { Chain } from './journal-reader.ts'
import {
  BatchBuffer,
  batchKind,
  entryAt,
  entryBytesMin,
  journalFormat,
  readUint64,
} from './journal-record.ts'
import { type ClosedSegment, type Segment, writeZeros } from './segment.ts'
import { SegmentSupply, type SupplyCompletion, type SupplyOptions } from './segment-supply.ts'
import { quickMillis, SyncPolicy } from './sync-policy.ts'

export interface JournalOptions extends SupplyOptions {
  readonly clock: Clock
  readonly store: Uint8Array
  /** `never` is for benchmarks: what is acknowledged may be lost with the machine. */
  readonly fsync: 'always' | 'never'
  /** What to tell the owner, called from within `flush`, `retry` and `completed`. */
  readonly notify: (outcome: JournalOutcome) => void
  /** Called from the event loop; the owner passes it on to `completed` in its own time. */
  readonly complete: (completion: JournalCompletion) => void
  readonly observer?: JournalObserver
}

/** Told of every batch, for traces and metrics. */
export interface JournalObserver {
  /** It is written now (again, after a disk was full). */
  writing(bytes: number, requests: number): void
  synced(millis: number): void
}

/** Where a journal goes on. */
export interface JournalState {
  readonly chain: Chain
  readonly segment: Segment
  readonly closed: readonly ClosedSegment[]
  readonly spare: number
  readonly hardState: Uint8Array
}

export type JournalOutcome =
  | { readonly kind: 'persisted'; readonly id: number }
  | { readonly kind: 'diskFull'; readonly id: number }
  | { readonly kind: 'spaceReturned' }
  /** Old segments stay for a while; nobody but an operator needs to know. */
  | { readonly kind: 'notRemoved'; readonly reason: string }

export type JournalCompletion =
  | SupplyCompletion
  | { readonly kind: 'synced'; readonly failure: string }

export interface JournalStatus {
  readonly segments: number
  readonly sizeBytes: number
  readonly isFull: boolean
  /** There is none after this segment, for lack of space: time to stop what can be stopped. */
  readonly isScarce: boolean
  readonly syncs: number
  readonly lastSyncMillis: number
  readonly inline: boolean
}

type Step = 'batch' | 'opening' | 'seal'

export class Journal {
  readonly #options: JournalOptions
  readonly #policy = new SyncPolicy()
  readonly #supply: SegmentSupply
  readonly #storeTag: number
  readonly #batch = new BatchBuffer()
  readonly #small = new BatchBuffer(openingBytes)
  /** Ids of the batch that gathers, and of the one that is being synced. */
  #gathered: number[] = []
  #inFlight: number[] = []
  /** Of `#gathered`, how many were already told that the disk is full. */
  #refused = 0
  #sequence: number
  #checksum: number
  #current: Segment
  /** The segment that `#current` follows and that still wants its seal. */
  #previous: Segment | undefined
  #isFull = false
  #isClosed = false
  #hasEntries = false
  /** After a reset all that is before it goes, for which it needs a segment of its own. */
  #isResetGathered = false
  #isResetInFlight = false
  #mustTurn = false
  /** Of the batch that holds a reset: where it resets to, and its highest position after that. */
  #resetPosition = 0
  #afterReset = 0
  /** Of all entries that count. */
  #highest: number
  #gatheredMax = 0
  /** As last gathered, and as last written: only that one may open a segment. */
  #gatheredHardState: Uint8Array
  #hardState: Uint8Array
  /** After a failed write: up to here the current segment may hold parts of it. */
  #dirtyEnd = 0
  #outstanding: Step | undefined
  #syncStarted = 0

  constructor(options: JournalOptions, state: JournalState) {
    const { chain, segment, closed, spare, hardState } = state
    invariant(options.segmentBytes >= segmentBytesMin, 'a segment has its least size')
    this.#options = options
    this.#supply = new SegmentSupply(options, closed, spare)
    this.#storeTag = chain.storeTag
    this.#sequence = chain.sequence
    this.#checksum = chain.checksum
    this.#current = segment
    this.#hardState = hardState
    this.#gatheredHardState = hardState
    this.#highest = Math.max(segment.positionMax, this.#supply.highest)
  }

  /** Gathers one request; `flush` makes it durable and `persisted` tells. The bytes are copied. */
  persist(id: number, truncateFrom: number, entries: Uint8Array, hardState: Uint8Array): void {
    this.#gathered.push(id)
    if (truncateFrom > 0) this.#batch.truncate(truncateFrom)
    if (entries.length > 0) {
      this.#batch.entries(entries)
      this.#gatheredMax = Math.max(this.#gatheredMax, lastPosition(entries))
      this.#hasEntries = true
    }
    if (hardState.length > 0) {
      invariant(
        hardState.length <= this.#reserveBytes / 2,
        'a hard state is small beside a segment',
      )
      this.#batch.hardState(hardState)
      this.#gatheredHardState = hardState.slice()
    }
  }

  /** The log starts anew above `position`; what was before goes when this is durable. */
  reset(position: number, epoch: number): void {
    this.#batch.reset(position, epoch)
    this.#mustTurn = true
    this.#isResetGathered = true
    this.#resetPosition = position
    this.#gatheredMax = 0
  }

  /** Segments that lie wholly at or below this position may go. */
  compact(position: number): void {
    this.#supply.compact(position)
  }

  /** Writes what was gathered, unless a batch is in flight or there is no room for it. */
  flush(): void {
    if (this.#isFull) this.#full()
    else this.#advance()
  }

  /** What `complete` was called with. Throws when the disk has failed. */
  completed(completion: JournalCompletion): void {
    if (this.#isClosed) return
    // An old segment that stays harms nobody but takes room: it is tried again with the next.
    if (completion.kind === 'removed' && completion.failure !== '')
      this.#options.notify({ kind: 'notRemoved', reason: completion.failure })
    else if (completion.failure !== '')
      throw diskFailed(this.#options.directory, completion.failure)
    if (completion.kind === 'synced') return this.#synced()
    this.#supply.completed(completion)
    if (this.#supply.isRefused) this.flush()
    else this.#advance()
  }

  /** To be called now and then while this says that it would help. */
  get wantsRetry(): boolean {
    return this.#isFull || this.#supply.isRefused
  }

  get isFull(): boolean {
    return this.#isFull
  }

  get isScarce(): boolean {
    return this.#supply.isRefused && !this.#supply.hasNext
  }

  retry(): void {
    this.prepare()
    this.#advance()
  }

  status(): JournalStatus {
    return {
      segments: this.#supply.count + 1,
      sizeBytes: this.#supply.sizeBytes + this.#current.sizeBytes,
      isFull: this.#isFull,
      isScarce: this.isScarce,
      syncs: this.#policy.syncs,
      lastSyncMillis: this.#policy.lastMillis,
      inline: this.#policy.isInline,
    }
  }

  /** Millis since the sync that is outstanding began; 0: none is. */
  outstandingMillis(): number {
    if (this.#outstanding === undefined) return 0
    return this.#options.clock.monotonicMillis() - this.#syncStarted
  }

  /** Begins to make the next segment ahead, if there is none. */
  prepare(): void {
    this.#supply.prepare(this.#current.sequence)
  }

  /** A file that is being synced is left to the end of the process. */
  close(): void {
    this.#isClosed = true
    if (this.#outstanding !== undefined) return
    this.#current.file.close()
    this.#previous?.file.close()
  }

  // ── one batch ──────────────────────────────────────────────────────────────────────────────────

  #advance(): void {
    while (this.#outstanding === undefined) {
      if (this.#mustTurn && !this.#isResetGathered) {
        if (!this.#turnOver()) return
      } else if (this.#batch.isEmpty) {
        if (this.#gathered.length === 0) return
        this.#swapIds()
        this.#durable()
      } else if (!this.#hasRoom()) {
        if (!this.#turnOver()) return
      } else if (!this.#writeBatch()) return
    }
  }

  #hasRoom(): boolean {
    const room = this.#current.roomBytes
    const size = this.#batch.sizeBytes
    if (size > room) return this.#isOversized(size)
    // Without a segment ahead the last room is kept for votes, which are small.
    const isKept = this.isScarce && this.#hasEntries
    return !isKept || size <= room - this.#reserveBytes
  }

  /** A batch larger than any segment grows one that has only its opening. */
  #isOversized(size: number): boolean {
    const isFresh = this.#current.positionMax === 0 && this.#current.end <= this.#reserveBytes
    return isFresh && size > this.#options.segmentBytes - this.#reserveBytes
  }

  get #reserveBytes(): number {
    return this.#options.segmentBytes >>> reserveShift
  }

  /** Whether it was written; not when the disk is full. */
  #writeBatch(): boolean {
    const bytes = this.#batch.finish(
      batchKind.records,
      this.#sequence,
      this.#checksum,
      this.#storeTag,
    )
    this.#options.observer?.writing(bytes.length, this.#gathered.length)
    if (!this.#cleanUp() || !this.#tryWrite(bytes)) return false
    this.#sequence++
    this.#checksum = this.#batch.checksum
    this.#current.positionMax = Math.max(this.#current.positionMax, this.#gatheredMax)
    this.#highest = Math.max(this.#highest, this.#gatheredMax)
    this.#afterReset = this.#gatheredMax
    this.#hardState = this.#gatheredHardState
    this.#batch.clear()
    this.#swapIds()
    this.#sync(this.#current.file, 'batch')
    return true
  }

  #swapIds(): void {
    const empty = this.#inFlight
    invariant(empty.length === 0, 'one batch is in flight at a time')
    this.#inFlight = this.#gathered
    this.#gathered = empty
    this.#isResetInFlight = this.#isResetGathered
    this.#isResetGathered = false
    this.#refused = 0
    this.#gatheredMax = 0
    this.#hasEntries = false
  }

  #tryWrite(bytes: Uint8Array): boolean {
    try {
      this.#current.write(bytes)
      return true
    } catch (error) {
      if (!isDiskFull(error)) throw diskFailed(this.#current.path, error)
      this.#dirtyEnd = Math.max(this.#dirtyEnd, this.#current.end + bytes.length)
      this.#full()
      return false
    }
  }

  /** Parts of a failed write become zeros again, durably, before anything else goes there. */
  #cleanUp(): boolean {
    if (this.#dirtyEnd === 0) return true
    const { file, end } = this.#current
    try {
      writeZeros(file, end, Math.min(this.#dirtyEnd, file.sizeBytes()))
    } catch (error) {
      if (!isDiskFull(error)) throw diskFailed(file.path, error)
      return false
    }
    this.#syncInPlace(file)
    this.#dirtyEnd = 0
    return true
  }

  #durable(): void {
    if (this.#isFull) {
      this.#isFull = false
      this.#options.notify({ kind: 'spaceReturned' })
    }
    const ids = this.#inFlight
    for (const id of ids) this.#options.notify({ kind: 'persisted', id })
    ids.length = 0
    if (this.#isResetInFlight) this.#forgetOld()
  }

  /** The reset is durable: no entry before it counts any more. */
  #forgetOld(): void {
    this.#isResetInFlight = false
    const position = this.#resetPosition
    this.#supply.forgetAbove(position)
    this.#supply.compact(position)
    this.#highest = Math.max(position, this.#afterReset)
    this.#current.positionMax = this.#highest
  }

  #full(): void {
    this.#isFull = true
    while (this.#refused < this.#gathered.length) {
      this.#options.notify({ kind: 'diskFull', id: this.#gathered[this.#refused++]! })
    }
  }

  // ── syncs ──────────────────────────────────────────────────────────────────────────────────────

  #sync(file: DiskFile, step: Step): void {
    if (this.#options.fsync === 'never') return this.#stepDone(step)
    this.#syncStarted = this.#options.clock.monotonicMillis()
    const later = (error?: Error): void =>
      this.#options.complete({
        kind: 'synced',
        failure: error === undefined ? '' : error.message || 'sync failed',
      })
    if (!this.#policy.isInline) file.sync(later)
    else if (this.#syncWithin(file, later)) {
      this.#syncTook()
      return this.#stepDone(step)
    }
    this.#outstanding = step
  }

  /** Whether it is done; one that takes longer than any quick sync goes on off the thread. */
  #syncWithin(file: DiskFile, later: (error?: Error) => void): boolean {
    try {
      return file.syncWithin(quickMillis, later)
    } catch (error) {
      throw diskFailed(file.path, error)
    }
  }

  #syncInPlace(file: DiskFile): void {
    try {
      file.syncNow()
    } catch (error) {
      throw diskFailed(file.path, error)
    }
  }

  #synced(): void {
    const step = this.#outstanding
    invariant(step !== undefined, 'a sync completes once')
    this.#outstanding = undefined
    this.#syncTook()
    this.#stepDone(step)
    this.#advance()
  }

  #syncTook(): void {
    const millis = this.#options.clock.monotonicMillis() - this.#syncStarted
    this.#policy.took(millis)
    this.#options.observer?.synced(millis)
  }

  #stepDone(step: Step): void {
    if (step === 'batch') this.#durable()
    else if (step === 'opening') this.#seal()
    else this.#sealed()
  }

  // ── from one segment to the next ───────────────────────────────────────────────────────────────

  /**
   * The opening of the next segment is durable, then the seal of this one, then the next batch goes
   * on: so a sealed segment without an intact successor has lost something that was acknowledged.
   */
  #turnOver(): boolean {
    if (!this.#supply.hasNext) {
      if (this.#supply.isRefused) this.#full()
      else this.prepare()
      return false
    }
    if (!this.#cleanUp()) return false
    const next = this.#supply.openNext()
    try {
      this.#writeOpening(next)
    } catch (error) {
      if (!isDiskFull(error)) throw diskFailed(next.path, error)
      this.#supply.discard(next)
      this.#full()
      return false
    }
    this.#supply.taken()
    this.#previous = this.#current
    this.#current = next
    if (!this.#isResetGathered) this.#mustTurn = false
    this.#sync(next.file, 'opening')
    return true
  }

  #writeOpening(segment: Segment): void {
    const small = this.#small
    small.clear()
    small.segment({
      format: journalFormat,
      store: this.#options.store,
      segment: segment.sequence,
      sizeBytes: segment.sizeBytes,
      highestBefore: this.#highest,
    })
    if (this.#hardState.length > 0) small.hardState(this.#hardState)
    segment.write(small.finish(batchKind.records, this.#sequence, this.#checksum, this.#storeTag))
    this.#sequence++
    this.#checksum = small.checksum
  }

  #seal(): void {
    const previous = this.#previous
    invariant(previous !== undefined, 'a seal ends the segment before the current one')
    this.#small.clear()
    const first = this.#sequence - 1
    const bytes = this.#small.finish(batchKind.seal, first, 0, this.#storeTag)
    try {
      previous.write(bytes)
    } catch (error) {
      // A seal only guards against lost files; a disk that is full even here may do without it.
      if (!isDiskFull(error)) throw diskFailed(previous.path, error)
      return this.#sealed()
    }
    this.#sync(previous.file, 'seal')
  }

  #sealed(): void {
    const previous = this.#previous
    invariant(previous !== undefined, 'a seal ends the segment before the current one')
    this.#previous = undefined
    this.#supply.close(previous)
    if (!this.#supply.isRefused) this.prepare()
  }
}

export const segmentBytesMin = 64 * 1024

export const openingBytes = 4096

/** One sixteenth of a segment. */
const reserveShift = 4

/** Entries in a batch rise in position or overwrite; the highest counts. */
function lastPosition(entries: Uint8Array): number {
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength)
  let highest = 0
  for (let offset = 0; offset < entries.length; ) {
    const length = view.getUint32(offset + entryAt.length, true)
    invariant(length >= entryBytesMin && offset + length <= entries.length, 'entries are whole')
    const position = readUint64(view, offset + entryAt.position)
    if (position > highest) highest = position
    offset += length
  }
  return highest
}

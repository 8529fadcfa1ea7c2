/**
 * The part of the log that is in memory: entries concatenated in slabs, and one number an entry, its
 * address. No object an entry. A byte is not written again before it is compacted away (truncation
 * only moves on), so batches are views that may be sent, persisted and applied at leisure.
 */
import { entryHeaderBytes, entryKind, offset, readUint64, writeUint64 } from './entry.ts'
import { EpochRuns } from './epoch-runs.ts'
import type { Batch } from './interface.ts'
import { invariant } from './invariant.ts'

export const slabBytes = 1024 * 1024
const ringEntriesMin = 1024
/** Fresh memory costs more than what is written to it, so some slabs that were compacted serve again. */
const spareSlabsMax = 16

/** A slab serves the addresses from `base` on; a batch larger than slabBytes gets a slab of its own. */
interface Slab {
  readonly base: number
  readonly bytes: Uint8Array
  readonly view: DataView
}

export class Log {
  /** Everything up to here is in a checkpoint, and only its epoch is known. */
  #base: number
  #last: number
  #lastTime: number
  /** Addresses of the entries, by position modulo the ring's size, which is a power of two. */
  #starts = new Float64Array(ringEntriesMin)
  #mask = ringEntriesMin - 1
  readonly #epochs: EpochRuns
  #slabs: Slab[] = []
  readonly #spares: Uint8Array[] = []
  /** Positions that do not follow the one before in memory: a slab begins, or truncation left a gap. */
  readonly #breaks: number[] = []
  /** Where the next entry goes. */
  #head = 0
  readonly #membershipsSeen: number[] = []

  constructor(base: number, epoch: number, time: number) {
    this.#base = base
    this.#last = base
    this.#lastTime = time
    this.#epochs = new EpochRuns(base, epoch)
  }

  get base(): number {
    return this.#base
  }

  get last(): number {
    return this.#last
  }

  get lastEpoch(): number {
    return this.#epochs.at(this.#last)
  }

  /** Time stamp of the last entry, which the next one is never below. */
  get lastTime(): number {
    return this.#lastTime
  }

  /** Bytes of the entries in memory, roughly: what truncation abandoned in between counts too. */
  get bytes(): number {
    return this.#last === this.#base ? 0 : this.#head - this.#startOf(this.#base + 1)
  }

  /** Bytes of the entries above `position`. */
  bytesAbove(position: number): number {
    return position >= this.#last
      ? 0
      : this.#head - this.#startOf(Math.max(position, this.#base) + 1)
  }

  /** Positions from `base` to `last`. */
  epochAt(position: number): number {
    invariant(
      position >= this.#base && position <= this.#last,
      'an epoch is asked for inside the log',
    )
    return this.#epochs.at(position)
  }

  /** Where two logs may meet: the last position up to `position` whose epoch is not above `epoch`. */
  lastPositionWithEpochAtMost(position: number, epoch: number): number {
    return this.#epochs.lastAtMost(Math.min(position, this.#last), epoch, this.#base)
  }

  kindAt(position: number): number {
    const start = this.#startOf(position)
    const slab = this.#slabAt(start)
    return slab.bytes[start - slab.base + offset.kind]!
  }

  timeAt(position: number): number {
    const start = this.#startOf(position)
    const slab = this.#slabAt(start)
    return readUint64(slab.view, start - slab.base + offset.time)
  }

  /** A view of one entry's body. */
  bodyAt(position: number): Uint8Array {
    const start = this.#startOf(position)
    const slab = this.#slabAt(start)
    const at = start - slab.base
    const length = slab.view.getUint32(at, true)
    return slab.bytes.subarray(at + entryHeaderBytes, at + length)
  }

  /** Appends and stamps entries of the leader's own epoch: position, epoch, and time where there is none. */
  propose(entries: Uint8Array, count: number, epoch: number, now: number): void {
    invariant(count > 0, 'a proposal has entries')
    this.#epochs.append(this.#last + 1, epoch)
    this.#copy(entries, count, epoch, now)
  }

  /** Appends entries that a leader stamped; the first follows the last of this log. */
  append(entries: Uint8Array, count: number): void {
    this.#copy(entries, count, 0, 0)
  }

  /** Positions of the membership entries that came by `append` since the last call. */
  takeMembershipsSeen(): number[] {
    return this.#membershipsSeen.length === 0 ? none : this.#membershipsSeen.splice(0)
  }

  /** Drops everything from `from` on. */
  truncate(from: number): void {
    invariant(from > this.#base, 'what is in a checkpoint is never truncated')
    if (from > this.#last) return
    this.#last = from - 1
    this.#epochs.truncate(from)
    while (this.#breaks.length > 0 && this.#breaks[this.#breaks.length - 1]! >= from)
      this.#breaks.pop()
    this.#breaks.push(from)
    if (this.#last > this.#base) this.#lastTime = this.timeAt(this.#last)
  }

  /** Forgets everything up to `position`. */
  compact(position: number): void {
    invariant(position <= this.#last, 'only what is in the log is compacted')
    if (position <= this.#base) return
    this.#base = position
    this.#epochs.compact(position)
    while (this.#breaks.length > 0 && this.#breaks[0]! <= position + 1) this.#breaks.shift()
    const oldest = position === this.#last ? this.#head : this.#startOf(position + 1)
    this.#dropSlabsBelow(oldest)
  }

  /** The position up to which a compaction may go and still leave `retentionBytes` below `position`. */
  compactionPoint(position: number, retentionBytes: number): number {
    let low = this.#base
    let high = Math.min(position, this.#last)
    if (low >= high) return this.#base
    const limit = this.#startOf(high) - retentionBytes
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (this.#startOf(middle) <= limit) low = middle
      else high = middle - 1
    }
    return low
  }

  /** A contiguous view of entries from `first` to at most `last`: at least one, within `bytesMax` and one slab. */
  batch(first: number, last: number, bytesMax: number): Batch {
    if (first > last) return { first, count: 0, bytes: noBytes }
    invariant(first > this.#base && last <= this.#last, 'a batch lies inside the log')
    const start = this.#startOf(first)
    const slab = this.#slabAt(start)
    const end = this.#lastWithin(first, Math.min(last, this.#runEnd(first)), start + bytesMax)
    const bytes = slab.bytes.subarray(start - slab.base, this.#endOf(end) - slab.base)
    return { first, count: end - first + 1, bytes }
  }

  /** The last position that follows `position` without a break. */
  #runEnd(position: number): number {
    const breaks = this.#breaks
    let index = breaks.length
    while (index > 0 && breaks[index - 1]! > position) index--
    return index === breaks.length ? this.#last : breaks[index]! - 1
  }

  /** Within one run: the last position that ends at or below `limit`, but at least `first`. */
  #lastWithin(first: number, last: number, limit: number): number {
    if (this.#endOf(last) <= limit) return last
    let low = first
    let high = last
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (this.#startOf(middle) <= limit) low = middle
      else high = middle - 1
    }
    // `low` starts within the limit and so those before it end there, but it ends beyond.
    return Math.max(first, low - 1)
  }

  #startOf(position: number): number {
    invariant(
      position > this.#base && position <= this.#last,
      'an entry is asked for inside the log',
    )
    return this.#starts[position & this.#mask]!
  }

  #endOf(position: number): number {
    const start = this.#startOf(position)
    const slab = this.#slabAt(start)
    return start + slab.view.getUint32(start - slab.base, true)
  }

  #slabAt(address: number): Slab {
    let index = this.#slabs.length - 1
    const guess = Math.floor((address - this.#slabs[0]!.base) / slabBytes)
    if (guess < index) index = guess
    while (this.#slabs[index]!.base > address) index--
    return this.#slabs[index]!
  }

  /** Copies and indexes entries, then stamps them, or takes their stamps if `epoch` is 0. */
  #copy(entries: Uint8Array, count: number, epoch: number, now: number): void {
    const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength)
    this.#growRing(this.#last - this.#base + count)
    let at = 0
    let runStart = 0
    let runFirst = this.#last + 1
    let room = this.#room()
    for (let index = 0; index < count; index++) {
      const length = at + 4 <= entries.length ? view.getUint32(at, true) : 0
      invariant(length >= entryHeaderBytes && at + length <= entries.length, 'entries are whole')
      if (at + length - runStart > room) {
        this.#copyRun(entries, runStart, at, runFirst, epoch, now)
        runStart = at
        runFirst = this.#last + 1
        this.#newSlab(length)
        this.#breaks.push(runFirst)
        room = this.#room()
      }
      this.#last++
      this.#starts[this.#last & this.#mask] = this.#head + at - runStart
      at += length
    }
    invariant(at === entries.length, 'a batch holds as many entries as it says')
    this.#copyRun(entries, runStart, at, runFirst, epoch, now)
  }

  #copyRun(
    entries: Uint8Array,
    from: number,
    to: number,
    first: number,
    epoch: number,
    now: number,
  ): void {
    if (from === to) return
    const slab = this.#slabs[this.#slabs.length - 1]!
    const whole = from === 0 && to === entries.length
    slab.bytes.set(whole ? entries : entries.subarray(from, to), this.#head - slab.base)
    this.#head += to - from
    for (let position = first; position <= this.#last; position++) {
      const at = this.#starts[position & this.#mask]! - slab.base
      if (epoch === 0) this.#takeStamp(slab, at, position)
      else this.#stamp(slab, at, position, epoch, now)
    }
  }

  #room(): number {
    const slab = this.#slabs[this.#slabs.length - 1]
    return slab === undefined ? 0 : slab.base + slab.bytes.length - this.#head
  }

  #newSlab(bytesMin: number): void {
    const slab = this.#slabs[this.#slabs.length - 1]
    const base = slab === undefined ? this.#head : slab.base + slab.bytes.length
    const spare = bytesMin <= slabBytes ? this.#spares.pop() : undefined
    const bytes = spare ?? new Uint8Array(Math.max(slabBytes, bytesMin))
    this.#slabs.push({ base, bytes, view: new DataView(bytes.buffer) })
    this.#head = base
  }

  #dropSlabsBelow(address: number): void {
    let count = 0
    while (count < this.#slabs.length - 1 && this.#slabs[count + 1]!.base <= address) count++
    if (count === 0) return
    for (const { bytes } of this.#slabs.splice(0, count)) {
      if (bytes.length === slabBytes && this.#spares.length < spareSlabsMax)
        this.#spares.push(bytes)
    }
  }

  #growRing(entries: number): void {
    if (entries <= this.#starts.length) return
    let size = this.#starts.length
    while (size < entries) size *= 2
    const starts = new Float64Array(size)
    for (let position = this.#base + 1; position <= this.#last; position++) {
      starts[position & (size - 1)] = this.#starts[position & this.#mask]!
    }
    this.#starts = starts
    this.#mask = size - 1
  }

  #stamp(slab: Slab, at: number, position: number, epoch: number, now: number): void {
    const { view } = slab
    const stamped = readUint64(view, at + offset.time)
    const time = stamped === 0 ? Math.max(now, this.#lastTime) : stamped
    if (time > this.#lastTime) this.#lastTime = time
    writeUint64(view, at + offset.position, position)
    writeUint64(view, at + offset.epoch, epoch)
    if (stamped === 0) writeUint64(view, at + offset.time, time)
  }

  #takeStamp(slab: Slab, at: number, position: number): void {
    const { view } = slab
    invariant(readUint64(view, at + offset.position) === position, 'positions are dense')
    this.#epochs.append(position, readUint64(view, at + offset.epoch))
    const time = readUint64(view, at + offset.time)
    if (time > this.#lastTime) this.#lastTime = time
    if (slab.bytes[at + offset.kind] === entryKind.membership) this.#membershipsSeen.push(position)
  }
}

const noBytes = new Uint8Array(0)
const none: number[] = []

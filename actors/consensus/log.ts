/**
 * The part of the log that is in memory: entries concatenated in slabs, and one number an entry, its
 * address. No object an entry. A byte that was written once is never written again (truncation
 * only moves on), so batches are views that may be sent, persisted and applied at leisure.
 */
import { entryHeaderBytes, entryKind, offset, readUint64, writeUint64 } from './entry.ts'
import { EpochRuns } from './epoch-runs.ts'
import type { Batch } from './interface.ts'
import { invariant } from './invariant.ts'

export const slabBytes = 1024 * 1024
const ringEntriesMin = 1024

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
    const first = this.#last + 1
    this.#copy(entries, count)
    this.#epochs.append(first, epoch)
    for (let position = first; position <= this.#last; position++) this.#stamp(position, epoch, now)
  }

  /** Appends entries that a leader stamped; the first follows the last of this log. */
  append(entries: Uint8Array, count: number): void {
    const first = this.#last + 1
    this.#copy(entries, count)
    for (let position = first; position <= this.#last; position++) this.#takeStamp(position)
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
    if (this.#last > this.#base) this.#lastTime = this.timeAt(this.#last)
  }

  /** Forgets everything up to `position`. */
  compact(position: number): void {
    invariant(position <= this.#last, 'only what is in the log is compacted')
    if (position <= this.#base) return
    this.#base = position
    this.#epochs.compact(position)
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
    const count = this.#fitting(
      first,
      last,
      Math.min(start + bytesMax, slab.base + slab.bytes.length),
    )
    const end = this.#endOf(first + count - 1)
    return { first, count, bytes: slab.bytes.subarray(start - slab.base, end - slab.base) }
  }

  /** How many entries from `first` on end at or below `limit` without a gap that truncation left. */
  #fitting(first: number, last: number, limit: number): number {
    let position = first
    let end = this.#endOf(position)
    while (position < last && this.#startOf(position + 1) === end) {
      const nextEnd = this.#endOf(position + 1)
      if (nextEnd > limit) break
      end = nextEnd
      position++
    }
    return position - first + 1
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

  #copy(entries: Uint8Array, count: number): void {
    const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength)
    this.#growRing(this.#last - this.#base + count)
    let at = 0
    let runStart = 0
    let room = this.#room()
    for (let index = 0; index < count; index++) {
      const length = at + 4 <= entries.length ? view.getUint32(at, true) : 0
      invariant(length >= entryHeaderBytes && at + length <= entries.length, 'entries are whole')
      if (at + length - runStart > room) {
        this.#copyRun(entries, runStart, at)
        runStart = at
        this.#newSlab(length)
        room = this.#room()
      }
      this.#last++
      this.#starts[this.#last & this.#mask] = this.#head + at - runStart
      at += length
    }
    invariant(at === entries.length, 'a batch holds as many entries as it says')
    this.#copyRun(entries, runStart, at)
  }

  #copyRun(entries: Uint8Array, from: number, to: number): void {
    if (from === to) return
    const slab = this.#slabs[this.#slabs.length - 1]!
    slab.bytes.set(
      from === 0 && to === entries.length ? entries : entries.subarray(from, to),
      this.#head - slab.base,
    )
    this.#head += to - from
  }

  #room(): number {
    const slab = this.#slabs[this.#slabs.length - 1]
    return slab === undefined ? 0 : slab.base + slab.bytes.length - this.#head
  }

  #newSlab(bytesMin: number): void {
    const slab = this.#slabs[this.#slabs.length - 1]
    const base = slab === undefined ? this.#head : slab.base + slab.bytes.length
    const bytes = new Uint8Array(Math.max(slabBytes, bytesMin))
    this.#slabs.push({ base, bytes, view: new DataView(bytes.buffer) })
    this.#head = base
  }

  #dropSlabsBelow(address: number): void {
    let count = 0
    while (count < this.#slabs.length - 1 && this.#slabs[count + 1]!.base <= address) count++
    if (count > 0) this.#slabs.splice(0, count)
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

  #stamp(position: number, epoch: number, now: number): void {
    const start = this.#starts[position & this.#mask]!
    const slab = this.#slabAt(start)
    const at = start - slab.base
    const stamped = readUint64(slab.view, at + offset.time)
    const time = stamped === 0 ? Math.max(now, this.#lastTime) : stamped
    if (time > this.#lastTime) this.#lastTime = time
    writeUint64(slab.view, at + offset.position, position)
    writeUint64(slab.view, at + offset.epoch, epoch)
    if (stamped === 0) writeUint64(slab.view, at + offset.time, time)
  }

  #takeStamp(position: number): void {
    const start = this.#starts[position & this.#mask]!
    const slab = this.#slabAt(start)
    const at = start - slab.base
    invariant(readUint64(slab.view, at + offset.position) === position, 'positions are dense')
    this.#epochs.append(position, readUint64(slab.view, at + offset.epoch))
    const time = readUint64(slab.view, at + offset.time)
    if (time > this.#lastTime) this.#lastTime = time
    if (slab.bytes[at + offset.kind] === entryKind.membership) this.#membershipsSeen.push(position)
  }
}

const noBytes = new Uint8Array(0)
const none: number[] = []

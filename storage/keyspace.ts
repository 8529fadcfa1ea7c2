/**
 * The etcd face of the store: keys with all their versions (MVCC). Applies happen in order, on one
 * thread; nothing is checked here that a command may get wrong (that is the apply's part).
 *
 * A `Pointer` names one version of one key, put or tombstone. It is good, and the bytes it names
 * stay readable, until the next call of `maintain` or `compactStep`, which belong between commands.
 * Revisions are below 2^53; a lease is two uint32 halves, 0/0 = none.
 */
import { invariant } from '../runtime/invariant.ts'
import { byteOf, idWord, keyByte, type Pointer, padded, slabOf, typeWord, wordOf } from './entry.ts'
import { EntryIndex, indexedEntryBytes } from './entry-index.ts'
import { HistoryAccount, versionIndexBytes } from './history-account.ts'
import { KeyWalk } from './key-walk.ts'
import { OrderedIndex } from './ordered-index.ts'
import { OwnerIndex } from './owner-index.ts'
import { RevisionLog } from './revision-log.ts'
import { sortByRevision } from './revision-sort.ts'
import type { Mover } from './slabs.ts'
import { StateHash } from './state-hash.ts'
import { VersionChains } from './version-chains.ts'
import { VersionEntries } from './version-entry.ts'

export type { Pointer } from './entry.ts'

export class Keyspace implements Mover {
  readonly index: EntryIndex
  /** Of the keys that exist, without their history. */
  readonly hash = new StateHash()
  /** All versions from `compactRevision` on, and older ones that compaction has not come to. */
  readonly log = new RevisionLog()
  /** All changes up to here are in the last checkpoint; infinite while no delta can follow one. */
  checkpointRevision = Number.POSITIVE_INFINITY
  readonly #entries: VersionEntries
  readonly #chains: VersionChains
  readonly #leases = new OwnerIndex()
  /** Keys whose newest version is a tombstone: they are in the index until it is compacted. */
  readonly #dead: OrderedIndex
  readonly #account: HistoryAccount
  #revision = 1
  #compactRevision = 0
  #keyCount = 0
  #compactionPending = false
  #compactAt = 0
  #listings = 0
  #mark: Mark | undefined

  constructor(seed = 0) {
    this.index = new EntryIndex(seed)
    this.#entries = new VersionEntries(this.index.slabs)
    const { slabs } = this.index
    this.#dead = new OrderedIndex(slabs, this.index.table)
    this.#chains = new VersionChains(slabs, this.#entries)
    this.#account = new HistoryAccount(this.log, slabs, this.#entries, this.#chains)
  }

  /** The newest revision; 1 while nothing was ever put. The first change of a revision sets it. */
  get revision(): number {
    return this.#revision
  }

  /** Reads below it are refused by the caller; 0 while nothing was compacted. */
  get compactRevision(): number {
    return this.#compactRevision
  }

  /** Keys that exist now. */
  get keyCount(): number {
    return this.#keyCount
  }

  get hashLow(): number {
    return this.hash.low
  }

  get hashHigh(): number {
    return this.hash.high
  }

  /**
   * Bytes of keys, values and history that is not compacted, with what their indexes take: the same on
   * all replicas, and less at once where something is compacted.
   */
  get heldBytes(): number {
    return this.#account.bytes + this.#keyCount * indexedEntryBytes
  }

  /** Bytes of memory taken, holes and what is not given back yet included. */
  get reservedBytes(): number {
    const { slabs, indexBytes } = this.index
    return slabs.reservedBytes + indexBytes + this.#dead.bytes + this.log.bytes
  }

  /** The version that was current at `revision` (0: now); 0 when the key did not exist then. */
  get(key: Uint8Array, revision = 0): Pointer {
    const id = this.index.find(key, key.length)
    return id === 0 ? 0 : this.#existing(id, revision)
  }

  /** `revision` is `keyspace.revision + 1` for a command's first change and the same for its others. */
  put(
    key: Uint8Array,
    value: Uint8Array,
    leaseHigh: number,
    leaseLow: number,
    revision: number,
    sub: number,
  ): Pointer {
    invariant(revision >= this.#revision, 'revisions do not go back')
    const id = this.index.find(key, key.length)
    const old = id === 0 ? 0 : this.index.table.get(id)
    const pointer = this.#entries.write(key, value, leaseHigh, leaseLow, revision, sub, old)
    this.#enter(pointer, id, old)
    this.#account.entered(pointer)
    this.#revision = revision
    return pointer
  }

  /** Returns the version that was deleted, still readable as `prev_kv`; 0 when there was no such key. */
  delete(key: Uint8Array, revision: number, sub: number): Pointer {
    invariant(revision >= this.#revision, 'revisions do not go back')
    const id = this.index.find(key, key.length)
    if (id === 0) return 0
    const old = this.index.table.get(id)
    if (this.#entries.deleted(old)) return 0
    const tombstone = this.#entries.writeTombstone(key, revision, sub)
    this.#enter(tombstone, id, old)
    this.#account.entered(tombstone)
    this.#revision = revision
    return old
  }

  /**
   * Appends to `into`, in key order, what existed at `revision` (0: now) in [from, to), at most
   * `limit` (0: all) of them; `to` null is the end of all keys. Returns how many.
   */
  range(
    from: Uint8Array,
    to: Uint8Array | null,
    revision: number,
    limit: number,
    into: Pointer[],
  ): number {
    if (to !== null && compareBytes(from, to) >= 0) return 0
    const { order } = this.index
    const end = to === null ? 0 : order.seek(to, 0, to.length)
    let found = 0
    let position = order.seek(from, 0, from.length)
    for (; position !== end; position = order.next(position)) {
      const pointer = this.#existing(order.id(position), revision)
      if (pointer === 0) continue
      into.push(pointer)
      if (++found === limit) break
    }
    return found
  }

  /** How many keys `range` would find without a limit: at once for what is current, else a walk. */
  count(from: Uint8Array, to: Uint8Array | null, revision: number): number {
    if (to !== null && compareBytes(from, to) >= 0) return 0
    if (this.isCurrent(revision)) return this.indexedCount(from, to) - this.deadCount(from, to)
    const { order } = this.index
    const end = to === null ? 0 : order.seek(to, 0, to.length)
    let position = order.seek(from, 0, from.length)
    let count = 0
    for (; position !== end; position = order.next(position)) {
      if (this.#existing(order.id(position), revision) !== 0) count++
    }
    return count
  }

  /** 0, or the newest. */
  isCurrent(revision: number): boolean {
    return revision === 0 || revision === this.#revision
  }

  /** Keys in [from, to) that exist or did, as far as they are not compacted: what a walk looks at. */
  indexedCount(from: Uint8Array, to: Uint8Array | null): number {
    return countBetween(this.index.order, from, to)
  }

  /** Of them those that do not exist now. */
  deadCount(from: Uint8Array, to: Uint8Array | null): number {
    return this.#dead.size === 0 ? 0 : countBetween(this.#dead, from, to)
  }

  /** The ids of [from, to) in the order of their keys, with pauses. */
  walk(from: Uint8Array, to: Uint8Array | null): KeyWalk {
    return new KeyWalk(this.index, from, to)
  }

  /** The version of an id that was current at `revision` (0: now), or 0. */
  existingAt(id: number, revision: number): Pointer {
    return this.#existing(id, revision)
  }

  /** From now on no version goes, nor moves, until as many calls of `unpin`: compaction waits. */
  pin(): void {
    this.index.slabs.pin()
    this.holdHistory()
  }

  unpin(): void {
    this.index.slabs.unpin()
    this.releaseHistory()
  }

  /**
   * Appends to `into` every change from `fromRevision` on, tombstones too, in the order of
   * (revision, sub), whole revisions only, at most `revisionsMax` distinct ones. Returns the
   * revision to go on from: all changes below it are in. `fromRevision` is not below
   * `compactRevision`.
   */
  changes(fromRevision: number, revisionsMax: number, into: Pointer[]): number {
    let revisions = 0
    let last = 0
    for (let number = this.#logNumber(fromRevision, 0); number < this.log.end; number++) {
      const pointer = this.log.at(number)
      const revision = this.#entries.modRevision(pointer)
      if (revision !== last && ++revisions > revisionsMax) return revision
      last = revision
      into.push(pointer)
    }
    return Math.max(fromRevision, this.#revision + 1)
  }

  /** History below `revision` is gone for readers at once, and from memory by `compactStep`. */
  compact(revision: number): void {
    const from = this.#logNumber(this.#compactRevision + 1, 0)
    this.#account.compacted(from, this.#logNumber(revision + 1, 0))
    this.#compactRevision = revision
    this.#compactionPending = true
    this.#compactAt = this.log.first
  }

  /**
   * Frees compacted versions, looking at no more than `entriesMax`; true when there is nothing to do,
   * or nothing now: a checkpoint that lists still needs what was there when it was pinned, and the
   * next delta what came after the last checkpoint.
   */
  compactStep(entriesMax: number): boolean {
    if (!this.#compactionPending || this.#listings > 0) return true
    for (let left = entriesMax; left > 0; left--) {
      if (this.#compactAt < this.log.end && this.#compactNext()) continue
      if (this.#compactRevision > this.checkpointRevision) return true
      this.#compactionPending = false
      this.index.slabs.unstick()
      return true
    }
    return false
  }

  /** Compacted versions are still in memory. */
  get compactionPending(): boolean {
    return this.#compactionPending
  }

  /** Nothing compacted is in memory any more, and its slabs have been given back. */
  get compactionDone(): boolean {
    return !this.#compactionPending && !this.index.slabs.holdsBack
  }

  /** They are, and stay until there is another checkpoint: the next delta still lists them. */
  get compactionWaits(): boolean {
    return (
      this.#compactionPending &&
      this.#listings === 0 &&
      this.#compactRevision > this.checkpointRevision
    )
  }

  /** Bytes of compacted versions that are still in memory, about. */
  get obsoleteBytes(): number {
    const versions = this.log.end - this.log.first
    return this.index.slabs.liveBytes + versions * versionIndexBytes - this.#account.bytes
  }

  /** Keeps memory dense, a little at a time; to be called between commands. */
  maintain(): void {
    this.index.slabs.reclaim()
    this.compactStep(256)
    this.index.slabs.compactStep(this)
  }

  /**
   * The version of the same key just before this one, for prev_kv; 0 when this one created the key,
   * or when that version is compacted.
   */
  previous(pointer: Pointer): Pointer {
    const before = this.#chains.previous(pointer)
    if (before === 0 || this.#entries.deleted(before)) return 0
    if (this.#entries.modRevision(pointer) <= this.#compactRevision) return 0
    return before
  }

  /** From here every change can be undone as one, until `commit` or `rollback`. Not nested. */
  begin(): void {
    this.#mark = {
      logEnd: this.log.end,
      revision: this.#revision,
      keyCount: this.#keyCount,
      hashLow: this.hash.low,
      hashHigh: this.hash.high,
    }
  }

  commit(): void {
    this.#mark = undefined
  }

  rollback(): void {
    const mark = this.#mark
    invariant(mark !== undefined, 'a rollback follows a begin')
    while (this.log.end > mark.logEnd) this.#undo(this.log.pop())
    this.#revision = mark.revision
    this.#keyCount = mark.keyCount
    this.hash.reset(mark.hashLow, mark.hashHigh)
    this.#mark = undefined
  }

  /** How many keys are attached to this lease. */
  leasedCount(leaseHigh: number, leaseLow: number): number {
    return this.#leases.of(leaseHigh >>> 0, leaseLow >>> 0).length
  }

  /** The same as pointers, in no order; good until the next change. */
  leasedUnsorted(leaseHigh: number, leaseLow: number): Pointer[] {
    return this.#leases.of(leaseHigh >>> 0, leaseLow >>> 0).map(id => this.index.table.get(id))
  }

  /** Negative, 0 or positive, as the keys of two versions compare. */
  compareKeys(one: Pointer, two: Pointer): number {
    return this.index.compareKeys(one, two)
  }

  /** Appends the keys attached to this lease to `into`, as pointers to their current versions, in key order. */
  leased(leaseHigh: number, leaseLow: number, into: Pointer[]): number {
    const ids = this.#leases.of(leaseHigh >>> 0, leaseLow >>> 0)
    const found: Pointer[] = []
    for (const id of ids) found.push(this.index.table.get(id))
    found.sort((one, two) => this.index.compareKeys(one, two))
    for (const pointer of found) into.push(pointer)
    return found.length
  }

  deleted(pointer: Pointer): boolean {
    return this.#entries.deleted(pointer)
  }

  /** 0 for a tombstone. */
  createRevision(pointer: Pointer): number {
    return this.#entries.createRevision(pointer)
  }

  modRevision(pointer: Pointer): number {
    return this.#entries.modRevision(pointer)
  }

  sub(pointer: Pointer): number {
    return this.#entries.sub(pointer)
  }

  /** 0 for a tombstone. */
  version(pointer: Pointer): number {
    return this.#entries.version(pointer)
  }

  leaseHigh(pointer: Pointer): number {
    return this.#entries.leaseHigh(pointer)
  }

  leaseLow(pointer: Pointer): number {
    return this.#entries.leaseLow(pointer)
  }

  /** The memory that key and value lie in, at the offsets below; never write to it. */
  bytes(pointer: Pointer): Uint8Array {
    return this.index.slabs.bytes[slabOf(pointer)]!
  }

  keyOffset(pointer: Pointer): number {
    return byteOf(pointer) + keyByte
  }

  keyLength(pointer: Pointer): number {
    return this.#entries.keyLength(pointer)
  }

  valueOffset(pointer: Pointer): number {
    return byteOf(pointer) + keyByte + this.#entries.keyLength(pointer)
  }

  valueLength(pointer: Pointer): number {
    return this.#entries.valueLength(pointer)
  }

  /** A copy of the key. */
  key(pointer: Pointer): Uint8Array {
    const at = this.keyOffset(pointer)
    return new Uint8Array(this.bytes(pointer).subarray(at, at + this.keyLength(pointer)))
  }

  /** A copy of the value. */
  value(pointer: Pointer): Uint8Array {
    const at = this.valueOffset(pointer)
    return new Uint8Array(this.bytes(pointer).subarray(at, at + this.valueLength(pointer)))
  }

  /** The version of a key's id current at `revision`, tombstones too; for the checkpoint's listing. */
  versionOf(id: number, revision: number): Pointer {
    return this.#chains.at(this.index.table.get(id), revision)
  }

  /** The version before this one in the same key, tombstones too; for the checkpoint's listing. */
  older(pointer: Pointer): Pointer {
    return this.#chains.previous(pointer)
  }

  /** Number in the log of the first version at or after (revision, sub). */
  logNumber(revision: number): number {
    return this.#logNumber(revision, 0)
  }

  /** A checkpoint lists: compaction waits. */
  holdHistory(): void {
    this.#listings++
  }

  releaseHistory(): void {
    this.#listings--
  }

  /** Takes over one entry of a checkpoint's block; the versions of one key arrive oldest first. */
  load(pointer: Pointer): void {
    this.index.slabs.words[slabOf(pointer)]![wordOf(pointer) + typeWord]! &= ~0xff00
    const above = this.index.isAboveAll(pointer)
    const id = above ? 0 : this.index.findKeyOf(pointer)
    this.#enter(pointer, id, id === 0 ? 0 : this.index.table.get(id), above)
    this.#account.loaded(pointer)
  }

  /** Before the `load`s: where the checkpoint stands. */
  restoreRevisions(revision: number, compactRevision: number): void {
    this.#revision = revision
    this.#compactRevision = compactRevision
  }

  /** Ends a sequence of `load`s. */
  finishLoad(): void {
    sortByRevision(this.log, this.#entries)
    this.#account.finishLoad(this.#logNumber(this.#compactRevision + 1, 0))
    this.checkpointRevision = this.#revision
    if (this.#compactRevision > 0) this.compact(this.#compactRevision)
  }

  movable(pointer: Pointer): boolean {
    const words = this.index.slabs.words[slabOf(pointer)]!
    const newest = this.index.table.get(words[wordOf(pointer) + idWord]!)
    if (newest === pointer && this.#chains.previous(pointer) === 0) return true
    return !this.#compactionPending && this.#entries.modRevision(pointer) <= this.#compactRevision
  }

  moved(from: Pointer, to: Pointer): void {
    const { table, slabs } = this.index
    const id = slabs.words[slabOf(to)]![wordOf(to) + idWord]!
    const newest = table.get(id)
    if (newest === from) table.set(id, to)
    else this.#chains.setPrevious(this.#chains.above(newest, from, this.#compactRevision), to)
    const number = this.#logNumber(this.#entries.modRevision(to), this.#entries.sub(to))
    if (number < this.log.end && this.log.at(number) === from) this.log.set(number, to)
  }

  #existing(id: number, revision: number): Pointer {
    const newest = this.index.table.get(id)
    const past = revision > 0 && revision < this.#revision
    // What is pinned is all there, also where it has been compacted since.
    const bound = this.#listings > 0 ? revision : Math.max(revision, this.#compactRevision)
    const pointer = past ? this.#chains.at(newest, bound) : newest
    return pointer === 0 || this.#entries.deleted(pointer) ? 0 : pointer
  }

  /** Makes a new version the current one of its key. */
  #enter(pointer: Pointer, id: number, old: Pointer, aboveAll = false): void {
    this.#chains.link(pointer, old, this.#compactRevision)
    let key = id
    if (old !== 0) {
      this.#leave(id, old)
      this.index.replace(id, pointer)
    } else key = this.index.add(pointer, aboveAll)
    this.log.push(pointer)
    this.#become(key, pointer)
  }

  /** This version counts as the key's current one, if it is not a tombstone. */
  #become(id: number, pointer: Pointer): void {
    if (this.#entries.deleted(pointer)) return this.#dead.insert(id)
    this.#keyCount++
    this.#leases.add(this.#entries.leaseHigh(pointer), this.#entries.leaseLow(pointer), id)
    this.hash.add(this.index.slabs.words[slabOf(pointer)]!, wordOf(pointer))
  }

  #leave(id: number, pointer: Pointer): void {
    if (this.#entries.deleted(pointer)) return this.#dead.remove(id)
    this.#keyCount--
    this.#leases.remove(this.#entries.leaseHigh(pointer), this.#entries.leaseLow(pointer), id)
    this.hash.subtract(this.index.slabs.words[slabOf(pointer)]!, wordOf(pointer))
  }

  #undo(pointer: Pointer): void {
    this.#account.undone(pointer)
    const id = this.index.slabs.words[slabOf(pointer)]![wordOf(pointer) + idWord]!
    const previous = this.#chains.previous(pointer)
    this.#leave(id, pointer)
    if (previous === 0) this.index.remove(id)
    else {
      this.index.table.set(id, previous)
      this.#become(id, previous)
    }
    this.index.slabs.free(pointer)
  }

  /** Compacts what the next element of the log makes obsolete; false once it is above the compacted revision. */
  #compactNext(): boolean {
    const pointer = this.log.at(this.#compactAt)
    const revision = this.#entries.modRevision(pointer)
    if (revision > this.#compactRevision || revision > this.checkpointRevision) return false
    const before = this.#chains.previous(pointer)
    if (before !== 0 && this.#entries.modRevision(before) < revision) {
      this.#chains.setPrevious(pointer, 0)
      this.#freeChain(before)
    }
    this.#compactAt++
    if (revision === this.#compactRevision) return true
    this.log.dropFirst()
    if (this.#entries.deleted(pointer)) this.#compactTombstone(pointer)
    return true
  }

  #freeChain(newest: Pointer): void {
    let pointer = newest
    while (pointer !== 0) {
      const before = this.#chains.previous(pointer)
      this.index.slabs.free(pointer)
      pointer = before
    }
  }

  /** A tombstone below the compacted revision goes, unless a later version that is compacted too takes it along. */
  #compactTombstone(pointer: Pointer): void {
    const id = this.index.slabs.words[slabOf(pointer)]![wordOf(pointer) + idWord]!
    const newest = this.index.table.get(id)
    if (newest === pointer) {
      this.#dead.remove(id)
      this.index.remove(id)
    } else {
      const above = this.#chains.above(newest, pointer, this.#compactRevision)
      if (this.#entries.modRevision(above) <= this.#compactRevision) return
      this.#chains.setPrevious(above, 0)
    }
    this.#freeChain(pointer)
  }

  /** Number of the first element of the log that is not before (revision, sub). */
  #logNumber(revision: number, sub: number): number {
    let low = this.log.first
    let high = this.log.end
    while (low < high) {
      const middle = low + Math.floor((high - low) / 2)
      const pointer = this.log.at(middle)
      const other = this.#entries.modRevision(pointer)
      if (other < revision || (other === revision && this.#entries.sub(pointer) < sub)) {
        low = middle + 1
      } else high = middle
    }
    return low
  }
}

/** How much larger a put makes what is held; a key that is new takes a little more in the indexes. */
export function versionBytes(keyLength: number, valueLength: number): number {
  return padded(keyByte + keyLength + valueLength) + versionIndexBytes + indexedEntryBytes
}

interface Mark {
  readonly logEnd: number
  readonly revision: number
  readonly keyCount: number
  readonly hashLow: number
  readonly hashHigh: number
}

function countBetween(order: OrderedIndex, from: Uint8Array, to: Uint8Array | null): number {
  const end = to === null ? order.size : order.rank(to, 0, to.length)
  return Math.max(0, end - order.rank(from, 0, from.length))
}

function compareBytes(one: Uint8Array, two: Uint8Array): number {
  const common = Math.min(one.length, two.length)
  for (let index = 0; index < common; index++) {
    const difference = one[index]! - two[index]!
    if (difference !== 0) return difference
  }
  return one.length - two.length
}

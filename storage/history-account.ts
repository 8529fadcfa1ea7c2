/**
 * Counts the bytes of keys and their history as readers see them: all versions from the compacted
 * revision on, whether memory has been given back already or not. So the count is the same on all
 * replicas at one position, however far each has come with freeing; memory itself lags behind it.
 *
 * A version becomes obsolete with the revision that replaced it, and goes once that is compacted: for
 * each chunk of the log of revisions the bytes that its changes made obsolete are kept as one sum, so
 * that a compaction costs a few thousand steps, not one for each version.
 */
import { type Pointer, sizeWord, slabOf, wordOf } from './entry.ts'
import type { RevisionLog } from './revision-log.ts'
import type { Slabs } from './slabs.ts'
import type { VersionChains } from './version-chains.ts'
import type { VersionEntries } from './version-entry.ts'

/** Beside its entry a version has a place in the log of revisions, and half of one more in its sums. */
export const versionIndexBytes = 8

export class HistoryAccount {
  bytes = 0
  readonly #log: RevisionLog
  readonly #slabs: Slabs
  readonly #entries: VersionEntries
  readonly #chains: VersionChains
  /** Of what is being loaded something was replaced or deleted: most states are large without it. */
  #loadedHistory = false

  constructor(log: RevisionLog, slabs: Slabs, entries: VersionEntries, chains: VersionChains) {
    this.#log = log
    this.#slabs = slabs
    this.#entries = entries
    this.#chains = chains
  }

  /** This version is the last of the log. */
  entered(pointer: Pointer): void {
    this.bytes += this.#cost(pointer)
    this.#log.addToSum(this.#log.end - 1, this.#obsoleteBy(pointer))
  }

  /** This version was the last of the log and is undone; its predecessor still hangs on it. */
  undone(pointer: Pointer): void {
    this.bytes -= this.#cost(pointer)
    this.#log.addToSum(this.#log.end, -this.#obsoleteBy(pointer))
  }

  /** The elements [from, end) of the log are compacted; their predecessors are all still there. */
  compacted(from: number, end: number): void {
    let number = from
    while (number < end) {
      const chunkEnd = this.#log.chunkEnd(number)
      if (chunkEnd <= end && this.#log.isChunkStart(number)) {
        this.bytes -= this.#log.sumAt(number)
        number = chunkEnd
      } else {
        this.bytes -= this.#obsoleteBy(this.#log.at(number))
        number++
      }
    }
  }

  /** This version came with a checkpoint; where it stands in the log is not known yet. */
  loaded(pointer: Pointer): void {
    this.bytes += this.#cost(pointer)
    if (this.#obsoleteBy(pointer) !== 0) this.#loadedHistory = true
  }

  /** All is loaded and the log in order; elements below `firstKept` are compacted. */
  finishLoad(firstKept: number): void {
    if (!this.#loadedHistory) return
    this.#loadedHistory = false
    const { first, end } = this.#log
    for (let number = first; number < end; number++) {
      const obsolete = this.#obsoleteBy(this.#log.at(number))
      if (obsolete === 0) continue
      if (number < firstKept) this.bytes -= obsolete
      else this.#log.addToSum(number, obsolete)
    }
  }

  /** What goes when this change is compacted: the version that it replaced, and a tombstone itself. */
  #obsoleteBy(pointer: Pointer): number {
    const before = this.#chains.previous(pointer)
    const replaced = before === 0 || this.#entries.deleted(before) ? 0 : this.#cost(before)
    return this.#entries.deleted(pointer) ? replaced + this.#cost(pointer) : replaced
  }

  #cost(pointer: Pointer): number {
    return this.#slabs.words[slabOf(pointer)]![wordOf(pointer) + sizeWord]! + versionIndexBytes
  }
}

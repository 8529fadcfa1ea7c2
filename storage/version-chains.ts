/**
 * The versions of a key, newest first. Each also has a jump to an earlier one, placed so that any
 * version is found in a logarithmic number of steps (skew-binary numbers: the jump of a version spans
 * two equal jumps of its predecessor, or is the predecessor). A jump whose revision is compacted may
 * lead to freed memory and is not followed; the revision of each jump stands beside it for that.
 */
import { invariant } from '../runtime/invariant.ts'
import { type Pointer, readNumber, slabOf, wordOf, writeNumber } from './entry.ts'
import type { Slabs } from './slabs.ts'
import {
  depthWord,
  jumpRevisionWord,
  jumpWord,
  previousVersionWord,
  type VersionEntries,
} from './version-entry.ts'

export class VersionChains {
  readonly #slabs: Slabs
  readonly #entries: VersionEntries

  constructor(slabs: Slabs, entries: VersionEntries) {
    this.#slabs = slabs
    this.#entries = entries
  }

  /** Puts a version in front of the newest one so far (0: of none). Versions above `compacted` are all in memory. */
  link(pointer: Pointer, newest: Pointer, compacted: number): void {
    const words = this.#slabs.words[slabOf(pointer)]!
    const at = wordOf(pointer)
    words[at + previousVersionWord] = newest
    words[at + depthWord] = newest === 0 ? 1 : this.#word(newest, depthWord) + 1
    const jump = newest === 0 ? 0 : this.#jumpOver(newest, compacted)
    words[at + jumpWord] = jump
    const jumpRevision = jump === 0 ? 0 : this.#entries.modRevision(jump)
    writeNumber(words, at + jumpRevisionWord, jumpRevision)
  }

  /** The version current at `revision`, which is not compacted; 0 when there was none yet. */
  at(newest: Pointer, revision: number): Pointer {
    let pointer = newest
    while (pointer !== 0 && this.#entries.modRevision(pointer) > revision) {
      pointer = this.#step(pointer, revision)
    }
    return pointer
  }

  /** The version whose predecessor is `pointer`, which is not the newest. */
  above(newest: Pointer, pointer: Pointer, compacted: number): Pointer {
    const bound = Math.max(this.#entries.modRevision(pointer), compacted)
    let above = newest
    while (this.previous(above) !== pointer) {
      above = this.#step(above, bound)
      invariant(above !== 0, 'an older version hangs on a newer one of its key')
    }
    return above
  }

  previous(pointer: Pointer): Pointer {
    return this.#word(pointer, previousVersionWord)
  }

  setPrevious(pointer: Pointer, previous: Pointer): void {
    this.#slabs.words[slabOf(pointer)]![wordOf(pointer) + previousVersionWord] = previous
  }

  /** One step to earlier versions, a long one if it stays above `revision`. */
  #step(pointer: Pointer, revision: number): Pointer {
    if (this.#jumpRevision(pointer) > revision) return this.#word(pointer, jumpWord)
    return this.previous(pointer)
  }

  #jumpOver(newest: Pointer, compacted: number): Pointer {
    if (this.#jumpRevision(newest) <= compacted) return newest
    const jump = this.#word(newest, jumpWord)
    if (this.#jumpRevision(jump) <= compacted) return newest
    const second = this.#word(jump, jumpWord)
    const depth = this.#word(jump, depthWord)
    const equal = this.#word(newest, depthWord) - depth === depth - this.#word(second, depthWord)
    return equal ? second : newest
  }

  #jumpRevision(pointer: Pointer): number {
    return readNumber(this.#slabs.words[slabOf(pointer)]!, wordOf(pointer) + jumpRevisionWord)
  }

  #word(pointer: Pointer, word: number): number {
    return this.#slabs.words[slabOf(pointer)]![wordOf(pointer) + word]!
  }
}

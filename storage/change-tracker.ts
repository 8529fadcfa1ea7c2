/**
 * What a checkpoint needs to know about the tree's changes: which ids changed since the last one, the
 * keys that went, and, while one is being listed, the entries it still needs although an apply has
 * replaced them (they are listed early, before their slab can go).
 */
import { invariant } from '../runtime/invariant.ts'
import type { Pointer } from './entry.ts'
import { IdSet } from './id-set.ts'

export class ChangeTracker {
  /** Entries that were replaced or removed before the listing came to them. */
  early: Pointer[] = []
  /** All changes since the last checkpoint that succeeded, or was loaded, are known here. */
  complete = false
  #changed: number[] = []
  #isChanged = new IdSet()
  #gone: Pointer[] = []
  /** Ids as they were when the listing began, and are not listed yet. */
  #pending = new IdSet()
  /** Ids whose current entry is younger than the checkpoint in hand, so that nobody else reads it. */
  #fresh = new IdSet()
  #listing = false

  /** This id has a new key. */
  added(id: number): void {
    this.#note(id)
    if (!this.#listing) return
    this.#pending.delete(id)
    this.#fresh.add(id)
  }

  /** Whether the entry may be changed in place: no checkpoint has it, or is going to have it. */
  mayEdit(id: number): boolean {
    return !this.#listing || this.#fresh.has(id)
  }

  /** An older entry of this id is the current one again. */
  restored(id: number): void {
    if (this.#listing) this.#fresh.delete(id)
  }

  /** The entry of this id was replaced, or goes. */
  changed(id: number, old: Pointer): void {
    this.#note(id)
    if (!this.#listing) return
    if (!this.#fresh.has(id)) this.#fresh.add(id)
    if (!this.#pending.has(id)) return
    this.#pending.delete(id)
    this.early.push(old)
  }

  /** A `gone` entry for a key that was removed; returns its place here. */
  removed(gone: Pointer): number {
    return this.#gone.push(gone) - 1
  }

  /** Whether this `gone` entry is still to be listed by a later checkpoint. */
  holdsGone(place: number, gone: Pointer): boolean {
    return this.#gone[place] === gone
  }

  goneMoved(place: number, gone: Pointer): void {
    this.#gone[place] = gone
  }

  /** All ids below `end` are to be listed; what changed before does not matter any more. Returns the `gone` entries. */
  beginBase(end: number): Pointer[] {
    this.#begin()
    this.#pending.fillBelow(end)
    this.#forgetChanges()
    return this.#takeGone()
  }

  /** Only what changed since the last checkpoint is to be listed: returns those ids, for each of which `take` is asked. */
  beginDelta(): { ids: number[]; gone: Pointer[] } {
    this.#begin()
    const ids = this.#changed
    for (const id of ids) this.#pending.add(id)
    this.#forgetChanges()
    return { ids, gone: this.#takeGone() }
  }

  /** Whether the listing still has to list this id; it counts as listed from here on. */
  take(id: number): boolean {
    if (!this.#pending.has(id)) return false
    this.#pending.delete(id)
    return true
  }

  end(succeeded: boolean): void {
    this.#listing = false
    this.early = []
    this.complete = succeeded
  }

  /** The state was loaded: nothing has changed since the checkpoint that it came from. */
  loaded(): void {
    this.#forgetChanges()
    this.complete = true
  }

  #begin(): void {
    invariant(!this.#listing, 'checkpoints are listed one after the other')
    this.#listing = true
    this.#pending.clear()
    this.#fresh.clear()
  }

  #note(id: number): void {
    if (this.#isChanged.has(id)) return
    this.#isChanged.add(id)
    this.#changed.push(id)
  }

  #forgetChanges(): void {
    this.#changed = []
    this.#isChanged.clear()
  }

  #takeGone(): Pointer[] {
    const gone = this.#gone
    this.#gone = []
    return gone
  }
}

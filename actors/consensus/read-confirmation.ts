/**
 * Reads that cost no log write: a counter travels with appends, peers return it, and a read is
 * confirmed once a quorum returned one at least as high as the read's. The counters go through the
 * same quorum function as the log. Every attempt of a read has an id of its own, so that an
 * answer to an earlier attempt never confirms a later one.
 */
import { invariant } from './invariant.ts'
import type { Membership } from './interface.ts'
import { type Reach, reachedByQuorum } from './quorum.ts'

export class ReadConfirmation {
  #counter = 0
  #unsent = 0
  readonly #held: number[] = []
  readonly #waiting: { id: number; position: number; counter: number }[] = []

  /** What goes out with every append. */
  get counter(): number {
    return this.#counter
  }

  get count(): number {
    return this.#held.length + this.#waiting.length
  }

  /** The leader does not know yet how far the log is committed. */
  hold(id: number): void {
    this.#held.push(id)
  }

  add(id: number, position: number): void {
    this.#unsent++
    this.#waiting.push({ id, position, counter: this.#counter + 1 })
  }

  releaseHeld(position: number): void {
    for (const id of this.#held) this.add(id, position)
    this.#held.length = 0
  }

  /** Called when frames are about to leave; returns whether they have to, to every peer. */
  startRound(): boolean {
    if (this.#unsent === 0) return false
    this.#unsent = 0
    this.#counter++
    return true
  }

  confirmed(
    membership: Membership,
    reach: Reach,
    ready: (id: number, position: number) => void,
  ): void {
    if (this.#waiting.length === 0) return
    const counter = reachedByQuorum(membership, reach)
    let count = 0
    while (count < this.#waiting.length && this.#waiting[count]!.counter <= counter) {
      const read = this.#waiting[count]!
      invariant(
        read.counter <= this.#counter,
        'no read is confirmed by a counter that was not sent',
      )
      ready(read.id, read.position)
      count++
    }
    this.#waiting.splice(0, count)
  }

  /** Leadership is gone. The counter goes on: it is never used twice. */
  failAll(failed: (id: number) => void): void {
    for (const id of this.#held) failed(id)
    for (const read of this.#waiting) failed(read.id)
    this.#held.length = 0
    this.#waiting.length = 0
    this.#unsent = 0
  }
}

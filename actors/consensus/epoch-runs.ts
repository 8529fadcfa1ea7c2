/**
 * The epochs of the positions of a log. They only grow and seldom do, so a run is kept for each: its
 * first position and its epoch. The search for where two logs meet walks runs, not entries.
 */
import { invariant } from './invariant.ts'

export class EpochRuns {
  readonly #firsts: number[]
  readonly #epochs: number[]

  constructor(position: number, epoch: number) {
    this.#firsts = [position]
    this.#epochs = [epoch]
  }

  append(position: number, epoch: number): void {
    const newest = this.#epochs[this.#epochs.length - 1]!
    invariant(epoch >= newest, 'epochs never go back along a log')
    if (epoch === newest) return
    this.#firsts.push(position)
    this.#epochs.push(epoch)
  }

  at(position: number): number {
    return this.#epochs[this.#runOf(position)]!
  }

  /** The last position up to `position`, not below `floor`, whose epoch is at most `epoch`; else `floor` - 1. */
  lastAtMost(position: number, epoch: number, floor: number): number {
    if (position < floor) return floor - 1
    let run = this.#runOf(position)
    if (this.#epochs[run]! <= epoch) return position
    while (run > 0 && this.#epochs[run]! > epoch) run--
    if (this.#epochs[run]! > epoch) return floor - 1
    return this.#firsts[run + 1]! - 1
  }

  truncate(from: number): void {
    while (this.#firsts.length > 1 && this.#firsts[this.#firsts.length - 1]! >= from) {
      this.#firsts.pop()
      this.#epochs.pop()
    }
  }

  compact(position: number): void {
    const run = this.#runOf(position)
    this.#firsts.splice(0, run)
    this.#epochs.splice(0, run)
    this.#firsts[0] = position
  }

  #runOf(position: number): number {
    let run = this.#firsts.length - 1
    while (run > 0 && this.#firsts[run]! > position) run--
    return run
  }
}

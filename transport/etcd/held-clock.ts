/**
 * A clock that is read once for what happens together: the calls of one piece of input, the answers of
 * one round. Two readings a call cost 2 % of a node that is busy with small calls.
 */
import type { Clock } from '../../runtime/host.ts'

export class HeldClock implements Pick<Clock, 'monotonicMillis'> {
  readonly #clock: Pick<Clock, 'monotonicMillis'>
  #heldMillis: number | undefined

  constructor(clock: Pick<Clock, 'monotonicMillis'>) {
    this.#clock = clock
  }

  monotonicMillis(): number {
    this.#heldMillis ??= this.#clock.monotonicMillis()
    return this.#heldMillis
  }

  /** What comes next happens at another time. */
  release(): void {
    this.#heldMillis = undefined
  }
}

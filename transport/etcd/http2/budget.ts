/** Patience with a peer: `burst` at first, `perSecond` grows back. */
import type { Clock } from '../../../runtime/host.ts'

export class Budget {
  readonly #clock: Clock
  readonly #burst: number
  readonly #perSecond: number
  #left: number
  #refilledMillis: number

  constructor(clock: Clock, burst: number, perSecond: number) {
    this.#clock = clock
    this.#burst = burst
    this.#perSecond = perSecond
    this.#left = burst
    this.#refilledMillis = clock.monotonicMillis()
  }

  /** False once it is used up. The clock is only read when it seems to be. */
  spend(): boolean {
    if (this.#left < 1) this.#refill()
    this.#left--
    return this.#left >= 0
  }

  /** Something useful happened. */
  earn(amount: number): void {
    if (this.#left < this.#burst) this.#left += amount
  }

  #refill(): void {
    const now = this.#clock.monotonicMillis()
    const grown = ((now - this.#refilledMillis) / 1000) * this.#perSecond
    this.#refilledMillis = now
    this.#left = Math.min(this.#burst, Math.max(0, this.#left) + grown)
  }
}

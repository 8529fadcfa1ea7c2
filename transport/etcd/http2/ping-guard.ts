/** Judges the client's PINGs as gRPC servers do: too many in a row, with nothing answered between. */
import type { Clock } from '../../../runtime/host.ts'

export class PingGuard {
  readonly #clock: Clock
  readonly #millisMin: number
  readonly #strikesMax: number
  #lastMillis = Number.NEGATIVE_INFINITY
  #strikes = 0
  /** A client measures its bandwidth with a PING for the answers that it gets: those are no abuse. */
  #excused = false

  constructor(clock: Clock, millisMin: number, strikesMax: number) {
    this.#clock = clock
    this.#millisMin = millisMin
    this.#strikesMax = strikesMax
  }

  excuse(): void {
    this.#excused = true
  }

  allow(): boolean {
    const now = this.#clock.monotonicMillis()
    const early = now - this.#lastMillis < this.#millisMin
    this.#lastMillis = now
    if (this.#excused || !early) this.#strikes = 0
    else this.#strikes++
    this.#excused = false
    return this.#strikes <= this.#strikesMax
  }
}

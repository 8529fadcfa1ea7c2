/**
 * Log lines that strangers can cause: of each cause the first one at once, later ones at most one in a
 * while, which says how many were left out. The number of causes is the caller's to bound: they are
 * words of its own, never what a stranger has sent.
 */
import type { Clock } from './host.ts'
import type { LogFields, Logger } from './log.ts'

interface Cause {
  /** Monotonic. */
  loggedAtMillis: number
  leftOut: number
}

export class LimitedLog {
  readonly #log: Logger
  readonly #clock: Clock
  readonly #everyMillis: number
  readonly #causes = new Map<string, Cause>()

  constructor(log: Logger, clock: Clock, everyMillis: number) {
    this.#log = log
    this.#clock = clock
    this.#everyMillis = everyMillis
  }

  warn(cause: string, sentence: string, fields: LogFields): void {
    const now = this.#clock.monotonicMillis()
    const before = this.#causes.get(cause)
    if (before !== undefined && now - before.loggedAtMillis < this.#everyMillis) {
      before.leftOut++
      return
    }
    const leftOut = before?.leftOut ?? 0
    this.#causes.set(cause, { loggedAtMillis: now, leftOut: 0 })
    this.#log.warn(sentence, leftOut === 0 ? fields : { ...fields, alike: leftOut })
  }
}

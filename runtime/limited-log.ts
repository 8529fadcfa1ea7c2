/**
 * Warnings that strangers can cause: of each cause one line a minute, which says how many there
 * were, so that nobody fills a disk with them.
 */
import type { LogFields, Logger } from './log.ts'

const quietMillis = 60_000
const causesMax = 64

interface Cause {
  saidMillis: number
  unsaid: number
}

export class LimitedLog {
  readonly #log: Logger
  readonly #causes = new Map<string, Cause>()

  constructor(log: Logger) {
    this.#log = log
  }

  /** `named`: the cause, a word of ours that has no part that differs from time to time. */
  warn(sentence: string, fields: LogFields, nowMillis: number, named = sentence): void {
    const cause = this.#causes.get(named)
    if (cause !== undefined && nowMillis - cause.saidMillis < quietMillis) {
      cause.unsaid += 1
      return
    }
    const { unsaid } = cause ?? { unsaid: 0 }
    if (cause === undefined && this.#causes.size >= causesMax) return
    this.#causes.set(named, { saidMillis: nowMillis, unsaid: 0 })
    this.#log.warn(sentence, unsaid === 0 ? fields : { ...fields, beforeInSilence: unsaid })
  }
}

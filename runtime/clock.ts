/** The only file that reads the time of the machine and sets its timers. */
import { performance } from 'node:perf_hooks'
import type { Clock, Timer, Timers } from './host.ts'

/** What `performance.now()` counts from is each thread's own: by this all threads of a process agree. */
const threadBeganMillis = Number(process.hrtime.bigint() / 1000n) / 1000 - performance.now()

export const systemClock: Clock = {
  monotonicMillis: () => threadBeganMillis + performance.now(),
  wallMillis: () => Date.now(),
}

export const systemTimers: Timers = {
  after: (delayMillis, callback) => new SystemTimer(delayMillis, callback),
}

/** After the poll phase of the event loop: all input that is there has been taken in. */
export function deferToTurn(callback: () => void): void {
  setImmediate(callback)
}

class SystemTimer implements Timer {
  readonly #handle: NodeJS.Timeout

  constructor(delayMillis: number, callback: () => void) {
    // setTimeout would take a fraction of a millisecond for a whole one, and Infinity for 1.
    this.#handle = setTimeout(callback, Math.min(delayMillis, 2 ** 31 - 1))
  }

  cancel(): void {
    clearTimeout(this.#handle)
  }
}

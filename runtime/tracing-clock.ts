/**
 * The time of spans: milliseconds since 1970 with fractions of a microsecond, from one clock for all
 * threads of a process, so that what began later on another thread also reads later. It never goes
 * back; what it adds to the machine's monotonic clock stands in memory that the threads share.
 */
import { hrtime } from 'node:process'
import { performance } from 'node:perf_hooks'

/** One number: what the monotonic clock lacks to the time of day, in milliseconds. */
export type SharedTraceClock = SharedArrayBuffer

export interface TraceClock {
  nowMillis(): number
}

/** The time of day was set by more than this: later spans follow it. */
const driftMillisMax = 500
const checkMillis = 10_000

/** By the thread that the process began with. */
export function shareTraceClock(): SharedTraceClock {
  const shared = new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT)
  const offset = new Float64Array(shared)
  offset[0] = performance.timeOrigin + performance.now() - monotonicMillis()
  setInterval(() => {
    const actual = Date.now() - monotonicMillis()
    if (Math.abs(actual - offset[0]!) > driftMillisMax) offset[0] = actual
  }, checkMillis).unref()
  return shared
}

/** Without a shared clock it is the thread's own. */
export function traceClock(shared: SharedTraceClock | undefined): TraceClock {
  if (shared === undefined) return { nowMillis: () => performance.timeOrigin + performance.now() }
  const offset = new Float64Array(shared)
  return { nowMillis: () => offset[0]! + monotonicMillis() }
}

/** The same on all threads, which `performance.now()` is not. */
function monotonicMillis(): number {
  const [seconds, nanoseconds] = hrtime()
  return seconds * 1000 + nanoseconds / 1e6
}

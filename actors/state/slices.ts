/**
 * Work of any length goes in slices. Whatever may be long is a generator that yields when its slice
 * is over; the state actor runs it again and again, a slice at a time, and in between the thread's
 * other actors, timers and sockets have their turn.
 */
import type { Clock } from '../../runtime/host.ts'
import { limits } from './limits.ts'

/** Runs until the slice is over, at each `next`. Ended early (`return`), it gives back what it holds. */
export type Steps = Generator<void, void, void>

export interface SliceSetup {
  /** A slice ends after this time, and a look at the clock later. */
  readonly millis: number
  /** Whatever the clock says, it ends after so many units: what a simulator sees. */
  readonly unitsMax: number
  /** What looks at more keys goes in slices. */
  readonly unslicedKeysMax: number
}

export const sliceDefaults: SliceSetup = {
  millis: 2,
  unitsMax: Number.POSITIVE_INFINITY,
  unslicedKeysMax: limits.unslicedKeysMax,
}

/** Units between two looks at the clock: one is about a key, an entry of the log, or 1 KiB. */
const unitsPerLook = 32

export class Slice {
  readonly #clock: Clock
  readonly #setup: SliceSetup
  #endMillis = 0
  /** Until the next look at the clock. */
  #left = 0
  #unitsLeft = 0

  constructor(clock: Clock, setup: SliceSetup = sliceDefaults) {
    this.#clock = clock
    this.#setup = setup
  }

  begin(nowMillis = this.#clock.monotonicMillis()): void {
    this.#endMillis = nowMillis + this.#setup.millis
    this.#unitsLeft = this.#setup.unitsMax
    this.#beginPart()
  }

  /** So much more was done; true: it is time to yield. */
  spent(units: number): boolean {
    this.#left -= units
    return this.#left < 0 && this.#look()
  }

  #beginPart(): void {
    this.#left = Math.min(unitsPerLook, this.#unitsLeft)
    this.#unitsLeft -= this.#left
  }

  #look(): boolean {
    if (this.#unitsLeft <= 0) return true
    this.#beginPart()
    return this.#clock.monotonicMillis() >= this.#endMillis
  }
}

/** For whoever has no slices: it never ends. */
export const endlessSlice: Pick<Slice, 'spent'> = { spent: () => false }

/** What a face hands on; where there are no slices it is done at once. */
export function left(
  world: { readonly slices?: object },
  steps: Steps | undefined,
): Steps | undefined {
  if (steps === undefined || world.slices !== undefined) return steps
  steps.next()
  return undefined
}

/** Runs to the end what is known to be short, or has no slices. */
export function done<Result>(work: Generator<void, Result, void>): Result {
  for (;;) {
    const step = work.next()
    if (step.done === true) return step.value
  }
}

/** Units of so many bytes that are copied. */
export function unitsOfBytes(bytes: number): number {
  return 1 + (bytes >>> 10)
}

/**
 * What a leader stamps entries with. The log's time never goes back, so one leader whose clock is ahead
 * would pin it for all that follow. Therefore it follows the leader's wall clock, but never jumps with it:
 * where the log is ahead of the clock it goes half as fast as time passes, where the clock is more than
 * a step ahead of the log twice as fast, until both meet. So a stamp never gets further ahead of the
 * leader's clock than the log was when it began to lead. How fast time passes is the monotonic clock's
 * to say; between leaders too, where this process has seen the last entry come. Pure: time is given.
 */
export const clockStepMillisMax = 1000

export type ClockState = 'together' | 'logAhead' | 'clockAhead'

/** Told when it begins, and when both have met again. */
export type ClockNotice = (state: ClockState, apartMillis: number) => void

export class LogTime {
  readonly #notice: ClockNotice
  #last = 0
  #lastMonotonic = Number.NaN
  #state: ClockState = 'together'

  constructor(notice: ClockNotice) {
    this.#notice = notice
  }

  /** Entries came from a leader just now. */
  witnessed(monotonicMillis: number): void {
    this.#lastMonotonic = monotonicMillis
  }

  /** This node leads from now on; `lastTime` is that of the last entry of its log. */
  begin(lastTime: number, wallMillis: number, monotonicMillis: number): void {
    const isWitness = !Number.isNaN(this.#lastMonotonic)
    this.#last = isWitness ? lastTime : Math.max(lastTime, wallMillis)
    if (!isWitness) this.#lastMonotonic = monotonicMillis
    this.#state = 'together'
    this.now(wallMillis, monotonicMillis)
  }

  now(wallMillis: number, monotonicMillis: number): number {
    const elapsed = Math.max(0, monotonicMillis - this.#lastMonotonic)
    const isStep = wallMillis - (this.#last + elapsed) > clockStepMillisMax
    const most = this.#last + 2 * elapsed
    const least = this.#last + elapsed / 2
    this.#last = isStep ? Math.min(most, wallMillis) : Math.max(least, wallMillis)
    this.#lastMonotonic = monotonicMillis
    this.#tell(wallMillis)
    return Math.floor(this.#last)
  }

  #tell(wallMillis: number): void {
    const apart = wallMillis - this.#last
    const isFar = Math.abs(apart) > clockStepMillisMax
    if (!isFar && apart !== 0) return
    const state = !isFar ? 'together' : apart < 0 ? 'logAhead' : 'clockAhead'
    if (state === this.#state) return
    this.#state = state
    this.#notice(state, Math.round(Math.abs(apart)))
  }
}

/**
 * What time it is in the log, as this node can know it: an entry that applies now was stamped some
 * time ago, so the log's time is at least its stamp, and goes on as fast as this node's own monotonic
 * clock. The wall clock of this node has no say. The estimate is late by the way from the stamp to the apply,
 * the shortest of the last half minute: a deadline made from it errs to the side of refusing.
 *
 * It is early only where the leaders' clocks were set back meanwhile (then the log's time stands still until
 * they have caught up), by as much as that, and for no longer than half a minute of traffic. Pure: time is given.
 */
const windowMillis = 15_000

export class LogClock {
  /** The log's time less the monotonic clock's: the best of this window, and of the one before. */
  #best = Number.NEGATIVE_INFINITY
  #bestBefore = Number.NEGATIVE_INFINITY
  #beganMillis = Number.NEGATIVE_INFINITY

  /** An entry with this time stamp has applied. */
  applied(time: number, nowMillis: number): void {
    if (nowMillis - this.#beganMillis >= windowMillis) {
      this.#bestBefore = this.#best
      this.#best = time - nowMillis
      this.#beganMillis = nowMillis
    } else this.#best = Math.max(this.#best, time - nowMillis)
  }

  now(nowMillis: number): number {
    return Math.floor(nowMillis + Math.max(this.#best, this.#bestBefore))
  }
}

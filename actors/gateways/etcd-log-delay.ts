/**
 * How long writes take from being proposed to being applied here, by one sample at a time. More of
 * them in the log than it can apply in their time would all be void in the end: beyond a delay they
 * wait at the door, where they cost nobody anything.
 */
export class LogDelay {
  readonly #delayMillisMax: number
  /** The write that is watched; 0: none. */
  #sequence = 0
  #proposedMillis = 0
  #lastMillis = 0

  constructor(delayMillisMax: number) {
    this.#delayMillisMax = delayMillisMax
  }

  proposed(sequence: number, nowMillis: number): void {
    if (this.#sequence !== 0) return
    this.#sequence = sequence
    this.#proposedMillis = nowMillis
  }

  applied(sequence: number, nowMillis: number): void {
    if (this.#sequence === 0 || sequence < this.#sequence) return
    this.#lastMillis = nowMillis - this.#proposedMillis
    this.#sequence = 0
  }

  /** What a write that is proposed now has to expect, at least. */
  millis(nowMillis: number): number {
    const waited = this.#sequence === 0 ? 0 : nowMillis - this.#proposedMillis
    return Math.max(waited, this.#lastMillis)
  }

  /** Nothing more is to be proposed until what is in the log has moved. */
  isTooLong(nowMillis: number): boolean {
    return this.#sequence !== 0 && nowMillis - this.#proposedMillis > this.#delayMillisMax
  }
}

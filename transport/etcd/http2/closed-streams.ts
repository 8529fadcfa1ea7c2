/** The streams that were closed last, to tell late frames from wrong ones. */

const rememberedCount = 256

export class ClosedStreams {
  /** Stream ids; negated: we reset it, so frames that were already under way are no fault. */
  readonly #ids = new Int32Array(rememberedCount)
  #next = 0

  add(id: number, resetByUs: boolean): void {
    this.#ids[this.#next] = resetByUs ? -id : id
    this.#next = (this.#next + 1) % rememberedCount
  }

  has(id: number): boolean {
    return this.#ids.includes(id) || this.#ids.includes(-id)
  }

  wasResetByUs(id: number): boolean {
    return this.#ids.includes(-id)
  }
}

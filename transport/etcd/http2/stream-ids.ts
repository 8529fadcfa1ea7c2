/** Which streams there were: to tell those to come from those that are over, and late frames from wrong ones. */
import { streamIdMax } from './protocol.ts'

const rememberedCount = 256

export class StreamIds {
  /** The highest that the client has used. */
  last = 0
  /** Streams above it came after our GOAWAY, and are ignored. */
  #acceptedMax = streamIdMax
  /** Those closed last; negated: we reset it, so frames that were already under way are no fault. */
  readonly #closed = new Int32Array(rememberedCount)
  #next = 0

  /** What GOAWAY names: it never grows again. */
  get lastAccepted(): number {
    return Math.min(this.last, this.#acceptedMax)
  }

  get finished(): boolean {
    return this.#acceptedMax !== streamIdMax
  }

  /** No stream beyond the present last is served. */
  finish(): void {
    this.#acceptedMax = this.last
  }

  isAccepted(id: number): boolean {
    return id <= this.#acceptedMax
  }

  /** Not used yet, or not the client's to use. */
  isIdle(id: number): boolean {
    return id > this.last || id % 2 === 0
  }

  close(id: number, resetByUs: boolean): void {
    this.#closed[this.#next] = resetByUs ? -id : id
    this.#next = (this.#next + 1) % rememberedCount
  }

  wasClosed(id: number): boolean {
    return this.#closed.includes(id) || this.#closed.includes(-id)
  }

  wasResetByUs(id: number): boolean {
    return this.#closed.includes(-id)
  }
}

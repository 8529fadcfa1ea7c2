/**
 * Room for the answers to etcd's writes. A transaction of a few bytes may be answered with many
 * megabytes, and unlike a read it cannot wait unmade for room: the state changes behind it. So the
 * gateway lends room in advance and lends it again as answers are taken; where none is left, the
 * command applies and its answer is not made.
 */
import { limits } from './limits.ts'

export class WriteRoom {
  /** Whose commands are answered; 0 lent: nobody has lent anything, and there is no bound. */
  #stream = 0
  #lentBytes = 0
  #leftBytes = 0

  /** The first loan of a gateway is all that it lends; later ones give back what was spent. */
  lent(stream: number, bytes: number): void {
    if (stream !== this.#stream || this.#lentBytes === 0) {
      this.#stream = stream
      this.#lentBytes = bytes
      this.#leftBytes = 0
    }
    this.#leftBytes += bytes
  }

  /** How long an answer may be now: any, while nothing of what is lent is spent. */
  bytesMax(stream: number): number {
    if (this.#lentBytes === 0) return limits.replyBytesMax
    // Of an earlier generation: nobody is left to answer to.
    if (stream !== this.#stream) return limits.shortAnswerBytesMax
    if (this.#leftBytes >= this.#lentBytes) return limits.replyBytesMax
    return Math.max(limits.shortAnswerBytesMax, this.#leftBytes)
  }

  /** An answer was made. */
  spend(stream: number, bytes: number): void {
    if (stream === this.#stream && bytes > limits.shortAnswerBytesMax) this.#leftBytes -= bytes
  }
}

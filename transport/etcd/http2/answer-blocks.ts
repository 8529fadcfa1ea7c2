/**
 * Header blocks of answers. Those of a successful gRPC call are the same fields every time: encoded
 * once they are two bytes and one, kept until the client changes the size of its table.
 * Blocks are made when they are written, never before: each depends on those that went ahead.
 */
import { HpackEncoder } from './hpack-encoder.ts'

const callHeaders = [':status', '200', 'content-type', 'application/grpc']
const okTrailers = ['grpc-status', '0']

export class AnswerBlocks {
  readonly okTrailers: readonly string[] = okTrailers
  readonly #encoder = new HpackEncoder()
  #headers: Uint8Array = new Uint8Array(0)
  #headersGeneration = -1
  #trailers: Uint8Array = new Uint8Array(0)
  #trailersGeneration = -1

  limitTable(bytes: number): void {
    this.#encoder.limitTable(bytes)
  }

  headers(): Uint8Array {
    const generation = this.#encoder.generation
    if (generation === this.#headersGeneration) return this.#headers
    this.#headers = this.#encoder.encode(callHeaders, true)
    this.#headersGeneration = generation
    return this.#headers
  }

  /** Without headers before them, trailers carry the headers' fields too. */
  trailers(fields: readonly string[], afterHeaders: boolean): Uint8Array {
    if (!afterHeaders) return this.#encoder.encode([...callHeaders, ...fields], false)
    if (fields !== okTrailers) return this.#encoder.encode(fields, false)
    const generation = this.#encoder.generation
    if (generation === this.#trailersGeneration) return this.#trailers
    this.#trailers = this.#encoder.encode(okTrailers, true)
    this.#trailersGeneration = generation
    return this.#trailers
  }

  encode(fields: readonly string[]): Uint8Array {
    return this.#encoder.encode(fields, false)
  }
}

/**
 * Cuts the bytes of one connection into frames: int32 length, then that many bytes. Before the
 * connect request the first four bytes may be a word in letters instead (facts 1.2). It keeps what
 * is not complete and looks at lengths before it makes room for anything.
 */
import { limits } from './limits.ts'
import { isKnownWord } from './four-letter-words.ts'

export type Cut = 'frame' | 'word' | 'more' | 'broken'

const lengthBytes = 4
const xidBytes = 4

export class FrameSplitter {
  /** The frame that `next` found: bytes[start … end), valid until `push` is called again. */
  bytes: Uint8Array = empty
  start = 0
  end = 0
  /** The word that `next` found. */
  word = ''
  #at = 0
  #limit = 0
  readonly #frameBytesMax: number

  constructor(frameBytesMax: number = limits.frameBytesMax) {
    this.#frameBytesMax = frameBytesMax
  }

  /** Bytes that are not part of a frame handed out so far. */
  get waitingBytes(): number {
    return this.#limit - this.#at
  }

  /** The memory of those. */
  get heldBytes(): number {
    return this.#limit === this.#at ? 0 : this.bytes.length
  }

  /** The chunk may be kept until all of it is handed out: its memory is not used again. */
  push(chunk: Uint8Array): void {
    const waiting = this.#limit - this.#at
    if (waiting === 0) {
      this.bytes = chunk
      this.#at = 0
      this.#limit = chunk.length
      return
    }
    if (this.#limit + chunk.length > this.bytes.length) this.#grow(waiting + chunk.length)
    this.bytes.set(chunk, this.#limit)
    this.#limit += chunk.length
  }

  /** The operation of the request that comes next; undefined: it is not here yet, or is none. */
  get nextOperation(): number | undefined {
    const { bytes } = this
    const at = this.#at + lengthBytes + xidBytes
    if (at + 4 > this.#limit) return undefined
    return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
  }

  next(established: boolean): Cut {
    const waiting = this.#limit - this.#at
    if (waiting < lengthBytes) return this.#more(waiting)
    const { bytes } = this
    const at = this.#at
    const length =
      (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
    if (length < 0 || length > this.#frameBytesMax) {
      if (established) return 'broken'
      this.word = String.fromCharCode(bytes[at]!, bytes[at + 1]!, bytes[at + 2]!, bytes[at + 3]!)
      return isKnownWord(this.word) ? 'word' : 'broken'
    }
    if (waiting < lengthBytes + length) return 'more'
    this.start = at + lengthBytes
    this.end = this.start + length
    this.#at = this.end
    return 'frame'
  }

  /** Of the frame that has begun, as far as its length is here and can be true. */
  #frameBytes(): number {
    const { bytes } = this
    const at = this.#at
    if (this.#limit - at < lengthBytes) return 0
    const length =
      (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
    return length < 0 || length > this.#frameBytesMax ? 0 : lengthBytes + length
  }

  /** An idle connection keeps no buffer. */
  #more(waiting: number): Cut {
    if (waiting === 0) {
      this.bytes = empty
      this.#at = 0
      this.#limit = 0
    }
    return 'more'
  }

  #grow(needed: number): void {
    const frameBytes = this.#frameBytes()
    const isLong = frameBytes >= needed
    const bytes = new Uint8Array(isLong ? Math.min(needed * 2, frameBytes) : needed * 2)
    bytes.set(this.bytes.subarray(this.#at, this.#limit))
    this.#limit -= this.#at
    this.#at = 0
    this.bytes = bytes
  }
}

const empty = new Uint8Array(0)

/**
 * Writes jute into chunks that it never reuses, so that a finished frame can be handed on as a
 * view without being copied. A frame that outgrows its chunk moves to a larger one.
 */
const twoTo32 = 4294967296
const chunkBytesDefault = 65_536
const utf8 = new TextEncoder()

export class JuteWriter {
  bytes: Uint8Array
  at = 0
  #start = 0
  readonly #chunkBytes: number

  constructor(chunkBytes = chunkBytesDefault) {
    this.#chunkBytes = chunkBytes
    this.bytes = new Uint8Array(chunkBytes)
  }

  /** Starts something new that `finish` will hand out. */
  begin(): void {
    this.#start = this.at
  }

  /** What was written since `begin`; stays as it is for ever. */
  finish(): Uint8Array {
    const finished = this.bytes.subarray(this.#start, this.at)
    this.#start = this.at
    return finished
  }

  /** Drops what was written since `begin`. */
  abandon(): void {
    this.at = this.#start
  }

  /** `finish` for a frame: `beginFrame` left room for its length. */
  beginFrame(): void {
    this.#start = this.at
    this.int(0)
  }

  finishFrame(): Uint8Array {
    this.patchInt(0, this.at - this.#start - 4)
    return this.finish()
  }

  /** Overwrites an int, `offset` bytes after the beginning. */
  patchInt(offset: number, value: number): void {
    const end = this.at
    this.at = this.#start + offset
    this.int(value)
    this.at = end
  }

  get length(): number {
    return this.at - this.#start
  }

  /** Makes sure that `count` more bytes fit; `bytes` may be another array afterwards. */
  reserve(count: number): void {
    if (this.at + count > this.bytes.length) this.#move(count)
  }

  /** A frame of so many bytes begins: one that is long gets memory of just its size. */
  prepare(count: number): void {
    if (count <= this.#chunkBytes / 2 || this.at + count <= this.bytes.length) return
    this.bytes = new Uint8Array(count)
    this.at = 0
    this.#start = 0
  }

  int(value: number): void {
    if (this.at + 4 > this.bytes.length) this.#move(4)
    const { bytes, at } = this
    bytes[at] = value >>> 24
    bytes[at + 1] = value >>> 16
    bytes[at + 2] = value >>> 8
    bytes[at + 3] = value
    this.at = at + 4
  }

  /** Any integer within ±2^53. */
  long(value: number): void {
    this.int(Math.floor(value / twoTo32))
    this.int(value % twoTo32)
  }

  bigLong(value: bigint): void {
    this.int(Number(BigInt.asIntN(32, value >> 32n)))
    this.int(Number(BigInt.asIntN(32, value)))
  }

  boolean(value: boolean): void {
    if (this.at + 1 > this.bytes.length) this.#move(1)
    this.bytes[this.at++] = value ? 1 : 0
  }

  string(text: string): void {
    const { length } = text
    this.reserve(4 + length * 3)
    const from = this.at + 4
    const { bytes } = this
    for (let index = 0; index < length; index += 1) {
      const unit = text.charCodeAt(index)
      if (unit >= 0x80) {
        this.#stringBeyondAscii(text)
        return
      }
      bytes[from + index] = unit
    }
    this.int(length)
    this.at = from + length
  }

  /** A buffer or string that is bytes already; `length` -1 writes null. */
  span(source: Uint8Array, start: number, length: number): void {
    this.int(length)
    if (length > 0) this.raw(source, start, length)
  }

  buffer(source: Uint8Array | undefined): void {
    if (source === undefined) this.int(-1)
    else this.span(source, 0, source.length)
  }

  /** Bytes without a length before them. */
  raw(source: Uint8Array, start: number, length: number): void {
    this.reserve(length)
    if (length <= 32) {
      const { bytes, at } = this
      for (let index = 0; index < length; index += 1) bytes[at + index] = source[start + index]!
    } else {
      this.bytes.set(source.subarray(start, start + length), this.at)
    }
    this.at += length
  }

  #stringBeyondAscii(text: string): void {
    const { written } = utf8.encodeInto(text, this.bytes.subarray(this.at + 4))
    this.int(written)
    this.at += written
  }

  /** Takes a new chunk and moves what was begun into it. */
  #move(count: number): void {
    const begun = this.at - this.#start
    const needed = begun + count
    // A frame that grows and grows is moved a logarithmic number of times.
    const size = needed <= this.#chunkBytes / 2 ? this.#chunkBytes : needed * 2
    const bytes = new Uint8Array(size)
    bytes.set(this.bytes.subarray(this.#start, this.at))
    this.bytes = bytes
    this.#start = 0
    this.at = begun
  }
}

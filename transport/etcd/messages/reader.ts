/**
 * Reads protobuf from one buffer. Every length is checked before it is used; fields that nobody
 * knows are stepped over; anything else that is wrong throws `MalformedMessage`. 64-bit integers
 * come as numbers, which keep their order and sign beyond 2^53 but not their last bits; where all
 * 64 bits matter (lease and watch ids) there are exact readers.
 */
export class MalformedMessage extends Error {}

/** Well formed as far as it was read, but nested beyond what any server takes. */
export class NestedTooDeep extends MalformedMessage {}

/** Beyond this many messages inside one another nothing is decoded. */
export const nestingMax = 140

const twoTo32 = 4294967296
const empty = new Uint8Array(0)
const nobody: readonly string[] = []

export const wire = {
  varint: 0,
  fixed64: 1,
  bytes: 2,
  groupStart: 3,
  groupEnd: 4,
  fixed32: 5,
} as const

export class Reader {
  bytes: Uint8Array = empty
  at = 0
  end = 0
  #low = 0
  #high = 0

  open(bytes: Uint8Array, start = 0, end = bytes.length): this {
    this.bytes = bytes
    this.at = start
    this.end = end
    return this
  }

  /** All bits of the integer that was read last: two uint32 halves. */
  get low(): number {
    return this.#low
  }

  get high(): number {
    return this.#high >>> 0
  }

  get done(): boolean {
    return this.at >= this.end
  }

  /** Field number times 8 plus wire type. */
  tag(): number {
    this.#varint()
    if (this.#high !== 0 || this.#low > 0xffffffff || this.#low < 8) {
      throw new MalformedMessage('proto: illegal tag 0 (wire type 0)')
    }
    return this.#low
  }

  number(): number {
    this.#varint()
    return this.#high * twoTo32 + this.#low
  }

  flag(): boolean {
    this.#varint()
    return this.#low !== 0 || this.#high !== 0
  }

  /** An enumeration: 32 bits, signed. */
  choice(): number {
    this.#varint()
    return this.#low | 0
  }

  signedBigint(): bigint {
    this.#varint()
    if (this.#high === 0) return this.#low === 0 ? 0n : BigInt(this.#low)
    return (BigInt(this.#high) << 32n) | BigInt(this.#low)
  }

  unsignedBigint(): bigint {
    return BigInt.asUintN(64, this.signedBigint())
  }

  /** A view, not a copy. */
  view(): Uint8Array {
    const length = this.length()
    const start = this.at
    this.at = start + length
    return length === 0 ? empty : this.bytes.subarray(start, this.at)
  }

  /** The length of what follows, checked; for callers that then read `bytes` themselves. */
  length(): number {
    this.#varint()
    if (this.#high !== 0 || this.#low > this.end - this.at)
      throw new MalformedMessage('unexpected EOF')
    return this.#low
  }

  text(): string {
    const length = this.length()
    const start = this.at
    this.at = start + length
    return utf8.decode(this.bytes.subarray(start, this.at))
  }

  /** Enters a nested message; give what it returns to `leave`. */
  enter(): number {
    const length = this.length()
    const outerEnd = this.end
    this.end = this.at + length
    return outerEnd
  }

  leave(outerEnd: number): void {
    this.at = this.end
    this.end = outerEnd
  }

  /** `fields`: those of the message from 1 on, none of which may come as another wire type. */
  skip(tag: number, fields: readonly string[] = nobody): void {
    const known = fields[(tag >>> 3) - 1]
    if (known !== undefined) {
      throw new MalformedMessage(`proto: wrong wireType = ${tag & 7} for field ${known}`)
    }
    let groups = 0
    for (;;) {
      switch (tag & 7) {
        case wire.varint:
          this.#varint()
          break
        case wire.fixed64:
          this.#advance(8)
          break
        case wire.bytes:
          this.#advance(this.length())
          break
        case wire.groupStart:
          groups += 1
          break
        case wire.groupEnd:
          groups -= 1
          if (groups < 0) throw new MalformedMessage('proto: wiretype end group for non-group')
          break
        case wire.fixed32:
          this.#advance(4)
          break
        default:
          throw new MalformedMessage(`proto: illegal wireType ${tag & 7}`)
      }
      if (groups === 0) return
      tag = this.tag()
    }
  }

  #advance(count: number): void {
    if (count > this.end - this.at) throw new MalformedMessage('unexpected EOF')
    this.at += count
  }

  #varint(): void {
    const { bytes, end } = this
    let { at } = this
    const first = bytes[at] as number
    if (first < 128 && at < end) {
      this.at = at + 1
      this.#low = first
      this.#high = 0
      return
    }
    let low = 0
    let high = 0
    for (let shift = 0; ; shift += 7) {
      if (at >= end) throw new MalformedMessage('unexpected EOF')
      const byte = bytes[at++] as number
      const bits = byte & 127
      if (shift < 28) low |= bits << shift
      else if (shift === 28) {
        low |= bits << 28
        high = bits >>> 4
      } else high |= bits << (shift - 32)
      if (byte < 128) break
      if (shift === 63) throw new MalformedMessage('proto: integer overflow')
    }
    this.at = at
    this.#low = low >>> 0
    this.#high = high | 0
  }
}

const utf8 = new TextDecoder()

/**
 * Reads jute, ZooKeeper's record encoding, in place: nothing is copied unless it is asked for.
 * int: 4 bytes big-endian; long: 8; boolean: 1; buffer and ustring: int length (-1 = null) and
 * bytes; vector: int count (-1 = null) and items. Whatever does not fit throws `MalformedRecord`.
 */
import { MalformedRecord } from './errors.ts'
import { javaText } from './java-text.ts'

const twoTo32 = 4294967296
/** Up to here, building a string character by character beats a call into the decoder. */
const asciiBytesMax = 64

export class JuteReader {
  bytes: Uint8Array = new Uint8Array(0)
  at = 0
  end = 0
  /** Where the string or buffer that was read last begins. */
  start = 0
  /** Its length in bytes, -1 for null. */
  length = 0

  reset(bytes: Uint8Array, at: number, end: number): this {
    this.bytes = bytes
    this.at = at
    this.end = end
    return this
  }

  int(): number {
    const { bytes, at } = this
    if (at + 4 > this.end) throw new MalformedRecord('int beyond the end')
    this.at = at + 4
    return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
  }

  /** Exact below 2^53, which every number of ours is; beyond that (another ensemble's) rounded. */
  long(): number {
    const high = this.int()
    return high * twoTo32 + (this.int() >>> 0)
  }

  bigLong(): bigint {
    const high = this.int()
    return (BigInt(high) << 32n) | BigInt(this.int() >>> 0)
  }

  boolean(): boolean {
    if (this.at >= this.end) throw new MalformedRecord('boolean beyond the end')
    return this.bytes[this.at++] !== 0
  }

  /** Takes a string or buffer in place: `start` and `length` tell where it is. */
  span(): void {
    const length = this.int()
    if (length < -1 || length > this.end - this.at) throw new MalformedRecord('length out of range')
    this.start = this.at
    this.length = length
    if (length > 0) this.at += length
  }

  /** null reads as '': some clients write every empty string as null. */
  string(): string {
    this.span()
    return this.length <= 0 ? '' : readText(this.bytes, this.start, this.length)
  }

  /** A view, valid as long as the bytes below it; undefined for null. */
  buffer(): Uint8Array | undefined {
    this.span()
    return this.length < 0 ? undefined : this.bytes.subarray(this.start, this.start + this.length)
  }

  /** Items to come; below 0, null among them, there are none. An item has at least `itemBytesMin` bytes. */
  count(itemBytesMin: number): number {
    const count = this.int()
    if (count * itemBytesMin > this.end - this.at) throw new MalformedRecord('count out of range')
    return Math.max(count, 0)
  }
}

/** UTF-8 to text; what is not UTF-8 becomes U+FFFD, as in Java. */
export function readText(bytes: Uint8Array, start: number, length: number): string {
  const end = start + length
  if (length <= asciiBytesMax) {
    let text = ''
    let at = start
    for (; at < end; at += 1) {
      const byte = bytes[at]!
      if (byte >= 0x80) break
      text += String.fromCharCode(byte)
    }
    if (at === end) return text
  }
  return javaText(bytes.subarray(start, end))
}

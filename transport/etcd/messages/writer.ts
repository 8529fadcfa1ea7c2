/**
 * Writes protobuf once, front to back, into room that grows when it must. Zero values are left out,
 * as proto3 does. The length of a nested message is filled in when it is closed: one byte is kept
 * for it and what follows moves when more are needed.
 */
export interface Room {
  readonly bytes: Uint8Array
  readonly start: number
}

/** Where a writer gets its room: the state machine's emitter, or `OwnRooms`. */
export interface Rooms {
  /** Room of at least this many bytes; what was given before and not taken is void. */
  reserve(bytesMax: number): Room
  take(bytes: number): Uint8Array
}

const twoTo31 = 2147483648
const copyLoopBytesMax = 48

export class Writer {
  /** More was written than there may be: what is here is void, and the rest is thrown away. */
  overflowed = false
  readonly #rooms: Rooms
  readonly #bytesMaxDefault: number
  #bytesMax: number
  /** Of what was thrown away, and how many nested messages there are whose length may take more bytes. */
  #discardedBytes = 0
  #nestedCount = 0
  bytes: Uint8Array = new Uint8Array(0)
  #start = 0
  #at = 0
  #end = 0

  constructor(rooms: Rooms, bytesMax = Number.POSITIVE_INFINITY) {
    this.#rooms = rooms
    this.#bytesMaxDefault = bytesMax
    this.#bytesMax = bytesMax
  }

  /** `bytesMax` holds for this message, where it is less than that of all. */
  begin(bytesGuess: number, bytesMax = this.#bytesMaxDefault): this {
    this.overflowed = false
    this.#discardedBytes = 0
    this.#nestedCount = 0
    this.#bytesMax = Math.min(bytesMax, this.#bytesMaxDefault)
    this.#open(Math.min(bytesGuess, this.#bytesMax))
    return this
  }

  /** The complete message; it is not written again. */
  finish(): Uint8Array {
    return this.#rooms.take(this.#at - this.#start)
  }

  get size(): number {
    return this.#at - this.#start
  }

  /** At least as long as the message would be, whether it is all here or has overflowed. */
  get sizeMax(): number {
    return this.#discardedBytes + this.size + 4 * this.#nestedCount
  }

  /** So many bytes are to come; false: they are too many, and none of them need be written. */
  prepare(bytes: number): boolean {
    if (this.size + bytes > this.#bytesMax) this.#overflow(0)
    else this.#room(bytes)
    return !this.overflowed
  }

  /** Counts what would be written. Only for what has overflowed. */
  discard(bytes: number): void {
    this.#discardedBytes += bytes
  }

  /** What was written after the first `size` bytes, a few bytes, goes before them. */
  rotate(size: number): void {
    const { bytes } = this
    const middle = this.#start + size
    const moved = bytes.slice(middle, this.#at)
    bytes.copyWithin(this.#start + moved.length, this.#start, middle)
    bytes.set(moved, this.#start)
  }

  number(tag: number, value: number): void {
    if (value === 0) return
    this.#room(11)
    this.bytes[this.#at++] = tag
    this.#varint(value)
  }

  bigint(tag: number, value: bigint): void {
    if (value === 0n) return
    this.#room(11)
    this.bytes[this.#at++] = tag
    this.#varintBig(value)
  }

  integer(tag: number, value: number | bigint): void {
    if (typeof value === 'number') this.number(tag, value)
    else this.bigint(tag, value)
  }

  /** A 64-bit integer as two uint32 halves. */
  halves(tag: number, high: number, low: number): void {
    if (high === 0) this.number(tag, low)
    else this.bigint(tag, (BigInt(high) << 32n) | BigInt(low))
  }

  flag(tag: number, value: boolean): void {
    if (!value) return
    this.#room(2)
    this.bytes[this.#at++] = tag
    this.bytes[this.#at++] = 1
  }

  /** A bytes field that is left out when empty. */
  field(tag: number, source: Uint8Array, start: number, length: number): void {
    if (length !== 0) this.element(tag, source, start, length)
  }

  /** An element of a repeated bytes field (or of a oneof): written even when empty. */
  element(tag: number, source: Uint8Array, start: number, length: number): void {
    this.#room(11 + length)
    this.bytes[this.#at++] = tag
    this.#varint(length)
    this.#copy(source, start, length)
  }

  text(tag: number, value: string): void {
    if (value.length === 0) return
    this.textElement(tag, value)
  }

  textElement(tag: number, value: string): void {
    const bytes = utf8.encode(value)
    this.element(tag, bytes, 0, bytes.length)
  }

  /** Bytes that are protobuf already. */
  raw(source: Uint8Array, start = 0, length = source.length): void {
    this.#room(length)
    this.#copy(source, start, length)
  }

  /** A nested message whose size is known: its fields follow. */
  message(tag: number, size: number): void {
    this.#room(11 + size)
    this.bytes[this.#at++] = tag
    this.#varint(size)
  }

  /** A nested message of unknown size; give what it returns to `close`. */
  open(tag: number): number {
    this.#room(2)
    this.#nestedCount += 1
    this.bytes[this.#at++] = tag
    this.#at += 1
    return this.#at - this.#start
  }

  close(mark: number): void {
    if (this.overflowed) return
    const size = this.#at - this.#start - mark
    if (size >= 128) {
      const extra = varintBytes(size) - 1
      this.#room(extra)
      const from = this.#start + mark
      this.bytes.copyWithin(from + extra, from, this.#at)
      const end = this.#at + extra
      this.#at = from - 1
      this.#varint(size)
      this.#at = end
    } else this.bytes[this.#start + mark - 1] = size
  }

  #copy(source: Uint8Array, start: number, length: number): void {
    const { bytes } = this
    let at = this.#at
    this.#at = at + length
    if (length > copyLoopBytesMax) {
      bytes.set(source.subarray(start, start + length), at)
      return
    }
    const end = start + length
    for (let from = start; from < end; from += 1) bytes[at++] = source[from] as number
  }

  #room(count: number): void {
    if (this.#end - this.#at < count) this.#grow(count)
  }

  #open(bytesWanted: number): void {
    const room = this.#rooms.reserve(bytesWanted)
    this.bytes = room.bytes
    this.#start = room.start
    this.#at = room.start
    this.#end = Math.min(room.bytes.length, room.start + bytesWanted)
  }

  #grow(count: number): void {
    const { bytes } = this
    const start = this.#start
    const used = this.#at - start
    if (used + count > this.#bytesMax) return this.#overflow(count)
    this.#open(Math.min(this.#bytesMax, Math.max(2 * used, used + count, 256)))
    this.bytes.set(bytes.subarray(start, start + used), this.#start)
    this.#at = this.#start + used
  }

  /** Whoever writes goes on as if nothing were: what a command changes may not depend on its answer. */
  #overflow(count: number): void {
    this.overflowed = true
    this.#discardedBytes += this.size
    this.#at = this.#start
    if (this.#end - this.#at < count) this.#open(count)
  }

  #varint(value: number): void {
    if (value < 0) {
      this.#varintBig(BigInt(value))
      return
    }
    const { bytes } = this
    let at = this.#at
    while (value >= twoTo31) {
      bytes[at++] = (value % 128) | 128
      value = Math.floor(value / 128)
    }
    while (value >= 128) {
      bytes[at++] = (value & 127) | 128
      value >>>= 7
    }
    bytes[at++] = value
    this.#at = at
  }

  #varintBig(value: bigint): void {
    let rest = BigInt.asUintN(64, value)
    while (rest >= 128n) {
      this.bytes[this.#at++] = Number(rest & 127n) | 128
      rest >>= 7n
    }
    this.bytes[this.#at++] = Number(rest)
  }
}

/** How many bytes a number of at least 0 takes. */
export function varintBytes(value: number): number {
  let count = 1
  for (; value >= twoTo31; count += 1) value = Math.floor(value / 128)
  for (; value >= 128; count += 1) value >>>= 7
  return count
}

/** The same for a 64-bit integer as two uint32 halves. */
export function halvesBytes(high: number, low: number): number {
  if (high === 0) return varintBytes(low)
  // 32 bits take the first four bytes and half of the fifth.
  return high < 8 ? 5 : 5 + varintBytes(high >>> 3)
}

/** Room on this actor's own heap: pieces of a chunk that is given up, not written again, when full. */
export class OwnRooms implements Rooms {
  readonly #chunkBytes: number
  #chunk: Uint8Array
  #used = 0

  constructor(chunkBytes = 64 * 1024) {
    this.#chunkBytes = chunkBytes
    this.#chunk = new Uint8Array(chunkBytes)
  }

  reserve(bytesMax: number): Room {
    if (this.#chunk.length - this.#used < bytesMax) {
      this.#chunk = new Uint8Array(Math.max(this.#chunkBytes, bytesMax))
      this.#used = 0
    }
    return { bytes: this.#chunk, start: this.#used }
  }

  take(bytes: number): Uint8Array {
    const taken = this.#chunk.subarray(this.#used, this.#used + bytes)
    this.#used += bytes
    return taken
  }
}

const utf8 = new TextEncoder()

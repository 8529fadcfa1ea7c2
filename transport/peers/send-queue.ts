/**
 * What waits for one peer: control ahead of bulk, each in order, as encoded envelopes end to end.
 * Bulk beyond its bound is refused (and counted by the caller); control beyond its bound means that
 * the peer has taken nothing for so long that the link is to be given up.
 */
export interface SendQueue {
  /** Room for one envelope of at most `bytes`, valid until the next call; nothing: no room. */
  reserve(bytes: number, control: boolean): Buffer | undefined
  /** Where the reserved room begins in the buffer that `reserve` returned. */
  readonly reservedAt: number
  commit(bytes: number): void
  readonly controlBytes: number
  readonly bulkBytes: number
  /** Moves all control, then, if `withBulk`, whole bulk envelopes into `target`; returns the new end. */
  take(target: Buffer, at: number, withBulk: boolean, bulkBytesMax: number): number
  /** Bytes that `take` would need at most. */
  nextBytes(withBulk: boolean, bulkBytesMax: number): number
  clear(): void
}

export function createSendQueue(controlBytesMax: number, bulkBytesMax: number): SendQueue {
  return new TwoLanes(new EnvelopeBuffer(controlBytesMax), new EnvelopeBuffer(bulkBytesMax))
}

class TwoLanes implements SendQueue {
  readonly #control: EnvelopeBuffer
  readonly #bulk: EnvelopeBuffer
  #reserved: EnvelopeBuffer

  constructor(control: EnvelopeBuffer, bulk: EnvelopeBuffer) {
    this.#control = control
    this.#bulk = bulk
    this.#reserved = control
  }

  get controlBytes(): number {
    return this.#control.bytes
  }

  get bulkBytes(): number {
    return this.#bulk.bytes
  }

  get reservedAt(): number {
    return this.#reserved.end
  }

  reserve(bytes: number, control: boolean): Buffer | undefined {
    this.#reserved = control ? this.#control : this.#bulk
    return this.#reserved.reserve(bytes)
  }

  commit(bytes: number): void {
    this.#reserved.commit(bytes)
  }

  nextBytes(withBulk: boolean, bulkBytesMax: number): number {
    const bulk = withBulk ? this.#bulk.wholeBytes(bulkBytesMax) : 0
    return this.#control.bytes + bulk
  }

  take(target: Buffer, at: number, withBulk: boolean, bulkBytesMax: number): number {
    const end = this.#control.take(target, at, this.#control.bytes)
    return withBulk ? this.#bulk.take(target, end, this.#bulk.wholeBytes(bulkBytesMax)) : end
  }

  clear(): void {
    this.#control.clear()
    this.#bulk.clear()
  }
}

/** An append without entries is a heartbeat: it keeps its place among the appends, and finds room. */
const smallBytes = 512
const smallRoomBytes = 1024 * 1024
const bufferBytesInitial = 16 * 1024
/** A queue that was long once does not keep its buffer for ever. */
const keptBytesMax = 4 * 1024 * 1024

/** Envelopes end to end in one growing buffer, consumed from the front. */
class EnvelopeBuffer {
  end = 0
  #start = 0
  #buffer = Buffer.allocUnsafe(bufferBytesInitial)
  /** Lengths of the envelopes, in order, from `#first` on. */
  #lengths: number[] = []
  #first = 0
  readonly #bytesMax: number

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.end - this.#start
  }

  reserve(bytes: number): Buffer | undefined {
    const boundBytes = bytes <= smallBytes ? this.#bytesMax + smallRoomBytes : this.#bytesMax
    if (this.bytes + bytes > boundBytes) return undefined
    if (this.end + bytes > this.#buffer.length) this.#makeRoom(bytes)
    return this.#buffer
  }

  commit(bytes: number): void {
    this.end += bytes
    this.#lengths.push(bytes)
  }

  /** Whole envelopes of at most `bytesMax` together, but at least one. */
  wholeBytes(bytesMax: number): number {
    if (this.bytes <= bytesMax) return this.bytes
    let sum = this.#lengths[this.#first]!
    for (let index = this.#first + 1; index < this.#lengths.length; index++) {
      const next = sum + this.#lengths[index]!
      if (next > bytesMax) break
      sum = next
    }
    return sum
  }

  /** `bytes` is the sum of whole envelopes. */
  take(target: Buffer, at: number, bytes: number): number {
    if (bytes === 0) return at
    this.#buffer.copy(target, at, this.#start, this.#start + bytes)
    this.#start += bytes
    if (this.#start === this.end) this.clear()
    else this.#forget(bytes)
    return at + bytes
  }

  clear(): void {
    this.#start = 0
    this.end = 0
    this.#first = 0
    this.#lengths.length = 0
    if (this.#buffer.length > keptBytesMax) this.#buffer = Buffer.allocUnsafe(bufferBytesInitial)
  }

  #forget(bytes: number): void {
    for (let left = bytes; left > 0; this.#first++) left -= this.#lengths[this.#first]!
    if (this.#first < 1024) return
    this.#lengths.splice(0, this.#first)
    this.#first = 0
  }

  #makeRoom(bytes: number): void {
    const held = this.bytes
    const needed = held + bytes
    const large = needed * 2 > this.#buffer.length
    const target = large
      ? Buffer.allocUnsafe(Math.max(needed * 2, bufferBytesInitial))
      : this.#buffer
    this.#buffer.copy(target, 0, this.#start, this.end)
    this.#buffer = target
    this.#start = 0
    this.end = held
  }
}

/** What a connection is about to write: frames laid out one behind the other, sent in one piece. */
import { flag, frameHeaderBytes, framePayloadBytesMax, frameType } from './protocol.ts'

const pooledBytes = 16 * 1024
const pooledCountMax = 64
/** Buffers of connections that had nothing to say are kept here for those that have. */
const pool: Uint8Array[] = []

export class Output {
  length = 0
  #bytes: Uint8Array = nothing
  /** The DATA frame of messages that was laid out last: of which stream, where, and its end. */
  #dataStream = 0
  #dataAt = 0
  #dataEnd = -1

  /** Hands out all that was laid out; the bytes may be reused as soon as `write` returns. */
  flushTo(write: (bytes: Uint8Array) => void): void {
    if (this.length === 0) return
    const bytes = this.#bytes
    const length = this.length
    this.discard()
    write(bytes.subarray(0, length))
    if (bytes.length === pooledBytes && pool.length < pooledCountMax) pool.push(bytes)
  }

  discard(): void {
    this.#bytes = nothing
    this.length = 0
    this.#dataEnd = -1
  }

  header(length: number, type: number, flags: number, stream: number): void {
    this.#reserve(frameHeaderBytes + length)
    const bytes = this.#bytes
    const at = this.length
    bytes[at] = length >>> 16
    bytes[at + 1] = length >>> 8
    bytes[at + 2] = length
    bytes[at + 3] = type
    bytes[at + 4] = flags
    writeUint32(bytes, at + 5, stream)
    this.length = at + frameHeaderBytes
  }

  bytes(source: Uint8Array): void {
    this.#reserve(source.length)
    this.#bytes.set(source, this.length)
    this.length += source.length
  }

  uint32(value: number): void {
    this.#reserve(4)
    writeUint32(this.#bytes, this.length, value)
    this.length += 4
  }

  /** A header block, in as many frames as it needs. */
  headers(stream: number, block: Uint8Array, endStream: boolean): void {
    const streamFlag = endStream ? flag.endStream : 0
    if (block.length <= framePayloadBytesMax) {
      this.header(block.length, frameType.headers, flag.endHeaders | streamFlag, stream)
      this.bytes(block)
      return
    }
    for (let at = 0; at < block.length; at += framePayloadBytesMax) {
      const part = block.subarray(at, at + framePayloadBytesMax)
      const last = at + part.length === block.length ? flag.endHeaders : 0
      if (at === 0) this.header(part.length, frameType.headers, last | streamFlag, stream)
      else this.header(part.length, frameType.continuation, last, stream)
      this.bytes(part)
    }
  }

  /** A whole gRPC message, in the same DATA frame as those of its stream just before it. */
  grpcMessage(stream: number, body: Uint8Array): void {
    const messageBytes = 5 + body.length
    if (!this.#extend(stream, messageBytes)) {
      this.#dataStream = stream
      this.#dataAt = this.length
      this.header(messageBytes, frameType.data, 0, stream)
    }
    const bytes = this.#bytes
    const at = this.length
    bytes[at] = 0
    writeUint32(bytes, at + 1, body.length)
    bytes.set(body, at + 5)
    this.length = at + messageBytes
    this.#dataEnd = this.length
  }

  settings(pairs: readonly (readonly [number, number])[]): void {
    this.header(pairs.length * 6, frameType.settings, 0, 0)
    for (const [id, value] of pairs) {
      this.#bytes[this.length] = id >>> 8
      this.#bytes[this.length + 1] = id
      this.length += 2
      this.uint32(value)
    }
  }

  settingsAck(): void {
    this.header(0, frameType.settings, flag.ack, 0)
  }

  ping(payload: Uint8Array, ack: boolean): void {
    this.header(8, frameType.ping, ack ? flag.ack : 0, 0)
    this.bytes(payload)
  }

  windowUpdate(stream: number, increment: number): void {
    this.header(4, frameType.windowUpdate, 0, stream)
    this.uint32(increment)
  }

  rstStream(stream: number, code: number): void {
    this.header(4, frameType.rstStream, 0, stream)
    this.uint32(code)
  }

  goaway(lastStream: number, code: number, debug: string): void {
    const text = Buffer.from(debug, 'latin1')
    this.header(8 + text.length, frameType.goaway, 0, 0)
    this.uint32(lastStream)
    this.uint32(code)
    this.bytes(text)
  }

  #extend(stream: number, more: number): boolean {
    const length = this.length - this.#dataAt - frameHeaderBytes + more
    const isLast = this.#dataEnd === this.length && this.#dataStream === stream
    if (!isLast || length > framePayloadBytesMax) return false
    this.#reserve(more)
    const bytes = this.#bytes
    bytes[this.#dataAt] = length >>> 16
    bytes[this.#dataAt + 1] = length >>> 8
    bytes[this.#dataAt + 2] = length
    return true
  }

  #reserve(more: number): void {
    const needed = this.length + more
    if (needed <= this.#bytes.length) return
    if (needed <= pooledBytes) {
      this.#bytes = pool.pop() ?? new Uint8Array(pooledBytes)
      return
    }
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
    larger.set(this.#bytes.subarray(0, this.length))
    this.#bytes = larger
  }
}

const nothing = new Uint8Array(0)

function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

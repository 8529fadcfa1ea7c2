/** DATA from the client: flow control, padding, announced lengths, and frames that come too late. */
import type { Connection } from './connection.ts'
import {
  ConnectionError,
  errorCode,
  flag,
  frameSizeError,
  initialWindowBytes,
  protocolError,
} from './protocol.ts'
import type { Stream } from './stream.ts'

export class IncomingData {
  readonly #connection: Connection
  /** Bytes that the client may still send, and those received since the last WINDOW_UPDATE. */
  #window: number
  #receivedBytes = 0
  #held = false

  constructor(connection: Connection) {
    this.#connection = connection
    this.#window = Math.max(connection.limits.connectionWindowBytes, initialWindowBytes)
  }

  /** The windows of new connections start small (6.9.2). */
  openWindow(): void {
    if (this.#window > initialWindowBytes)
      this.#connection.output.windowUpdate(0, this.#window - initialWindowBytes)
  }

  frame(flags: number, id: number, bytes: Uint8Array, from: number, to: number): void {
    if (id === 0) throw protocolError('DATA on stream 0')
    const length = to - from
    this.#grantConnection(length)
    let start = from
    let end = to
    if ((flags & flag.padded) !== 0) {
      if (length === 0) throw frameSizeError('DATA')
      end -= bytes[start++]!
      if (end < start) throw protocolError('more padding than DATA')
    }
    const connection = this.#connection
    const stream = connection.streams.get(id)
    if (stream === undefined || stream.remoteClosed) {
      this.#late(id, stream)
      return
    }
    const ends = (flags & flag.endStream) !== 0
    if (start === end && !ends) connection.guards.control()
    stream.receiveWindow -= length
    stream.bodyBytes += end - start
    if (stream.receiveWindow < 0) connection.fault(stream, errorCode.flowControlError)
    else if (isWrongLength(stream, ends)) connection.fault(stream, errorCode.protocolError)
    else this.#deliver(stream, bytes, start, end, length, ends)
  }

  #deliver(
    stream: Stream,
    bytes: Uint8Array,
    start: number,
    end: number,
    length: number,
    ends: boolean,
  ): void {
    const { owner } = this.#connection
    if (ends) stream.remoteClosed = true
    if (stream.localClosed) return
    if (end > start) owner.data(this.#connection, stream, bytes, start, end)
    // The owner may have answered, and with that closed the stream.
    if (stream.localClosed) return
    if (ends) owner.ended(this.#connection, stream)
    else this.#grantStream(stream, length)
  }

  #late(id: number, stream: Stream | undefined): void {
    const { ids, guards, output } = this.#connection
    if (stream !== undefined) this.#connection.fault(stream, errorCode.streamClosed)
    else if (ids.isIdle(id)) throw protocolError('DATA on an idle stream')
    else if (!ids.wasResetByUs(id) && ids.isAccepted(id)) {
      guards.reset()
      output.rstStream(id, errorCode.streamClosed)
    }
  }

  /** While it is held, the client may send what its window still allows, and no more. */
  hold(held: boolean): void {
    this.#held = held
    if (!held) this.#giveBack()
  }

  /** What we received is given back at once: what is kept of it has limits of its own. */
  #grantConnection(length: number): void {
    this.#window -= length
    if (this.#window < 0)
      throw new ConnectionError(errorCode.flowControlError, 'DATA beyond the connection window')
    this.#receivedBytes += length
    if (!this.#held) this.#giveBack()
  }

  #giveBack(): void {
    if (this.#receivedBytes * 2 < this.#connection.limits.connectionWindowBytes) return
    this.#connection.output.windowUpdate(0, this.#receivedBytes)
    this.#window += this.#receivedBytes
    this.#receivedBytes = 0
  }

  #grantStream(stream: Stream, length: number): void {
    stream.receivedBytes += length
    if (stream.receivedBytes * 2 < this.#connection.limits.streamWindowBytes) return
    this.#connection.output.windowUpdate(stream.id, stream.receivedBytes)
    stream.receiveWindow += stream.receivedBytes
    stream.receivedBytes = 0
  }
}

/** The body does not have, or will not have, the length that its `content-length` says. */
export function isWrongLength(stream: Stream, ends: boolean): boolean {
  const announced = stream.request.contentLength
  if (announced < 0) return false
  return stream.bodyBytes > announced || (ends && stream.bodyBytes !== announced)
}

/** Frames from the client, each to what handles it; the short ones are handled here. */
import type { Connection } from './connection.ts'
import { type FrameSink, uint31, uint32 } from './frame-reader.ts'
import { IncomingData } from './incoming-data.ts'
import { IncomingHeaders } from './incoming-headers.ts'
import {
  ConnectionError,
  errorCode,
  flag,
  frameSizeError,
  frameType,
  protocolError,
  setting,
  windowBytesMax,
} from './protocol.ts'

export class Incoming implements FrameSink {
  readonly data: IncomingData
  readonly headers: IncomingHeaders
  /** The client's half of the preface is complete. */
  settingsSeen = false
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
    this.data = new IncomingData(connection)
    this.headers = new IncomingHeaders(connection)
  }

  frame(
    type: number,
    flags: number,
    id: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): boolean {
    const open = this.headers.openStream
    if (open !== 0 && (type !== frameType.continuation || id !== open))
      throw protocolError('a frame inside a header block')
    if (!this.settingsSeen && type !== frameType.settings)
      throw protocolError('the first frame is not SETTINGS')
    if (type === frameType.data) this.data.frame(flags, id, bytes, start, end)
    else if (type === frameType.headers) this.headers.frame(flags, id, bytes, start, end)
    else this.#rarer(type, flags, id, bytes, start, end)
    return this.#connection.isServing
  }

  #rarer(
    type: number,
    flags: number,
    id: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    switch (type) {
      case frameType.continuation:
        this.headers.continuation(flags, id, bytes, start, end)
        break
      case frameType.windowUpdate:
        this.#windowUpdate(id, bytes, start, end)
        break
      case frameType.rstStream:
        this.#rstStream(id, end - start)
        break
      case frameType.ping:
        this.#ping(flags, id, bytes, start, end)
        break
      case frameType.settings:
        this.#settings(flags, id, bytes, start, end)
        break
      case frameType.priority:
        this.#priority(id, bytes, start, end)
        break
      case frameType.pushPromise:
        throw protocolError('PUSH_PROMISE from a client')
      case frameType.goaway:
        if (id !== 0) throw protocolError('GOAWAY on a stream')
        if (end - start < 8) throw frameSizeError('GOAWAY')
        this.#connection.guards.control()
        break
      default:
        this.#connection.guards.control()
    }
  }

  #windowUpdate(id: number, bytes: Uint8Array, start: number, end: number): void {
    const { guards, sender, streams, ids } = this.#connection
    if (end - start !== 4) throw frameSizeError('WINDOW_UPDATE')
    const increment = uint31(bytes, start)
    guards.control()
    if (id === 0) {
      if (increment === 0) throw protocolError('WINDOW_UPDATE of 0')
      sender.grow(increment)
      return
    }
    const stream = streams.get(id)
    if (stream === undefined) {
      if (ids.isIdle(id)) throw protocolError('WINDOW_UPDATE on an idle stream')
    } else if (increment === 0) this.#connection.fault(stream, errorCode.protocolError)
    else if (!sender.growStream(stream, increment))
      this.#connection.fault(stream, errorCode.flowControlError)
  }

  #rstStream(id: number, length: number): void {
    const { guards, streams, ids } = this.#connection
    if (length !== 4) throw frameSizeError('RST_STREAM')
    if (ids.isIdle(id)) throw protocolError('RST_STREAM on an idle stream')
    const stream = streams.get(id)
    // It crossed our answer: one frame more, and no work undone.
    if (stream === undefined) guards.control()
    else this.#connection.aborted(stream)
  }

  #ping(flags: number, id: number, bytes: Uint8Array, start: number, end: number): void {
    if (id !== 0) throw protocolError('PING on a stream')
    if (end - start !== 8) throw frameSizeError('PING')
    if ((flags & flag.ack) !== 0) {
      this.#connection.pingAnswered()
      return
    }
    this.#connection.guards.ping()
    this.#connection.output.ping(bytes.subarray(start, end), true)
  }

  #settings(flags: number, id: number, bytes: Uint8Array, start: number, end: number): void {
    if (id !== 0) throw protocolError('SETTINGS on a stream')
    const length = end - start
    const isAck = (flags & flag.ack) !== 0
    if (isAck ? length !== 0 : length % 6 !== 0) throw frameSizeError('SETTINGS')
    this.#connection.guards.control()
    if (isAck) return
    this.settingsSeen = true
    // First of all, so that no DATA by the new windows precedes it.
    this.#connection.output.settingsAck()
    for (let at = start; at < end; at += 6)
      this.#apply((bytes[at]! << 8) | bytes[at + 1]!, uint32(bytes, at + 2))
  }

  #apply(id: number, value: number): void {
    const { answers, sender, streams } = this.#connection
    if (id === setting.headerTableSize) answers.limitTable(value)
    else if (id === setting.enablePush) {
      if (value > 1) throw protocolError('SETTINGS_ENABLE_PUSH above 1')
    } else if (id === setting.initialWindowSize) {
      if (value > windowBytesMax)
        throw new ConnectionError(errorCode.flowControlError, 'SETTINGS_INITIAL_WINDOW_SIZE')
      sender.changeInitialWindow(value, streams.values())
    } else if (id === setting.maxFrameSize) {
      if (value < 16_384 || value > 16_777_215) throw protocolError('SETTINGS_MAX_FRAME_SIZE')
    }
  }

  /** Priorities are not followed (RFC 9113 gave them up), only checked. */
  #priority(id: number, bytes: Uint8Array, start: number, end: number): void {
    if (id === 0) throw protocolError('PRIORITY on stream 0')
    this.#connection.guards.control()
    const isWhole = end - start === 5
    if (isWhole && uint31(bytes, start) !== id) return
    const code = isWhole ? errorCode.protocolError : errorCode.frameSizeError
    const stream = this.#connection.streams.get(id)
    if (stream === undefined) throw new ConnectionError(code, 'malformed PRIORITY')
    this.#connection.fault(stream, code)
  }
}

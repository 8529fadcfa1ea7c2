/**
 * One HTTP/2 connection, server's side, after the client's preface: frames in, streams, frames out
 * (RFC 9113). It knows nothing of gRPC. What a peer does wrong ends in RST_STREAM or GOAWAY,
 * never in an exception.
 */
import type { Clock, Socket } from '../../../runtime/host.ts'
import type { EtcdServerLimits } from '../limits.ts'
import { AnswerBlocks } from './answer-blocks.ts'
import { Budget } from './budget.ts'
import { ClosedStreams } from './closed-streams.ts'
import { FrameReader, type FrameSink, uint31, uint32 } from './frame-reader.ts'
import { HeaderAssembly } from './header-blocks.ts'
import { type HeaderBlock, HpackDecoder } from './hpack-decoder.ts'
import { Output } from './output.ts'
import { PingGuard } from './ping-guard.ts'
import {
  ConnectionError,
  errorCode,
  flag,
  frameType,
  initialWindowBytes,
  setting,
  streamIdMax,
  windowBytesMax,
} from './protocol.ts'
import { checkFields, parseRequest, type Request } from './request.ts'
import { Sender, type SenderOwner } from './sender.ts'
import { Stream } from './stream.ts'

/** What is built on the connection. `stream.user` is the owner's. */
export interface StreamOwner {
  /** A request's headers; `stream.remoteClosed` tells that there is no body. */
  request(connection: Connection, stream: Stream): void
  /** A part of its body, valid during the call. */
  data(connection: Connection, stream: Stream, bytes: Uint8Array, start: number, end: number): void
  /** The body is complete. Not called when there was none. */
  ended(connection: Connection, stream: Stream): void
  /** Reset, by the client or for its fault. Not called when the whole connection goes. */
  aborted(connection: Connection, stream: Stream): void
  drained(connection: Connection, stream: Stream): void
  /** Once; all streams are gone with it. `limit`: the name of the limit that was broken, or ''. */
  closed(connection: Connection, limit: string): void
}

/** `draining`: GOAWAY is sent, streams may finish. `closing`: waiting for the peer to hang up. */
type State = 'open' | 'draining' | 'closing' | 'closed'

const lingerMillis = 2000
/** Window updates for stream and connection, and a PING, with some to spare. */
const framesPerAnswer = 4
const keepalivePing = Uint8Array.of(0x71, 0x75, 0x6f, 0x72, 0x61, 0x74, 0x65, 1)
const drainPing = Uint8Array.of(0x71, 0x75, 0x6f, 0x72, 0x61, 0x74, 0x65, 2)

export class Connection implements FrameSink, SenderOwner {
  readonly number: number
  readonly socket: Socket
  readonly streams = new Map<number, Stream>()
  /** It is in the server's list of connections to flush. */
  dirty = false
  /** The owner's: memory for half-received messages, and whether the gateway knows of it. */
  assemblyBytes = 0
  known = false
  readonly answers = new AnswerBlocks()
  readonly #limits: EtcdServerLimits
  readonly #clock: Clock
  readonly #owner: StreamOwner
  readonly #output = new Output()
  readonly #sender: Sender
  readonly #reader = new FrameReader()
  readonly #decoder: HpackDecoder
  readonly #headers = new HeaderAssembly()
  readonly #closedStreams = new ClosedStreams()
  readonly #resets: Budget
  readonly #controls: Budget
  readonly #pings: PingGuard
  readonly #write: (bytes: Uint8Array) => void
  #state: State = 'open'
  #settingsSeen = false
  #lastStream = 0
  /** Streams above it came after our GOAWAY. */
  #acceptedStreamMax = streamIdMax
  #receiveWindow: number
  #receivedBytes = 0
  #paused = false
  #heard = true
  #heardMillis: number
  #headersSinceMillis = 0
  #cloggedSinceMillis = 0
  #endedMillis = 0
  #keepalivePingMillis = -1

  constructor(
    number: number,
    socket: Socket,
    clock: Clock,
    limits: EtcdServerLimits,
    owner: StreamOwner,
    onSent: (bytes: number) => void,
  ) {
    this.number = number
    this.socket = socket
    this.#clock = clock
    this.#limits = limits
    this.#owner = owner
    this.#sender = new Sender(
      this.#output,
      clock,
      this,
      limits.socketBufferedBytesHigh,
      limits.streamBufferedBytesLow,
    )
    this.#decoder = new HpackDecoder(limits.headerTableBytesMax, limits.headerListBytesMax)
    this.#resets = new Budget(clock, limits.resetBurstMax, limits.resetsPerSecond)
    this.#controls = new Budget(clock, limits.controlBurstMax, limits.controlsPerSecond)
    this.#pings = new PingGuard(clock, limits.pingMillisMin, limits.pingStrikesMax)
    this.#receiveWindow = Math.max(limits.connectionWindowBytes, initialWindowBytes)
    this.#heardMillis = clock.monotonicMillis()
    this.#write = bytes => {
      onSent(bytes.length)
      socket.write(bytes)
    }
  }

  /** Our half of the preface. */
  start(): void {
    const limits = this.#limits
    this.#output.settings([
      [setting.headerTableSize, limits.headerTableBytesMax],
      [setting.maxConcurrentStreams, limits.streamsMax],
      [setting.initialWindowSize, limits.streamWindowBytes],
      [setting.maxHeaderListSize, limits.headerListBytesMax],
    ])
    if (this.#receiveWindow > initialWindowBytes)
      this.#output.windowUpdate(0, this.#receiveWindow - initialWindowBytes)
  }

  receive(chunk: Uint8Array): void {
    if (this.#state === 'closing' || this.#state === 'closed') return
    this.#heard = true
    try {
      this.#reader.read(chunk, this)
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error
      this.fail(error)
    }
    this.flush()
  }

  /** The socket has taken all that it held. */
  drained(): void {
    this.#sender.clogged = false
    this.#sender.pump()
    this.flush()
    if (this.#paused && !this.#sender.clogged) {
      this.#paused = false
      this.socket.resume()
    }
  }

  /** The socket is gone. */
  lost(): void {
    this.#close('')
    this.#state = 'closed'
    this.#output.discard()
  }

  flush(): void {
    if (this.#state === 'closed') return
    while (this.#output.length > 0) {
      this.#output.flushTo(this.#write)
      this.#checkSocket()
      // Output that is full holds streams back, too.
      this.#sender.pump()
    }
    if (this.#state === 'draining' && this.streams.size === 0 && this.#finalGoawaySent())
      this.#end()
  }

  #checkSocket(): void {
    const held = this.socket.bufferedBytes
    if (held > this.#limits.socketBufferedBytesMax) this.#break('socketBufferedBytesMax')
    if (held < this.#limits.socketBufferedBytesHigh || this.#sender.clogged) return
    this.#sender.clogged = true
    this.#cloggedSinceMillis = this.#clock.monotonicMillis()
    if (this.#state !== 'open' && this.#state !== 'draining') return
    this.#paused = true
    this.socket.pause()
  }

  // Answers. The stream must be one of `streams`; `flush` follows at the end of the round.

  /** A complete gRPC answer. */
  replyMessage(stream: Stream, body: Uint8Array): void {
    if (stream.headersSent || !this.#sender.admit(stream, body.length + 5)) {
      this.sendMessage(stream, body)
      this.end(stream, this.answers.okTrailers)
      return
    }
    this.#output.headers(stream.id, this.answers.headers(), false)
    this.#output.grpcMessage(stream.id, body)
    stream.headersSent = true
    stream.localClosed = true
    stream.trailers = this.answers.okTrailers
    this.#answered()
    this.queueEnded(stream)
  }

  /** One gRPC message of a stream. */
  sendMessage(stream: Stream, body: Uint8Array): void {
    this.sendHeaders(stream)
    if (this.#sender.admit(stream, body.length + 5)) {
      this.#output.grpcMessage(stream.id, body)
      return
    }
    if (!this.#mayQueue(stream, body.length + 5)) return
    const prefix = new Uint8Array(5)
    new DataView(prefix.buffer).setUint32(1, body.length)
    this.#sender.enqueue(stream, prefix)
    this.#sender.enqueue(stream, body)
    this.#sender.pump()
  }

  /** The response headers of gRPC, unless they were sent. */
  sendHeaders(stream: Stream): void {
    if (stream.headersSent) return
    stream.headersSent = true
    this.#output.headers(stream.id, this.answers.headers(), false)
    this.#answered()
  }

  /** Trailers after all that was sent; alone, with `:status` in them, if nothing was. */
  end(stream: Stream, trailers: readonly string[]): void {
    if (stream.localClosed) return
    stream.localClosed = true
    stream.trailers = trailers
    if (stream.queuedBytes === 0) this.queueEnded(stream)
  }

  /** An answer that is not gRPC. */
  respond(stream: Stream, fields: readonly string[], body: Uint8Array): void {
    stream.localClosed = true
    stream.headersSent = true
    this.#output.headers(stream.id, this.answers.encode(fields), body.length === 0)
    this.#answered()
    if (body.length === 0) this.#finished(stream)
    else if (this.#mayQueue(stream, body.length)) {
      this.#sender.enqueue(stream, body)
      this.#sender.pump()
    }
  }

  /** Ends a stream for what its client did. */
  reset(stream: Stream, code: number): void {
    this.#output.rstStream(stream.id, code)
    this.#forget(stream, true)
    this.#owner.aborted(this, stream)
  }

  queueEnded(stream: Stream): void {
    if (stream.trailers !== null) {
      this.#output.headers(
        stream.id,
        this.answers.trailers(stream.trailers, stream.headersSent),
        true,
      )
      this.#answered()
    }
    this.#finished(stream)
  }

  frameSent(): void {
    this.#answered()
  }

  queueShort(stream: Stream): void {
    this.#owner.drained(this, stream)
  }

  /** A single message of any size may wait for a slow reader; a second must fit. Else: a reset. */
  #mayQueue(stream: Stream, bytes: number): boolean {
    const limits = this.#limits
    const queued = this.#sender.queuedBytes
    const overStream =
      stream.queuedBytes > 0 && stream.queuedBytes + bytes > limits.streamBufferedBytesMax
    const overConnection =
      queued > stream.queuedBytes && queued + bytes > limits.connectionBufferedBytesMax
    if (!overStream && !overConnection) return true
    this.reset(stream, errorCode.enhanceYourCalm)
    return false
  }

  /** Our END_STREAM is written. A client that has not ended its side is told to stop (8.1). */
  #finished(stream: Stream): void {
    if (!stream.remoteClosed) this.#output.rstStream(stream.id, errorCode.noError)
    this.#forget(stream, !stream.remoteClosed)
  }

  #forget(stream: Stream, resetByUs: boolean): void {
    stream.localClosed = true
    if (stream.queuedBytes > 0) this.#sender.drop(stream)
    this.streams.delete(stream.id)
    this.#closedStreams.add(stream.id, resetByUs)
  }

  /** Something useful left: it allows the client some frames about it. */
  #answered(): void {
    this.#pings.excuse()
    this.#controls.earn(framesPerAnswer)
  }

  // Frames.

  frame(
    type: number,
    flags: number,
    id: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): boolean {
    if (
      this.#headers.stream !== 0 &&
      (type !== frameType.continuation || id !== this.#headers.stream)
    )
      throw protocolError('a frame inside a header block')
    if (!this.#settingsSeen && type !== frameType.settings)
      throw protocolError('the first frame is not SETTINGS')
    switch (type) {
      case frameType.data:
        this.#dataFrame(flags, id, bytes, start, end)
        break
      case frameType.headers:
        this.#headersFrame(flags, id, bytes, start, end)
        break
      case frameType.continuation:
        this.#continuationFrame(flags, id, bytes, start, end)
        break
      case frameType.windowUpdate:
        this.#windowUpdateFrame(id, bytes, start, end)
        break
      case frameType.rstStream:
        this.#rstStreamFrame(id, start, end)
        break
      case frameType.ping:
        this.#pingFrame(flags, id, bytes, start, end)
        break
      case frameType.settings:
        this.#settingsFrame(flags, id, bytes, start, end)
        break
      case frameType.priority:
        this.#priorityFrame(id, bytes, start, end)
        break
      case frameType.goaway:
        if (id !== 0) throw protocolError('GOAWAY on a stream')
        if (end - start < 8) throw frameSizeError('GOAWAY')
        this.#spendControl()
        break
      case frameType.pushPromise:
        throw protocolError('PUSH_PROMISE from a client')
      default:
        this.#spendControl()
    }
    return this.#state === 'open' || this.#state === 'draining'
  }

  #dataFrame(flags: number, id: number, bytes: Uint8Array, from: number, to: number): void {
    if (id === 0) throw protocolError('DATA on stream 0')
    const length = to - from
    this.#receiveConnectionBytes(length)
    let start = from
    let end = to
    if ((flags & flag.padded) !== 0) {
      if (length === 0) throw frameSizeError('DATA')
      end -= bytes[start++]!
      if (end < start) throw protocolError('more padding than DATA')
    }
    const stream = this.streams.get(id)
    if (stream === undefined || stream.remoteClosed) {
      this.#dataOnClosed(id, stream)
      return
    }
    const ends = (flags & flag.endStream) !== 0
    if (start === end && !ends) this.#spendControl()
    stream.receiveWindow -= length
    stream.bodyBytes += end - start
    if (stream.receiveWindow < 0) this.#fault(stream, errorCode.flowControlError)
    else if (wrongLength(stream, ends)) this.#fault(stream, errorCode.protocolError)
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
    if (ends) stream.remoteClosed = true
    if (stream.localClosed) return
    if (end > start) this.#owner.data(this, stream, bytes, start, end)
    // The owner may have answered, and with that closed the stream.
    if (stream.localClosed) return
    if (ends) this.#owner.ended(this, stream)
    else this.#grantStreamBytes(stream, length)
  }

  #dataOnClosed(id: number, stream: Stream | undefined): void {
    if (stream !== undefined) this.#fault(stream, errorCode.streamClosed)
    else if (this.#isIdle(id)) throw protocolError('DATA on an idle stream')
    else if (!this.#closedStreams.wasResetByUs(id) && id <= this.#acceptedStreamMax) {
      this.#spendReset()
      this.#output.rstStream(id, errorCode.streamClosed)
    }
  }

  /** What we received is given back at once: what is kept of it has limits of its own. */
  #receiveConnectionBytes(length: number): void {
    this.#receiveWindow -= length
    if (this.#receiveWindow < 0)
      throw new ConnectionError(errorCode.flowControlError, 'DATA beyond the connection window')
    this.#receivedBytes += length
    if (this.#receivedBytes * 2 < this.#limits.connectionWindowBytes) return
    this.#output.windowUpdate(0, this.#receivedBytes)
    this.#receiveWindow += this.#receivedBytes
    this.#receivedBytes = 0
  }

  #grantStreamBytes(stream: Stream, length: number): void {
    stream.receivedBytes += length
    if (stream.receivedBytes * 2 < this.#limits.streamWindowBytes) return
    this.#output.windowUpdate(stream.id, stream.receivedBytes)
    stream.receiveWindow += stream.receivedBytes
    stream.receivedBytes = 0
  }

  #headersFrame(flags: number, id: number, bytes: Uint8Array, from: number, to: number): void {
    if (id === 0 || id % 2 === 0)
      throw protocolError('HEADERS on a stream that is not the client’s')
    let start = from
    let end = to
    let dependsOnItself = false
    if ((flags & flag.padded) !== 0) {
      if (start >= end) throw frameSizeError('HEADERS')
      end -= bytes[start++]!
    }
    if ((flags & flag.priority) !== 0) {
      if (end - start < 5) throw protocolError('HEADERS without room for its priority')
      dependsOnItself = uint31(bytes, start) === id
      start += 5
    }
    if (end < start) throw protocolError('more padding than HEADERS')
    const endStream = (flags & flag.endStream) !== 0
    if ((flags & flag.endHeaders) !== 0) {
      this.#headerBlock(id, endStream, dependsOnItself, bytes, start, end)
      return
    }
    this.#headers.begin(id, endStream, dependsOnItself)
    this.#headers.add(bytes, start, end, this.#limits)
    this.#headersSinceMillis = this.#clock.monotonicMillis()
  }

  #continuationFrame(
    flags: number,
    id: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const headers = this.#headers
    if (headers.stream === 0) throw protocolError('CONTINUATION without HEADERS')
    headers.add(bytes, start, end, this.#limits)
    if ((flags & flag.endHeaders) === 0) return
    const block = headers.bytes
    const length = headers.length
    headers.end()
    this.#headerBlock(id, headers.endStream, headers.dependsOnItself, block, 0, length)
  }

  /** Every block is decoded, whatever becomes of it: the table must stay in step. */
  #headerBlock(
    id: number,
    endStream: boolean,
    dependsOnItself: boolean,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    if (end - start > this.#limits.headerBlockBytesMax)
      throw new ConnectionError(
        errorCode.enhanceYourCalm,
        'header block too large',
        'headerBlockBytesMax',
      )
    const block = this.#decoder.decode(bytes, start, end)
    const stream = this.streams.get(id)
    if (stream !== undefined) this.#trailers(stream, endStream, block)
    else if (id > this.#lastStream) this.#newStream(id, endStream, dependsOnItself, block)
    else if (this.#closedStreams.wasResetByUs(id)) this.#spendControl()
    else if (this.#closedStreams.has(id))
      throw new ConnectionError(errorCode.streamClosed, 'HEADERS on a closed stream')
    else throw protocolError('HEADERS on a stream below the last')
  }

  #trailers(stream: Stream, endStream: boolean, block: HeaderBlock): void {
    if (stream.remoteClosed) this.#fault(stream, errorCode.streamClosed)
    else if (!endStream || block.tooLarge || checkFields(block.fields) !== '')
      this.#fault(stream, errorCode.protocolError)
    else if (wrongLength(stream, true)) this.#fault(stream, errorCode.protocolError)
    else {
      stream.remoteClosed = true
      if (!stream.localClosed) this.#owner.ended(this, stream)
    }
  }

  #newStream(id: number, endStream: boolean, dependsOnItself: boolean, block: HeaderBlock): void {
    this.#lastStream = id
    if (id > this.#acceptedStreamMax) return
    this.#controls.earn(1)
    if (this.streams.size >= this.#limits.streamsMax) {
      this.#refuse(id, errorCode.refusedStream)
      return
    }
    if (block.meaning === undefined) block.meaning = parseRequest(block.fields)
    const request = block.meaning as Request | string
    if (dependsOnItself || (typeof request === 'string' && !block.tooLarge)) {
      this.#refuse(id, errorCode.protocolError)
      return
    }
    const stream = new Stream(
      id,
      typeof request === 'string' ? noRequest : request,
      endStream,
      this.#limits.streamWindowBytes,
      this.#sender.initialWindow,
    )
    this.streams.set(id, stream)
    if (block.tooLarge) this.respond(stream, tooLargeFields, nothing)
    else if (endStream && stream.request.contentLength > 0)
      this.#fault(stream, errorCode.protocolError)
    else this.#owner.request(this, stream)
  }

  /** A stream that never was one for the owner. */
  #refuse(id: number, code: number): void {
    this.#spendReset()
    this.#output.rstStream(id, code)
    this.#closedStreams.add(id, true)
  }

  #windowUpdateFrame(id: number, bytes: Uint8Array, start: number, end: number): void {
    if (end - start !== 4) throw frameSizeError('WINDOW_UPDATE')
    const increment = uint31(bytes, start)
    this.#spendControl()
    if (id === 0) {
      if (increment === 0) throw protocolError('WINDOW_UPDATE of 0')
      this.#sender.grow(increment)
      return
    }
    const stream = this.streams.get(id)
    if (stream === undefined) {
      if (this.#isIdle(id)) throw protocolError('WINDOW_UPDATE on an idle stream')
    } else if (increment === 0) this.#fault(stream, errorCode.protocolError)
    else if (!this.#sender.growStream(stream, increment))
      this.#fault(stream, errorCode.flowControlError)
  }

  #rstStreamFrame(id: number, start: number, end: number): void {
    if (end - start !== 4) throw frameSizeError('RST_STREAM')
    if (id === 0 || this.#isIdle(id)) throw protocolError('RST_STREAM on an idle stream')
    this.#spendReset()
    const stream = this.streams.get(id)
    if (stream === undefined) return
    this.#forget(stream, false)
    this.#owner.aborted(this, stream)
  }

  #pingFrame(flags: number, id: number, bytes: Uint8Array, start: number, end: number): void {
    if (id !== 0) throw protocolError('PING on a stream')
    if (end - start !== 8) throw frameSizeError('PING')
    if ((flags & flag.ack) !== 0) {
      this.#keepalivePingMillis = -1
      if (this.#state === 'draining') this.#finalGoaway()
      return
    }
    this.#spendControl()
    if (!this.#pings.allow())
      throw new ConnectionError(errorCode.enhanceYourCalm, 'too_many_pings', 'pingStrikesMax')
    this.#output.ping(bytes.subarray(start, end), true)
  }

  #settingsFrame(flags: number, id: number, bytes: Uint8Array, start: number, end: number): void {
    if (id !== 0) throw protocolError('SETTINGS on a stream')
    const length = end - start
    if ((flags & flag.ack) !== 0) {
      if (length !== 0) throw frameSizeError('SETTINGS acknowledgement')
      this.#spendControl()
      return
    }
    if (length % 6 !== 0) throw frameSizeError('SETTINGS')
    this.#settingsSeen = true
    this.#spendControl()
    // First of all, so that no DATA by the new windows precedes it.
    this.#output.settingsAck()
    for (let at = start; at < end; at += 6)
      this.#applySetting((bytes[at]! << 8) | bytes[at + 1]!, uint32(bytes, at + 2))
  }

  #applySetting(id: number, value: number): void {
    if (id === setting.headerTableSize) this.answers.limitTable(value)
    else if (id === setting.enablePush) {
      if (value > 1) throw protocolError('SETTINGS_ENABLE_PUSH above 1')
    } else if (id === setting.initialWindowSize) {
      if (value > windowBytesMax)
        throw new ConnectionError(
          errorCode.flowControlError,
          'SETTINGS_INITIAL_WINDOW_SIZE too large',
        )
      this.#sender.changeInitialWindow(value, this.streams.values())
    } else if (id === setting.maxFrameSize) {
      if (value < 16_384 || value > 16_777_215) throw protocolError('SETTINGS_MAX_FRAME_SIZE')
    }
  }

  #priorityFrame(id: number, bytes: Uint8Array, start: number, end: number): void {
    if (id === 0) throw protocolError('PRIORITY on stream 0')
    this.#spendControl()
    const size = end - start
    if (size === 5 && uint31(bytes, start) !== id) return
    const code = size === 5 ? errorCode.protocolError : errorCode.frameSizeError
    const stream = this.streams.get(id)
    if (stream === undefined) throw new ConnectionError(code, 'malformed PRIORITY')
    this.#fault(stream, code)
  }

  #isIdle(id: number): boolean {
    return id > this.#lastStream || id % 2 === 0
  }

  /** Resets for a fault of the client count as its own resets. */
  #fault(stream: Stream, code: number): void {
    this.#spendReset()
    this.reset(stream, code)
  }

  #spendReset(): void {
    if (!this.#resets.spend())
      throw new ConnectionError(errorCode.enhanceYourCalm, 'too many resets', 'resetBurstMax')
  }

  #spendControl(): void {
    if (!this.#controls.spend())
      throw new ConnectionError(
        errorCode.enhanceYourCalm,
        'too many control frames',
        'controlBurstMax',
      )
  }

  // The end.

  /** GOAWAY, then the socket's end; what the client still sends is not looked at. */
  fail(error: ConnectionError): void {
    if (this.#state === 'closing' || this.#state === 'closed') return
    const lastStream = Math.min(this.#lastStream, this.#acceptedStreamMax)
    this.#output.goaway(lastStream, error.code, error.message)
    this.#close(error.limit)
    this.#output.flushTo(this.#write)
    this.#end()
  }

  /** Lets what runs finish. A PING later tells that the client has seen it (6.8). */
  goAway(): void {
    if (this.#state !== 'open') return
    this.#state = 'draining'
    this.#output.goaway(streamIdMax, errorCode.noError, 'shutting down')
    this.#output.ping(drainPing, false)
    this.flush()
  }

  /** Called every second or so. */
  tick(now: number): void {
    if (this.#state === 'closed') return
    if (this.#state === 'closing') {
      if (now - this.#endedMillis > lingerMillis) this.socket.destroy()
      return
    }
    if (this.#heard) {
      this.#heard = false
      this.#heardMillis = now
      this.#keepalivePingMillis = -1
    }
    if (this.#state === 'draining') this.#finalGoaway()
    if (this.#isOverdue(now)) return
    if (this.#sender.queuedBytes > 0) this.#resetStalled(now)
    this.#keepAlive(now)
    this.flush()
  }

  #isOverdue(now: number): boolean {
    const limits = this.#limits
    if (
      this.#headers.stream !== 0 &&
      now - this.#headersSinceMillis > limits.headerBlockMillisMax
    ) {
      const limit = 'headerBlockMillisMax'
      this.fail(new ConnectionError(errorCode.enhanceYourCalm, 'header block unfinished', limit))
      return true
    }
    if (!this.#sender.clogged || now - this.#cloggedSinceMillis <= limits.stallMillisMax)
      return false
    this.#break('stallMillisMax')
    return true
  }

  #resetStalled(now: number): void {
    for (const stream of this.streams.values())
      if (stream.queuedBytes > 0 && now - stream.waitingSinceMillis > this.#limits.stallMillisMax)
        this.reset(stream, errorCode.enhanceYourCalm)
  }

  #keepAlive(now: number): void {
    if (this.#keepalivePingMillis >= 0) {
      if (now - this.#keepalivePingMillis > this.#limits.keepaliveTimeoutMillis)
        this.#break('keepaliveTimeoutMillis')
    } else if (now - this.#heardMillis > this.#limits.keepaliveIdleMillis) {
      this.#keepalivePingMillis = now
      this.#output.ping(keepalivePing, false)
    }
  }

  #finalGoaway(): void {
    if (this.#finalGoawaySent()) return
    this.#acceptedStreamMax = this.#lastStream
    this.#output.goaway(this.#lastStream, errorCode.noError, 'shutting down')
  }

  #finalGoawaySent(): boolean {
    return this.#acceptedStreamMax !== streamIdMax
  }

  #end(): void {
    this.#close('')
    if (this.#state === 'closed') return
    this.#state = 'closing'
    this.#endedMillis = this.#clock.monotonicMillis()
    if (this.#paused) this.socket.resume()
    this.socket.end()
  }

  /** No more words: the client does not read. */
  #break(limit: string): void {
    this.#close(limit)
    this.#state = 'closed'
    this.#output.discard()
    this.socket.destroy()
  }

  #close(limit: string): void {
    if (this.#state === 'closing' || this.#state === 'closed') return
    this.#state = 'closing'
    for (const stream of this.streams.values()) {
      stream.localClosed = true
      this.#sender.drop(stream)
    }
    this.streams.clear()
    this.#owner.closed(this, limit)
  }
}

const nothing = new Uint8Array(0)
const tooLargeFields = [':status', '431']
const noRequest: Request = {
  method: '',
  scheme: '',
  path: '',
  authority: '',
  fields: [],
  contentLength: -1,
  meaning: undefined,
}

function wrongLength(stream: Stream, ends: boolean): boolean {
  const announced = stream.request.contentLength
  if (announced < 0) return false
  return stream.bodyBytes > announced || (ends && stream.bodyBytes !== announced)
}

function protocolError(message: string): ConnectionError {
  return new ConnectionError(errorCode.protocolError, message)
}

function frameSizeError(frame: string): ConnectionError {
  return new ConnectionError(errorCode.frameSizeError, `${frame} of a wrong size`)
}

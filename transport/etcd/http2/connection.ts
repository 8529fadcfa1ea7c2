/**
 * One HTTP/2 connection, server's side, after the client's preface: its life, and the answers on its
 * streams (RFC 9113). Frames come in by incoming.ts. It knows nothing of gRPC but how a message is
 * framed. What a peer does wrong ends in RST_STREAM or GOAWAY, never in an exception.
 */
import type { Clock, Socket } from '../../../runtime/host.ts'
import { type EtcdServerLimits, streamBytes } from '../limits.ts'
import { AnswerBlocks } from './answer-blocks.ts'
import { FrameReader } from './frame-reader.ts'
import { Guards } from './guards.ts'
import { Incoming } from './incoming.ts'
import { KeepAlive } from './keep-alive.ts'
import { Output } from './output.ts'
import { ConnectionError, errorCode, setting, streamIdMax } from './protocol.ts'
import { Sender, type SenderOwner } from './sender.ts'
import type { Stream } from './stream.ts'
import { StreamIds } from './stream-ids.ts'

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
  /** A whole call was handed over, and its answer will come whether its stream is there or not. */
  isWorkedOn(stream: Stream): boolean
  /** Over, one way or the other; before `aborted`. Not called when the whole connection goes. */
  over(connection: Connection, stream: Stream): void
  drained(connection: Connection, stream: Stream): void
  /** Some client has taken output that was held for it. */
  eased(): void
  /** Once; all streams are gone with it. `limit`: the name of the limit that was broken, or ''. */
  closed(connection: Connection, limit: string): void
}

/** What all connections of a port have open together. */
export interface PortLoad {
  streams: number
  /** Half-received messages. */
  assemblyBytes: number
  /** Output that clients have not taken. */
  heldBytes: number
  /** Others wait for the memory of what is held. */
  pressed: boolean
}

/** `draining`: GOAWAY is sent, streams may finish. `closing`: waiting for the peer to hang up. */
type State = 'open' | 'draining' | 'closing' | 'closed'

const lingerMillis = 2000
/** What a client takes at least, in `stallPressedMillisMax`, to be one that takes its answers. */
const progressBytesMin = 16 * 1024
/** Ticks come every second or so: a stream of two has lived one at least. */
const livedTicks = 2
const drainPing = Buffer.from('draining')

export class Connection implements SenderOwner {
  readonly number: number
  readonly socket: Socket
  readonly streams = new Map<number, Stream>()
  /** Calls that the client has reset and that the owner still works on, by stream. */
  readonly abandoned = new Set<number>()
  /** It is in the server's list of connections to flush. */
  dirty = false
  /** Memory for half-received messages. */
  assemblyBytes = 0
  /** The owner's: whether the gateway knows of it. */
  known = false

  // For the parts of the connection.
  readonly clock: Clock
  readonly limits: EtcdServerLimits
  readonly owner: StreamOwner
  readonly ids = new StreamIds()
  readonly answers = new AnswerBlocks()
  readonly output = new Output()
  readonly guards: Guards
  readonly sender: Sender

  readonly #reader = new FrameReader()
  readonly #incoming: Incoming
  readonly #keepAlive: KeepAlive
  readonly #write: (bytes: Uint8Array) => void
  readonly #load: PortLoad
  readonly #startMillis: number
  #tick = 0
  #state: State = 'open'
  /** Not read: its client does not take our answers; we have too much of it already. */
  #paused = false
  #stopped = false
  #heldBytes = 0
  /** What the client has taken, when it last took any of it, and when it last took much. */
  #takenBytes = 0
  #progressMillis: number
  #muchBytes = 0
  #muchMillis: number
  #endedMillis = 0

  constructor(
    number: number,
    socket: Socket,
    clock: Clock,
    limits: EtcdServerLimits,
    owner: StreamOwner,
    load: PortLoad,
    onSent: (bytes: number) => void,
  ) {
    this.number = number
    this.socket = socket
    this.clock = clock
    this.limits = limits
    this.owner = owner
    this.#load = load
    this.guards = new Guards(clock, limits)
    this.sender = new Sender(this.output, this, limits)
    this.#incoming = new Incoming(this)
    this.#startMillis = clock.monotonicMillis()
    this.#progressMillis = this.#startMillis
    this.#muchMillis = this.#startMillis
    this.#keepAlive = new KeepAlive(limits, this.#startMillis)
    this.#write = bytes => {
      onSent(bytes.length)
      socket.write(bytes)
    }
  }

  get isServing(): boolean {
    return this.#state === 'open' || this.#state === 'draining'
  }

  /** Our half of the preface. */
  start(): void {
    const limits = this.limits
    this.output.settings([
      [setting.headerTableSize, limits.headerTableBytesMax],
      // A client waits without a word for what is beyond it: without a number there is no such wait.
      ...(limits.streamsMax === 0
        ? []
        : [[setting.maxConcurrentStreams, limits.streamsMax] as const]),
      [setting.initialWindowSize, limits.streamWindowBytes],
      [setting.maxHeaderListSize, limits.headerListBytesMax],
    ])
    this.#incoming.data.openWindow()
  }

  receive(chunk: Uint8Array): void {
    if (!this.isServing) return
    this.#keepAlive.heard()
    try {
      this.#reader.read(chunk, this.#incoming)
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error
      this.fail(error)
    }
    this.flush()
  }

  get hasRoomForStream(): boolean {
    const { streamsMax, connectionsMax, connectionStreamBytesMax, streamBytesMax } = this.limits
    const own = this.streams.size + 1
    if (streamsMax > 0 && own > streamsMax) return false
    if (own * streamBytes > connectionStreamBytesMax) return false
    // Whatever others have open, each may have what is left for it where all have the same.
    return !this.#streamsFull || own * streamBytes * connectionsMax <= streamBytesMax
  }

  get #streamsFull(): boolean {
    return (this.#load.streams + 1) * streamBytes > this.limits.streamBytesMax
  }

  /** The owner's half-received messages hold so much more. */
  assemble(bytes: number): void {
    if (!this.isServing) return
    this.assemblyBytes += bytes
    this.#load.assemblyBytes += bytes
  }

  opened(stream: Stream): void {
    stream.openedTick = this.#tick
    this.streams.set(stream.id, stream)
    this.#load.streams += 1
  }

  // Answers. The stream must be one of `streams`; `flush` follows at the end of the round.

  /** A complete gRPC answer. */
  replyMessage(stream: Stream, body: Uint8Array): void {
    if (stream.headersSent || !this.sender.admit(stream, body.length + 5)) {
      this.sendMessage(stream, body)
      this.end(stream, this.answers.okTrailers)
      return
    }
    this.output.headers(stream.id, this.answers.headers(), false)
    this.output.grpcMessage(stream.id, body)
    stream.headersSent = true
    stream.localClosed = true
    stream.trailers = this.answers.okTrailers
    this.queueEnded(stream)
  }

  /** One gRPC message of a stream. */
  sendMessage(stream: Stream, body: Uint8Array): void {
    this.sendHeaders(stream)
    if (this.sender.admit(stream, body.length + 5)) {
      this.output.grpcMessage(stream.id, body)
      this.guards.answered()
      return
    }
    this.sender.enqueueMessage(stream, body)
    this.sender.pump()
  }

  /** The response headers of gRPC, unless they were sent. */
  sendHeaders(stream: Stream): void {
    if (stream.headersSent) return
    stream.headersSent = true
    this.output.headers(stream.id, this.answers.headers(), false)
    this.guards.answered()
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
    this.output.headers(stream.id, this.answers.encode(fields), body.length === 0)
    this.guards.answered()
    if (body.length === 0) this.#finished(stream)
    else {
      this.sender.enqueue(stream, body)
      this.sender.pump()
    }
  }

  /** Ends a stream for what its client did, or does not do. */
  reset(stream: Stream, code: number): void {
    this.output.rstStream(stream.id, code)
    this.#forget(stream, true)
    this.owner.aborted(this, stream)
  }

  /** A reset for a fault of the client counts as one of its own. */
  fault(stream: Stream, code: number): void {
    this.guards.reset()
    this.reset(stream, code)
  }

  /**
   * The client has reset it. That costs it nothing where it was served, or has waited for a while;
   * what is still worked on counts until it is answered. The rest is what attacks are made of.
   */
  aborted(stream: Stream): void {
    if (this.owner.isWorkedOn(stream)) {
      this.abandoned.add(stream.id)
      this.guards.abandoned(this.abandoned.size)
    } else if (!stream.headersSent && this.#tick - stream.openedTick < livedTicks)
      this.guards.reset()
    this.#forget(stream, false)
    this.owner.aborted(this, stream)
  }

  queueEnded(stream: Stream): void {
    if (stream.trailers !== null) {
      const block = this.answers.trailers(stream.trailers, stream.headersSent)
      this.output.headers(stream.id, block, true)
    }
    this.guards.answered()
    this.#finished(stream)
  }

  frameSent(): void {
    this.guards.answered()
  }

  queueShort(stream: Stream): void {
    this.owner.drained(this, stream)
  }

  /** Our END_STREAM is written. A client that has not ended its side is told to stop (8.1). */
  #finished(stream: Stream): void {
    if (!stream.remoteClosed) this.output.rstStream(stream.id, errorCode.noError)
    this.#forget(stream, !stream.remoteClosed)
  }

  #forget(stream: Stream, resetByUs: boolean): void {
    stream.localClosed = true
    if (stream.queuedBytes > 0) this.sender.drop(stream)
    if (this.streams.delete(stream.id)) this.#load.streams -= 1
    this.ids.close(stream.id, resetByUs)
    this.owner.over(this, stream)
  }

  // The socket.

  flush(): void {
    if (this.#state === 'closed') return
    while (this.output.length > 0) {
      this.output.flushTo(this.#write)
      this.#checkSocket()
      // Output that is full holds streams back, too.
      this.sender.pump()
    }
    this.#account()
    if (this.#state === 'draining' && this.streams.size === 0 && this.ids.finished) this.#end()
  }

  /** Who does not take our answers is not asked for more to answer. */
  #checkSocket(): void {
    const held = this.socket.bufferedBytes
    if (held > this.limits.socketBufferedBytesMax) this.#break('socketBufferedBytesMax')
    if (held < this.limits.socketBufferedBytesHigh || this.sender.clogged) return
    this.sender.clogged = true
    if (!this.isServing) return
    this.#paused = true
    this.socket.pause()
  }

  /** Output that the client has not taken. */
  get heldBytes(): number {
    return this.sender.queuedBytes + this.output.length + this.socket.bufferedBytes
  }

  /** Nothing more is wanted of it for a while but what its window allows, or nothing at all. */
  hold(held: 'no' | 'window' | 'socket'): void {
    if (!this.isServing) return
    this.#incoming.data.hold(held !== 'no')
    const isStopped = held === 'socket'
    if (isStopped === this.#stopped) return
    this.#stopped = isStopped
    if (isStopped) this.socket.pause()
    else if (!this.#paused) this.socket.resume()
  }

  #account(): void {
    const heldBytes = this.#state === 'closed' ? 0 : this.heldBytes
    this.#load.heldBytes += heldBytes - this.#heldBytes
    if (heldBytes < this.#heldBytes) this.owner.eased()
    this.#heldBytes = heldBytes
  }

  /** The socket has taken all that it held. */
  drained(): void {
    this.sender.clogged = false
    this.sender.pump()
    this.flush()
    if (!this.#paused || this.sender.clogged) return
    this.#paused = false
    if (!this.#stopped) this.socket.resume()
  }

  // The end.

  /** GOAWAY, then the socket's end; what the client still sends is not looked at. */
  fail(error: ConnectionError): void {
    if (!this.isServing) return
    this.output.goaway(this.ids.lastAccepted, error.code, error.message)
    this.#close(error.limit)
    this.output.flushTo(this.#write)
    this.#end()
  }

  /** Lets what runs finish. The answer to a PING tells that the client has seen it (6.8). */
  goAway(): void {
    if (this.#state !== 'open') return
    this.#state = 'draining'
    this.output.goaway(streamIdMax, errorCode.noError, 'shutting down')
    this.output.ping(drainPing, false)
    this.flush()
  }

  pingAnswered(): void {
    if (this.#state === 'draining') this.#finalGoaway()
  }

  /** Called every second or so. */
  tick(now: number): void {
    this.#tick += 1
    if (this.#state === 'closing' && now - this.#endedMillis > lingerMillis) this.socket.destroy()
    if (!this.isServing) return
    if (this.#state === 'draining') this.#finalGoaway()
    const limits = this.limits
    const { openStream, openSinceMillis } = this.#incoming.headers
    if (openStream !== 0 && now - openSinceMillis > limits.headerBlockMillisMax)
      this.#tooSlow('header block unfinished', 'headerBlockMillisMax')
    else if (!this.#incoming.settingsSeen && now - this.#startMillis > limits.prefaceMillisMax)
      this.#tooSlow('no SETTINGS', 'prefaceMillisMax')
    else if (this.#isStalled(now)) this.#break('stallMillisMax')
    else if (this.#keepAlive.tick(now, this.output) === 'lost')
      this.#break('keepaliveTimeoutMillis')
    else this.flush()
  }

  /** Taking nothing for long, or next to nothing while others wait for the memory. */
  #isStalled(now: number): boolean {
    const takenBytes = this.sender.sentBytes - this.socket.bufferedBytes
    const isWaiting = this.sender.queuedBytes > 0 || this.socket.bufferedBytes > 0
    if (!isWaiting || takenBytes > this.#takenBytes) this.#progressMillis = now
    this.#takenBytes = takenBytes
    if (!isWaiting || takenBytes >= this.#muchBytes + progressBytesMin) {
      this.#muchBytes = takenBytes
      this.#muchMillis = now
    }
    const { stallMillisMax, stallPressedMillisMax } = this.limits
    if (now - this.#progressMillis > stallMillisMax) return true
    const othersWait = this.#load.pressed || this.#streamsFull
    return othersWait && now - this.#muchMillis > stallPressedMillisMax
  }

  #tooSlow(message: string, limit: string): void {
    this.fail(new ConnectionError(errorCode.enhanceYourCalm, message, limit))
  }

  /** The socket is gone. */
  lost(): void {
    this.#close('')
    this.#state = 'closed'
    this.output.discard()
    this.#account()
  }

  #finalGoaway(): void {
    if (this.ids.finished) return
    this.ids.finish()
    this.output.goaway(this.ids.lastAccepted, errorCode.noError, 'shutting down')
  }

  #end(): void {
    this.#close('')
    if (this.#state === 'closed') return
    this.#endedMillis = this.clock.monotonicMillis()
    if (this.#paused || this.#stopped) this.socket.resume()
    this.socket.end()
  }

  /** No more words: the client does not read. */
  #break(limit: string): void {
    this.#close(limit)
    this.#state = 'closed'
    this.output.discard()
    this.#account()
    this.socket.destroy()
  }

  #close(limit: string): void {
    if (!this.isServing) return
    this.#state = 'closing'
    for (const stream of this.streams.values()) {
      stream.localClosed = true
      this.sender.drop(stream)
    }
    this.#load.streams -= this.streams.size
    this.#load.assemblyBytes -= this.assemblyBytes
    this.assemblyBytes = 0
    this.streams.clear()
    this.owner.closed(this, limit)
  }
}

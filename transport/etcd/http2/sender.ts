/**
 * Output of a connection's streams under flow control: what fits goes straight into the output,
 * the rest waits at its stream and leaves in turns of one frame, as windows and socket allow.
 */
import { messagePrefixBytes } from '../grpc.ts'
import type { EtcdServerLimits } from '../limits.ts'
import type { Output } from './output.ts'
import {
  ConnectionError,
  errorCode,
  flag,
  framePayloadBytesMax,
  frameType,
  initialWindowBytes,
  windowBytesMax,
} from './protocol.ts'
import type { Stream } from './stream.ts'

export interface SenderOwner {
  /** The queue is empty and the stream's end was asked for: write it. */
  queueEnded(stream: Stream): void
  /** A DATA frame was laid out. */
  frameSent(): void
  /** The queue of a stream that `wantsDrained` is short again. */
  queueShort(stream: Stream): void
}

/** What a piece costs beside its bytes. */
const pieceBytes = 256
/** A longer body is worth a piece of its own beside its prefix. */
const ownMemoryBytesMin = 64 * 1024

export class Sender {
  /** Bytes held back at all streams, counted as the memory that they pin. */
  queuedBytes = 0
  /** Bytes of streams laid out so far. */
  sentBytes = 0
  /** The socket holds too much: nothing but control frames is to be written. */
  clogged = false
  /** Starting window of new streams (SETTINGS_INITIAL_WINDOW_SIZE of the client). */
  initialWindow = initialWindowBytes
  window = initialWindowBytes
  readonly #output: Output
  readonly #owner: SenderOwner
  readonly #limits: EtcdServerLimits
  /** Streams with output, whose own window is open, in the order of their turns. */
  readonly #ready: Stream[] = []

  constructor(output: Output, owner: SenderOwner, limits: EtcdServerLimits) {
    this.#output = output
    this.#owner = owner
    this.#limits = limits
  }

  /** Whether a DATA frame of that size may leave at once; if so it is accounted for. */
  admit(stream: Stream, bytes: number): boolean {
    if (
      stream.queuedBytes > 0 ||
      bytes > framePayloadBytesMax ||
      bytes > this.window ||
      bytes > stream.sendWindow ||
      this.#full()
    )
      return false
    this.window -= bytes
    stream.sendWindow -= bytes
    return true
  }

  enqueue(stream: Stream, piece: Uint8Array): void {
    if (piece.length === 0) return
    stream.queue.push(pinsMore(piece) ? new Uint8Array(piece) : piece)
    stream.queuedBytes += piece.length
    this.queuedBytes += piece.length + pieceBytes
    this.#schedule(stream)
  }

  /** A gRPC message. */
  enqueueMessage(stream: Stream, body: Uint8Array): void {
    const isSmall = body.length < ownMemoryBytesMin
    const first = new Uint8Array(isSmall ? messagePrefixBytes + body.length : messagePrefixBytes)
    new DataView(first.buffer).setUint32(1, body.length)
    if (isSmall) first.set(body, messagePrefixBytes)
    this.enqueue(stream, first)
    if (!isSmall) this.enqueue(stream, body)
  }

  /** Writes as much as may be written now. */
  pump(): void {
    while (this.#ready.length > 0 && this.window > 0 && !this.#full()) {
      const stream = this.#ready.shift()!
      stream.scheduled = false
      if (stream.queuedBytes === 0) continue
      this.#frame(stream)
      this.#schedule(stream)
    }
  }

  grow(increment: number): void {
    this.window += increment
    if (this.window > windowBytesMax)
      throw new ConnectionError(errorCode.flowControlError, 'connection window above 2^31-1')
    this.pump()
  }

  /** False: the window would pass 2^31-1. */
  growStream(stream: Stream, increment: number): boolean {
    if (stream.sendWindow + increment > windowBytesMax) return false
    stream.sendWindow += increment
    this.#schedule(stream)
    this.pump()
    return true
  }

  /** The client's SETTINGS_INITIAL_WINDOW_SIZE moves the windows of open streams too (6.9.2). */
  changeInitialWindow(bytes: number, streams: Iterable<Stream>): void {
    const change = bytes - this.initialWindow
    this.initialWindow = bytes
    for (const stream of streams) {
      stream.sendWindow += change
      if (stream.sendWindow > windowBytesMax)
        throw new ConnectionError(errorCode.flowControlError, 'stream window above 2^31-1')
      this.#schedule(stream)
    }
    this.pump()
  }

  /** Forgets what a stream still had to send. */
  drop(stream: Stream): void {
    this.queuedBytes -= stream.queuedBytes + stream.queue.length * pieceBytes
    stream.queuedBytes = 0
    stream.queue = []
    stream.queueOffset = 0
  }

  #full(): boolean {
    return this.clogged || this.#output.length >= this.#limits.socketBufferedBytesHigh
  }

  #schedule(stream: Stream): void {
    if (stream.scheduled || stream.queuedBytes === 0 || stream.sendWindow <= 0) return
    stream.scheduled = true
    this.#ready.push(stream)
  }

  #frame(stream: Stream): void {
    const length = Math.min(
      stream.queuedBytes,
      framePayloadBytesMax,
      this.window,
      stream.sendWindow,
    )
    if (length <= 0) return
    const ends = length === stream.queuedBytes && stream.localClosed && stream.trailers === null
    this.#output.header(length, frameType.data, ends ? flag.endStream : 0, stream.id)
    this.#takePieces(stream, length)
    this.window -= length
    stream.sendWindow -= length
    stream.queuedBytes -= length
    this.queuedBytes -= length
    this.sentBytes += length
    this.#owner.frameSent()
    if (stream.queuedBytes === 0 && stream.localClosed) this.#owner.queueEnded(stream)
    else if (stream.wantsDrained && stream.queuedBytes <= this.#limits.streamBufferedBytesLow) {
      stream.wantsDrained = false
      this.#owner.queueShort(stream)
    }
  }

  #takePieces(stream: Stream, length: number): void {
    let taken = 0
    let pieces = 0
    while (taken < length) {
      const piece = stream.queue[pieces]!
      const rest = piece.length - stream.queueOffset
      const part = Math.min(rest, length - taken)
      this.#output.bytes(piece.subarray(stream.queueOffset, stream.queueOffset + part))
      taken += part
      if (part === rest) {
        pieces++
        stream.queueOffset = 0
      } else stream.queueOffset += part
    }
    if (pieces === 0) return
    stream.queue.splice(0, pieces)
    this.queuedBytes -= pieces * pieceBytes
  }
}

/** Whether it keeps much more memory alive than its own: a slab of many answers. */
function pinsMore(piece: Uint8Array): boolean {
  return piece.buffer.byteLength > 2 * piece.length + pieceBytes
}

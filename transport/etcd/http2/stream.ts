/** One request and its answer: RFC 9113's states from open on, both windows, and output held back. */
import type { Request } from './request.ts'

export class Stream {
  readonly id: number
  readonly request: Request
  /** The client has sent END_STREAM. */
  remoteClosed: boolean
  /** We have sent, or queued, END_STREAM. */
  localClosed = false
  headersSent = false
  /** The connection's tick in which it was opened. */
  openedTick = 0
  /** The owner's state of this request. */
  user: unknown = undefined

  /** Bytes that the client may still send, and those received since the last WINDOW_UPDATE. */
  receiveWindow: number
  receivedBytes = 0
  bodyBytes = 0

  sendWindow: number
  /** Output that flow control or the socket holds back; `queueOffset` into its first piece. */
  queue: Uint8Array[] = []
  queueOffset = 0
  queuedBytes = 0
  /** Fields that follow the queue; none: END_STREAM is on its last DATA frame. */
  trailers: readonly string[] | null = null
  /** It is in the connection's list of streams that may send. */
  scheduled = false
  /** The owner was told to wait, and wants to hear when the queue is short again. */
  wantsDrained = false

  constructor(
    id: number,
    request: Request,
    remoteClosed: boolean,
    receiveWindow: number,
    sendWindow: number,
  ) {
    this.id = id
    this.request = request
    this.remoteClosed = remoteClosed
    this.receiveWindow = receiveWindow
    this.sendWindow = sendWindow
  }
}

/**
 * What the etcd port gives to the gateway and takes from it. A call is named by two numbers, its
 * connection and its HTTP/2 stream, which travel as `connection` and `tag` through the actors.
 * All callbacks are synchronous, out of a socket's data callback: only note things down in them.
 */
import type { Host, ListenOptions } from '../../runtime/host.ts'
import type { EtcdServerLimits } from './limits.ts'

export interface EtcdServerOptions {
  readonly host: Pick<Host, 'clock' | 'timers' | 'network'>
  /** TLS: set `tls.protocols` to `['h2', 'http/1.1']`. */
  readonly listen: ListenOptions
  /** Calls of any other path are answered Unimplemented here. */
  readonly methods: readonly Method[]
  readonly limits?: Partial<EtcdServerLimits>
  readonly handler: EtcdHandler
  /** Connections are numbered from here; default 1. */
  readonly firstConnection?: number
  onListening(error?: Error): void
  /** A call has been answered, or ended otherwise by the handler. */
  readonly onHandled?: (method: Method, millis: number) => void
  /** Changed certificate files are in use, or why they are not. */
  readonly onCertificates?: (error?: Error) => void
  /** A caller did not get through the TLS handshake. */
  readonly onHandshakeFailed?: (address: string, error: Error) => void
}

export interface Method {
  /** For instance `/etcdserverpb.KV/Put`. */
  readonly path: string
  /** The gateway's own number for it, handed back with each call. */
  readonly id: number
  /** `one`: the client sends a single message (unary and server-streaming); `many`: a stream. */
  readonly requests: 'one' | 'many'
}

/** Messages given out are the receiver's, but share a slab: copy what is kept beyond the answer. */
export interface EtcdHandler {
  /** A method with `requests: 'one'`, complete with its message. */
  call(connection: number, stream: number, head: CallHead, message: Uint8Array): void
  /** A method with `requests: 'many'` begins; `message` follows for each of its messages. */
  opened(connection: number, stream: number, head: CallHead): void
  message(connection: number, stream: number, message: Uint8Array): void
  /** The client will send no more on this stream; it still listens. */
  halfClosed(connection: number, stream: number): void
  /** The client gave up, or broke a limit: whatever is sent on the stream now goes nowhere. */
  cancelled(connection: number, stream: number): void
  /** Held output was taken by its client; comes once for each time that `easedWanted` was set. */
  eased(): void
  /** A stream on which `send` returned more than `streamBufferedBytesLow` is below that mark again. */
  drained(connection: number, stream: number): void
  /** Stands for `cancelled` of each of its calls, too. Comes only for connections that made a call. */
  connectionClosed(connection: number): void
  /** A request that is not gRPC, over HTTP/1.1 or HTTP/2: answer it once, now or later. */
  http(request: HttpRequest, answer: (response: HttpResponse) => void): void
}

/**
 * Headers of a call. One object may serve many calls (clients repeat their headers), so it is
 * never changed. Text fields are '' when absent.
 */
export interface CallHead {
  readonly method: Method
  readonly authority: string
  /** `token`, else `authorization` without its `Bearer ` prefix. */
  readonly token: string
  readonly hasLeader: boolean
  readonly clientApiVersion: string
  /** The call came through etcd's JSON gateway. */
  readonly fromJsonGateway: boolean
  /** From `grpc-timeout`, rounded up; 0: none. */
  readonly timeoutMillis: number
  readonly traceparent: string
  readonly tracestate: string
}

export interface HttpRequest {
  readonly method: string
  /** Without the query. */
  readonly path: string
  /** What follows `?`, or ''. */
  readonly query: string
  /** Lower-case names. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: Uint8Array
}

export interface HttpResponse {
  readonly status: number
  /** '': none. */
  readonly contentType: string
  readonly body: Uint8Array | string
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * Answers gather in each connection's buffer until `flush`, which writes once per connection.
 * Those to a call or connection that is gone do nothing. Bodies are copied before the call returns,
 * or kept as they are when flow control holds them back: do not change them afterwards.
 */
export interface EtcdServer {
  readonly port: number
  /** Headers, one message, trailers with status 0: the whole answer of a unary call. */
  reply(connection: number, stream: number, body: Uint8Array): void
  /** Ends a call with an error; trailers only if nothing was sent before. */
  fail(connection: number, stream: number, status: number, message: string): void
  /** Response headers alone, for a stream that has no message yet. `send` does it by itself. */
  open(connection: number, stream: number): void
  /**
   * One message on a stream. Returns how many bytes of the stream wait for the client; above
   * `streamBufferedBytesLow` stop and await `drained`. Nothing is refused here: what may be held in
   * all is the gateway's to decide before it makes an answer (`heldBytes`).
   */
  send(connection: number, stream: number, body: Uint8Array): number
  /** Ends a stream with status 0 after all that was sent. */
  finish(connection: number, stream: number): void
  /** Bytes sent on this stream that the client's flow control or socket holds back. */
  bufferedBytes(connection: number, stream: number): number
  /** Output of one connection, and of all, that is held in memory for clients who have not taken it. */
  heldBytes(connection: number): number
  readonly heldBytesOfAll: number
  /** Set it to be told (`EtcdHandler.eased`) when some of that is taken. */
  easedWanted: boolean
  /** While true, clients that take next to nothing lose their connections within seconds. */
  pressed: boolean
  /**
   * `window`: the client can send only what its window still allows (connectionWindowBytes);
   * `socket`: nothing of it is read.
   */
  hold(connection: number, held: 'no' | 'window' | 'socket'): void
  /** One socket write for each connection that has output. Call it at the end of a round. */
  flush(): void
  /** Who stands at the other end; nothing where it is gone. */
  remoteOf(connection: number): Client | undefined
  status(): EtcdServerStatus
  /** Calls that have ended so far, by method and status; those that never did are left out. */
  handled(): HandledCalls[]
  /**
   * Takes no new connections, tells clients to go away, lets calls finish for at most `graceMillis`,
   * then closes the rest; `done` comes once.
   */
  close(graceMillis: number, done: () => void): void
}

export interface Client {
  readonly address: string
  readonly port: number
}

export interface HandledCalls {
  readonly method: Method
  readonly status: number
  readonly count: number
}

export interface EtcdServerStatus {
  readonly connections: number
  readonly streams: number
  /** Output in memory that clients have not taken. */
  readonly heldBytes: number
  readonly receivedBytes: number
  readonly sentBytes: number
  /** Connections closed for breaking a limit, by the limit's name. */
  readonly refusals: Readonly<Record<string, number>>
}

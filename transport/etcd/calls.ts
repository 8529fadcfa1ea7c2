/** gRPC calls, and plain requests, on the streams of HTTP/2 connections: from bytes to the handler's callbacks. */
import { gunzipSync } from 'node:zlib'
import type { Clock } from '../../runtime/host.ts'
import type { EtcdHandler, HttpResponse, Method } from './api.ts'
import { type Route, routeOf } from './call-head.ts'
import { encodeStatusMessage, grpcStatus } from './grpc.ts'
import type { Connection, StreamOwner } from './http2/connection.ts'
import { errorCode } from './http2/protocol.ts'
import type { Stream } from './http2/stream.ts'
import type { EtcdServerLimits } from './limits.ts'
import { MessageAssembly } from './message-assembly.ts'

/** Longer texts are cut: with three bytes for a byte they still fit one frame. */
const statusMessageLengthMax = 4096

const noBody: Uint8Array[] = []

/** Kept at the stream. */
class Call {
  readonly route: Route
  readonly assembly: MessageAssembly
  /** The one message of a method that takes one. */
  message: Uint8Array | null = null
  /** The handler knows of it. */
  handed = false
  /** Monotonic. */
  readonly startedMillis: number
  /** The body of a plain request. */
  body: Uint8Array[] = noBody
  /** Memory that its unfinished message or its body takes, as counted at the connection. */
  heldBytes = 0

  constructor(route: Route, startedMillis: number) {
    this.route = route
    this.startedMillis = startedMillis
    this.assembly = new MessageAssembly(route.kind === 'call' && route.isGzip)
  }
}

export class Calls implements StreamOwner {
  readonly #methods: ReadonlyMap<string, Method>
  readonly #handler: EtcdHandler
  readonly #limits: EtcdServerLimits
  readonly #clock: Pick<Clock, 'monotonicMillis'>
  readonly #closed: (connection: Connection, limit: string) => void
  readonly #eased: () => void
  readonly #assembling: () => void

  constructor(
    methods: ReadonlyMap<string, Method>,
    handler: EtcdHandler,
    limits: EtcdServerLimits,
    clock: Pick<Clock, 'monotonicMillis'>,
    closed: (connection: Connection, limit: string) => void,
    eased: () => void,
    assembling: () => void,
  ) {
    this.#methods = methods
    this.#handler = handler
    this.#limits = limits
    this.#clock = clock
    this.#closed = closed
    this.#eased = eased
    this.#assembling = assembling
  }

  request(connection: Connection, stream: Stream): void {
    const request = stream.request
    if (request.meaning === undefined) request.meaning = routeOf(request, this.#methods)
    const route = request.meaning as Route
    const call = new Call(route, this.#clock.monotonicMillis())
    stream.user = call
    if (route.kind === 'refused') {
      failCall(connection, stream, route.status, route.message)
      return
    }
    if (route.kind === 'call' && route.head.method.requests === 'many') {
      call.handed = true
      connection.known = true
      this.#handler.opened(connection.number, stream.id, route.head)
    }
    if (stream.remoteClosed && !stream.localClosed) this.ended(connection, stream)
  }

  data(
    connection: Connection,
    stream: Stream,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const call = stream.user as Call
    if (call.route.kind === 'http') {
      this.#keepBody(connection, stream, call, bytes, start, end)
      return
    }
    const assembly = call.assembly
    for (let at = start; at < end && !stream.localClosed; at = assembly.at) {
      const step = assembly.step(bytes, at, end, this.#limits.messageBytesMax)
      if (step === 'complete') this.#assembled(connection, stream, call)
      else if (step !== 'needMore') this.#refuseMessage(connection, stream, step, assembly)
    }
    if (stream.localClosed) return
    this.#hold(connection, stream, call, assembly.heldBytes)
  }

  /** Clients send a single message again; a stream of messages ends as Unavailable, and is opened again. */
  refuseHalfReceived(connection: Connection): void {
    for (const stream of [...connection.streams.values()]) {
      if ((stream.user as Call).heldBytes > 0) connection.reset(stream, errorCode.refusedStream)
    }
    connection.flush()
  }

  #hold(connection: Connection, stream: Stream, call: Call, bytes: number): void {
    const isMore = bytes > call.heldBytes
    hold(connection, call, bytes)
    if (connection.assemblyBytes > this.#limits.assemblyBytesMax)
      connection.reset(stream, errorCode.refusedStream)
    else if (isMore) this.#assembling()
  }

  ended(connection: Connection, stream: Stream): void {
    const call = stream.user as Call
    const route = call.route
    if (route.kind === 'http') this.#serveHttp(connection, stream, call)
    else if (route.kind === 'refused') return
    else if (!call.assembly.empty)
      failCall(connection, stream, grpcStatus.internal, 'the body ends inside a message')
    else if (route.head.method.requests === 'many')
      this.#handler.halfClosed(connection.number, stream.id)
    else if (call.message === null)
      failCall(connection, stream, grpcStatus.internal, 'the request has no message')
    else {
      const message = call.message
      call.message = null
      call.handed = true
      connection.known = true
      this.#handler.call(connection.number, stream.id, route.head, message)
    }
  }

  aborted(connection: Connection, stream: Stream): void {
    const call = stream.user as Call | undefined
    if (call?.handed) this.#handler.cancelled(connection.number, stream.id)
  }

  isWorkedOn(stream: Stream): boolean {
    const { handed, route } = stream.user as Call
    return handed && route.kind === 'call' && route.head.method.requests === 'one'
  }

  over(connection: Connection, stream: Stream): void {
    const call = stream.user as Call | undefined
    if (call !== undefined) release(connection, call)
  }

  drained(connection: Connection, stream: Stream): void {
    this.#handler.drained(connection.number, stream.id)
  }

  eased(): void {
    this.#eased()
  }

  closed(connection: Connection, limit: string): void {
    this.#closed(connection, limit)
    if (connection.known) this.#handler.connectionClosed(connection.number)
  }

  #assembled(connection: Connection, stream: Stream, call: Call): void {
    const { message, isCompressed } = call.assembly
    if (!isCompressed) return this.#message(connection, stream, call, message)
    const { messageBytesMax } = this.#limits
    try {
      const plain = gunzipSync(message, { maxOutputLength: messageBytesMax })
      this.#message(connection, stream, call, new Uint8Array(plain))
    } catch (error) {
      const { code, message: reason } = error as NodeJS.ErrnoException
      if (code === 'ERR_BUFFER_TOO_LARGE') {
        const text = `grpc: received message after decompression larger than max ${messageBytesMax}`
        this.#refuse(connection, stream, grpcStatus.resourceExhausted, text)
      } else {
        const text = `grpc: failed to decompress the received message: ${reason}`
        this.#refuse(connection, stream, grpcStatus.internal, text)
      }
    }
  }

  #message(connection: Connection, stream: Stream, call: Call, message: Uint8Array): void {
    if (call.route.kind !== 'call') return
    if (call.route.head.method.requests === 'many')
      this.#handler.message(connection.number, stream.id, message)
    else if (call.message === null) call.message = message
    else failCall(connection, stream, grpcStatus.internal, 'the request has more than one message')
  }

  #refuseMessage(
    connection: Connection,
    stream: Stream,
    step: 'notCompressible' | 'tooLarge',
    assembly: MessageAssembly,
  ): void {
    if (step === 'notCompressible') {
      const text = 'grpc: compressed flag set with identity or empty encoding'
      this.#refuse(connection, stream, grpcStatus.internal, text)
    } else {
      const text = `grpc: received message larger than max (${assembly.announcedBytes} vs. ${this.#limits.messageBytesMax})`
      this.#refuse(connection, stream, grpcStatus.resourceExhausted, text)
    }
  }

  #refuse(connection: Connection, stream: Stream, status: number, text: string): void {
    failCall(connection, stream, status, text)
    if ((stream.user as Call).handed) this.#handler.cancelled(connection.number, stream.id)
  }

  #keepBody(
    connection: Connection,
    stream: Stream,
    call: Call,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const heldBytes = call.heldBytes + end - start
    if (heldBytes > this.#limits.messageBytesMax) {
      connection.respond(stream, [':status', '413'], new Uint8Array(0))
      return
    }
    if (call.body === noBody) call.body = []
    call.body.push(new Uint8Array(bytes.subarray(start, end)))
    this.#hold(connection, stream, call, heldBytes)
  }

  #serveHttp(connection: Connection, stream: Stream, call: Call): void {
    const { method, path, fields } = stream.request
    const mark = path.indexOf('?')
    const headers = new Map<string, string>()
    for (let at = 0; at < fields.length; at += 2) headers.set(fields[at]!, fields[at + 1]!)
    if (!headers.has('host')) headers.set('host', stream.request.authority)
    const body = Buffer.concat(call.body)
    release(connection, call)
    const request = {
      method,
      path: mark < 0 ? path : path.slice(0, mark),
      query: mark < 0 ? '' : path.slice(mark + 1),
      headers,
      body,
    }
    // Whoever takes no answers gets no more of those that nobody asks the gateway's budget for.
    if (connection.heldBytes > this.#limits.socketBufferedBytesHigh) {
      connection.respond(stream, [':status', '503'], new Uint8Array(0))
      return
    }
    this.#handler.http(request, response => {
      if (stream.localClosed) return
      answerHttp(connection, stream, response, method === 'HEAD')
    })
  }
}

/** Undefined for what is not a call of a known method. */
export function methodOf(stream: Stream): Method | undefined {
  const route = (stream.user as Call | undefined)?.route
  return route?.kind === 'call' ? route.head.method : undefined
}

/** Of a stream that is a call. */
export function startedMillisOf(stream: Stream): number {
  return (stream.user as Call).startedMillis
}

/** Ends a call with an error. */
export function failCall(
  connection: Connection,
  stream: Stream,
  status: number,
  message: string,
): void {
  const text = encodeStatusMessage(message.slice(0, statusMessageLengthMax))
  connection.end(stream, ['grpc-status', String(status), 'grpc-message', text])
}

function answerHttp(
  connection: Connection,
  stream: Stream,
  response: HttpResponse,
  headOnly: boolean,
): void {
  const body = typeof response.body === 'string' ? Buffer.from(response.body) : response.body
  const fields = [':status', String(response.status)]
  if (response.contentType !== '') fields.push('content-type', response.contentType)
  for (const [name, value] of Object.entries(response.headers ?? {}))
    fields.push(name.toLowerCase(), value)
  fields.push('content-length', String(body.length))
  connection.respond(stream, fields, headOnly ? new Uint8Array(0) : body)
  connection.flush()
}

function hold(connection: Connection, call: Call, bytes: number): void {
  connection.assemble(bytes - call.heldBytes)
  call.heldBytes = bytes
}

/** Gives back what an unfinished message or body holds. */
function release(connection: Connection, call: Call): void {
  if (call.heldBytes === 0) return
  hold(connection, call, 0)
  call.body = noBody
}

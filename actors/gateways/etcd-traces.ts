/**
 * Follows unary calls of the etcd port, whatever way their answer takes: it stands between the
 * gateway and the port. A `traceparent` of the client is continued.
 */
import { parseTraceparent, type SpanAttributes, type Tracing } from '../../runtime/tracing.ts'
import type {
  CallHead,
  Client,
  EtcdServer,
  EtcdServerStatus,
  HandledCalls,
} from '../../transport/etcd/api.ts'
import { type RequestTrace, RequestTraces } from './request-traces.ts'

export class EtcdTraces {
  readonly requests: RequestTraces
  readonly #pending = new Map<number, Map<number, RequestTrace>>()

  constructor(tracing: Tracing) {
    this.requests = new RequestTraces(tracing)
  }

  /** `take` handles the call; it may answer it at once. */
  around(
    connection: number,
    call: number,
    { method, traceparent }: CallHead,
    client: Client | undefined,
    take: () => void,
  ): void {
    const name = method.path.slice(1)
    const parent = parseTraceparent(traceparent)
    const trace = this.requests.begin(name, attributesOf(name, client), parent)
    if (trace !== undefined) this.#callsOf(connection).set(call, trace)
    take()
    this.requests.taken(this.#pending.get(connection)?.has(call) ?? false)
  }

  /** With gRPC's code, and the message of one that is not 0. */
  answered(connection: number, call: number, code: number, message: string): void {
    const trace = this.#remove(connection, call)
    if (trace === undefined) return
    const fault = serverFaults.has(code) ? message : ''
    this.requests.answered(trace, outcomeOf(code), fault)
  }

  cancelled(connection: number, call: number): void {
    const trace = this.#remove(connection, call)
    if (trace !== undefined) this.requests.dropped(trace)
  }

  connectionClosed(connection: number): void {
    for (const trace of this.#pending.get(connection)?.values() ?? []) this.requests.dropped(trace)
    this.#pending.delete(connection)
  }

  #callsOf(connection: number): Map<number, RequestTrace> {
    let calls = this.#pending.get(connection)
    if (calls === undefined) {
      calls = new Map()
      this.#pending.set(connection, calls)
    }
    return calls
  }

  #remove(connection: number, call: number): RequestTrace | undefined {
    const calls = this.#pending.get(connection)
    const trace = calls?.get(call)
    if (calls?.delete(call) === true && calls.size === 0) this.#pending.delete(connection)
    return trace
  }
}

function attributesOf(name: string, client: Client | undefined): SpanAttributes {
  const slash = name.lastIndexOf('/')
  const called = {
    'rpc.system': 'grpc',
    'rpc.service': name.slice(0, slash),
    'rpc.method': name.slice(slash + 1),
  }
  if (client === undefined) return called
  const { address, port } = client
  return {
    ...called,
    'client.address': address,
    'network.peer.address': address,
    'network.peer.port': port,
  }
}

function outcomeOf(code: number): SpanAttributes {
  const outcome = { 'rpc.grpc.status_code': code }
  return code === 0 ? outcome : { ...outcome, 'error.type': String(code) }
}

/**
 * What OpenTelemetry calls an error of a gRPC server: unknown, deadline exceeded, unimplemented,
 * internal, unavailable, data loss.
 */
const serverFaults: ReadonlySet<number> = new Set([2, 4, 12, 13, 14, 15])

/** The port, with an eye on the answers that go out through it. */
export class TracedServer implements EtcdServer {
  readonly #server: EtcdServer
  readonly #traces: EtcdTraces

  constructor(server: EtcdServer, traces: EtcdTraces) {
    this.#server = server
    this.#traces = traces
  }

  get port(): number {
    return this.#server.port
  }

  reply(connection: number, stream: number, body: Uint8Array): void {
    this.#server.reply(connection, stream, body)
    this.#traces.answered(connection, stream, 0, '')
  }

  fail(connection: number, stream: number, status: number, message: string): void {
    this.#server.fail(connection, stream, status, message)
    this.#traces.answered(connection, stream, status, message)
  }

  open(connection: number, stream: number): void {
    this.#server.open(connection, stream)
  }

  send(connection: number, stream: number, body: Uint8Array): number {
    return this.#server.send(connection, stream, body)
  }

  finish(connection: number, stream: number): void {
    this.#server.finish(connection, stream)
    this.#traces.answered(connection, stream, 0, '')
  }

  bufferedBytes(connection: number, stream: number): number {
    return this.#server.bufferedBytes(connection, stream)
  }

  heldBytes(connection: number): number {
    return this.#server.heldBytes(connection)
  }

  get heldBytesOfAll(): number {
    return this.#server.heldBytesOfAll
  }

  get easedWanted(): boolean {
    return this.#server.easedWanted
  }

  set easedWanted(wanted: boolean) {
    this.#server.easedWanted = wanted
  }

  get pressed(): boolean {
    return this.#server.pressed
  }

  set pressed(pressed: boolean) {
    this.#server.pressed = pressed
  }

  hold(connection: number, held: 'no' | 'window' | 'socket'): void {
    this.#server.hold(connection, held)
  }

  flush(): void {
    this.#server.flush()
    this.#traces.requests.flushed()
  }

  remoteOf(connection: number): Client | undefined {
    return this.#server.remoteOf(connection)
  }

  handled(): HandledCalls[] {
    return this.#server.handled()
  }

  status(): EtcdServerStatus {
    return this.#server.status()
  }

  close(graceMillis: number, done: () => void): void {
    this.#server.close(graceMillis, done)
  }
}

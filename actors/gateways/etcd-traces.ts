/**
 * Follows unary calls of the etcd port, whatever way their answer takes: it stands between the
 * gateway and the port. A `traceparent` of the client is continued.
 */
import { parseTraceparent, type Tracing } from '../../runtime/tracing.ts'
import type {
  CallHead,
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
  around(connection: number, call: number, head: CallHead, take: () => void): void {
    const trace = this.requests.begin(head.method.path.slice(1), parseTraceparent(head.traceparent))
    if (trace !== undefined) this.#callsOf(connection).set(call, trace)
    take()
    this.requests.taken(this.#pending.get(connection)?.has(call) ?? false)
  }

  answered(connection: number, call: number, failure: string): void {
    const trace = this.#remove(connection, call)
    if (trace !== undefined) this.requests.answered(trace, failure)
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
    this.#traces.answered(connection, stream, '')
  }

  fail(connection: number, stream: number, status: number, message: string): void {
    this.#server.fail(connection, stream, status, message)
    this.#traces.answered(connection, stream, message)
  }

  open(connection: number, stream: number): void {
    this.#server.open(connection, stream)
  }

  send(connection: number, stream: number, body: Uint8Array, continues = false): number {
    return this.#server.send(connection, stream, body, continues)
  }

  finish(connection: number, stream: number): void {
    this.#server.finish(connection, stream)
    this.#traces.answered(connection, stream, '')
  }

  bufferedBytes(connection: number, stream: number): number {
    return this.#server.bufferedBytes(connection, stream)
  }

  flush(): void {
    this.#server.flush()
    this.#traces.requests.flushed()
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

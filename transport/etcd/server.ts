/** The etcd port: HTTP/2 with gRPC, and plain HTTP, on one listener. api.ts has its contract. */
import type { Listener, Socket, Timer } from '../../runtime/host.ts'
import type {
  Client,
  EtcdServer,
  EtcdServerOptions,
  EtcdServerStatus,
  HandledCalls,
} from './api.ts'
import { Calls, failCall, methodOf, startedMillisOf } from './calls.ts'
import { statusNames } from './grpc.ts'
import { HeldClock } from './held-clock.ts'
import { Http1 } from './http1.ts'
import { Addresses, clientOf } from '../../runtime/addresses.ts'
import { Connection, type PortLoad } from './http2/connection.ts'
import { ConnectionError, errorCode, preface } from './http2/protocol.ts'
import type { Stream } from './http2/stream.ts'
import { defaultLimits, type EtcdServerLimits } from './limits.ts'
import { protocolOf } from './sniff.ts'

export type * from './api.ts'
export { grpcStatus } from './grpc.ts'
export { defaultLimits, type EtcdServerLimits } from './limits.ts'

export function startEtcdServer(options: EtcdServerOptions): EtcdServer {
  return new Port(options)
}

const tickMillis = 1000
const statusCount = statusNames.length

/** A socket until it has shown which protocol it speaks. */
interface Newcomer {
  readonly socket: Socket
  readonly client: string
  readonly sinceMillis: number
  /** What it has said so far, where that did not tell. */
  read: Uint8Array
}

class Port implements EtcdServer {
  readonly #options: EtcdServerOptions
  readonly #limits: EtcdServerLimits
  readonly #listener: Listener
  readonly #calls: Calls
  readonly #http1: Http1
  readonly #newcomers = new Set<Newcomer>()
  readonly #connections = new Map<number, Connection>()
  readonly #refusals: Record<string, number> = {}
  readonly #load: PortLoad = { streams: 0, assemblyBytes: 0, heldBytes: 0, pressed: false }
  easedWanted = false
  readonly #addresses = new Addresses()
  /** By method and status. */
  readonly #handled: Float64Array
  #dirty: Connection[] = []
  /** Of calls that come and answers that go. */
  readonly #clock: HeldClock
  #lastConnection: number
  #receivedBytes = 0
  #sentBytes = 0
  #isClosing = false
  #deadline: Timer | undefined
  #done: (() => void) | undefined

  constructor(options: EtcdServerOptions) {
    this.#options = options
    this.#lastConnection = (options.firstConnection ?? 1) - 1
    const { host, listen, handler } = options
    const limits: EtcdServerLimits = { ...defaultLimits, ...options.limits }
    this.#limits = limits
    this.#clock = new HeldClock(host.clock)
    const ids = options.methods.map(method => method.id)
    this.#handled = new Float64Array((Math.max(0, ...ids) + 1) * statusCount)
    const methods = new Map(options.methods.map(method => [method.path, method]))
    this.#calls = new Calls(
      methods,
      handler,
      limits,
      this.#clock,
      (_, limit) => this.#count(limit),
      () => this.#eased(),
      () => this.#relieveAssembly(),
    )
    this.#http1 = new Http1(handler, host.clock, limits)
    const tls = listen.tls && { protocols: ['h2', 'http/1.1'], ...listen.tls }
    this.#listener = host.network.listen(
      tls === undefined ? listen : { ...listen, tls },
      socket => this.#accept(socket),
      error => {
        if (error === undefined) this.#tickLater()
        options.onListening(error)
      },
      {
        onCertificates: error => options.onCertificates?.(error),
        onHandshakeFailed: (address, error) => options.onHandshakeFailed?.(address, error),
      },
    )
  }

  get port(): number {
    return this.#listener.port
  }

  reply(connection: number, stream: number, body: Uint8Array): void {
    const at = this.#find(connection, stream)
    if (at === undefined) return
    const to = at.streams.get(stream)!
    this.#countHandled(to, 0)
    at.replyMessage(to, body)
  }

  fail(connection: number, stream: number, status: number, message: string): void {
    const at = this.#find(connection, stream)
    if (at === undefined) return
    const to = at.streams.get(stream)!
    this.#countHandled(to, status)
    failCall(at, to, status, message)
  }

  open(connection: number, stream: number): void {
    const at = this.#find(connection, stream)
    if (at !== undefined) at.sendHeaders(at.streams.get(stream)!)
  }

  send(connection: number, stream: number, body: Uint8Array): number {
    const at = this.#find(connection, stream)
    if (at === undefined) return 0
    const to = at.streams.get(stream)!
    at.sendMessage(to, body)
    if (to.queuedBytes > this.#limits.streamBufferedBytesLow) to.wantsDrained = true
    return to.queuedBytes
  }

  finish(connection: number, stream: number): void {
    const at = this.#find(connection, stream)
    if (at === undefined) return
    const to = at.streams.get(stream)!
    this.#countHandled(to, 0)
    at.end(to, at.answers.okTrailers)
  }

  bufferedBytes(connection: number, stream: number): number {
    return this.#connections.get(connection)?.streams.get(stream)?.queuedBytes ?? 0
  }

  heldBytes(connection: number): number {
    return this.#connections.get(connection)?.heldBytes ?? 0
  }

  get heldBytesOfAll(): number {
    return this.#load.heldBytes
  }

  get pressed(): boolean {
    return this.#load.pressed
  }

  set pressed(pressed: boolean) {
    this.#load.pressed = pressed
  }

  hold(connection: number, held: 'no' | 'window' | 'socket'): void {
    const at = this.#connections.get(connection)
    if (at === undefined) return
    at.hold(held)
    this.#markDirty(at)
  }

  flush(): void {
    this.#clock.release()
    const dirty = this.#dirty
    if (dirty.length === 0) return
    this.#dirty = []
    for (const connection of dirty) {
      connection.dirty = false
      connection.flush()
    }
  }

  handled(): HandledCalls[] {
    return this.#options.methods.flatMap(method =>
      Array.from({ length: statusCount }, (_, status) => {
        const count = this.#handled[method.id * statusCount + status]!
        return { method, status, count }
      }).filter(({ count }) => count > 0),
    )
  }

  remoteOf(connection: number): Client | undefined {
    const socket = this.#connections.get(connection)?.socket
    if (socket === undefined) return undefined
    return { address: plain(socket.remoteAddress), port: socket.remotePort }
  }

  status(): EtcdServerStatus {
    return {
      connections: this.#connections.size + this.#newcomers.size + this.#http1.connections,
      streams: this.#load.streams,
      heldBytes: this.#load.heldBytes,
      receivedBytes: this.#receivedBytes,
      sentBytes: this.#sentBytes,
      refusals: { ...this.#refusals },
    }
  }

  close(graceMillis: number, done: () => void): void {
    this.#done = done
    this.#isClosing = true
    this.#listener.close()
    for (const newcomer of this.#newcomers) newcomer.socket.destroy()
    for (const connection of this.#connections.values()) connection.goAway()
    const { timers } = this.#options.host
    this.#deadline = timers.after(graceMillis, () => this.#closeRest())
    timers.after(0, () => this.#doneIfEmpty())
  }

  /** The connection, if that stream of it can still be answered; it will be flushed. */
  /** Too much is half received: whoever has most of it sends it again later. */
  #relieveAssembly(): void {
    if (this.#load.assemblyBytes <= this.#limits.portAssemblyBytesMax) return
    let most: Connection | undefined
    for (const connection of this.#connections.values()) {
      if (connection.assemblyBytes > (most?.assemblyBytes ?? 0)) most = connection
    }
    if (most !== undefined) this.#calls.refuseHalfReceived(most)
  }

  #find(number: number, stream: number): Connection | undefined {
    const connection = this.#connections.get(number)
    const at: Stream | undefined = connection?.streams.get(stream)
    if (connection === undefined) return undefined
    if (at === undefined) connection.abandoned.delete(stream)
    if (at === undefined || at.localClosed) return undefined
    this.#markDirty(connection)
    return connection
  }

  #markDirty(connection: Connection): void {
    if (connection.dirty) return
    connection.dirty = true
    this.#dirty.push(connection)
  }

  #eased(): void {
    if (!this.easedWanted) return
    this.easedWanted = false
    this.#options.handler.eased()
  }

  #countHandled(stream: Stream, status: number): void {
    const method = methodOf(stream)
    if (method === undefined) return
    this.#handled[method.id * statusCount + status]! += 1
    this.#options.onHandled?.(method, this.#clock.monotonicMillis() - startedMillisOf(stream))
  }

  #accept(socket: Socket): void {
    const client = clientOf(socket.remoteAddress)
    const newcomer = {
      socket,
      client,
      sinceMillis: this.#options.host.clock.monotonicMillis(),
      read: new Uint8Array(0),
    }
    const refusal = this.#refusal(client)
    let connection: Connection | undefined
    if (refusal === undefined) this.#newcomers.add(newcomer)
    socket.open({
      data: chunk => {
        this.#receivedBytes += chunk.length
        this.#clock.release()
        if (connection !== undefined) connection.receive(chunk)
        else if (this.#newcomers.has(newcomer)) connection = this.#sniff(newcomer, chunk)
        this.#clock.release()
      },
      drained: () => connection?.drained(),
      closed: () => {
        this.#newcomers.delete(newcomer)
        if (connection !== undefined) this.#lost(connection)
        if (refusal === undefined) this.#addresses.left(client)
        this.#doneIfEmpty()
      },
    })
    if (refusal === undefined) return
    this.#count(refusal)
    socket.destroy()
  }

  /** The limit for which a connection of that client is closed at once; undefined: it is counted. */
  #refusal(client: string): string | undefined {
    const { connectionsMax, connectionsPerAddressMax } = this.#limits
    const count = this.#connections.size + this.#newcomers.size + this.#http1.connections
    if (count >= connectionsMax || this.#isClosing) return 'connectionsMax'
    const isFull =
      connectionsPerAddressMax > 0 && this.#addresses.count(client) >= connectionsPerAddressMax
    if (isFull) return 'connectionsPerAddressMax'
    this.#addresses.came(client)
    return undefined
  }

  /** Returns the connection if it is to be one of HTTP/2. */
  #sniff(newcomer: Newcomer, chunk: Uint8Array): Connection | undefined {
    const { socket, client, sinceMillis } = newcomer
    const read = newcomer.read.length === 0 ? chunk : Buffer.concat([newcomer.read, chunk])
    const spoken = protocolOf(read)
    if (spoken === 'unknown') {
      newcomer.read = new Uint8Array(read)
      return undefined
    }
    this.#newcomers.delete(newcomer)
    if (spoken === 'http1' && socket.protocol !== 'h2') {
      this.#http1.take(socket, new Uint8Array(read), sinceMillis, () =>
        this.#addresses.left(client),
      )
      return undefined
    }
    const connection = this.#connect(socket)
    if (spoken === 'http2') connection.receive(read.subarray(preface.length))
    else connection.fail(new ConnectionError(errorCode.protocolError, 'not the preface of HTTP/2'))
    return connection
  }

  #connect(socket: Socket): Connection {
    const clock = this.#options.host.clock
    const number = ++this.#lastConnection
    const connection = new Connection(
      number,
      socket,
      clock,
      this.#limits,
      this.#calls,
      this.#load,
      bytes => {
        this.#sentBytes += bytes
      },
    )
    this.#connections.set(number, connection)
    connection.start()
    return connection
  }

  #lost(connection: Connection): void {
    connection.lost()
    this.#connections.delete(connection.number)
  }

  #count(limit: string): void {
    if (limit !== '') this.#refusals[limit] = (this.#refusals[limit] ?? 0) + 1
  }

  #tickLater(): void {
    this.#options.host.timers.after(tickMillis, () => this.#tick())
  }

  #tick(): void {
    const now = this.#options.host.clock.monotonicMillis()
    for (const newcomer of this.#newcomers) {
      if (now - newcomer.sinceMillis <= this.#limits.prefaceMillisMax) continue
      this.#count('prefaceMillisMax')
      newcomer.socket.destroy()
    }
    for (const connection of this.#connections.values()) connection.tick(now)
    this.#http1.tick(now)
    if (this.#done !== undefined || !this.#isClosing) this.#tickLater()
  }

  #closeRest(): void {
    for (const connection of this.#connections.values()) connection.socket.destroy()
    this.#http1.close()
    this.#doneIfEmpty()
  }

  /** HTTP/1.1 is not waited for. */
  #doneIfEmpty(): void {
    if (this.#done === undefined || this.#connections.size + this.#newcomers.size > 0) return
    const done = this.#done
    this.#done = undefined
    this.#deadline?.cancel()
    this.#http1.close()
    done()
  }
}

/** IPv4 as IPv4, also where the port listens on IPv6. */
function plain(address: string): string {
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address
}

/**
 * TCP between simulated machines: bytes arrive in order, late, cut anywhere, or not at all. What a
 * partition holds back arrives after it, as TCP sends again; a connection dies by reset, mid-frame,
 * or with its process. Nothing is lost inside a connection that lives.
 */
import type {
  ListenOptions,
  Listener,
  Network,
  Random,
  Socket,
  SocketHandlers,
} from '../../runtime/host.ts'
import { below, deriveSeed, seededRandom } from '../../runtime/random.ts'
import type { Scheduler } from './scheduler.ts'
import type { VirtualThread } from './thread.ts'

export interface NetworkOptions {
  readonly latencyMillisMin: number
  readonly latencyMillisMax: number
  /** One chunk in so many takes ten times as long. */
  readonly slowOneIn: number
  /** One chunk in so many resets its connection half way through. */
  readonly resetOneIn: number
  /** A chunk is cut into at most so many pieces. */
  readonly piecesMax: number
}

export const calmNetwork: NetworkOptions = {
  latencyMillisMin: 0.05,
  latencyMillisMax: 0.2,
  slowOneIn: 0,
  resetOneIn: 0,
  piecesMax: 1,
}

interface OpenListener {
  readonly thread: VirtualThread
  readonly onConnection: (socket: Socket) => void
}

export class SimulatedNetwork {
  options: NetworkOptions
  readonly #scheduler: Scheduler
  readonly #random: Random
  readonly #listeners = new Map<string, OpenListener>()
  readonly #ends = new Set<SocketEnd>()
  /** Ordered pairs `from>to` of machines between which nothing passes. */
  readonly #cut = new Map<string, number>()
  readonly #aliases = new Map<string, string>()
  #nextPort = 40_000

  constructor(scheduler: Scheduler, seed: string, options: NetworkOptions) {
    this.#scheduler = scheduler
    this.#random = seededRandom(deriveSeed(seed, 'network'))
    this.options = options
  }

  forThread(thread: VirtualThread, machine: string): Network {
    return {
      listen: (options, onConnection, onListening) =>
        this.#listen(thread, machine, options, onConnection, onListening),
      connect: ({ host, port }) =>
        this.#connect(thread, machine, this.#aliases.get(host) ?? host, port),
    }
  }

  /** Another name of a machine. */
  alias(name: string, machine: string): void {
    this.#aliases.set(name, machine)
  }

  cut(from: string, to: string): void {
    const key = `${from}>${to}`
    this.#cut.set(key, (this.#cut.get(key) ?? 0) + 1)
  }

  /** One of the cuts of this way is over. */
  mend(from: string, to: string): void {
    const key = `${from}>${to}`
    const left = (this.#cut.get(key) ?? 0) - 1
    if (left > 0) this.#cut.set(key, left)
    else this.#cut.delete(key)
    for (const end of this.#ends) end.transmit()
  }

  heal(): void {
    this.#cut.clear()
    for (const end of this.#ends) end.transmit()
  }

  isCut(from: string, to: string): boolean {
    return this.#cut.has(`${from}>${to}`)
  }

  /** The process of these threads is gone: its sockets close, its ports are free. */
  closeAllOf(threads: ReadonlySet<VirtualThread>): void {
    for (const [key, listener] of this.#listeners) {
      if (threads.has(listener.thread)) this.#listeners.delete(key)
    }
    for (const end of [...this.#ends]) {
      if (threads.has(end.thread)) end.die()
    }
  }

  /** Resets one connection between two machines, wherever its bytes are. */
  resetOne(left: string, right: string): boolean {
    for (const end of this.#ends) {
      if (end.thread.machine !== left || end.peer?.thread.machine !== right) continue
      end.reset()
      return true
    }
    return false
  }

  latencyMillis(): number {
    const { latencyMillisMin, latencyMillisMax, slowOneIn } = this.options
    const latency =
      latencyMillisMin + (latencyMillisMax - latencyMillisMin) * this.#random.fraction()
    return this.oneIn(slowOneIn) ? latency * 10 : latency
  }

  oneIn(count: number): boolean {
    return count > 0 && below(this.#random, count) === 0
  }

  below(bound: number): number {
    return below(this.#random, bound)
  }

  forget(end: SocketEnd): void {
    this.#ends.delete(end)
  }

  get scheduler(): Scheduler {
    return this.#scheduler
  }

  #listen(
    thread: VirtualThread,
    machine: string,
    options: ListenOptions,
    onConnection: (socket: Socket) => void,
    onListening: (error?: Error) => void,
  ): Listener {
    const port = options.port === 0 ? this.#nextPort++ : options.port
    const key = `${machine}:${port}`
    const taken = this.#listeners.has(key)
    const own: OpenListener = { thread, onConnection }
    if (!taken) this.#listeners.set(key, own)
    thread.post(() =>
      onListening(taken ? systemError('EADDRINUSE', `port ${port} is taken`) : undefined),
    )
    return {
      port,
      close: () => {
        if (this.#listeners.get(key) === own) this.#listeners.delete(key)
      },
    }
  }

  #connect(thread: VirtualThread, machine: string, host: string, port: number): Socket {
    const near = new SocketEnd(this, thread, host, port)
    this.#ends.add(near)
    this.#scheduler.after(this.latencyMillis(), () => {
      if (!near.alive) return
      if (this.isCut(machine, host) || this.isCut(host, machine)) return this.#dialIntoNothing(near)
      const listener = this.#listeners.get(`${host}:${port}`)
      if (listener === undefined || listener.thread.dead) {
        return near.finish({
          byPeer: true,
          error: systemError('ECONNREFUSED', `${host}:${port} refused`),
        })
      }
      this.#establish(near, listener, machine)
    })
    return near
  }

  #dialIntoNothing(near: SocketEnd): void {
    const error = systemError('ETIMEDOUT', 'no answer to the dial')
    this.#scheduler.after(dialTimeoutMillis, () => near.finish({ byPeer: false, error }))
  }

  #establish(near: SocketEnd, listener: OpenListener, machine: string): void {
    const far = new SocketEnd(this, listener.thread, machine, this.#nextPort++)
    this.#ends.add(far)
    near.join(far)
    far.join(near)
    listener.thread.post(() => far.alive && listener.onConnection(far))
    near.thread.post(() => near.alive && near.handlers?.connected?.())
    near.transmit()
  }
}

const dialTimeoutMillis = 3000
/** What the system takes before a writer sees `bufferedBytes`. */
const systemBufferBytes = 256 * 1024

/** One end of a connection, on one thread. */
class SocketEnd implements Socket {
  readonly thread: VirtualThread
  readonly remoteAddress: string
  readonly remotePort: number
  readonly protocol = ''
  handlers: SocketHandlers | undefined
  alive = true
  /** Set when the connection stands. */
  peer!: SocketEnd
  #joined = false
  readonly #network: SimulatedNetwork
  /** Written here, not yet on the way. */
  #waiting: Uint8Array[] = []
  #waitingBytes = 0
  #onTheWay = 0
  #lastArrivalMillis = 0
  #ended = false
  #ending = false
  #paused = false
  #held: Uint8Array[] = []
  #heldEnd = false

  constructor(
    network: SimulatedNetwork,
    thread: VirtualThread,
    remoteAddress: string,
    remotePort: number,
  ) {
    this.#network = network
    this.thread = thread
    this.remoteAddress = remoteAddress
    this.remotePort = remotePort
  }

  get bufferedBytes(): number {
    return Math.max(0, this.#waitingBytes + this.#onTheWay - systemBufferBytes)
  }

  open(handlers: SocketHandlers): void {
    this.handlers = handlers
    this.thread.post(() => this.#drain())
  }

  join(peer: SocketEnd): void {
    this.peer = peer
    this.#joined = true
  }

  write(bytes: Uint8Array): void {
    if (!this.alive || this.#ended) return
    // Not `bytes.slice()`: that of a Buffer is a view.
    const copy = new Uint8Array(bytes)
    this.#waitingBytes += bytes.length
    this.thread.leave(() => {
      this.#waiting.push(copy)
      this.transmit()
    })
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.thread.post(() => this.#drain())
  }

  end(): void {
    if (!this.alive || this.#ended) return
    this.#ended = true
    this.thread.leave(() => {
      this.#ending = true
      this.transmit()
    })
  }

  destroy(): void {
    if (!this.alive) return
    this.alive = false
    this.#network.forget(this)
    this.thread.post(() => this.handlers?.closed({ byPeer: false }))
    this.#tellPeer(() =>
      this.peer.finish({ byPeer: true, error: systemError('ECONNRESET', 'reset by peer') }),
    )
  }

  /** The process died: its system closes the connection for it. */
  die(): void {
    if (!this.alive) return
    this.alive = false
    this.#network.forget(this)
    this.#tellPeer(() => this.peer.finish({ byPeer: true }))
  }

  reset(): void {
    const cause = { byPeer: false, error: systemError('ETIMEDOUT', 'the connection was lost') }
    if (this.#joined) this.peer.finish(cause)
    this.finish(cause)
  }

  finish(cause: { byPeer: boolean; error?: Error }): void {
    if (!this.alive) return
    this.alive = false
    this.#network.forget(this)
    this.thread.post(() => this.handlers?.closed(cause))
  }

  /** Sends what waits, unless a partition holds it. */
  transmit(): void {
    if (!this.#joined) return
    if (this.#network.isCut(this.thread.machine, this.peer.thread.machine)) return
    for (const chunk of this.#waiting.splice(0)) {
      this.#waitingBytes -= chunk.length
      for (const piece of this.#cutUp(chunk)) this.#send(piece)
    }
    if (this.#ending && this.alive) this.#sendEnd()
  }

  #cutUp(chunk: Uint8Array): Uint8Array[] {
    const pieces: Uint8Array[] = []
    let rest = chunk
    for (let count = 1; count < this.#network.options.piecesMax && rest.length > 1; count++) {
      if (this.#network.below(4) !== 0) break
      const at = 1 + this.#network.below(rest.length - 1)
      pieces.push(rest.subarray(0, at))
      rest = rest.subarray(at)
    }
    pieces.push(rest)
    return pieces
  }

  #send(piece: Uint8Array): void {
    const breaks = this.#network.oneIn(this.#network.options.resetOneIn)
    this.#onTheWay += piece.length
    this.#arrive(() => {
      const before = this.bufferedBytes
      this.#onTheWay -= piece.length
      if (breaks) {
        this.peer.#take(piece.subarray(0, this.#network.below(piece.length)))
        return this.reset()
      }
      this.peer.#take(piece)
      if (before > 0 && this.bufferedBytes === 0)
        this.thread.post(() => this.alive && this.handlers?.drained?.())
    })
  }

  #sendEnd(): void {
    this.#ending = false
    this.#arrive(() => {
      this.peer.#takeEnd()
      this.finish({ byPeer: false })
    })
  }

  /** In order: nothing overtakes what was sent earlier. A cut that came meanwhile delays it. */
  #arrive(action: () => void): void {
    const { scheduler } = this.#network
    const millis = Math.max(
      this.#lastArrivalMillis,
      scheduler.nowMillis + this.#network.latencyMillis(),
    )
    this.#lastArrivalMillis = millis
    scheduler.at(millis, action)
  }

  #tellPeer(action: () => void): void {
    if (!this.#joined) return
    const retry = () => {
      if (!this.#network.isCut(this.thread.machine, this.peer.thread.machine)) return action()
      this.#network.scheduler.after(retryMillis, retry)
    }
    this.#arrive(retry)
  }

  #take(piece: Uint8Array): void {
    if (this.alive && piece.length > 0) this.thread.post(() => this.#give(piece))
  }

  #takeEnd(): void {
    if (this.alive) this.thread.post(() => this.#giveEnd())
  }

  #give(piece: Uint8Array): void {
    this.#held.push(piece)
    this.#drain()
  }

  /** In order, also when new bytes come before what was held back. */
  #drain(): void {
    while (this.alive && !this.#paused && this.handlers !== undefined && this.#held.length > 0) {
      this.handlers.data(this.#held.shift()!)
    }
    if (this.#heldEnd) this.#giveEnd()
  }

  /** Half-open connections are not kept: the end of one side ends both. */
  #giveEnd(): void {
    this.#heldEnd = true
    if (!this.alive || this.#held.length > 0) return
    this.alive = false
    this.#network.forget(this)
    this.handlers?.closed({ byPeer: true })
  }
}

const retryMillis = 200

function systemError(code: string, sentence: string): Error {
  return Object.assign(new Error(sentence), { code })
}

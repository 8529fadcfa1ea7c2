/**
 * The link to one other node: ONE TCP connection for all messages, dialled by the node with the
 * larger id (so two never cross), and dialled again with back-off and jitter for as long as the link
 * lives. One, because a node must learn at once and on both sides that the other process died, and
 * two connections would have to agree on that; because answers then carry TCP's acknowledgements; and
 * because control does not need a lane of its own: bulk waits here, not in the kernel, while
 * more than a window of it is unreported by the peer, and control overtakes what waits.
 */
import type { LatencyTable } from '../../runtime/latency-table.ts'
import type { PeerAddress } from './address.ts'
import type { Host, Timer } from '../../runtime/host.ts'
import type { Connection, ConnectionEnd } from './connection.ts'
import { frameHeaderBytes, frameKind, sealFrame } from './frame.ts'
import { type GreetingResult, type Greeter, greet } from './greeting.ts'
import { type Hello, purpose } from './handshake.ts'
import { limits } from './limits.ts'
import { createSendQueue } from './send-queue.ts'

export interface PeerLinkSetup {
  readonly host: Host
  readonly node: number
  /** Asked before every dial; nothing: this side does not dial. */
  readonly address: () => PeerAddress | undefined
  readonly greeter: Greeter
  readonly up: (hello: Hello, remoteHost: string) => void
  /** `closed`: the other process closed it or died, as opposed to silence or loss. */
  readonly down: (closed: boolean, end: ConnectionEnd) => void
  readonly dialFailed: (end: ConnectionEnd) => void
  /** Of all links, by node. */
  readonly roundTrips?: LatencyTable
  /** Envelopes end to end, valid during the call; a thrown error closes the link. */
  readonly envelopes: (body: Uint8Array) => void
}

export interface PeerLinkStatus {
  readonly node: number
  readonly up: boolean
  readonly roundTripMillis: number
  readonly queuedBytes: number
  readonly dropped: number
  readonly framesSent: number
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly dials: number
  readonly lastEnd: string
}

export class PeerLink {
  readonly #setup: PeerLinkSetup
  readonly #queue = createSendQueue(limits.controlQueueBytesMax, limits.bulkQueueBytesMax)
  #connection: Connection | undefined
  #giveUpDial: (() => void) | undefined
  #timer: Timer | undefined
  #stopped = false
  #failures = 0
  /** In a row, for a reason that lasts: of dials, and of connections that had been greeted. */
  #refusals = 0
  #upAt = 0
  #tickAt = 0
  #heardAt = 0
  #slab = Buffer.allocUnsafe(frameHeaderBytes + 64 * 1024)
  /** Envelope bytes of this connection, modulo 2^32. */
  #sent = 0
  #confirmed = 0
  #received = 0
  #reported = 0
  #roundTripMillis = 0
  readonly #roundTrips: LatencyTable | undefined
  #dropped = 0
  #framesSent = 0
  #bytesSent = 0
  #bytesReceived = 0
  #dials = 0
  #lastEnd = ''

  constructor(setup: PeerLinkSetup) {
    this.#setup = setup
    this.#roundTrips = setup.roundTrips
    this.#dialSoon(0)
  }

  /** It dials, and in vain so far. */
  get failing(): boolean {
    return this.#connection === undefined && this.#failures > 1
  }

  /** The last time, for a reason that lasts. */
  get isRefused(): boolean {
    return this.#refusals > 0
  }

  /** For how long it has been up. */
  get livesMillis(): number {
    return this.up ? this.#setup.host.clock.monotonicMillis() - this.#upAt : 0
  }

  get up(): boolean {
    return this.#connection !== undefined
  }

  /** Room for one envelope: a buffer in which it starts at `reservedAt`; nothing: it is dropped and counted. */
  reserve(bytes: number, control: boolean): Buffer | undefined {
    const room = this.#connection === undefined ? undefined : this.#queue.reserve(bytes, control)
    if (room !== undefined) return room
    this.#dropped++
    if (control)
      this.#connection?.close(
        'overflow',
        `control beyond ${limits.controlQueueBytesMax} bytes waits`,
      )
    return undefined
  }

  get reservedAt(): number {
    return this.#queue.reservedAt
  }

  commit(bytes: number): void {
    this.#queue.commit(bytes)
  }

  /** At the end of a round: one frame and one write, more only while a backlog is being worked off. */
  flush(): void {
    const connection = this.#connection
    if (connection === undefined) return
    for (;;) {
      const withBulk = this.#queue.bulkBytes > 0 && this.#windowOpen()
      if (this.#queue.controlBytes === 0 && !withBulk) return
      this.#sendEnvelopes(connection, withBulk)
    }
  }

  /** The peer dialled and was greeted: this connection replaces whatever was there. */
  adopt(connection: Connection, hello: Hello): void {
    this.#giveUpDial?.()
    this.#connection?.close('replaced', 'the peer has opened another connection')
    this.#goUp(connection, hello)
  }

  /** The peer may have an address now, or another one. */
  wake(): void {
    if (this.#connection === undefined && this.#giveUpDial === undefined) this.#dialSoon(0)
  }

  /** What is known by now speaks against this peer: it hears why. */
  end(code: string, text: string): void {
    this.#connection?.close(code, text)
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#giveUpDial?.()
    this.#connection?.close('stopping', 'the node stops')
  }

  status(): PeerLinkStatus {
    return {
      node: this.#setup.node,
      up: this.up,
      roundTripMillis: this.#roundTripMillis,
      queuedBytes: this.#queue.controlBytes + this.#queue.bulkBytes,
      dropped: this.#dropped,
      framesSent: this.#framesSent,
      bytesSent: this.#bytesSent,
      bytesReceived: this.#bytesReceived,
      dials: this.#dials,
      lastEnd: this.#lastEnd,
    }
  }

  #dialSoon(delayMillis: number): void {
    this.#timer?.cancel()
    if (!this.#stopped) this.#timer = this.#setup.host.timers.after(delayMillis, () => this.#dial())
  }

  #dial(): void {
    const { host, node, greeter } = this.#setup
    const address = this.#setup.address()
    if (this.#stopped || this.#connection !== undefined || address === undefined) return
    this.#dials++
    const socket = host.network.connect(address)
    this.#giveUpDial = greet(host, socket, greeter, node, purpose.messages, result => {
      this.#giveUpDial = undefined
      this.#dialled(result)
    })
  }

  #dialled(result: GreetingResult): void {
    if (result.kind === 'greeted') {
      this.#goUp(result.connection, result.hello)
      return
    }
    this.#lastEnd = result.end.why
    if (lastingRefusals.has(result.end.code)) this.#refusals += 1
    this.#setup.dialFailed(result.end)
    if (this.#connection === undefined) this.#backOff()
  }

  /** Doubles up to the most, less up to half of it at random: nodes do not dial in step. */
  #backOff(): void {
    const doubled = limits.redialMillisMin * 2 ** Math.min(this.#failures++, 10)
    const isOften = this.#refusals > limits.refusalsMax
    const most = isOften ? limits.redialRefusedMillisMax : limits.redialMillisMax
    const capped = Math.min(doubled, most)
    this.#dialSoon(capped * (1 - this.#setup.host.random.fraction() / 2))
  }

  #goUp(connection: Connection, hello: Hello): void {
    this.#connection = connection
    if (this.#refusals <= limits.refusalsMax) this.#failures = 0
    this.#sent = 0
    this.#confirmed = 0
    this.#received = 0
    this.#reported = 0
    this.#queue.clear()
    this.#upAt = this.#tickAt = this.#heardAt = this.#setup.host.clock.monotonicMillis()
    connection.handlers = {
      frame: (kind, body, received) => this.#frame(connection, kind, body, received),
      drained: () => this.flush(),
      closed: end => this.#closed(end),
    }
    this.#timer?.cancel()
    this.#timer = this.#setup.host.timers.after(limits.pingMillis, () => this.#tick())
    this.#setup.up(hello, connection.socket.remoteAddress)
  }

  #closed(end: ConnectionEnd): void {
    this.#connection = undefined
    this.#queue.clear()
    if (lastingRefusals.has(end.code)) this.#refusals += 1
    else this.#refusals = this.#failures = 0
    this.#lastEnd = end.why
    this.#setup.down(end.byPeer, end)
    this.#backOff()
  }

  #frame(connection: Connection, kind: number, body: Uint8Array, received: number): void {
    this.#heardAt = this.#setup.host.clock.monotonicMillis()
    this.#confirmed = received
    if (kind === frameKind.envelopes) {
      this.#takeIn(connection, body)
    } else if (kind === frameKind.ping && body.length === pingBytes) {
      this.#sendSmall(connection, frameKind.pong, body)
    } else if (kind === frameKind.pong && body.length === pingBytes) {
      this.#takePong(body)
    } else {
      connection.close(
        'badKind',
        `frame kind ${kind} of ${body.length} bytes on a link for messages`,
      )
    }
    if (this.#queue.bulkBytes > 0) this.flush()
  }

  #takeIn(connection: Connection, body: Uint8Array): void {
    this.#received = (this.#received + body.length) >>> 0
    this.#bytesReceived += body.length
    try {
      if (body.length > 0) this.#setup.envelopes(body)
    } catch (error) {
      connection.close('badEnvelope', error instanceof Error ? error.message : String(error))
      return
    }
    if ((this.#received - this.#reported) >>> 0 >= limits.reportBytes) {
      this.#sendSmall(connection, frameKind.envelopes, nothing)
    }
  }

  #takePong(body: Uint8Array): void {
    const sentAt = Buffer.from(body.buffer, body.byteOffset, pingBytes).readDoubleLE(0)
    this.#roundTripMillis = this.#heardAt - sentAt
    this.#roundTrips?.record(this.#setup.node, this.#roundTripMillis)
  }

  /** A late tick means that this thread stood still: what the peer sent meanwhile is not read yet. */
  #tick(): void {
    const connection = this.#connection
    if (connection === undefined) return
    const now = this.#setup.host.clock.monotonicMillis()
    const late = now - this.#tickAt > 2 * limits.pingMillis
    this.#tickAt = now
    if (!late && now - this.#heardAt > limits.silenceMillis) {
      connection.close('silent', `nothing heard for ${limits.silenceMillis} ms`)
      return
    }
    const body = Buffer.allocUnsafe(pingBytes)
    body.writeDoubleLE(now, 0)
    this.#sendSmall(connection, frameKind.ping, body)
    this.#timer = this.#setup.host.timers.after(limits.pingMillis, () => this.#tick())
  }

  #windowOpen(): boolean {
    return (this.#sent - this.#confirmed) >>> 0 < limits.windowBytes
  }

  #sendEnvelopes(connection: Connection, withBulk: boolean): void {
    const bodyBytes = this.#queue.nextBytes(withBulk, limits.bulkFrameBytesMax)
    this.#makeRoom(frameHeaderBytes + bodyBytes)
    const end = this.#queue.take(this.#slab, frameHeaderBytes, withBulk, limits.bulkFrameBytesMax)
    this.#sent = (this.#sent + end - frameHeaderBytes) >>> 0
    this.#write(connection, frameKind.envelopes, end - frameHeaderBytes)
  }

  #sendSmall(connection: Connection, kind: number, body: Uint8Array): void {
    this.#slab.set(body, frameHeaderBytes)
    this.#write(connection, kind, body.length)
  }

  #write(connection: Connection, kind: number, bodyBytes: number): void {
    this.#reported = this.#received
    this.#framesSent++
    const frameBytes = sealFrame(this.#slab, kind, bodyBytes, this.#received)
    this.#bytesSent += frameBytes
    if (connection.open) connection.socket.write(this.#slab.subarray(0, frameBytes))
  }

  #makeRoom(bytes: number): void {
    if (this.#slab.length < bytes) this.#slab = Buffer.allocUnsafe(bytes * 2)
  }
}

/** Until somebody does something about it the next dial ends in the same way. */
const lastingRefusals = new Set<string>(['otherStore', 'otherCluster', 'otherFormation'])
const pingBytes = 8
const nothing = new Uint8Array(0)

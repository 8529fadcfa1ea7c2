/**
 * The gateway of etcd's port. Writes become proposals once their form is checked, reads go to the
 * state machine, linearizable ones behind a confirmation of leadership; what the watch actor passes
 * on is sent. One proposal message, one question to consensus and one socket write a connection
 * belong to a round. Any member serves any request.
 */
import type { Context, Definition } from '../../runtime/actor.ts'
import { unreachable } from '../../runtime/invariant.ts'
import { telemetryOff } from '../../runtime/telemetry.ts'
import type { CallHead } from '../../transport/etcd/api.ts'
import { failure } from '../../transport/etcd/messages/failures.ts'
import { startEtcdServer } from '../../transport/etcd/server.ts'
import { certificateNews } from '../certificate-news.ts'
import { handshakeNews } from '../handshake-news.ts'
import { directory } from '../directory.ts'
import type { LeaseAnswers } from '../sessions/messages.ts'
import { etcdRead, stateNumbers, timesBytes } from '../state/etcd-commands.ts'
import { stream, streamOf } from '../state/messages.ts'
import { Proposals } from '../state/proposals.ts'
import { observeDoor } from './door-metrics.ts'
import { About } from './etcd-about.ts'
import { AnswerRoom } from './etcd-answer-room.ts'
import { EtcdDoor } from './etcd-door.ts'
import { EventAcks } from './etcd-event-acks.ts'
import { answerHttp, HealthTally, type HttpSetup } from './etcd-http.ts'
import { EtcdInputs, type Input } from './etcd-inputs.ts'
import { Leases, type LeaseTimes, type TimeToLive } from './etcd-leases.ts'
import { limits } from './etcd-limits.ts'
import { LinearReads } from './etcd-linear-reads.ts'
import { methods } from './etcd-methods.ts'
import { CallTally, observeServer } from './etcd-metrics.ts'
import type { EtcdSetup } from './etcd-setup.ts'
import { EtcdTraces, TracedServer } from './etcd-traces.ts'
import { ownConnection, StateReads } from './etcd-state-reads.ts'
import { StreamCalls } from './etcd-stream-calls.ts'
import { Unary } from './etcd-unary.ts'
import { WaitingCalls } from './etcd-waiting-calls.ts'
import type { GatewayMessage, MetricsText } from './messages.ts'

export type { EtcdMember, EtcdSetup } from './etcd-setup.ts'

/** What the gateway tells itself. */
type OwnMessage =
  | { readonly kind: 'input' }
  | { readonly kind: 'listening'; readonly error: Error | null }

export type EtcdMessage = GatewayMessage | LeaseAnswers | MetricsText | OwnMessage

export const etcdGateway: Definition<EtcdMessage, EtcdSetup> = {
  ...directory.etcd,
  mailboxMessagesMax: limits.gatewayMessagesMax,
  start(context, setup) {
    const gateway = new Gateway(context, setup)
    return message => gateway.handle(message)
  },
}

const tickMillis = 100
const retryMillis = 500
const closeMillis = 500
const drainMillisMax = 10_000

class Gateway {
  readonly #context: Context<EtcdMessage>
  readonly #door: EtcdDoor
  readonly #inputs: EtcdInputs
  /** Its own among those of all generations. */
  readonly #stream: number
  readonly #proposals: Proposals
  readonly #reads: StateReads
  readonly #linear: LinearReads
  readonly #leases: Leases
  readonly #unary: Unary
  readonly #room: AnswerRoom
  readonly #waiting: WaitingCalls
  readonly #acks = new EventAcks()
  /** The watch actor has events for which there is no room. */
  #eventsWait = false
  readonly #streams: StreamCalls
  readonly #http: HttpSetup
  readonly #metricsAsked = new Map<number, (text: string) => void>()
  #metricsId = 0
  readonly #traces: EtcdTraces | undefined
  readonly #calls = new CallTally()
  #leaderFoundMillis = 0
  /** Whom to tell when no write waits any more: the node stops. */
  #draining: number | undefined

  constructor(context: Context<EtcdMessage>, setup: EtcdSetup) {
    this.#context = context
    const { tracing, metrics } = setup.telemetry ?? telemetryOff
    this.#traces = tracing.enabled ? new EtcdTraces(tracing) : undefined
    this.#inputs = new EtcdInputs(() => context.self.tell({ kind: 'input' }))
    this.#door = this.#openDoor(setup)
    this.#stream = streamOf(stream.etcd, setup.generation ?? 0)
    this.#proposals = this.#openProposals(setup)
    const state = context.find(directory.state)
    const hasRoom = (): boolean => context.hasRoom(state)
    this.#reads = new StateReads(state, this.#door.rooms, this.#stream, hasRoom)
    if (this.#stream !== stream.etcd) this.#takeOver()
    this.#linear = this.#openLinearReads(setup)
    this.#leases = this.#openLeases()
    this.#room = this.#openRoom(setup)
    this.#waiting = new WaitingCalls({
      bytesMax: limits.callsWaitingBytesMax,
      connectionBytesMax: limits.connectionCallsWaitingBytesMax,
      hold: (connection, held) => this.#door.server.hold(connection, held),
    })
    this.#unary = new Unary(this.#door, {
      random: context.host.random,
      proposals: this.#proposals,
      reads: this.#reads,
      linear: this.#linear,
      leases: this.#leases,
      about: new About(this.#door, this.#reads, this.#linear),
      room: this.#room,
      waiting: this.#waiting,
    })
    this.#streams = new StreamCalls(this.#door, {
      watches: context.find(directory.watches),
      reads: this.#reads,
      leases: this.#leases,
    })
    const tally = new HealthTally()
    this.#http = {
      tally,
      hasLeader: () => this.#door.leader !== 0,
      isFull: answer => this.#askWhetherFull(answer),
      probe: (serializable, done) => this.#probe(serializable, done),
      metrics: answer => this.#askMetrics(answer),
    }
    const { server } = this.#door
    this.#calls.observe(metrics, server)
    observeServer(metrics, {
      memberId: setup.memberId,
      readsSlow: () => this.#linear.slowCount,
      readsFailed: () => this.#linear.failedCount,
      healthSuccesses: () => tally.successes,
      healthFailures: () => tally.failures,
    })
    observeDoor(metrics, 'etcd', {
      connections: () => server.status().connections,
      proposalsWaiting: () => this.#proposals.waitingCount,
    })
    context.every(tickMillis, { kind: 'tick' })
    context.onRoundEnd(() => this.#endRound())
    context.onStop(() => {
      if (this.#draining === undefined) this.#door.server.close(closeMillis, () => {})
    })
  }

  handle(message: EtcdMessage): void {
    switch (message.kind) {
      case 'reply':
        // What an earlier generation asked has nobody left to answer to.
        return message.stream === this.#stream ? this.#unary.replied(message) : undefined
      case 'event':
        this.#acks.arrived(message.connection, message.body.length)
        return this.#streams.event(message.connection, message.tag, message.body)
      case 'eventsWait':
        this.#eventsWait = message.waiting
        return
      case 'input':
        return this.#takeInputs()
      case 'readReady':
        return this.#linear.ready(message.id, message.position)
      case 'readFailed':
        return this.#linear.failed(message.id)
      case 'leaseAnswers':
        return this.#leases.answered(message)
      case 'leader':
        return this.#leaderChanged(message.leader, message.epoch)
      case 'space':
        this.#door.spaceLevel = message.level
        return
      case 'statesDiffer':
        this.#door.statesDiffer = message.differ
        return
      case 'unanswered':
        return message.stream === this.#stream ? this.#unary.unanswered(message.through) : undefined
      case 'handInAgain':
        return this.#proposals.refused(this.#clock())
      case 'logTime':
        return this.#proposals.logTime(message.time, this.#clock())
      case 'tick':
        return this.#tick()
      case 'drain':
        return this.#drain(message.id)
      case 'status':
        return this.#answerStatus(message.id)
      case 'listening':
        return this.#listening(message.error)
      case 'metricsText':
        this.#metricsAsked.get(message.id)?.(message.text)
        this.#metricsAsked.delete(message.id)
        return
      case 'closeConnection':
        // Sessions of ZooKeeper end with their connections; leases do not.
        return
      case 'needsRoom':
        if (message.stream !== this.#stream) return
        return this.#unary.needsRoom(message.connection, message.tag, message.bytes)
      default:
        return unreachable(message)
    }
  }

  #askMetrics(answer: (text: string) => void): void {
    this.#metricsId += 1
    this.#metricsAsked.set(this.#metricsId, answer)
    this.#context.find(directory.control).tell({ kind: 'metricsQuestion', id: this.#metricsId })
  }

  /** From a predecessor whose thread died. */
  #takeOver(): void {
    this.#context.find(directory.state).tell({ kind: 'gatewayStarted', stream: this.#stream })
    this.#context.find(directory.consensus).tell({ kind: 'leaderQuestion', replyTo: 'etcd' })
  }

  #openDoor(setup: EtcdSetup): EtcdDoor {
    const { host, self } = this.#context
    const server = startEtcdServer({
      host,
      listen: setup.listen,
      methods,
      handler: this.#inputs,
      ...(setup.serverLimits === undefined ? {} : { limits: setup.serverLimits }),
      // Numbers of an earlier life may still stand in answers under way.
      ...(setup.generation === undefined || setup.generation === 0
        ? {}
        : { firstConnection: host.random.uint32() >>> 1 }),
      onListening: error => self.tell({ kind: 'listening', error: error ?? null }),
      onCertificates: certificateNews(this.#context.log, 'etcd'),
      onHandshakeFailed: handshakeNews(this.#context.log, host.clock, 'etcd'),
      onHandled: (method, millis) => this.#calls.handled(method, millis),
    })
    const traces = this.#traces
    const seen = traces === undefined ? server : new TracedServer(server, traces)
    return new EtcdDoor(setup, seen, host.clock.monotonicMillis())
  }

  #openProposals(setup: EtcdSetup): Proposals {
    const { node, incarnation, proposalsMax, proposalBytesMax, resendMillis } = setup
    const consensus = this.#context.find(directory.consensus)
    return new Proposals({
      node,
      incarnation,
      stream: this.#stream,
      entriesMax: proposalsMax,
      bytesMax: proposalBytesMax,
      resendMillis,
      clock: () => this.#context.host.clock.monotonicMillis(),
      tell: message => consensus.tell(message),
      ...(this.#traces === undefined ? {} : { trace: this.#traces.requests.propose }),
    })
  }

  #openLinearReads(setup: EtcdSetup): LinearReads {
    const consensus = this.#context.find(directory.consensus)
    return new LinearReads({
      timeoutMillis: setup.requestTimeoutMillis,
      retryMillis,
      ask: id => consensus.tell({ kind: 'readRequest', replyTo: 'etcd', id }),
      read: (read, position) => this.#unary.giveLinear(read, position),
      late: read => this.#unary.late(read),
    })
  }

  #openRoom(setup: EtcdSetup): AnswerRoom {
    const { answerBytesMax } = setup
    const { server } = this.#door
    const state = this.#context.find(directory.state)
    return new AnswerRoom({
      bytesMax: answerBytesMax,
      connectionBytesMax: answerBytesMax / 2,
      timeoutMillis: setup.requestTimeoutMillis,
      lentBytes: answerBytesMax / 4,
      lend: bytes => state.tell({ kind: 'roomLent', stream: this.#stream, bytes }),
      heldBytes: connection => server.heldBytes(connection),
      heldBytesOfAll: () => server.heldBytesOfAll,
      granted: (connection, tag, bytes) => this.#reads.grant(connection, tag, bytes),
      late: (connection, tag) => this.#unary.roomLate(connection, tag),
    })
  }

  #openLeases(): Leases {
    const sessions = this.#context.find(directory.sessions)
    return new Leases({
      ask: question => sessions.tell(question),
      askHeader: () => this.#reads.own(etcdRead.header, body => this.#leases.headerReady(body)),
      answerKeepAlive: (one, header, seconds) =>
        this.#streams.answerKeepAlive(one, header, seconds),
      answerTimeToLive: (one, times) => this.#readTimeToLive(one, times),
      fail: (connection, call) => this.#failLease(connection, call),
      firstTag: this.#context.host.random.uint32(),
    })
  }

  #listening(error: Error | null): void {
    const { setup, server } = this.#door
    const { host, port } = setup.listen
    if (error !== null) {
      throw new Error(`cannot listen for etcd clients on ${host}:${port}: ${error.message}`)
    }
    this.#context.log.info('The node listens for etcd clients', { host, port: server.port })
  }

  #clock(): number {
    this.#door.nowMillis = this.#context.host.clock.monotonicMillis()
    return this.#door.nowMillis
  }

  #endRound(): void {
    this.#room.grant()
    this.#unary.serveWaiting()
    this.#linear.flush(this.#door.nowMillis)
    this.#leases.flush()
    this.#proposals.flush()
    this.#door.server.flush()
    if (this.#acks.isWorth) this.#acknowledge()
    this.#door.server.easedWanted =
      this.#waiting.count > 0 || this.#room.waitingCount > 0 || this.#acks.isWaiting
    if (this.#draining !== undefined && this.#proposals.waitingCount === 0) {
      const control = this.#context.find(directory.control)
      control.tell({ kind: 'done', id: this.#draining, error: '' })
    }
  }

  /** Tells the watch actor what clients have taken. */
  #acknowledge(): void {
    const { server } = this.#door
    const taken = this.#acks.take(connection => server.heldBytes(connection))
    if (taken === undefined) return
    this.#context.find(directory.watches).tell({ kind: 'eventsTaken', ...taken })
  }

  #connectionClosed(connection: number): void {
    this.#traces?.connectionClosed(connection)
    const hasReads = this.#unary.connectionClosed(connection)
    const hadWatches = this.#streams.connectionClosed(connection)
    if (hasReads || hadWatches) this.#reads.connectionGone(connection)
  }

  /** Clients are told to go elsewhere; what they have called is answered. */
  #drain(id: number): void {
    this.#draining = id
    this.#door.server.close(drainMillisMax, () => {})
  }

  #takeInputs(): void {
    this.#clock()
    for (const input of this.#inputs.take()) this.#take(input)
  }

  #take(input: Input): void {
    const { connection, call } = input
    switch (input.kind) {
      case 'call':
        this.#calls.started(input.head.method)
        return this.#call(connection, call, input.head, input.message)
      case 'opened':
        this.#calls.started(input.head.method)
        return this.#streams.opened(connection, call, input.head)
      case 'message':
        return this.#streams.message(connection, call, input.message)
      case 'halfClosed':
        return this.#streams.halfClosed(connection, call)
      case 'cancelled':
        this.#traces?.cancelled(connection, call)
        this.#unary.cancelled(connection, call)
        return this.#streams.cancelled(connection, call)
      case 'drained':
        return this.#streams.drained(connection, call)
      case 'eased':
        return this.#acknowledge()
      case 'connectionClosed':
        return this.#connectionClosed(connection)
      case 'http':
        return answerHttp(this.#http, input.request, input.answer)
      default:
        return unreachable(input)
    }
  }

  #call(connection: number, call: number, head: CallHead, message: Uint8Array): void {
    const unary = this.#unary
    if (this.#traces === undefined) return unary.call(connection, call, head, message)
    const client = this.#door.server.remoteOf(connection)
    this.#traces.around(connection, call, head, client, () =>
      unary.call(connection, call, head, message),
    )
  }

  /** The keys are this node's to tell, once it has all that the leader's answer stands on. */
  #readTimeToLive({ connection, call, message }: TimeToLive, times: LeaseTimes): void {
    const { rooms, nowMillis } = this.#door
    const { bytes, start } = rooms.reserve(1 + timesBytes + message.length)
    const view = new DataView(bytes.buffer, bytes.byteOffset + start)
    view.setUint8(0, etcdRead.timeToLive)
    view.setFloat64(1, times.remainingMillis, true)
    view.setFloat64(9, times.ttlMillis, true)
    bytes.set(message, start + 1 + timesBytes)
    const request = rooms.take(1 + timesBytes + message.length)
    this.#room.takeAnyway(connection)
    this.#linear.add({ connection, call, startMillis: nowMillis, request, ready: undefined })
  }

  #failLease(connection: number, call: number): void {
    const { leader } = this.#door
    this.#door.fail(connection, call, leader === 0 ? failure.noLeader : failure.timedOut)
    this.#streams.cancelled(connection, call)
  }

  #askWhetherFull(answer: (full: boolean) => void): void {
    this.#reads.own(etcdRead.status, (body, failed) => {
      const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
      const isFull = failed === undefined && view.getFloat64(stateNumbers.full, true) === 1
      answer(isFull || this.#door.spaceLevel > 0)
    })
  }

  /** For /health: a read that proves that this node serves. */
  #probe(serializable: boolean, done: (error: string) => void): void {
    const call = this.#reads.expect((_, failed) => done(failed?.text ?? ''))
    const ready = (position: number): void => this.#reads.ownAt(etcdRead.header, position, call)
    if (serializable) return ready(0)
    const startMillis = this.#door.nowMillis
    this.#linear.add({ connection: ownConnection, call, startMillis, request: undefined, ready })
  }

  #leaderChanged(leader: number, epoch: number): void {
    const door = this.#door
    const nowMillis = this.#clock()
    if (leader === 0 && door.leader !== 0) door.leaderLostMillis = nowMillis
    if (leader !== 0 && leader !== door.leader) this.#leaderFoundMillis = nowMillis
    door.leader = leader
    door.epoch = Math.max(door.epoch, epoch)
    this.#proposals.leaderChanged(leader, nowMillis)
    this.#linear.leaderChanged()
  }

  #tick(): void {
    const nowMillis = this.#clock()
    this.#proposals.tick(nowMillis)
    this.#linear.tick(nowMillis)
    this.#unary.tick(this.#leaderFoundMillis)
    this.#acknowledge()
    this.#door.server.pressed = this.#room.isPressed || this.#eventsWait
    if (this.#door.lacksLeader) this.#streams.endThoseRequiringLeader()
  }

  #answerStatus(id: number): void {
    const { server } = this.#door
    const json = JSON.stringify({
      port: server.port,
      ...server.status(),
      openStreams: this.#streams.count,
      proposalsWaiting: this.#proposals.waitingCount,
      readsWaiting: this.#linear.count,
      leaseQuestions: this.#leases.count,
      callsWaiting: this.#waiting.count,
      callsWaitingBytes: this.#waiting.bytes,
      answersWaiting: this.#room.waitingCount,
      answersReservedBytes: this.#room.reservedBytes,
    })
    this.#context.find(directory.control).tell({ kind: 'statusAnswer', from: 'etcd', id, json })
  }
}

/**
 * The gateway of ZooKeeper's port: accepts connections, cuts their bytes into requests, hands writes
 * to the log and reads to the state machine, and sends back what the watch actor passes on. One
 * socket write a connection and one proposal a round. It validates nothing but form.
 */
import type { Context, Definition, Ref } from '../../runtime/actor.ts'
import type { Listener, ListenOptions, Socket } from '../../runtime/host.ts'
import { unreachable } from '../../runtime/invariant.ts'
import type { Metrics } from '../../runtime/metrics.ts'
import { observeCounters, observeGauges } from '../../runtime/observe.ts'
import { type Telemetry, telemetryOff } from '../../runtime/telemetry.ts'
import { limits } from '../../transport/zookeeper/limits.ts'
import type { ServerReport, StateReport } from '../../transport/zookeeper/four-letter-words.ts'
import { JuteReader } from '../../transport/zookeeper/jute-reader.ts'
import { certificateNews } from '../certificate-news.ts'
import type { StatusAnswer } from '../control.ts'
import { directory } from '../directory.ts'
import type { SessionsConfirmed } from '../sessions/messages.ts'
import { type StateMessage, stream, streamOf } from '../state/messages.ts'
import { Proposals } from '../state/proposals.ts'
import { replyStatus } from '../state/zookeeper-commands.ts'
import type { ReplyMessage } from '../watches/messages.ts'
import { observeDoor } from './door-metrics.ts'
import type { GatewayMessage } from './messages.ts'
import { Connection } from './zookeeper-connection.ts'
import { Handshakes } from './zookeeper-handshake.ts'
import { Requests } from './zookeeper-requests.ts'
import { Standing } from './zookeeper-standing.ts'
import { Syncs } from './zookeeper-syncs.ts'
import { Tally } from './zookeeper-tally.ts'
import { Touches } from './zookeeper-touches.ts'
import { ZookeeperTraces } from './zookeeper-traces.ts'
import { connectionReport, unknownState, Words } from './zookeeper-words.ts'

export interface ZookeeperSetup {
  readonly node: number
  readonly incarnation: number
  /** Voters of the cluster: alone, a node calls itself standalone. */
  readonly nodeCount: number
  readonly listen: ListenOptions
  readonly sessionTimeoutMinMillis: number
  readonly sessionTimeoutMaxMillis: number
  readonly frameBytesMax: number
  readonly connectionsMax: number
  readonly proposalsMax: number
  readonly proposalBytesMax: number
  readonly resendMillis: number
  /** New clients are refused once no leader has been confirmed for so long. */
  readonly contactMillisMax: number
  /** Sessions that were heard of are told to the sessions actor this often. */
  readonly touchMillis: number
  /** `user:base64(SHA1(user:password))` of the one who may do everything; '' for none. */
  readonly superDigest: string
  /** For four-letter words: `3.9.5-quorate-…, built on …`. */
  readonly version: string
  /** How often this gateway was started before in this process; default 0. */
  readonly generation?: number
  readonly telemetry?: Telemetry
}

/** What the gateway tells itself. */
type OwnMessage =
  /** Sockets have input. */
  { readonly kind: 'input' } | { readonly kind: 'listening'; readonly error: Error | null }

export type ZookeeperMessage = GatewayMessage | StatusAnswer | SessionsConfirmed | OwnMessage

export const zookeeperGateway: Definition<ZookeeperMessage, ZookeeperSetup> = {
  ...directory.zookeeper,
  mailboxMessagesMax: limits.gatewayMessagesMax,
  start(context, setup) {
    const gateway = new Gateway(context, setup)
    return message => gateway.handle(message)
  },
}

const utf8 = new TextEncoder()
const tickMillis = 100
const scratchBytes = 256 * 1024

class Gateway {
  readonly #context: Context<ZookeeperMessage>
  readonly #setup: ZookeeperSetup
  readonly #state: Ref<StateMessage>
  /** Its own among those of all generations. */
  readonly #stream: number
  readonly #proposals: Proposals
  readonly #handshakes: Handshakes
  readonly #syncs: Syncs
  readonly #requests: Requests
  readonly #words: Words
  readonly #touches: Touches
  readonly #standing: Standing
  readonly #tally: Tally
  readonly #traces: ZookeeperTraces | undefined
  readonly #connections = new Map<number, Connection>()
  readonly #stalled = new Set<Connection>()
  readonly #scratch = new Uint8Array(scratchBytes)
  readonly #reader = new JuteReader()
  #listener: Listener | undefined
  #lastNumber: number
  #inputs: Connection[] = []
  #outputs: Connection[] = []
  #woken = false
  #outstanding = 0
  /** Whom to tell when nothing is outstanding any more: the node stops. */
  #draining: number | undefined
  #leader = 0
  #leaderSinceMillis = 0
  #now: number
  #tickedMillis: number

  constructor(context: Context<ZookeeperMessage>, setup: ZookeeperSetup) {
    this.#context = context
    this.#setup = setup
    this.#state = context.find(directory.state)
    this.#now = context.host.clock.monotonicMillis()
    this.#tickedMillis = this.#now
    this.#tally = new Tally(this.#now)
    this.#standing = new Standing(setup.contactMillisMax, this.#now)
    // Numbers of an earlier life may still stand in the store; they are not used again soon.
    this.#lastNumber = context.host.random.uint32() >>> 1
    const { tracing, metrics } = setup.telemetry ?? telemetryOff
    this.#observe(metrics)
    this.#traces = tracing.enabled ? new ZookeeperTraces(tracing) : undefined
    const consensus = context.find(directory.consensus)
    const { generation = 0 } = setup
    this.#stream = streamOf(stream.zookeeper, generation)
    if (generation > 0) {
      this.#state.tell({ kind: 'gatewayStarted', stream: this.#stream })
      consensus.tell({ kind: 'leaderQuestion', replyTo: 'zookeeper' })
    }
    this.#proposals = new Proposals({
      node: setup.node,
      incarnation: setup.incarnation,
      stream: this.#stream,
      entriesMax: setup.proposalsMax,
      bytesMax: setup.proposalBytesMax,
      resendMillis: setup.resendMillis,
      // By way of the state machine, so that no write of a session overtakes its reads on the way.
      tell: message => this.#state.tell(message),
      ...(this.#traces === undefined ? {} : { trace: this.#traces.requests.propose }),
    })
    const { random } = context.host
    this.#handshakes = new Handshakes({ ...setup, random, proposals: this.#proposals })
    this.#syncs = new Syncs({
      ask: id => consensus.tell({ kind: 'readRequest', replyTo: 'zookeeper', id }),
      ready: (connection, request, position) => this.#syncReady(connection, request, position),
    })
    this.#requests = new Requests({
      proposals: this.#proposals,
      state: this.#state,
      stream: this.#stream,
      syncs: this.#syncs,
      superDigest: setup.superDigest,
    })
    this.#words = new Words({
      ask: id => this.#askStatus(id),
      answer: (connection, text) => this.#answerWord(connection, text),
      report: state => this.#report(state),
    })
    this.#touches = new Touches(context.find(directory.sessions), setup.touchMillis)
    context.every(tickMillis, { kind: 'tick' })
    context.onRoundEnd(() => this.#endRound())
    context.onStop(() => this.#stop())
    this.#listen()
  }

  #observe(metrics: Metrics): void {
    observeDoor(metrics, 'zookeeper', {
      connections: () => this.#connections.size,
      proposalsWaiting: () => this.#proposals.waitingCount,
    })
    observeCounters(metrics, [
      [
        'quorate_zookeeper_packets_received_total',
        'Packets of ZooKeeper clients.',
        () => this.#tally.received,
      ],
      [
        'quorate_zookeeper_packets_sent_total',
        'Packets to ZooKeeper clients.',
        () => this.#tally.sent,
      ],
      [
        'quorate_zookeeper_connections_suspended_total',
        'Connections closed because no leader confirmed that their sessions live.',
        () => this.#standing.suspended,
      ],
    ])
    observeGauges(metrics, [
      [
        'quorate_zookeeper_requests_outstanding',
        'Requests of ZooKeeper clients that are not answered yet.',
        () => this.#outstanding,
      ],
    ])
  }

  handle(message: ZookeeperMessage): void {
    switch (message.kind) {
      case 'reply':
        this.#reply(message)
        return
      case 'event':
        this.#event(message.connection, message.body)
        return
      case 'input':
        this.#takeInputs()
        return
      case 'leader':
        if (message.leader !== this.#leader) this.#leaderSinceMillis = this.#clock()
        this.#leader = message.leader
        this.#proposals.leaderChanged(message.leader, this.#clock())
        this.#syncs.leaderChanged(this.#now)
        return
      case 'space':
        this.#requests.spaceLevel = message.level
        return
      case 'readReady':
        this.#syncs.ready(message.id, message.position)
        return
      case 'readFailed':
        this.#syncs.failed(message.id)
        return
      case 'unanswered':
        if (message.stream === this.#stream) this.#unanswered(message.through)
        return
      case 'handInAgain':
        return this.#proposals.refused(this.#clock())
      case 'logTime':
        this.#proposals.logTime(message.time, this.#clock())
        return
      case 'eventsWait':
      case 'needsRoom':
        return
      case 'sessionsConfirmed':
        return this.#standing.confirmed(message)
      case 'closeConnection':
        this.#drop(this.#connections.get(message.connection))
        return
      case 'statusAnswer':
        this.#words.answered(message)
        return
      case 'drain':
        this.#drain(message.id)
        return
      case 'status':
        this.#answerStatus(message.id)
        return
      case 'tick':
        this.#tick()
        return
      case 'listening':
        this.#listening(message.error)
        return
      default:
        unreachable(message)
    }
  }

  #clock(): number {
    this.#now = this.#context.host.clock.monotonicMillis()
    return this.#now
  }

  #listen(): void {
    const { listen } = this.#setup
    this.#listener = this.#context.host.network.listen(
      listen,
      socket => this.#accept(socket),
      error => this.#context.self.tell({ kind: 'listening', error: error ?? null }),
      { onCertificates: certificateNews(this.#context.log, 'zookeeper') },
    )
  }

  #listening(error: Error | null): void {
    const { host, port } = this.#setup.listen
    if (error !== null) {
      throw new Error(`cannot listen for ZooKeeper clients on ${host}:${port}: ${error.message}`)
    }
    this.#context.log.info('listening for ZooKeeper clients', { host, port: this.#listener?.port })
  }

  /** Called by the host, outside of any turn: it only notes and wakes. */
  #accept(socket: Socket): void {
    if (this.#connections.size >= this.#setup.connectionsMax) {
      socket.open({ data() {}, closed() {} })
      socket.destroy()
      return
    }
    this.#lastNumber = (this.#lastNumber % 0xffffffff) + 1
    const { frameBytesMax } = this.#setup
    const connection = new Connection(this.#lastNumber, socket, frameBytesMax, this.#clock())
    this.#connections.set(connection.number, connection)
    socket.open({
      data: chunk => {
        connection.splitter.push(chunk)
        this.#queue(connection)
      },
      drained: () => this.#queue(connection),
      ended: () => {
        connection.ended = true
        this.#queue(connection)
      },
      closed: () => {
        connection.state = 'gone'
        this.#queue(connection)
      },
    })
  }

  #queue(connection: Connection): void {
    if (connection.queued) return
    connection.queued = true
    this.#inputs.push(connection)
    if (this.#woken) return
    this.#woken = true
    this.#context.self.tell({ kind: 'input' })
  }

  #takeInputs(): void {
    this.#woken = false
    const inputs = this.#inputs
    this.#inputs = []
    const now = this.#clock()
    for (const connection of inputs) {
      connection.queued = false
      if (connection.isOpen) this.#take(connection, now)
      else this.#forget(connection)
      // A word, or the end of the session, is still answered.
      if (connection.ended && connection.state !== 'leaving') this.#end(connection)
    }
  }

  /** All requests that are there, as long as there is room for them. */
  #take(connection: Connection, now: number): void {
    if (!this.#standing.isKnownToLive(connection, this.#now)) return this.#suspend(connection)
    connection.heardMillis = now
    if (connection.state === 'established') this.#touches.add(connection)
    while (connection.isOpen) {
      if (this.#mustWait(connection)) {
        this.#stall(connection)
        return
      }
      const before = connection.outstanding.count
      const cut = connection.splitter.next(connection.state !== 'fresh')
      if (cut === 'more') break
      if (cut === 'broken') this.#drop(connection)
      else if (cut === 'word') this.#word(connection, now)
      else this.#frame(connection, now)
      this.#outstanding += connection.outstanding.count - before
    }
    this.#stalled.delete(connection)
    connection.stalledMillis = 0
    connection.resume()
    this.#noteOutput(connection)
  }

  #frame(connection: Connection, now: number): void {
    connection.received += 1
    this.#tally.received += 1
    if (this.#traces === undefined) this.#takeFrame(connection, now)
    else this.#traces.around(connection, () => this.#takeFrame(connection, now))
  }

  #takeFrame(connection: Connection, now: number): void {
    const isNew = connection.state === 'fresh'
    if (isNew && !this.#standing.isInContact(this.#now)) return this.#suspend(connection)
    const isWell =
      connection.state === 'fresh'
        ? this.#handshakes.begin(connection, now)
        : this.#requests.take(connection, connection.splitter, now)
    if (!isWell) this.#drop(connection)
  }

  #mustWait(connection: Connection): boolean {
    return (
      this.#draining !== undefined ||
      connection.syncing ||
      connection.state === 'handshake' ||
      connection.state === 'leaving' ||
      this.#outstanding >= limits.outstandingTotalMax ||
      connection.outstanding.count >= limits.outstandingRequestsMax ||
      connection.socket.bufferedBytes > limits.outgoingBytesMax ||
      this.#proposals.full ||
      !this.#context.hasRoom(this.#state)
    )
  }

  /** What has come stays where it is; more comes only once there is room again. */
  #stall(connection: Connection): void {
    this.#stalled.add(connection)
    if (connection.stalledMillis === 0) connection.stalledMillis = this.#now
    if (connection.splitter.waitingBytes > 0) connection.pause()
    this.#noteOutput(connection)
  }

  #takeStalled(): void {
    if (this.#proposals.full || this.#outstanding >= limits.outstandingTotalMax) return
    for (const connection of this.#stalled) {
      if (!connection.isOpen) this.#stalled.delete(connection)
      else if (!this.#mustWait(connection)) this.#take(connection, connection.heardMillis)
    }
  }

  #reply(message: ReplyMessage): void {
    // What an earlier generation proposed has nobody left to answer to.
    if (message.sequence > 0 && message.stream !== this.#stream) return
    if (message.sequence > 0) this.#proposals.applied(message.sequence, this.#now)
    const connection = this.#connections.get(message.connection)
    if (connection === undefined) return
    const { status } = message
    if (status === replyStatus.notification) this.#event(message.connection, message.body)
    else if (status === replyStatus.detached) this.#detached(connection, message.body)
    else if (message.sequence !== connection.outstanding.next) connection.early.push(message)
    else this.#answer(connection, message)
  }

  #answer(connection: Connection, message: ReplyMessage): void {
    this.#deliver(connection, message)
    this.#deliverEarly(connection)
    if (!connection.isOpen && connection.outstanding.count === 0) this.#forget(connection)
  }

  #deliverEarly(connection: Connection): void {
    while (connection.early.length > 0) {
      const { next } = connection.outstanding
      const at = connection.early.findIndex(early => early.sequence === next)
      if (at < 0) break
      this.#deliver(connection, connection.early.splice(at, 1)[0]!)
    }
  }

  #deliver(connection: Connection, message: ReplyMessage): void {
    const { status, body } = message
    const arrivedMillis = connection.outstanding.shift()
    this.#tally.answered(this.#now - arrivedMillis)
    this.#outstanding -= 1
    this.#traces?.answered(connection, message)
    if (!connection.isOpen) return
    if (status === replyStatus.close) {
      this.#drop(connection)
      return
    }
    if (status === replyStatus.handshake) {
      if (!this.#handshakes.finish(connection, body)) this.#end(connection)
      else {
        this.#standing.established(connection, arrivedMillis)
        this.#touches.add(connection)
      }
    } else {
      connection.zxid = this.#reader.reset(body, 8, body.length).long()
      connection.send(body)
      if (status === replyStatus.sendAndClose) this.#end(connection)
    }
    this.#noteOutput(connection)
  }

  #event(number: number, frame: Uint8Array): void {
    const connection = this.#connections.get(number)
    if (connection === undefined || !connection.isOpen) return
    connection.send(frame)
    this.#noteOutput(connection)
    if (connection.socket.bufferedBytes > limits.outgoingBytesDropped) this.#drop(connection)
  }

  /** The session went on elsewhere, or ended. Its number alone might mean a connection of today. */
  #detached(connection: Connection, session: Uint8Array): void {
    const id = new DataView(session.buffer, session.byteOffset, 8).getBigInt64(0)
    if (connection.session === id) this.#end(connection)
  }

  /**
   * Own commands that a checkpoint contained: their clients cannot know, and ask again. Nor do watches
   * know what changed in it: a client that comes back hears of that when it sets them again.
   */
  #unanswered(through: number): void {
    this.#proposals.applied(through, this.#clock())
    for (const connection of this.#connections.values()) {
      const { state, session, outstanding } = connection
      const hasWatches = state === 'established' || (state === 'leaving' && session !== 0n)
      if (hasWatches || outstanding.hasThrough(through)) this.#abandon(connection, through)
    }
  }

  /** The others are answered yet: reads among them may register watches, which must end after that. */
  #abandon(connection: Connection, through: number): void {
    this.#outstanding -= connection.outstanding.dropThrough(through)
    this.#traces?.abandoned(connection)
    this.#drop(connection)
    this.#deliverEarly(connection)
    this.#queue(connection)
  }

  #syncReady(connection: Connection, request: Uint8Array, position: number): void {
    connection.syncing = false
    connection.position = Math.max(connection.position, position)
    this.#requests.sendSync(connection, request)
  }

  #noteOutput(connection: Connection): void {
    if (connection.isWriting || !connection.hasOutput) return
    connection.isWriting = true
    this.#outputs.push(connection)
  }

  #endRound(): void {
    if (this.#stalled.size > 0) this.#takeStalled()
    this.#syncs.flush(this.#now)
    this.#proposals.flush()
    if (this.#outputs.length > 0) this.#flushOutputs()
    if (this.#draining !== undefined) this.#tellDrained(this.#draining)
    this.#traces?.requests.flushed()
  }

  #flushOutputs(): void {
    const outputs = this.#outputs
    this.#outputs = []
    const now = this.#clock()
    for (const connection of outputs) {
      connection.isWriting = false
      if (!this.#standing.isKnownToLive(connection, now)) this.#suspend(connection)
      else this.#tally.sent += connection.flush(this.#scratch)
    }
  }

  /** Sends what there is, then closes. */
  #end(connection: Connection): void {
    if (!connection.isOpen) return
    this.#tally.sent += connection.flush(this.#scratch)
    connection.state = 'gone'
    connection.socket.end()
    this.#queue(connection)
  }

  /** Its session may have ended elsewhere, or never begins here: the client shall move. */
  #suspend(connection: Connection): void {
    this.#standing.suspended += 1
    this.#drop(connection)
  }

  #drop(connection: Connection | undefined): void {
    if (connection === undefined || !connection.isOpen) return
    connection.state = 'gone'
    connection.socket.destroy()
    this.#queue(connection)
  }

  /** Watches end when nothing that could still register one is under way. */
  #forget(connection: Connection): void {
    this.#stalled.delete(connection)
    if (connection.outstanding.count > 0) return
    if (!this.#connections.delete(connection.number)) return
    if (connection.session === 0n) return
    this.#standing.forget(connection)
    const { number } = connection
    this.#context
      .find(directory.watches)
      .tell({ kind: 'connectionClosed', stream: stream.zookeeper, connection: number })
  }

  #tick(): void {
    const now = this.#clock()
    const stoodStillMillis = now - this.#tickedMillis
    this.#tickedMillis = now
    this.#proposals.tick(now)
    this.#syncs.tick(now)
    this.#words.tick(now)
    this.#touches.tick(now)
    for (const connection of this.#connections.values()) {
      // While this process stood still it could not hear anybody.
      if (stoodStillMillis > 5 * tickMillis) connection.heardMillis += stoodStillMillis
      if (!this.#standing.isKnownToLive(connection, now)) this.#suspend(connection)
      else if (this.#isHeldBack(connection, now) || connection.takesOutput()) {
        connection.heardMillis = now
        if (connection.state === 'established') this.#touches.add(connection)
      } else if (this.#isSilent(connection, now)) this.#drop(connection)
    }
  }

  /**
   * It is we who do not listen, for load, so its silence says nothing. Not where answers wait for the client
   * to take them: that pause is its own.
   */
  #isHeldBack(connection: Connection, now: number): boolean {
    if (!this.#stalled.has(connection) || connection.socket.bufferedBytes > 0) return false
    return now - connection.stalledMillis <= limits.heldBackMillisMax
  }

  #isSilent({ state, heardMillis, timeoutMillis }: Connection, now: number): boolean {
    const silentMillis = now - heardMillis
    if (state === 'fresh') return silentMillis > limits.unestablishedMillisMax
    return state === 'established' && silentMillis > timeoutMillis
  }

  #word(connection: Connection, now: number): void {
    connection.state = 'leaving'
    connection.received += 1
    this.#tally.received += 1
    this.#words.asked(connection, connection.splitter.word, now)
  }

  #answerWord(connection: Connection, text: string): void {
    connection.send(utf8.encode(text))
    this.#end(connection)
  }

  #askStatus(id: number): void {
    const question = { kind: 'status', replyTo: 'zookeeper', id } as const
    this.#state.tell(question)
    this.#context.find(directory.watches).tell(question)
    this.#context.find(directory.consensus).tell(question)
  }

  #report(state: StateReport): ServerReport | undefined {
    if (this.#leader === 0) return undefined
    const { nodeCount, node, version } = this.#setup
    const role = this.#leader === node ? 'leader' : 'follower'
    const connections = [...this.#connections.values()].filter(one => one.isOpen)
    return {
      version,
      mode: nodeCount === 1 ? 'standalone' : role,
      readOnly: false,
      ...this.#tally.report(this.#now),
      outstandingRequests: this.#outstanding,
      leaderUptimeMillis: this.#now - this.#leaderSinceMillis,
      connections: connections.map(connectionReport),
      state,
    }
  }

  #answerStatus(id: number): void {
    const { connections: _, ...report } = this.#report(unknownState) ?? { connections: [] }
    const json = JSON.stringify({
      ...report,
      port: this.#listener?.port,
      connections: this.#connections.size,
      stalled: this.#stalled.size,
      suspended: this.#standing.suspended,
      proposalsWaiting: this.#proposals.waitingCount,
    })
    this.#context
      .find(directory.control)
      .tell({ kind: 'statusAnswer', from: 'zookeeper', id, json })
  }

  /** What clients have sent stays in their sockets; they ask another node. */
  #drain(id: number): void {
    this.#draining = id
    this.#listener?.close()
  }

  #tellDrained(id: number): void {
    if (this.#outstanding > 0) return
    this.#context.find(directory.control).tell({ kind: 'done', id, error: '' })
  }

  #stop(): void {
    if (this.#draining === undefined) this.#listener?.close()
    for (const connection of this.#connections.values()) this.#end(connection)
  }
}

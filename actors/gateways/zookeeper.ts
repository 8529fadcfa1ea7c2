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
import { LimitedLog } from '../../runtime/limited-log.ts'
import { limits } from '../../transport/zookeeper/limits.ts'
import type { ServerReport, StateReport } from '../../transport/zookeeper/four-letter-words.ts'
import { JuteReader } from '../../transport/zookeeper/jute-reader.ts'
import { certificateNews } from '../certificate-news.ts'
import { handshakeNews } from '../handshake-news.ts'
import type { StatusAnswer } from '../control.ts'
import { directory } from '../directory.ts'
import type { SessionsConfirmed } from '../sessions/messages.ts'
import { type StateMessage, stream, streamOf } from '../state/messages.ts'
import { Proposals } from '../state/proposals.ts'
import { replyStatus } from '../state/zookeeper-commands.ts'
import type { ReplyMessage } from '../watches/messages.ts'
import { AnswerRoom } from './answer-room.ts'
import { observeDoor } from './door-metrics.ts'
import type { GatewayMessage } from './messages.ts'
import { Arrivals } from './zookeeper-arrivals.ts'
import { Connection } from './zookeeper-connection.ts'
import { Grants } from './zookeeper-grants.ts'
import { Handshakes } from './zookeeper-handshake.ts'
import { Relief } from './zookeeper-relief.ts'
import { InputRoom } from './zookeeper-input.ts'
import { forOldClient } from './zookeeper-old-clients.ts'
import { Requests } from './zookeeper-requests.ts'
import { type Need, needOf } from './zookeeper-needs.ts'
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
  /** Of them, from one address; 0: no such limit. */
  readonly connectionsPerAddressMax: number
  /** Memory for answers that clients have not taken yet, over all connections. */
  readonly answerBytesMax: number
  /** The four-letter words that are answered; `'*'` is all. */
  readonly fourLetterWords: readonly string[]
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
const refusalOutOfContact =
  'the ZooKeeper port takes no new clients: no leader was confirmed lately'

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
  readonly #door: AnswerRoom
  readonly #grants: Grants
  readonly #relief: Relief
  readonly #input = new InputRoom()
  readonly #arrivals: Arrivals
  readonly #limitedLog: LimitedLog
  readonly #connections = new Map<number, Connection>()
  /** Their sockets are about to close. */
  readonly #closing = new Set<Connection>()
  readonly #stalled = new Set<Connection>()
  /** Of them, those whose next request others may not keep waiting. */
  readonly #urgent = new Set<Connection>()
  /** Of them, those that wait for the door alone, in the order of their turns. */
  readonly #queueing = new Set<Connection>()
  #isServingQueue = false
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
    this.#limitedLog = new LimitedLog(context.log)
    this.#arrivals = new Arrivals(setup.connectionsMax, setup.connectionsPerAddressMax)
    this.#door = new AnswerRoom({
      bytesMax: setup.answerBytesMax,
      connectionBytesMax: limits.connectionAnswerBytesMax,
      connectionBytesMin: limits.connectionAnswerBytesMin,
      answerBytesMin: limits.answerBytesMin,
    })
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
      clock: () => context.host.clock.monotonicMillis(),
      // By way of the state machine, so that no write of a session overtakes its reads on the way.
      tell: message => this.#state.tell(message),
      ...(this.#traces === undefined ? {} : { trace: this.#traces.requests.propose }),
    })
    this.#grants = new Grants({ state: this.#state, stream: this.#stream, door: this.#door })
    this.#relief = new Relief(this.#door, this.#grants)
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
    const words = new Set(setup.fourLetterWords)
    this.#words = new Words({
      allows: word => words.has('*') || words.has(word),
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
    this.#tally.observe(metrics)
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
      [
        'quorate_zookeeper_answer_bytes',
        'Memory set aside for, or held by, answers that ZooKeeper clients have not taken yet.',
        () => this.#door.usedBytes,
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
      case 'statesDiffer':
        this.#requests.statesDiffer = message.differ
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
        // For the other door.
        return
      case 'needsRoom':
        if (message.stream === this.#stream) this.#needsRoom(message)
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
      {
        onCertificates: certificateNews(this.#context.log, 'zookeeper'),
        onHandshakeFailed: handshakeNews(this.#context.log, this.#context.host.clock, 'zookeeper'),
      },
    )
  }

  #listening(error: Error | null): void {
    const { host, port } = this.#setup.listen
    if (error !== null) {
      throw new Error(`cannot listen for ZooKeeper clients on ${host}:${port}: ${error.message}`)
    }
    this.#context.log.info('The node listens for ZooKeeper clients', {
      host,
      port: this.#listener?.port,
    })
  }

  /** Called by the host, outside of any turn: it only notes and wakes. */
  #accept(socket: Socket): void {
    const { remoteAddress } = socket
    const refusal = this.#arrivals.came(remoteAddress)
    if (refusal !== undefined) {
      this.#refuse(socket, refusal)
      return
    }
    this.#lastNumber = (this.#lastNumber % 0xffffffff) + 1
    const { frameBytesMax } = this.#setup
    const now = this.#clock()
    const connection = new Connection(this.#lastNumber, socket, this.#door, frameBytesMax, now)
    this.#connections.set(connection.number, connection)
    socket.open({
      data: chunk => {
        if (!connection.isOpen) return
        connection.splitter.push(chunk)
        this.#input.arrived(connection, chunk.length)
        connection.hasInput = true
        this.#queue(connection)
      },
      drained: () => {
        connection.drained = true
        this.#queue(connection)
      },
      ended: () => {
        connection.ended = true
        this.#queue(connection)
      },
      closed: () => {
        connection.closed = true
        this.#arrivals.left(remoteAddress)
        this.#queue(connection)
      },
    })
  }

  /** As ZooKeeper does: without a word. */
  #refuse(socket: Socket, reason: string): void {
    const { remoteAddress } = socket
    this.#limitedLog.warn('A ZooKeeper client is refused', { remoteAddress, reason }, this.#clock())
    socket.open({ data() {}, closed() {} })
    socket.destroy()
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
    this.#input.beginTurn()
    const inputs = this.#inputs
    this.#inputs = []
    const now = this.#clock()
    for (const connection of inputs) {
      connection.queued = false
      if (connection.closed) this.#closed(connection)
      else if (connection.isOpen) this.#takeNews(connection, now)
    }
  }

  #takeNews(connection: Connection, now: number): void {
    if (connection.drained) {
      connection.drained = false
      connection.outgoing.pump()
    }
    if (!this.#standing.isKnownToLive(connection, now)) return this.#suspend(connection)
    // Whoever takes answers says nothing by that: its system took them.
    if (connection.hasInput) this.#heard(connection, now)
    connection.hasInput = false
    this.#take(connection, now)
    if (connection.isOpen) this.#input.taken(connection, now)
    // A word, or the end of the session, is still answered.
    const { ended, state, queued } = connection
    if (ended && !queued && state !== 'leaving') this.#end(connection)
  }

  /** All requests that are there, as long as there is room for them. */
  #take(connection: Connection, now: number): void {
    if (!this.#standing.isKnownToLive(connection, this.#now)) return this.#suspend(connection)
    let left: number = this.#isServingQueue
      ? limits.requestsPerTurnMaxQueueing
      : limits.requestsPerTurnMax
    while (connection.isOpen) {
      if (this.#mustWait(connection)) {
        this.#stall(connection)
        return
      }
      if (this.#mustQueue(connection)) {
        this.#stall(connection)
        this.#queueing.add(connection)
        return
      }
      if (left-- === 0) {
        this.#goOnLater(connection)
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
    this.#unstall(connection)
    connection.resume()
    this.#noteOutput(connection)
  }

  /** Behind the others that have sent something; no more comes before what has come is taken. */
  #goOnLater(connection: Connection): void {
    this.#unstall(connection)
    connection.pause()
    this.#queue(connection)
    this.#noteOutput(connection)
  }

  #heard(connection: Connection, now: number): void {
    connection.heardMillis = now
    if (connection.state === 'established') this.#touches.add(connection)
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
      connection.outstanding.count >= limits.outstandingRequestsMax ||
      connection.room.isFull
    )
  }

  /** Whoever comes while others wait for the door waits behind them. */
  #mustQueue(connection: Connection): boolean {
    const mayPass = this.#isServingQueue || this.#queueing.size === 0
    return (!mayPass || this.#isFull) && this.#isFullFor(needOf(connection))
  }

  /** For what nobody hurries with. */
  get #isFull(): boolean {
    return (
      this.#outstanding >= limits.outstandingTotalMax ||
      this.#proposals.full ||
      !this.#context.hasRoom(this.#state)
    )
  }

  /** Load that others make refuses no session, no room that is given back, and no read while others only write. */
  #isFullFor(need: Need): boolean {
    if (need.requestsShare === 0) return true
    return (
      this.#outstanding >= limits.outstandingTotalMax * need.requestsShare ||
      (need.needsLog && this.#proposals.isBeyond(need.spareShare)) ||
      (need.needsState && !this.#context.hasRoom(this.#state))
    )
  }

  /** What has come stays where it is; more comes only once there is room again. */
  #stall(connection: Connection): void {
    this.#queueing.delete(connection)
    this.#stalled.add(connection)
    if (connection.stalledMillis === 0) connection.stalledMillis = this.#now
    if (needOf(connection).requestsShare > 0) this.#urgent.add(connection)
    if (connection.splitter.waitingBytes > 0) connection.pause()
    this.#noteOutput(connection)
  }

  #unstall(connection: Connection): void {
    connection.stalledMillis = 0
    if (!this.#stalled.delete(connection)) return
    this.#urgent.delete(connection)
    this.#queueing.delete(connection)
  }

  #takeStalled(): void {
    for (const connection of [...this.#urgent]) this.#takeAgain(connection)
    if (this.#queueing.size < this.#stalled.size) {
      for (const connection of [...this.#stalled]) {
        if (!this.#queueing.has(connection)) this.#takeAgain(connection)
      }
    }
    if (this.#queueing.size > 0) this.#serveQueue()
  }

  #serveQueue(): void {
    this.#isServingQueue = true
    // Those that must wait again stand at the end, for the next round.
    let left = this.#queueing.size
    for (const connection of this.#queueing) {
      if (left-- === 0 || this.#isFull) break
      this.#takeAgain(connection)
    }
    this.#isServingQueue = false
  }

  #takeAgain(connection: Connection): void {
    if (!connection.isOpen || this.#mustWait(connection)) return
    this.#take(connection, connection.heardMillis)
    if (connection.isOpen) this.#input.taken(connection, this.#now)
  }

  #needsRoom({ connection: number, tag, bytes }: NeedsRoom): void {
    const connection = this.#connections.get(number)
    if (connection === undefined) return
    if (this.#grants.wants(connection, tag, bytes, this.#now)) return
    const { answerBytesMax } = this.#setup
    this.#limitedLog.warn(
      'An answer is longer than half of limits.answerBytesMax: its connection is closed',
      { bytes, answerBytesMax, remoteAddress: connection.address },
      this.#now,
    )
    this.#drop(connection)
  }

  #reply(message: ReplyMessage): void {
    // What an earlier generation proposed has nobody left to answer to.
    if (message.sequence > 0 && message.stream !== this.#stream) return
    if (message.sequence > 0) this.#proposals.applied(message.sequence, this.#now)
    if (message.status === replyStatus.sendLent) this.#grants.spent(message.body.length)
    const connection = this.#connections.get(message.connection)
    if (connection === undefined) return
    const { status } = message
    if (status === replyStatus.notification) this.#send(connection, message.body)
    else if (status === replyStatus.detached) this.#detached(connection, message.body)
    else if (message.sequence !== connection.outstanding.next) connection.early.push(message)
    else this.#answer(connection, message)
  }

  #answer(connection: Connection, message: ReplyMessage): void {
    this.#deliver(connection, message)
    if (connection.early.length > 0) this.#deliverEarly(connection)
  }

  #deliverEarly(connection: Connection): void {
    while (connection.early.length > 0 && connection.isOpen) {
      const { next } = connection.outstanding
      const at = connection.early.findIndex(early => early.sequence === next)
      if (at < 0) break
      this.#deliver(connection, connection.early.splice(at, 1)[0]!)
    }
  }

  #deliver(connection: Connection, message: ReplyMessage): void {
    const { status, sequence, body } = message
    const arrivedMillis = connection.outstanding.shift()
    this.#tally.answered(connection.outstanding.shiftedOperation, this.#now - arrivedMillis)
    this.#outstanding -= 1
    this.#traces?.answered(connection, message)
    connection.room.release(connection.outstanding.shiftedRoomBytes)
    if (sequence === 0) this.#readAnswered(connection)
    if (status === replyStatus.close) {
      this.#drop(connection)
      return
    }
    if (status === replyStatus.handshake) {
      if (!this.#handshakes.finish(connection, body)) this.#end(connection)
      else this.#sessionBegins(connection, arrivedMillis)
    } else {
      connection.zxid = this.#reader.reset(body, 8, body.length).long()
      connection.send(connection.hasReadOnly ? body : forOldClient(body))
      if (status === replyStatus.sendAndClose) this.#end(connection)
    }
    this.#noteOutput(connection)
  }

  #sessionBegins(connection: Connection, arrivedMillis: number): void {
    this.#standing.established(connection, arrivedMillis)
    this.#touches.add(connection)
    this.#grants.begin()
  }

  #readAnswered(connection: Connection): void {
    connection.readsAnswered += 1
    const { grantedRead, readsAnswered } = connection
    if (grantedRead !== 0 && grantedRead <= readsAnswered) connection.releaseGrant()
    if (this.#grants.waitingCount > 0) this.#grants.answered(connection, readsAnswered)
  }

  #event(number: number, frame: Uint8Array): void {
    const connection = this.#connections.get(number)
    if (connection === undefined) return
    this.#send(connection, frame)
    if (!connection.outgoing.isUntaken) connection.untakenEventBytes = 0
    else connection.untakenEventBytes += frame.length
    if (connection.untakenEventBytes <= limits.untakenEventBytesMax) return
    this.#dropIdle(connection, 'A ZooKeeper client that does not take its watch events was dropped')
  }

  #send(connection: Connection, frame: Uint8Array): void {
    connection.send(frame)
    this.#noteOutput(connection)
  }

  #dropIdle(connection: Connection, sentence: string): void {
    const { address, room } = connection
    const { inputBytes } = connection
    const fields = { remoteAddress: address, heldBytes: room.heldBytes, inputBytes }
    this.#limitedLog.warn(sentence, fields, this.#now)
    this.#drop(connection)
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
    for (const connection of [...this.#connections.values()]) {
      const { hasSession, outstanding } = connection
      if (hasSession || outstanding.hasThrough(through)) this.#drop(connection)
    }
  }

  #syncReady(connection: Connection, request: Uint8Array, position: number): void {
    if (!connection.isOpen) return
    connection.syncing = false
    connection.position = Math.max(connection.position, position)
    this.#requests.sendSync(connection, request)
  }

  #noteOutput(connection: Connection): void {
    if (connection.isWriting || !connection.outgoing.hasRound) return
    connection.isWriting = true
    this.#outputs.push(connection)
  }

  #endRound(): void {
    if (this.#stalled.size > 0) this.#takeStalled()
    for (const connection of this.#input.resumed()) {
      if (!this.#stalled.has(connection)) connection.resume()
    }
    this.#syncs.flush(this.#now)
    this.#proposals.flush()
    this.#grants.grant()
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
      if (!connection.isOpen) continue
      if (!this.#standing.isKnownToLive(connection, now)) this.#suspend(connection)
      else this.#tally.sent += connection.outgoing.flush(this.#scratch)
    }
  }

  /** Sends what there is, then closes. */
  #end(connection: Connection): void {
    if (!connection.isOpen) return
    this.#tally.sent += connection.outgoing.finish()
    connection.socket.end()
    this.#leave(connection)
  }

  /** Its session may have ended elsewhere, or never begins here: the client shall move. */
  #suspend(connection: Connection): void {
    this.#standing.suspended += 1
    this.#drop(connection)
  }

  #drop(connection: Connection | undefined): void {
    if (connection === undefined || !connection.isOpen) return
    connection.socket.destroy()
    this.#leave(connection)
  }

  /** Nothing of it is answered any more: what waits for it in the state machine is dropped there. */
  #leave(connection: Connection): void {
    const { number, outstanding, session } = connection
    connection.state = 'gone'
    this.#outstanding -= outstanding.count
    this.#traces?.abandoned(connection)
    this.#unstall(connection)
    this.#grants.forget(connection)
    this.#input.left(connection)
    connection.early.length = 0
    connection.room.releaseAll()
    this.#connections.delete(number)
    if (session !== 0n) {
      this.#standing.forget(connection)
      this.#state.tell({ kind: 'connectionGone', stream: this.#stream, connection: number })
    }
    if (connection.closed) return
    connection.closedByMillis = this.#now + limits.closingMillisMax
    this.#closing.add(connection)
  }

  #closed(connection: Connection): void {
    if (connection.isOpen) this.#leave(connection)
    this.#closing.delete(connection)
    connection.room.setHeld(0)
  }

  #tick(): void {
    // What came in before a connection is judged counts for it.
    if (this.#inputs.length > 0) this.#takeInputs()
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
      else if (this.#isHeldBack(connection, now) || connection.outgoing.isTaken()) {
        connection.heardMillis = now
        if (connection.state === 'established') this.#touches.add(connection)
      } else if (this.#isSilent(connection, now)) this.#drop(connection)
    }
    for (const connection of this.#relief.tick(this.#connections.values(), now)) {
      this.#dropIdle(connection, 'A ZooKeeper client that does not take its answers was dropped')
    }
    for (const connection of this.#input.tick(this.#connections.values(), now)) {
      this.#dropIdle(
        connection,
        'A ZooKeeper client that did not finish a long request was dropped',
      )
    }
    for (const { closedByMillis, socket } of this.#closing) {
      if (closedByMillis <= now) socket.destroy()
    }
  }

  /**
   * It is we who do not listen, for load, so its silence says nothing. Not where answers wait for the client
   * to take them: that pause is its own.
   */
  #isHeldBack(connection: Connection, now: number): boolean {
    if (!this.#stalled.has(connection) || connection.outgoing.isUntaken) return false
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
    if (!connection.isOpen) return
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
    const connections = [...this.#connections.values()]
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
      refusal: this.#standing.isInContact(this.#clock()) ? '' : refusalOutOfContact,
      answerBytes: this.#door.usedBytes,
      inputBytes: this.#input.usedBytes,
      answersWaiting: this.#grants.waitingCount,
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
    for (const connection of [...this.#connections.values()]) this.#end(connection)
  }
}

type NeedsRoom = Extract<GatewayMessage, { kind: 'needsRoom' }>

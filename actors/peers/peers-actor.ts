/**
 * Owns the listener for other nodes and one link to each of them. Envelopes for other nodes go into
 * the links as they are told and leave at the end of the round; what arrives is handed to the router,
 * which only tells. Consensus hears of links that come and go. Nobody is greeted before consensus has
 * said which cluster this is: that stands in the log.
 */
import type { Context, Definition, Ref } from '../../runtime/actor.ts'
import type { Listener, TlsFiles } from '../../runtime/host.ts'
import { unreachable } from '../../runtime/invariant.ts'
import { LimitedLog } from '../../runtime/limited-log.ts'
import { LatencyTable } from '../../runtime/latency-table.ts'
import { type Telemetry, telemetryOff } from '../../runtime/telemetry.ts'
import type { KindCodec } from '../../runtime/protocol.ts'
import type { NodeGate } from '../../runtime/router.ts'
import type { Connection, ConnectionEnd } from '../../transport/peers/connection.ts'
import { greet } from '../../transport/peers/greeting.ts'
import { type Hello, purpose } from '../../transport/peers/handshake.ts'
import { limits } from '../../transport/peers/limits.ts'
import type { PeerAddress } from '../../transport/peers/address.ts'
import { PeerLink } from '../../transport/peers/peer-link.ts'
import { schemasV0 } from '../../transport/peers/schemas/v0.ts'
import { type OlderSchemas, SchemaSet } from '../../transport/peers/schemas.ts'
import { certificateNews } from '../certificate-news.ts'
import type { StatusAnswer } from '../control.ts'
import { directory } from '../directory.ts'
import { Acquaintances, type Identity } from './acquaintances.ts'
import { Callers } from './callers.ts'
import { type CheckpointStore, CheckpointTransfers } from './checkpoint-transfers.ts'
import { crossingKinds } from './crossing.ts'
import { observeLinks, observeRoundTrips } from './link-metrics.ts'
import type { PeerMember, PeersMessage, PeersNotice } from './messages.ts'
import { LinkCarrier } from './node-carrier.ts'
import { peersProtocol } from './protocol.ts'

export interface PeersSetup {
  readonly node: number
  readonly cluster: string
  readonly storeId: string
  readonly incarnation: number
  readonly listen: { readonly host: string; readonly port: number }
  /** Of the cluster, the first to prove with; none: nothing has to be proven (loopback, or TLS alone). */
  readonly secrets?: readonly string[]
  /** Both sides show a certificate, for the host of their peer address or for `tls.name`. */
  readonly tls?: TlsFiles
  /** As configured; `members` messages replace it. */
  readonly members: readonly PeerMember[]
  /** Only of tests without consensus: who they are from the start. */
  readonly formation?: string
  readonly gate: NodeGate
  readonly checkpoints: CheckpointStore
  /** What crosses nodes, and what earlier versions wrote instead, newest first; tests have their own. */
  readonly kinds?: readonly KindCodec[]
  readonly olderSchemas?: readonly OlderSchemas[]
  readonly telemetry?: Telemetry
}

export const peersActor: Definition<PeersMessage, PeersSetup> = {
  name: 'peers',
  protocol: peersProtocol,
  start(context, setup) {
    const peers = new Peers(context, setup)
    context.onRoundEnd(() => peers.flush())
    context.every(limits.introductionMillis, { kind: 'introduce' })
    context.onStop(() => peers.stop())
    return message => peers.handle(message)
  },
}

class Peers {
  readonly #context: Context<PeersMessage>
  readonly #setup: PeersSetup
  readonly #acquaintances: Acquaintances
  readonly #transfers: CheckpointTransfers
  readonly #carrier: LinkCarrier
  /** The last failed dial by node: only news is logged. */
  readonly #failures = new Map<number, DialFailure>()
  readonly #links = new Map<number, PeerLink>()
  /** Links that were refused the last time: that they are up again is news once they last. */
  readonly #unsaidLinks = new Map<number, Hello>()
  readonly #refusals: LimitedLog
  /** How to give up introductions that are under way, by node. */
  readonly #introductions = new Map<number, () => void>()
  /** What the process at the other end of each link that is up said of itself. */
  readonly #hellos = new Map<number, Hello>()
  readonly #consensus: Ref<PeersNotice>
  #listener: Listener | undefined
  readonly #callers: Callers
  readonly #roundTrips = new LatencyTable(nodesMax)
  #stopping = false

  constructor(context: Context<PeersMessage>, setup: PeersSetup) {
    this.#context = context
    this.#setup = setup
    this.#refusals = new LimitedLog(context.log)
    const schemas = new SchemaSet(setup.kinds ?? crossingKinds(), setup.olderSchemas ?? [schemasV0])
    this.#consensus = context.find<PeersNotice>(directory.consensus)
    this.#acquaintances = new Acquaintances(identity(context, setup, schemas), setup, {
      helloOf: node => this.#hellos.get(node),
      strangers: () => this.#strangers().length,
      keepsIntroductionOf: node => this.#keepsIntroductionOf(node),
    })
    const isMember = (node: number): boolean => this.#acquaintances.member(node) !== undefined
    this.#carrier = new LinkCarrier(setup.gate, schemas, isMember, () => context.self.tell(flush))
    this.#transfers = new CheckpointTransfers(context, setup.checkpoints, this.#acquaintances)
    this.#callers = new Callers(context, this.#acquaintances, (connection, hello) =>
      this.#greeted(connection, hello),
    )
    const { metrics } = setup.telemetry ?? telemetryOff
    observeLinks(metrics, () => [...this.#links.values()].map(link => link.status()))
    observeRoundTrips(metrics, this.#roundTrips)
    const { formation } = setup
    if (formation !== undefined) {
      const { members } = setup
      context.self.tell({ kind: 'members', members, formation, position: 0, bound: [] })
    }
  }

  handle(message: PeersMessage): void {
    switch (message.kind) {
      case 'flush':
        return
      case 'members':
        return this.#learnMembers(message)
      case 'introduce':
        this.#introduce()
        this.#sayLastingLinks()
        return
      case 'sendCheckpoint':
        this.#sendCheckpoint(message.node)
        return
      case 'listening':
        this.#listening(message.error)
        return
      case 'status':
        this.#answerStatus(message.replyTo, message.id)
        return
      default:
        unreachable(message)
    }
  }

  flush(): void {
    this.#carrier.flush()
  }

  stop(): void {
    this.#stopping = true
    this.#listener?.close()
    this.#transfers.stop()
    for (const giveUp of [...this.#introductions.values()]) giveUp()
    for (const [node, link] of this.#links) this.#removeLink(node, link)
  }

  /** The first one opens the door: from now on this node can say which cluster it belongs to. */
  #learnMembers(message: Extract<PeersMessage, { kind: 'members' }>): void {
    const before = this.#acquaintances.others()
    if (message.members.length > 0) this.#acquaintances.setMembers(message.members)
    this.#acquaintances.setStanding(message)
    this.#updateLinks(before)
    for (const [node, hello] of [...this.#hellos]) {
      const refusal = this.#acquaintances.judgeAgain(hello)
      if (refusal !== undefined) this.#links.get(node)?.end(refusal.code, refusal.text)
    }
    if (this.#listener === undefined) this.#open()
  }

  #open(): void {
    const { self, host, log } = this.#context
    const { listen, tls } = this.#setup
    this.#listener = host.network.listen(
      tls === undefined ? listen : { ...listen, tls },
      socket => this.#callers.take(socket),
      error => self.tell({ kind: 'listening', error: error?.message ?? '' }),
      {
        onCertificates: certificateNews(log, 'peers'),
        onHandshakeFailed: (address, error) => this.#callers.failed(address, error),
      },
    )
    // Those who dial this node have found nobody so far, and wait a little before they dial again.
    this.#introduce()
  }

  /** Links of members that have left end; those of nodes that never were one stay. */
  #updateLinks(before: readonly PeerMember[]): void {
    const others = this.#acquaintances.others()
    for (const { node } of before) {
      const link = this.#links.get(node)
      if (link === undefined || others.some(other => other.node === node)) continue
      this.#removeLink(node, link)
    }
    for (const { node } of others) {
      const link = this.#links.get(node)
      if (link === undefined) this.#addLink(node)
      else link.wake()
    }
  }

  #addLink(node: number): PeerLink {
    const link: PeerLink = new PeerLink({
      host: this.#context.host,
      node,
      address: () => this.#addressOf(node),
      greeter: this.#acquaintances,
      roundTrips: this.#roundTrips,
      up: hello => this.#linkUp(link, hello),
      down: (closed, end) => this.#linkDown(node, closed, end),
      dialFailed: end => this.#dialFailed(node, end),
      envelopes: body => this.#carrier.deliver(node, body),
    })
    this.#links.set(node, link)
    return link
  }

  #removeLink(node: number, link: PeerLink): void {
    this.#links.delete(node)
    link.stop()
  }

  /** The node with the larger id dials. */
  #addressOf(node: number): PeerAddress | undefined {
    return node < this.#setup.node ? this.#acquaintances.addressOf(node) : undefined
  }

  /**
   * A node with a larger id dials us, unless we are no member there, or not at the address that it
   * knows: then it hears of us only from ourselves, and keeps the connection.
   */
  #introduce(): void {
    if (this.#listener === undefined) return
    for (const { node } of this.#acquaintances.others()) {
      if (node < this.#setup.node || this.#links.get(node)?.up) continue
      const address = this.#acquaintances.addressOf(node)
      if (address !== undefined && !this.#introductions.has(node)) this.#introduceTo(node, address)
    }
  }

  #introduceTo(node: number, address: PeerAddress): void {
    const { host } = this.#context
    const socket = host.network.connect(address)
    const giveUp = greet(host, socket, this.#acquaintances, node, purpose.introduction, result => {
      this.#introductions.delete(node)
      if (result.kind === 'greeted') this.#introduced(node, result.connection, result.hello)
      else if (!this.#stopping) this.#dialFailed(node, result.end)
    })
    this.#introductions.set(node, giveUp)
  }

  /** A welcome for messages: the other side cannot dial us. */
  #introduced(node: number, connection: Connection, hello: Hello): void {
    const link = this.#links.get(node)
    const isKept = hello.purpose === purpose.messages && link !== undefined && !link.up
    if (isKept) link.adopt(connection, hello)
    else endIntroduction(connection)
  }

  #keepsIntroductionOf(node: number): boolean {
    const link = this.#links.get(node)
    if (link === undefined) return true
    return !link.up && (this.#addressOf(node) === undefined || link.failing)
  }

  /** Of the links that are up. */
  #strangers(): number[] {
    return [...this.#hellos.keys()].filter(node => this.#acquaintances.member(node) === undefined)
  }

  #linkUp(link: PeerLink, hello: Hello): void {
    const { from, storeId, incarnation, schemas } = hello
    this.#hellos.set(from, hello)
    this.#acquaintances.meet(hello)
    this.#carrier.up(from, link, schemas)
    this.#transfers.linked(from)
    if (link.isRefused) this.#unsaidLinks.set(from, hello)
    else this.#sayLinked(hello)
    this.#consensus.tell({ kind: 'linkUp', node: from, storeId, incarnation })
  }

  #sayLinked({ from, storeId, incarnation }: Hello): void {
    const member = this.#acquaintances.member(from) !== undefined
    // What it fails for from now on is news.
    this.#failures.delete(from)
    this.#callers.linked(from)
    this.#context.log.info('A node is linked', { peer: from, incarnation, store: storeId, member })
  }

  #sayLastingLinks(): void {
    for (const [node, hello] of this.#unsaidLinks) {
      if ((this.#links.get(node)?.livesMillis ?? 0) < limits.lastingLinkMillis) continue
      this.#unsaidLinks.delete(node)
      this.#sayLinked(hello)
    }
  }

  /** A store that the other side does not want comes again and again: once a minute is enough. */
  #sayLost(node: number, closed: boolean, { code, why }: ConnectionEnd): void {
    const sentence = 'The link to a node is lost'
    const fields = { peer: node, closed, reason: why }
    const now = this.#context.host.clock.monotonicMillis()
    this.#unsaidLinks.delete(node)
    if (this.#links.get(node)?.isRefused !== true) this.#context.log.warn(sentence, fields)
    else this.#refusals.warn(sentence, fields, now, `${node} ${code}`)
  }

  #linkDown(node: number, closed: boolean, end: ConnectionEnd): void {
    this.#hellos.delete(node)
    // It is we who leave: the others hear of it, and our own consensus has stopped.
    if (this.#stopping) return
    if (this.#acquaintances.member(node) === undefined) this.#forgetLater(node)
    this.#sayLost(node, closed, end)
    this.#carrier.down(node)
    this.#consensus.tell({ kind: 'linkDown', node, closed })
  }

  /** Of a node that is no member nothing is kept, unless another connection is about to replace this one. */
  #forgetLater(node: number): void {
    const link = this.#links.get(node)
    this.#context.host.timers.after(0, () => {
      const isOver =
        this.#links.get(node) === link && this.#acquaintances.member(node) === undefined
      if (link !== undefined && isOver && !link.up) this.#removeLink(node, link)
    })
  }

  #dialFailed(node: number, { code, why }: ConnectionEnd): void {
    const now = this.#context.host.clock.monotonicMillis()
    const before = this.#failures.get(node)
    const failure =
      before?.code === code ? before : { code, since: before?.since ?? now, logged: false }
    this.#failures.set(node, failure)
    if (failure.logged || (isAbsence(code) && now - failure.since < limits.unreachableMillis))
      return
    failure.logged = true
    this.#context.log.warn('A node cannot be linked', { peer: node, code, reason: why })
  }

  #greeted(connection: Connection, hello: Hello): void {
    const { from } = hello
    if (hello.purpose === purpose.checkpoint) return this.#receiveCheckpoint(connection, from)
    if (hello.purpose === purpose.messages || this.#keepsIntroductionOf(from)) {
      const link = this.#links.get(from) ?? this.#addLink(from)
      return link.adopt(connection, hello)
    }
    endIntroduction(connection)
    this.#links.get(from)?.wake()
  }

  #sendCheckpoint(node: number): void {
    if (this.#acquaintances.member(node) === undefined) return
    const isLinked = this.#links.get(node)?.up === true
    this.#transfers.send(node, isLinked, sent =>
      this.#consensus.tell({ kind: 'checkpointSent', node, sent }),
    )
  }

  #receiveCheckpoint(connection: Connection, from: number): void {
    this.#transfers.receive(connection, from, (directoryName, { position, epoch }) => {
      const arrived = {
        kind: 'checkpointArrived',
        directory: directoryName,
        position,
        epoch,
      } as const
      this.#context.find(directory.state).tell(arrived)
    })
  }

  #listening(error: string): void {
    const { host, port } = this.#setup.listen
    if (error !== '') throw new Error(`cannot listen for other nodes on ${host}:${port}: ${error}`)
    this.#context.log.info('The node listens for other nodes', {
      host,
      port: this.#listener?.port ?? port,
    })
  }

  #answerStatus(replyTo: string, id: number): void {
    const links = [...this.#links].map(([node, link]) => ({
      ...link.status(),
      member: this.#acquaintances.member(node) !== undefined,
    }))
    const json = JSON.stringify({
      port: this.#listener?.port ?? 0,
      links,
      stores: this.#acquaintances.stores(),
      checkpoints: this.#transfers.status,
    })
    const answer: StatusAnswer = { kind: 'statusAnswer', from: 'peers', id, json }
    this.#context.find<StatusAnswer>({ name: replyTo }).tell(answer)
  }
}

function endIntroduction(connection: Connection): void {
  connection.handlers = { frame() {}, closed() {} }
  connection.close('done', 'the introduction is over')
}

interface DialFailure {
  readonly code: string
  /** Monotonic milliseconds of the first one since the last link. */
  readonly since: number
  logged: boolean
}

/** Nobody has answered, as opposed to a process that says why it will not talk to us. */
function isAbsence(code: string): boolean {
  return /^E[A-Z]/.test(code) || code === 'closed' || code === 'stopping'
}

/** One object for all: it is told in every round that sends something. */
const flush: PeersMessage = { kind: 'flush' }
const processBytes = 16
/** Ids are bytes. */
const nodesMax = 256

function identity(
  context: Context<PeersMessage>,
  setup: PeersSetup,
  { lines }: SchemaSet,
): Identity {
  const { node, cluster, storeId, incarnation } = setup
  const process = Buffer.from(context.host.random.bytes(processBytes)).toString('hex')
  return { node, cluster, storeId, incarnation, process, schemas: lines }
}

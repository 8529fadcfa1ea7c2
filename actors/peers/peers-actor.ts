/**
 * Owns the listener for other nodes and one link to each of them. Envelopes for other nodes go into
 * the links as they are told and leave at the end of the round; what arrives is handed to the router,
 * which only tells. Consensus hears of links that come and go.
 */
import type { Context, Definition, Ref } from '../../runtime/actor.ts'
import type { Listener, Socket } from '../../runtime/host.ts'
import { unreachable } from '../../runtime/invariant.ts'
import { type Telemetry, telemetryOff } from '../../runtime/telemetry.ts'
import type { KindCodec } from '../../runtime/protocol.ts'
import type { NodeGate } from '../../runtime/router.ts'
import type { Connection, ConnectionEnd } from '../../transport/peers/connection.ts'
import { awaitGreeting, greet, type GreetingResult } from '../../transport/peers/greeting.ts'
import { type Hello, purpose } from '../../transport/peers/handshake.ts'
import { limits } from '../../transport/peers/limits.ts'
import type { PeerAddress } from '../../transport/peers/address.ts'
import { PeerLink } from '../../transport/peers/peer-link.ts'
import { schemasV0 } from '../../transport/peers/schemas/v0.ts'
import { type OlderSchemas, SchemaSet } from '../../transport/peers/schemas.ts'
import type { StatusAnswer } from '../control.ts'
import { directory } from '../directory.ts'
import { Acquaintances, type Identity } from './acquaintances.ts'
import { type CheckpointStore, CheckpointTransfers } from './checkpoint-transfers.ts'
import { crossingKinds } from './crossing.ts'
import { observeLinks } from './link-metrics.ts'
import type { PeerMember, PeersMessage, PeersNotice } from './messages.ts'
import { LinkCarrier } from './node-carrier.ts'
import { peersProtocol } from './protocol.ts'

export interface PeersSetup {
  readonly node: number
  readonly cluster: string
  readonly storeId: string
  readonly incarnation: number
  readonly listen: { readonly host: string; readonly port: number }
  /** As configured; `members` messages replace it. */
  readonly members: readonly PeerMember[]
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
  /** The same of callers that were refused. */
  readonly #refused = new Map<number, string>()
  readonly #links = new Map<number, PeerLink>()
  /** How to give up introductions that are under way, by node. */
  readonly #introductions = new Map<number, () => void>()
  readonly #consensus: Ref<PeersNotice>
  readonly #listener: Listener
  #greetings = 0
  #stopping = false

  constructor(context: Context<PeersMessage>, setup: PeersSetup) {
    this.#context = context
    this.#setup = setup
    const schemas = new SchemaSet(setup.kinds ?? crossingKinds(), setup.olderSchemas ?? [schemasV0])
    this.#consensus = context.find<PeersNotice>(directory.consensus)
    this.#acquaintances = new Acquaintances(identity(context, setup, schemas), setup.members)
    this.#carrier = new LinkCarrier(setup.gate, schemas, () => context.self.tell(flush))
    this.#transfers = new CheckpointTransfers(context, setup.checkpoints, this.#acquaintances)
    this.#listener = context.host.network.listen(
      setup.listen,
      socket => this.#greetCaller(socket),
      error => context.self.tell({ kind: 'listening', error: error?.message ?? '' }),
    )
    const { metrics } = setup.telemetry ?? telemetryOff
    observeLinks(metrics, () => [...this.#links.values()].map(link => link.status()))
    this.#updateLinks()
  }

  handle(message: PeersMessage): void {
    switch (message.kind) {
      case 'flush':
        return
      case 'members':
        this.#acquaintances.setMembers(message.members)
        this.#updateLinks()
        return
      case 'introduce':
        this.#introduce()
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
    this.#listener.close()
    this.#transfers.stop()
    for (const giveUp of [...this.#introductions.values()]) giveUp()
    for (const [node, link] of this.#links) this.#removeLink(node, link)
  }

  #updateLinks(): void {
    const others = this.#acquaintances.others()
    for (const [node, link] of this.#links) {
      if (!others.some(other => other.node === node)) this.#removeLink(node, link)
    }
    for (const { node } of others) {
      const link = this.#links.get(node)
      if (link === undefined) this.#addLink(node)
      else link.wake()
    }
  }

  #addLink(node: number): void {
    const link: PeerLink = new PeerLink({
      host: this.#context.host,
      node,
      address: () => this.#addressOf(node),
      greeter: this.#acquaintances,
      up: hello => this.#linkUp(link, hello),
      down: (closed, end) => this.#linkDown(node, closed, end),
      dialFailed: end => this.#dialFailed(node, end),
      envelopes: body => this.#carrier.deliver(node, body),
    })
    this.#links.set(node, link)
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
   * A node with a larger id dials us, unless we are no member there: then it hears of us and of our
   * store only from ourselves.
   */
  #introduce(): void {
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
      if (result.kind === 'greeted') endIntroduction(result.connection)
      else if (!this.#stopping) this.#dialFailed(node, result.end)
    })
    this.#introductions.set(node, giveUp)
  }

  #linkUp(link: PeerLink, hello: Hello): void {
    const { from, storeId, incarnation, schemas } = hello
    this.#acquaintances.meet(hello)
    this.#carrier.up(from, link, schemas)
    this.#failures.delete(from)
    this.#refused.delete(from)
    this.#transfers.linked(from)
    this.#context.log.info('Linked to a node', { peer: from, incarnation, store: storeId })
    this.#consensus.tell({ kind: 'linkUp', node: from, storeId, incarnation })
  }

  #linkDown(node: number, closed: boolean, end: ConnectionEnd): void {
    // It is we who leave: the others hear of it, and our own consensus has stopped.
    if (this.#stopping) return
    this.#context.log.warn('Lost the link to a node', { peer: node, closed, reason: end.why })
    this.#carrier.down(node)
    this.#consensus.tell({ kind: 'linkDown', node, closed })
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
    this.#context.log.warn('Cannot link to a node', { peer: node, code, reason: why })
  }

  #greetCaller(socket: Socket): void {
    if (this.#greetings >= limits.greetingsMax) {
      socket.open({ data() {}, closed() {} })
      socket.destroy()
      return
    }
    this.#greetings++
    awaitGreeting(this.#context.host, socket, this.#acquaintances, result => {
      this.#greetings--
      this.#greeted(result, socket.remoteAddress)
    })
  }

  #greeted(result: GreetingResult, address: string): void {
    if (result.kind === 'failed') {
      const { from, end } = result
      if (from !== 0 && this.#refused.get(from) === end.code) return
      if (this.#refused.size >= limits.greetingsMax) this.#refused.clear()
      this.#refused.set(from, end.code)
      this.#context.log.warn('Refused a peer', { from, address, code: end.code, reason: end.why })
      return
    }
    const { hello, connection } = result
    const link = this.#links.get(hello.from)
    if (hello.purpose === purpose.checkpoint) this.#receiveCheckpoint(connection, hello.from)
    else if (hello.purpose === purpose.messages) link?.adopt(connection, hello)
    else {
      endIntroduction(connection)
      link?.wake()
    }
  }

  #sendCheckpoint(node: number): void {
    const to = this.#acquaintances.member(node)
    if (to === undefined) return
    const isLinked = this.#links.get(node)?.up === true
    this.#transfers.send(to, isLinked, sent =>
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
    this.#context.log.info('Listening for other nodes', { host, port: this.#listener.port })
  }

  #answerStatus(replyTo: string, id: number): void {
    const links = [...this.#links.values()].map(link => link.status())
    const json = JSON.stringify({
      port: this.#listener.port,
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

function identity(
  context: Context<PeersMessage>,
  setup: PeersSetup,
  { lines }: SchemaSet,
): Identity {
  const { node, cluster, storeId, incarnation } = setup
  const process = Buffer.from(context.host.random.bytes(processBytes)).toString('hex')
  return { node, cluster, storeId, incarnation, process, schemas: lines }
}

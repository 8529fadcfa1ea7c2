/**
 * From an address to the actor: mailbox of this thread, link to another thread, or the carrier of
 * another node. One envelope format for both (envelope.ts), so what arrives from a node for another
 * thread is passed on undecoded. One router a thread, plugged into its system.
 */
import type { Address, Message, Ref } from './actor.ts'
import type { Carrier } from './carrier.ts'
import type { Cell } from './cell.ts'
import { CodecError } from './codec.ts'
import {
  envelopeActor,
  envelopeEnd,
  envelopeHeaderBytes,
  envelopeKind,
  writeEnvelope,
} from './envelope.ts'
import { invariant } from './invariant.ts'
import { limits } from './limits.ts'
import type { LinkLimits, ThreadLink } from './link.ts'
import { type KindCodec, nameHash, type PeerDecoder, type Protocol, withKind } from './protocol.ts'
import type { Remote, System } from './system.ts'
import {
  kindFor,
  type LinkMessage,
  linkActor,
  linkProtocol,
  ThreadPeer,
  ThreadRef,
} from './thread-peer.ts'

/** Sends envelopes to other nodes; the actor that owns the peer links provides it. */
export interface NodeCarrier {
  /** The bytes are valid during the call. False: dropped, and counted by the carrier. */
  send(node: number, envelope: Uint8Array, reserved: boolean): boolean
}

/** What the owner of the peer links needs of the router. */
export interface NodeGate {
  attachNodes(carrier: NodeCarrier): void
  /**
   * Takes one envelope that came from `node`; returns its end. `decoders` (protocol.ts,
   * `peerDecoders`) when the node writes older schemas. Throws a CodecError when it is damaged.
   */
  accept(
    node: number,
    source: Buffer,
    start: number,
    end: number,
    decoders?: ReadonlyMap<number, PeerDecoder>,
  ): number
  /** The link to the node is down: watchers of its actors are told, on every thread. */
  nodeLost(node: number): void
}

export interface RouterOptions {
  /** The well-known actor beside which the carrier of other nodes lives. */
  readonly nodesBy?: string
  readonly linkLimits?: LinkLimits
}

const scratchBytesMax = 1024 * 1024

export class Router implements Remote, NodeGate {
  readonly #system: System
  readonly #options: RouterOptions
  readonly #peers = new Map<string, ThreadPeer>()
  readonly #peerOrder: ThreadPeer[] = []
  readonly #nodeWatches = new Map<number, (() => void)[]>()
  readonly #receive = (peer: ThreadPeer, source: Buffer, start: number, owned: boolean): void =>
    this.#received(peer, source, start, owned)
  #carrier: NodeCarrier | undefined = undefined
  #scratch = Buffer.allocUnsafeSlow(64 * 1024)

  constructor(system: System, options: RouterOptions = {}) {
    this.#system = system
    this.#options = options
    system.remote = this
    system.dispatcher.onTurnEnd(() => this.#endTurn())
  }

  get host(): System['host'] {
    return this.#system.host
  }

  /** Links this thread with another; again after that one was restarted. */
  connect(thread: string, carrier: Carrier): void {
    this.peer(thread).connect(carrier)
  }

  /** Actors of this thread are ready: takes in what the other threads have sent. */
  open(): void {
    for (const peer of this.#peerOrder) peer.open()
  }

  close(): void {
    for (const peer of this.#peerOrder) peer.link?.close()
  }

  /** This thread's ends of its links, by the thread at the other end: for metrics. */
  links(): readonly { readonly thread: string; readonly link: ThreadLink }[] {
    return [...this.#peers].flatMap(([thread, { link }]) =>
      link === undefined ? [] : [{ thread, link }],
    )
  }

  /** Called when the event loop has nothing else to flush with: end of the process. */
  flush(): void {
    this.#endTurn()
  }

  threadRef(thread: string, actor: string, protocol: Protocol<never> | undefined): Ref<Message> {
    return new ThreadRef(this.peer(thread), actor, protocol)
  }

  nodeRef(node: number, actor: string, protocol: Protocol<never> | undefined): Ref<Message> {
    return new NodeRef(this, node, actor, protocol)
  }

  watch(ref: Ref<never>, callback: () => void): void {
    if (ref instanceof ThreadRef) ref.peer.watch(ref.address.actor, callback)
    else {
      const { node } = ref.address
      const watches = this.#nodeWatches.get(node)
      if (watches === undefined) this.#nodeWatches.set(node, [callback])
      else watches.push(callback)
    }
  }

  hasRoom(ref: Ref<never>): boolean {
    return ref instanceof ThreadRef ? (ref.peer.link?.hasRoom ?? false) : true
  }

  attachNodes(carrier: NodeCarrier): void {
    this.#carrier = carrier
  }

  accept(
    node: number,
    source: Buffer,
    start: number,
    end: number,
    decoders?: ReadonlyMap<number, PeerDecoder>,
  ): number {
    const next = envelopeEnd(source, start, end)
    const cell = this.#system.localByHash(envelopeActor(source, start))
    if (cell !== undefined) this.#deliver(cell, source, start, next, decoders, false)
    else this.#passOn(node, source, start, next, decoders)
    return next
  }

  nodeLost(node: number): void {
    this.#nodeIsLost(node)
    for (const peer of this.#peerOrder) peer.control({ kind: 'nodeLost', node })
  }

  /** Sends to another node, from whatever thread. */
  toNode(node: number, actor: number, kind: KindCodec, message: Message): void {
    let end = writeEnvelope(this.#scratch, 0, actor, kind, message)
    while (end < 0) {
      this.#scratch = Buffer.allocUnsafeSlow(this.#scratch.length * 2 - end)
      end = writeEnvelope(this.#scratch, 0, actor, kind, message)
    }
    this.#forward(node, this.#scratch.subarray(0, end), kind.reserved)
    if (this.#scratch.length > scratchBytesMax) this.#scratch = Buffer.allocUnsafeSlow(64 * 1024)
  }

  peer(thread: string): ThreadPeer {
    let peer = this.#peers.get(thread)
    if (peer === undefined) {
      peer = new ThreadPeer(this.#receive, this.#system, thread, this.#options.linkLimits ?? limits)
      this.#peers.set(thread, peer)
      this.#peerOrder.push(peer)
    }
    return peer
  }

  /** A slab of another thread. */
  #received(peer: ThreadPeer, source: Buffer, start: number, owned: boolean): void {
    for (let at = start; at < source.length; ) {
      const next = envelopeEnd(source, at, source.length)
      const actor = envelopeActor(source, at)
      if (actor === linkActor) this.#control(peer, source, at, next)
      else {
        const cell = this.#system.localByHash(actor)
        if (cell === undefined) this.#unknown(actor)
        else {
          peer.touched(cell)
          this.#deliver(cell, source, at, next, undefined, owned)
        }
      }
      at = next
    }
  }

  #endTurn(): void {
    const peers = this.#peerOrder
    for (let index = 0; index < peers.length; index++) peers[index]!.endTurn()
    for (let index = 0; index < peers.length; index++) peers[index]!.link?.poll()
  }

  #deliver(
    cell: Cell,
    source: Buffer,
    start: number,
    end: number,
    decoders: ReadonlyMap<number, PeerDecoder> | undefined,
    owned: boolean,
  ): void {
    const id = envelopeKind(source, start)
    const body = start + envelopeHeaderBytes
    const older = decoders?.get(id)
    if (older !== undefined) {
      cell.tell(withKind(older.decoder.decode(source, body, end), older.kind))
      return
    }
    const protocol = cell.protocol ?? this.#system.protocolOf(cell.name)
    const kind = protocol?.kindById(id)
    if (kind === undefined) this.#system.lost(cell.name, `kind ${id}`, 'unknown kind')
    else cell.tell(withKind(kind.codec.decode(source, body, end, owned), kind.kind))
  }

  /** From another node, for an actor of another thread. */
  #passOn(
    node: number,
    source: Buffer,
    start: number,
    end: number,
    decoders: ReadonlyMap<number, PeerDecoder> | undefined,
  ): void {
    const actor = envelopeActor(source, start)
    const placed = this.#system.placedByHash(actor)
    if (placed === undefined)
      throw new CodecError(`node ${node} writes to an unknown actor ${actor}`)
    const older = decoders?.get(envelopeKind(source, start))
    if (older === undefined) {
      const kind = this.#system.protocolOf(placed.actor)?.kindById(envelopeKind(source, start))
      this.peer(placed.thread).pass(source, start, end, kind?.reserved ?? false)
      return
    }
    const message = withKind(
      older.decoder.decode(source, start + envelopeHeaderBytes, end),
      older.kind,
    )
    this.#system.find({ name: placed.actor }).tell(message)
  }

  #forward(node: number, envelope: Uint8Array, reserved: boolean): void {
    if (this.#carrier !== undefined) {
      this.#carrier.send(node, envelope, reserved)
      return
    }
    const { nodesBy } = this.#options
    const thread = nodesBy === undefined ? undefined : this.#system.threadOf(nodesBy)
    if (thread === undefined || thread === this.#system.thread) this.#unknown(node)
    else this.peer(thread).control({ kind: 'forward', node, reserved, envelope }, reserved)
  }

  #control(peer: ThreadPeer, source: Buffer, at: number, end: number): void {
    const kind = linkProtocol.kindById(envelopeKind(source, at))
    invariant(kind, 'threads of one process speak one link protocol')
    const body = kind.codec.decode(source, at + envelopeHeaderBytes, end)
    const message = withKind(body, kind.kind) as LinkMessage
    if (message.kind === 'watch') this.#watchFor(peer, message.id, message.actor)
    else if (message.kind === 'died') peer.died(message.id)
    else if (message.kind === 'nodeLost') this.#nodeIsLost(message.node)
    else this.#forward(message.node, message.envelope, message.reserved)
  }

  #watchFor(peer: ThreadPeer, id: number, actor: string): void {
    const { link } = peer
    this.#system.watch(this.#system.local(actor) as Ref<never>, () => {
      // The thread that asked may have been replaced by another meanwhile.
      if (peer.link === link) peer.control({ kind: 'died', id })
    })
  }

  #nodeIsLost(node: number): void {
    const watches = this.#nodeWatches.get(node)
    this.#nodeWatches.delete(node)
    for (const callback of watches ?? []) callback()
  }

  #unknown(address: number): void {
    this.#system.lost('nowhere', String(address), 'no way there')
  }
}

class NodeRef implements Ref<Message> {
  readonly address: Address
  readonly #router: Router
  readonly #actor: number
  readonly #protocol: Protocol<never> | undefined

  constructor(router: Router, node: number, actor: string, protocol: Protocol<never> | undefined) {
    this.address = { node, actor }
    this.#router = router
    this.#actor = nameHash(actor)
    this.#protocol = protocol
  }

  tell(message: Message): void {
    const kind = kindFor(this.address.actor, this.#protocol, message)
    this.#router.toNode(this.address.node, this.#actor, kind, message)
  }
}

/**
 * The ZooKeeper side of one node with everything real but consensus: commands commit at once, or
 * when the test says so. For tests of the gateway over real sockets.
 */
import type { Context, Definition } from '../../../runtime/actor.ts'
import type { Host } from '../../../runtime/host.ts'
import { silentLogger } from '../../../runtime/log.ts'
import { System } from '../../../runtime/system.ts'
import { offset, readUint64, writeUint64 } from '../../../actors/consensus/entry.ts'
import type { ConsensusMessage } from '../../../actors/consensus/messages.ts'
import { directory } from '../../../actors/directory.ts'
import type { GatewayMessage } from '../../../actors/gateways/messages.ts'
import { type ZookeeperSetup, zookeeperGateway } from '../../../actors/gateways/zookeeper.ts'
import type { SessionsMessage } from '../../../actors/sessions/messages.ts'
import { StreamEmitter } from '../../../actors/state/emitter.ts'
import type { StateMessage } from '../../../actors/state/messages.ts'
import { ReadSchedule } from '../../../actors/state/read-schedule.ts'
import type { WaitingRead } from '../../../actors/state/waiting-reads.ts'
import type { Command, World } from '../../../actors/state/world.ts'
import { Space } from '../../../actors/state/space.ts'
import { commandConnection } from '../../../actors/state/zookeeper-commands.ts'
import { zookeeperFace } from '../../../actors/state/zookeeper-face.ts'
import type { WatchesMessage } from '../../../actors/watches/messages.ts'
import { ZnodeWatches } from '../../../actors/watches/znode-watches.ts'
import { Keyspace } from '../../../storage/keyspace.ts'
import { Tree } from '../../../storage/tree.ts'
import { Lifetimes } from '../../../actors/state/lifetimes.ts'

export interface ZookeeperNode {
  readonly system: System
  readonly world: World
  /** While true proposals wait. */
  held: boolean
  /** While true no leader confirms anything. */
  cutOff: boolean
  /** While true questions about the position are not answered. */
  mute: boolean
  release(): void
  readonly touches: bigint[]
  /** Connections that reads came from, in their order. */
  readonly reads: number[]
  readonly watches: ZnodeWatches
  /** The leader has confirmed these sessions, and that it leads. */
  confirm(ids?: Uint8Array): void
  expire(session: bigint): void
  /** A checkpoint of a peer came that contains the proposals up to this sequence. */
  cover(through: number): void
  port(): Promise<number>
  /** What the gateway says of itself; `settle` runs what there is to run. */
  status(settle: () => void): Record<string, number>
  stop(): void
}

export const gatewaySetup: ZookeeperSetup = {
  node: 1,
  incarnation: 1,
  nodeCount: 1,
  listen: { host: '127.0.0.1', port: 0 },
  sessionTimeoutMinMillis: 4_000,
  sessionTimeoutMaxMillis: 40_000,
  frameBytesMax: 1_048_575,
  connectionsMax: 1_000,
  connectionsPerAddressMax: 0,
  answerBytesMax: 128 << 20,
  fourLetterWords: ['*'],
  proposalsMax: 10_000,
  proposalBytesMax: 16 << 20,
  resendMillis: 2_000,
  contactMillisMax: 3_000,
  touchMillis: 50,
  superDigest: 'super:D/InIHSb7yEEbrWz8b9l71RjZJU=',
  version: '3.9.5-quorate, built on 2026-11-23 00:00 UTC',
}

export function startZookeeperNode(
  host: Host,
  changed: Partial<ZookeeperSetup> = {},
): ZookeeperNode {
  const system = new System({ host, log: silentLogger, freezeMessages: true })
  const node = new Node(system, host)
  system.spawn(zookeeperGateway, 'zookeeper', { ...gatewaySetup, ...changed })
  node.start()
  return node
}

class Node implements ZookeeperNode {
  readonly system: System
  readonly world: World
  readonly touches: bigint[] = []
  readonly reads: number[] = []
  readonly watches: ZnodeWatches
  held = false
  cutOff = false
  readonly #host: Host
  mute = false
  readonly #reads: ReadSchedule
  readonly #emitter: StreamEmitter
  #proposed: Extract<ConsensusMessage, { kind: 'propose' }>[] = []
  #commit: () => void = () => {}
  #position = 0
  #sequence = 0
  #port: ((port: number) => void)[] = []
  #status: Record<string, number> = {}

  constructor(system: System, host: Host) {
    this.system = system
    this.#host = host
    const gateway = () => system.find(directory.zookeeper)
    this.watches = new ZnodeWatches({
      event: (connection, body) => gateway().tell({ kind: 'event', connection, tag: 0, body }),
    })
    this.#reads = new ReadSchedule({
      run: read => zookeeperFace.read(this.world, read),
      ownSequence: () => this.#sequence,
      position: () => this.#position,
      needsRoom: ({ stream, connection, tag }, bytes) =>
        gateway().tell({ kind: 'needsRoom', stream, connection, tag, bytes }),
      runLent: (read, ownRoomBytes) =>
        this.#emitter.lend(ownRoomBytes, () => zookeeperFace.read(this.world, read)),
      overtaken: (_stream, connection) => gateway().tell({ kind: 'closeConnection', connection }),
    })
    const held = { keyspace: new Keyspace(), tree: new Tree(), lifetimes: new Lifetimes() }
    this.#emitter = new StreamEmitter(
      system.find(directory.watches),
      system.find(directory.sessions),
      (read, bytes) => this.#reads.park(read as WaitingRead, bytes),
    )
    this.world = {
      ...held,
      space: new Space(held),
      numbers: { zxid: 0, level: 1 },
      applied: { position: 0 },
      identity: {
        node: 1,
        clusterId: new Uint8Array(8),
        memberId: new Uint8Array(8),
        epoch: 1,
        leader: 1,
      },
      emitter: this.#emitter,
    }
  }

  start(): void {
    const { system } = this
    system.spawn(
      actor('watches', (_: Context<WatchesMessage>) => message => this.#watch(message)),
      'watches',
      {},
    )
    system.spawn(
      actor('state', (_: Context<StateMessage>) => message => this.#state(message)),
      'state',
      {},
    )
    system.spawn(
      actor('sessions', (_: Context<SessionsMessage>) => message => this.#session(message)),
      'sessions',
      {},
    )
    system.spawn(
      actor('consensus', (context: Context<ConsensusMessage>) => this.#consensus(context)),
      'consensus',
      {},
    )
    system.spawn(
      actor('control', () => message => {
        if (message.kind !== 'statusAnswer') return
        this.#status = JSON.parse((message as unknown as { json: string }).json)
        const port = this.#status['port'] ?? 0
        for (const resolve of this.#port.splice(0)) resolve(port)
      }),
      'control',
      {},
    )
    system.find(directory.zookeeper).tell({ kind: 'leader', epoch: 1, leader: 1, self: true })
    system.find(directory.zookeeper).tell({ kind: 'logTime', time: Date.now() })
  }

  release(): void {
    this.held = false
    this.#commit()
  }

  expire(session: bigint): void {
    const ended = this.world.lifetimes.session(session)
    const bytes = new Uint8Array(0)
    const command = { ...emptyCommand(), bytes, view: new DataView(bytes.buffer) }
    if (ended !== undefined) zookeeperFace.expire(this.world, command, ended)
  }

  cover(through: number): void {
    this.#sequence = through
    const gateway = this.system.find<GatewayMessage>(directory.zookeeper)
    gateway.tell({ kind: 'unanswered', stream: 1, through })
    this.#reads.sequencesCovered(1, through)
  }

  async port(): Promise<number> {
    for (;;) {
      const port = await new Promise<number>(resolve => {
        this.#port.push(resolve)
        this.system.find(directory.zookeeper).tell({ kind: 'status', replyTo: 'control', id: 1 })
      })
      if (port > 0) return port
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }

  status(settle: () => void): Record<string, number> {
    this.system.find(directory.zookeeper).tell({ kind: 'status', replyTo: 'control', id: 1 })
    settle()
    return { ...this.#status, parkedReads: this.#reads.parkedCount }
  }

  stop(): void {
    this.system.stop()
  }

  #consensus(context: Context<ConsensusMessage>) {
    this.#commit = () => {
      const state = context.find(directory.state)
      for (const { entries, count } of this.#proposed.splice(0)) {
        const stamped = entries.slice()
        const view = new DataView(stamped.buffer)
        const first = this.#position + 1
        for (let at = 0; at < stamped.length; at += view.getUint32(at + offset.length, true)) {
          writeUint64(view, at + offset.position, ++this.#position)
          writeUint64(view, at + offset.epoch, 1)
          writeUint64(view, at + offset.time, context.host.clock.wallMillis())
        }
        state.tell({ kind: 'committed', first, count, entries: stamped })
      }
    }
    return (message: ConsensusMessage) => {
      if (message.kind === 'propose') {
        this.#proposed.push(message)
        if (!this.held) this.#commit()
      } else if (message.kind === 'readRequest' && !this.mute) {
        const { id } = message
        context.find(directory.zookeeper).tell({ kind: 'readReady', id, position: this.#position })
      } else if (message.kind === 'status') {
        const json = JSON.stringify({ membership: { voters: [{ node: 1 }] }, peers: [] })
        const answer = { kind: 'statusAnswer', from: 'consensus', id: message.id, json } as const
        context.find(directory.zookeeper).tell(answer)
      }
    }
  }

  #state(message: StateMessage): void {
    if (message.kind === 'committed') this.#apply(message.entries)
    else if (message.kind === 'propose') this.system.find(directory.consensus).tell(message)
    else if (message.kind === 'read') {
      this.reads.push(message.connection)
      this.#reads.arrived(message)
    } else if (message.kind === 'roomLent') this.#reads.lent(message.bytes)
    else if (message.kind === 'room') {
      this.#reads.granted(message.stream, message.connection, message.tag, message.bytes)
    } else if (message.kind === 'connectionGone') {
      const { stream, connection } = message
      this.#reads.connectionGone(stream, connection)
      this.system.find(directory.watches).tell({ kind: 'connectionClosed', stream, connection })
    } else if (message.kind === 'status') {
      const { tree, numbers, lifetimes } = this.world
      const json = JSON.stringify({
        znodes: tree.nodeCount,
        znodeBytes: tree.textBytes,
        zxid: numbers.zxid,
        sessions: lifetimes.sessionCount,
      })
      this.system
        .find(directory.zookeeper)
        .tell({ kind: 'statusAnswer', from: 'state', id: message.id, json })
    }
  }

  #apply(entries: Uint8Array): void {
    const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength)
    for (let at = 0; at < entries.length; ) {
      const length = view.getUint32(at + offset.length, true)
      const sequence = readUint64(view, at + offset.sequence)
      if (sequence === this.#sequence + 1) {
        this.#sequence = sequence
        this.#reads.beforeWrite(1, commandConnection(view, at + offset.body))
        zookeeperFace.apply(this.world, {
          ...emptyCommand(),
          position: readUint64(view, at + offset.position),
          time: readUint64(view, at + offset.time),
          sequence,
          bytes: entries,
          view,
          start: at + offset.body,
          end: at + length,
        })
        this.#reads.sequenceApplied(1, sequence)
      }
      at += length
    }
  }

  #watch(message: WatchesMessage): void {
    const gateway = this.system.find(directory.zookeeper)
    if (message.kind === 'reply') gateway.tell(message)
    else if (message.kind === 'znodeChanged') this.watches.changed(message)
    else if (message.kind === 'znodeWatch') this.watches.register(message)
    else if (message.kind === 'znodeWatches') this.watches.registerAll(message)
    else if (message.kind === 'znodeIdentities') {
      this.watches.identify(message.connection, message.identities)
    } else if (message.kind === 'connectionClosed') this.watches.close(message.connection)
    else if (message.kind === 'status') {
      const json = JSON.stringify({ znodeWatches: this.watches.count })
      gateway.tell({ kind: 'statusAnswer', from: 'watches', id: message.id, json })
    }
  }

  #session(message: SessionsMessage): void {
    if (message.kind !== 'touched') return
    const { ids } = message
    const view = new DataView(ids.buffer, ids.byteOffset, ids.byteLength)
    for (let at = 0; at < ids.length; at += 8) this.touches.push(view.getBigInt64(at))
    this.confirm(ids)
  }

  confirm(ids: Uint8Array = new Uint8Array(0)): void {
    if (this.cutOff) return
    const now = this.#host.clock.monotonicMillis()
    const heard = new Uint8Array(ids.length * 2)
    const view = new DataView(heard.buffer)
    for (let at = 0; at < ids.length; at += 8) {
      heard.set(ids.subarray(at, at + 8), at * 2)
      view.setFloat64(at * 2 + 8, now)
    }
    const gateway = this.system.find(directory.zookeeper)
    gateway.tell({ kind: 'sessionsConfirmed', askedMillis: now, heard })
  }
}

function actor<M extends { readonly kind: string }>(
  name: string,
  start: (context: Context<M>) => (message: M) => void,
): Definition<M, object> {
  return { name, start: context => start(context) }
}

function emptyCommand(): Omit<Command, 'bytes' | 'view'> {
  const numbers = { position: 0, epoch: 1, time: 0, kind: 17, stream: 1, sequence: 0 }
  return { ...numbers, node: 1, local: true, start: 0, end: 0 }
}

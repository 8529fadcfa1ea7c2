/**
 * The etcd side of one node with everything real but consensus: commands commit at once, or when the
 * test says so, and leadership is what the test says. For tests over real sockets.
 */
import { entryKind, offset, readUint64, writeUint64 } from '../../../actors/consensus/entry.ts'
import type { Membership } from '../../../actors/consensus/interface.ts'
import { encodeMembership } from '../../../actors/consensus/membership.ts'
import type { ConsensusMessage } from '../../../actors/consensus/messages.ts'
import type { ControlMessage } from '../../../actors/control.ts'
import { directory } from '../../../actors/directory.ts'
import { etcdGateway, type EtcdSetup } from '../../../actors/gateways/etcd.ts'
import { sessionsActor } from '../../../actors/sessions/sessions-actor.ts'
import { StreamEmitter } from '../../../actors/state/emitter.ts'
import { etcdFace } from '../../../actors/state/etcd-face.ts'
import { Lifetimes } from '../../../actors/state/lifetimes.ts'
import { Space } from '../../../actors/state/space.ts'
import { type StateMessage, stream } from '../../../actors/state/messages.ts'
import { ReadSchedule } from '../../../actors/state/read-schedule.ts'
import type { WaitingRead } from '../../../actors/state/waiting-reads.ts'
import type { Command, World } from '../../../actors/state/world.ts'
import { watchesActor } from '../../../actors/watches/watches-actor.ts'
import type { Context, Definition, Handler, Message } from '../../../runtime/actor.ts'
import type { Host } from '../../../runtime/host.ts'
import { silentLogger } from '../../../runtime/log.ts'
import { System } from '../../../runtime/system.ts'
import { Keyspace } from '../../../storage/keyspace.ts'
import { Tree } from '../../../storage/tree.ts'

const ids = {
  clusterId: Uint8Array.of(0x81, 0, 0, 0, 0, 0, 0, 1),
  memberId: Uint8Array.of(0x91, 0, 0, 0, 0, 0, 0, 2),
}
export const memberId = 0x9100000000000002n

export class EtcdNode {
  readonly system: System
  readonly keyspace = new Keyspace()
  readonly lifetimes = new Lifetimes()
  /** While true proposals wait for `commit`, and reads for `confirm`. */
  holdWrites = false
  holdReads = false
  readonly #applied = { position: 0, membership: new Uint8Array(0) }
  #reads: ReadSchedule | undefined
  readonly #proposed: Uint8Array[] = []
  readonly #asked: { readonly replyTo: string; readonly id: number }[] = []
  readonly #sequences = new Map<number, number>()
  #position = 0
  #leader = 0
  #epoch = 0
  #port: ((port: number) => void)[] = []

  constructor(host: Host, changed: Partial<EtcdSetup> = {}) {
    this.system = new System({
      host,
      log: silentLogger,
      freezeMessages: process.env.NOFREEZE === undefined,
    })
    const { system } = this
    const electionMillis = 100
    system.spawn(etcdGateway, 'etcd', {
      node: 1,
      incarnation: 1,
      listen: { host: '127.0.0.1', port: 0 },
      ...ids,
      members: [
        {
          node: 1,
          id: memberId,
          name: 'one',
          peerUrls: ['http://127.0.0.1:7101'],
          clientUrls: ['http://127.0.0.1:2379'],
          isLearner: false,
        },
      ],
      unknownMember: node => ({
        node,
        id: BigInt(node),
        name: `node${node}`,
        peerUrls: [],
        clientUrls: [],
        isLearner: false,
      }),
      proposalsMax: 10_000,
      proposalBytesMax: 64 << 20,
      resendMillis: 1000,
      electionMillis,
      requestTimeoutMillis: 1000,
      requestBytesMax: 1_572_864,
      answerBytesMax: 128 << 20,
      leaseTtlSecondsMin: 1,
      ...changed,
    })
    system.spawn(watchesActor, 'watches', { ...ids, progressMillis: 200 })
    const sessions = {
      node: 1,
      incarnation: 1,
      touchMillis: 50,
      questionMillis: 500,
      electionMillis,
    }
    system.spawn(sessionsActor, 'sessions', sessions)
    system.spawn(
      actor<ConsensusMessage>('consensus', () => message => this.#consensus(message)),
      'consensus',
      {},
    )
    system.spawn(
      actor<ControlMessage>('control', () => message => this.#control(message)),
      'control',
      {},
    )
    system.spawn(
      actor<StateMessage>('state', context => this.#start(context)),
      'state',
      {},
    )
    this.lead(1)
    system.find(directory.etcd).tell({ kind: 'logTime', time: host.clock.wallMillis() })
  }

  /** As a membership entry would. */
  memberships(membership: Membership): void {
    this.#applied.membership = new Uint8Array(encodeMembership(membership))
  }

  /** Makes this or no (0) node the leader. */
  lead(leader: number): void {
    this.#leader = leader
    this.#epoch += 1
    const notice = { kind: 'leader', epoch: this.#epoch, leader, self: leader === 1 } as const
    this.system.find(directory.etcd).tell(notice)
    this.system.find(directory.sessions).tell(notice)
    this.system.find(directory.state).tell(notice)
  }

  commit(): void {
    for (const entries of this.#proposed.splice(0)) this.#commitEntries(entries)
  }

  confirm(): void {
    for (const { replyTo, id } of this.#asked.splice(0)) this.#confirm(replyTo, id)
  }

  failReads(): void {
    for (const { id } of this.#asked.splice(0)) {
      this.system.find(directory.etcd).tell({ kind: 'readFailed', id })
    }
  }

  /** A checkpoint took the place of what was proposed: applied, but never answered. */
  replaceByCheckpoint(through: number): void {
    this.#proposed.length = 0
    this.system.find(directory.etcd).tell({ kind: 'unanswered', stream: 2, through })
  }

  /** Proposals that wait for `commit`. */
  get proposedCount(): number {
    return this.#proposed.length
  }

  get parkedReads(): number {
    return this.#reads?.parkedCount ?? 0
  }

  get askedCount(): number {
    return this.#asked.length
  }

  async port(): Promise<number> {
    for (;;) {
      const port = await new Promise<number>(resolve => {
        this.#port.push(resolve)
        this.system.find(directory.etcd).tell({ kind: 'status', replyTo: 'control', id: 1 })
      })
      if (port > 0) return port
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }

  stop(): void {
    this.system.stop()
  }

  #control(message: ControlMessage): void {
    if (message.kind === 'metricsQuestion') {
      const { id } = message
      this.system.find(directory.etcd).tell({ kind: 'metricsText', id, text: '# HELP up\n' })
      return
    }
    if (message.kind !== 'statusAnswer') return
    for (const resolve of this.#port.splice(0)) resolve(JSON.parse(message.json).port)
  }

  #consensus(message: ConsensusMessage): void {
    if (message.kind === 'propose') {
      if (this.#leader === 0) return
      if (this.holdWrites) this.#proposed.push(message.entries.slice())
      else this.#commitEntries(message.entries)
    } else if (message.kind === 'readRequest') {
      if (this.#leader === 0) return
      if (this.holdReads) this.#asked.push(message)
      else this.#confirm(message.replyTo, message.id)
    }
  }

  #confirm(replyTo: string, id: number): void {
    const ready = { kind: 'readReady', id, position: this.#position } as const
    if (replyTo === 'etcd') this.system.find(directory.etcd).tell(ready)
    else this.system.find(directory.sessions).tell(ready)
  }

  #commitEntries(entries: Uint8Array): void {
    const stamped = entries.slice()
    const view = new DataView(stamped.buffer)
    const first = this.#position + 1
    let count = 0
    for (let at = 0; at < stamped.length; at += view.getUint32(at + offset.length, true)) {
      this.#position += 1
      count += 1
      writeUint64(view, at + offset.position, this.#position)
      writeUint64(view, at + offset.epoch, this.#epoch)
    }
    this.system.find(directory.state).tell({ kind: 'committed', first, count, entries: stamped })
  }

  #start(context: Context<StateMessage>): Handler<StateMessage> {
    const emitter = new StreamEmitter(
      context.find(directory.watches),
      context.find(directory.sessions),
      (read, bytes) => this.#reads?.park(read as WaitingRead, bytes),
    )
    const held = { keyspace: this.keyspace, tree: new Tree(), lifetimes: this.lifetimes }
    const world: World = {
      ...held,
      space: new Space(held),
      numbers: { zxid: 0, level: 1 },
      applied: this.#applied,
      identity: { node: 1, ...ids, epoch: 0, leader: 0 },
      emitter,
    }
    const reads = new ReadSchedule({
      run: read => etcdFace.read(world, read),
      ownSequence: ofStream => this.#sequences.get(ofStream) ?? 0,
      position: () => this.#applied.position,
      needsRoom: ({ stream: ofStream, connection, tag }, bytes) =>
        context
          .find(directory.etcd)
          .tell({ kind: 'needsRoom', stream: ofStream, connection, tag, bytes }),
      runLent: () => 0,
      overtaken() {},
    })
    this.#reads = reads
    context.every(10, { kind: 'tick' })
    return message => {
      if (message.kind === 'committed') this.#apply(world, message.entries)
      else if (message.kind === 'read') reads.arrived(message)
      else if (message.kind === 'room') {
        reads.granted(message.stream, message.connection, message.tag, message.bytes)
      } else if (message.kind === 'readCancelled') {
        reads.cancelled(message.stream, message.connection, message.tag)
      } else if (message.kind === 'connectionGone') {
        const { stream: ofStream, connection } = message
        reads.connectionGone(ofStream, connection)
        emitter.emit({ kind: 'connectionClosed', stream: ofStream, connection })
      } else if (message.kind === 'leader') world.identity.epoch = message.epoch
      else if (message.kind === 'unwatched') emitter.unwatched(message.keys, message.registrations)
      else if (message.kind === 'barrier') {
        context.find(directory.sessions).tell({ kind: 'barrierReached', id: message.id })
      } else if (message.kind === 'tick' && this.keyspace.compactStep(1000))
        etcdFace.compacted(world)
    }
  }

  #apply(world: World, entries: Uint8Array): void {
    const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength)
    for (let at = 0; at < entries.length; at += view.getUint32(at + offset.length, true)) {
      this.#applied.position = readUint64(view, at + offset.position)
      const command = commandAt(entries, view, at)
      const last = this.#sequences.get(command.stream) ?? 0
      if (command.sequence !== last + 1) continue
      this.#sequences.set(command.stream, command.sequence)
      if (command.kind === entryKind.etcd) etcdFace.apply(world, command)
      else if (command.kind === entryKind.lifetime) this.#endLease(world, command)
      if (command.stream === stream.sessions) {
        this.system
          .find(directory.sessions)
          .tell({ kind: 'appliedOwn', sequence: command.sequence })
      }
    }
    this.#reads?.positionApplied(this.#applied.position)
  }

  #endLease(world: World, command: Command): void {
    const lease = this.lifetimes.lease(command.view.getBigInt64(command.start + 1))
    if (lease !== undefined) etcdFace.expire(world, command, lease)
  }
}

function commandAt(bytes: Uint8Array, view: DataView, at: number): Command {
  return {
    position: readUint64(view, at + offset.position),
    epoch: readUint64(view, at + offset.epoch),
    time: 0,
    kind: view.getUint8(at + offset.kind),
    node: view.getUint32(at + offset.node, true),
    stream: view.getUint32(at + offset.stream, true),
    sequence: readUint64(view, at + offset.sequence),
    local: true,
    bytes,
    view,
    start: at + offset.body,
    end: at + view.getUint32(at + offset.length, true),
  }
}

function actor<M extends Message>(
  name: string,
  start: (context: Context<M>) => Handler<M>,
): Definition<M, object> {
  return { name, start: context => start(context) }
}

/**
 * The state actor of one node under the test kit, on a disk in memory. Committed batches lie in
 * memory that is overwritten as soon as the actor has given it back, as a link between threads does.
 */
import {
  entryFormat,
  entryHeaderBytes,
  entryKind,
  offset,
  writeUint64,
} from '../../../actors/consensus/entry.ts'
import type { Membership } from '../../../actors/consensus/interface.ts'
import { encodeMembership } from '../../../actors/consensus/membership.ts'
import { lifetime } from '../../../actors/sessions/messages.ts'
import type { AutoCompactionSetup } from '../../../actors/state/auto-compaction.ts'
import { callBytes, etcdOperation, writeCall } from '../../../actors/state/etcd-commands.ts'
import { roomUnlimited, type StateMessage, stream } from '../../../actors/state/messages.ts'
import { type StateSetup, stateActor } from '../../../actors/state/state-actor.ts'
import type { SliceSetup } from '../../../actors/state/slices.ts'
import {
  type Caller,
  callerBytes,
  writeCommandHeader,
  writeSessionCommand,
} from '../../../actors/state/zookeeper-commands.ts'
import type { Logger } from '../../../runtime/log.ts'
import { manualHost, type TestActor, testActor } from '../../../runtime/testkit.ts'
import { checkpointJobModule, run } from '../../../storage/checkpoint-job.ts'
import { inlineJobs } from '../../support/inline-jobs.ts'
import { MemoryDisk } from '../../support/memory-disk.ts'
import { encode } from '../../transport/etcd/messages/schema.ts'
import { type Write, written } from './zookeeper-scene.ts'

export interface Entry {
  readonly kind: number
  readonly body: Uint8Array
  readonly node: number
  readonly stream: number
  readonly incarnation: number
  readonly sequence: number
  readonly epoch: number
  readonly time: number
  /** In the log's time; 0: none. */
  readonly deadline?: number
}

/** Entries in the order in which their streams propose them. */
export class Entries {
  epoch = 1
  time = 1_000
  xid = 0
  readonly #sequences = new Map<string, number>()
  readonly #node: number
  readonly #incarnation: number

  constructor(node = 1, incarnation = 1) {
    this.#node = node
    this.#incarnation = incarnation
  }

  of(kind: number, ofStream: number, body: Uint8Array, node = this.#node): Entry {
    const isOwn = node === this.#node
    const key = `${node}/${ofStream}`
    const sequence = (this.#sequences.get(key) ?? 0) + 1
    const counts = kind >= entryKind.register
    if (counts) this.#sequences.set(key, sequence)
    this.time += 10
    const { epoch, time } = this
    const incarnation = isOwn ? this.#incarnation : 1
    return { kind, body, node, stream: ofStream, incarnation, sequence, epoch, time }
  }

  register(node?: number): Entry {
    return this.of(entryKind.register, stream.sessions, nothing, node)
  }

  empty(): Entry {
    return this.of(entryKind.empty, 0, nothing)
  }

  level(level: number): Entry {
    const body = new Uint8Array(4)
    new DataView(body.buffer).setUint32(0, level, true)
    return this.of(entryKind.level, stream.sessions, body)
  }

  quota(bytes: number): Entry {
    const body = new Uint8Array(8)
    new DataView(body.buffer).setFloat64(0, bytes)
    return this.of(entryKind.quota, stream.sessions, body)
  }

  membership(membership: Membership): Entry {
    return this.of(entryKind.membership, 0, encodeMembership(membership))
  }

  /** The leader's finding that a session or a lease is over. */
  ended(
    kind: keyof typeof lifetime,
    id: bigint,
    openedAt: number,
    { node, connection } = { node: 0, connection: 0 },
  ): Entry {
    const body = new Uint8Array(37)
    const view = new DataView(body.buffer)
    view.setUint8(0, lifetime[kind])
    view.setBigInt64(1, id)
    view.setFloat64(9, this.epoch)
    view.setUint32(17, node)
    view.setFloat64(21, connection)
    view.setFloat64(29, openedAt)
    return this.of(entryKind.lifetime, stream.sessions, body)
  }

  etcd(operation: keyof typeof etcdOperation, request: object, node?: number): Entry {
    const message = encode(requestTypes[operation], request)
    const body = new Uint8Array(callBytes + message.length)
    writeCall(new DataView(body.buffer), 0, etcdOperation[operation], 77, 10)
    body.set(message, callBytes)
    return this.of(entryKind.etcd, stream.etcd, body, node)
  }

  zookeeper(caller: Caller, type: number, write: Write, node?: number): Entry {
    const record = written(write)
    const body = this.#header(caller, type, record.length)
    body.set(record, body.length - record.length)
    return this.of(entryKind.zookeeper, stream.zookeeper, body, node)
  }

  handshake(caller: Caller, type: number, password: Uint8Array, timeoutMillis = 10_000): Entry {
    const body = this.#header(caller, type, 28)
    const view = new DataView(body.buffer)
    const start = body.length - 28
    writeSessionCommand(body, view, start, { timeoutMillis, lastZxidSeen: 0, password })
    return this.of(entryKind.zookeeper, stream.zookeeper, body)
  }

  #header(caller: Caller, type: number, recordBytes: number): Uint8Array {
    const common = callerBytes(caller)
    this.xid += 1
    const body = new Uint8Array(8 + common.length + recordBytes)
    writeCommandHeader(body, 0, type, this.xid, common)
    return body
  }
}

export interface StateNodeOptions {
  readonly disk?: MemoryDisk
  readonly node?: number
  readonly incarnation?: number
  /** A checkpoint after this much log; default: none. */
  readonly everyBytes?: number
  readonly log?: Logger
  readonly levelSupported?: number
  readonly slice?: SliceSetup
  readonly quotaBytes?: number
  readonly compaction?: AutoCompactionSetup
}

export function setupOf(options: StateNodeOptions): StateSetup {
  const { node = 1, incarnation = 1, everyBytes = Number.MAX_SAFE_INTEGER } = options
  const { levelSupported = 1, quotaBytes, compaction, slice } = options
  return {
    levelSupported,
    ...(slice === undefined ? {} : { slice }),
    identity: {
      node,
      clusterId: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 9),
      memberId: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 8),
      epoch: 1,
      leader: 1,
    },
    incarnation,
    checkpoints: { directory: '/checkpoints', everyBytes, fsync: 'always' },
    ...(quotaBytes === undefined ? {} : { quotaBytes }),
    ...(compaction === undefined ? {} : { compaction }),
  }
}

export class StateNode {
  readonly disk: MemoryDisk
  readonly actor: TestActor<StateMessage>
  position: number

  constructor(options: StateNodeOptions = {}) {
    this.disk = options.disk ?? new MemoryDisk()
    const jobs = inlineJobs(this.disk, [{ url: checkpointJobModule, run }], done => done())
    const host = manualHost({ disk: this.disk, jobs })
    this.actor = testActor(stateActor, setupOf(options), {
      host,
      ...(options.log === undefined ? {} : { log: options.log }),
    })
    const [stands] = this.toldTo<{ kind: string; position: number }>('consensus')
    this.position = stands?.position ?? 0
  }

  /** The next entries of the log, as one batch that begins somewhere in a slab. */
  commit(entries: readonly Entry[], overwrite = true): void {
    const first = this.position + 1
    this.position += entries.length
    const batch = batchOf(entries, first)
    const slab = new Uint8Array(batch.length + 40)
    slab.set(batch, 24)
    const bytes = slab.subarray(24, 24 + batch.length)
    this.actor.round({ kind: 'committed', first, count: entries.length, entries: bytes })
    if (overwrite) slab.fill(0xdb)
  }

  read(ofStream: number, request: Uint8Array, connection = 77, roomBytes = roomUnlimited): void {
    const common = { stream: ofStream, connection, tag: 10, after: 0, position: 0, roomBytes }
    this.actor.round({ kind: 'read', ...common, request })
  }

  status(): Record<string, unknown> {
    const kept = this.actor.told.splice(0)
    this.actor.round({ kind: 'status', replyTo: 'control', id: 1 })
    const [answer] = this.actor.takeTold<{ kind: string; json: string }>('control')
    this.actor.told.push(...kept)
    return JSON.parse(answer?.json ?? '{}') as Record<string, unknown>
  }

  /** The next slice of what is under way; false: nothing is. */
  goOn(): boolean {
    const own = this.actor.told.findIndex(
      ({ to, message }) => to === 'state' && (message as StateMessage).kind === 'goOn',
    )
    if (own < 0) return false
    this.actor.told.splice(own, 1)
    this.actor.round({ kind: 'goOn' })
    return true
  }

  /** Lets the actor list and write a checkpoint if one is due; true when one has become durable. */
  checkpoint(): boolean {
    for (let left = 1_000; left > 0; left -= 1) {
      this.actor.advance(5)
      const own = this.actor.told.findIndex(({ to }) => to === 'state')
      if (own < 0) continue
      const [written] = this.actor.told.splice(own, 1)
      this.actor.round(written?.message as StateMessage)
      return this.toldTo('consensus').some(({ kind }) => kind === 'checkpointed')
    }
    return false
  }

  /** What one actor was told so far, and keeps. */
  toldTo<M extends { readonly kind: string }>(actor: string): M[] {
    return this.actor.told
      .filter(({ to }) => to === actor)
      .map(({ message }) => message as unknown as M)
  }
}

export function batchOf(entries: readonly Entry[], first: number): Uint8Array {
  const size = entries.reduce((sum, { body }) => sum + entryHeaderBytes + body.length, 0)
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const [index, entry] of entries.entries()) {
    view.setUint32(at + offset.length, entryHeaderBytes + entry.body.length, true)
    view.setUint8(at + offset.format, entryFormat)
    view.setUint8(at + offset.kind, entry.kind)
    writeUint64(view, at + offset.position, first + index)
    writeUint64(view, at + offset.epoch, entry.epoch)
    writeUint64(view, at + offset.time, entry.time)
    view.setUint32(at + offset.node, entry.node, true)
    view.setUint32(at + offset.stream, entry.stream, true)
    writeUint64(view, at + offset.incarnation, entry.incarnation)
    writeUint64(view, at + offset.sequence, entry.sequence)
    writeUint64(view, at + offset.deadline, entry.deadline ?? 0)
    bytes.set(entry.body, at + entryHeaderBytes)
    at += entryHeaderBytes + entry.body.length
  }
  return bytes
}

/** With bytes of its own: what is told later cannot change it. */
export function copyOf<Value>(value: Value): Value {
  if (value instanceof Uint8Array) return new Uint8Array(value) as Value
  if (Array.isArray(value)) return value.map(copyOf) as Value
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [name, copyOf(part)]),
  ) as Value
}

const requestTypes: Record<keyof typeof etcdOperation, string> = {
  put: 'PutRequest',
  deleteRange: 'DeleteRangeRequest',
  txn: 'TxnRequest',
  compact: 'CompactionRequest',
  leaseGrant: 'LeaseGrantRequest',
  leaseRevoke: 'LeaseRevokeRequest',
  alarm: 'AlarmRequest',
}

const nothing = new Uint8Array(0)

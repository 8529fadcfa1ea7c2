/**
 * Machines of several nodes on one desk: messages lie in a queue until a test delivers or drops
 * them, persists are durable when the test says so, and a crash loses what was not. Every step is
 * checked against what Raft promises (checker.ts).
 */
import {
  entryFormat,
  entryHeaderBytes,
  entryKind,
  offset,
  readUint64,
  writeUint64,
} from '../../../actors/consensus/entry.ts'
import type {
  Batch,
  CheckpointMark,
  Effect,
  Event,
  MachineStatus,
  MembershipChange,
  PersistEffect,
} from '../../../actors/consensus/interface.ts'
import { type ConsensusLimits, consensusLimits } from '../../../actors/consensus/limits.ts'
import { decodeHardState, encodeHardState } from '../../../actors/consensus/raft/hard-state.ts'
import type { RaftMessage } from '../../../actors/consensus/raft/messages.ts'
import { Raft } from '../../../actors/consensus/raft/raft.ts'
import { Checker } from './checker.ts'

export type RaftEffect = Effect<RaftMessage>

export interface Envelope {
  readonly from: number
  readonly to: number
  readonly message: RaftMessage
}

export interface Stored {
  readonly position: number
  readonly epoch: number
  readonly bytes: Uint8Array
}

export interface Disk {
  hardState: Uint8Array
  checkpoint: CheckpointMark
  /** Entries above `base`, dense. */
  base: number
  entries: Stored[]
}

export interface TestNode {
  readonly id: number
  store: string
  canVote: boolean
  mayForm: boolean
  disk: Disk
  machine: Raft | undefined
  pending: PersistEffect<RaftMessage>[]
  /** What a state machine would have seen since the start of the process. */
  applied: number
  appliedTime: number
  appliedEpoch: number
  membership: Uint8Array
  snapshotsWanted: number[]
  effects: RaftEffect[]
  starts: number
}

export interface ClusterOptions {
  readonly nodes: number
  readonly limits?: Partial<ConsensusLimits>
  readonly seed?: number
  /** A mistake for tests of the tests: what is said early, or not written. */
  readonly plant?: 'acknowledgeEarly' | 'forgetVote'
  readonly observe?: (node: number, effect: RaftEffect) => void
}

export const testLimits: ConsensusLimits = {
  ...consensusLimits,
  heartbeatTicks: 2,
  electionTicksMin: 10,
  eagerElectionTicksMin: 4,
  campaignStaggerTicks: 2,
  retentionBytes: 0,
}

const noBytes = new Uint8Array(0)
const noCheckpoint: CheckpointMark = { position: 0, epoch: 0, time: 0, membership: noBytes }

export class Cluster {
  readonly nodes = new Map<number, TestNode>()
  readonly checker = new Checker()
  queue: Envelope[] = []
  now = 1000
  proposed = 0
  disksLost = 0
  readonly #options: ClusterOptions
  readonly #limits: ConsensusLimits

  constructor(options: ClusterOptions) {
    this.#options = options
    this.#limits = { ...testLimits, ...options.limits }
    for (let id = 1; id <= options.nodes; id++) this.nodes.set(id, newNode(id))
  }

  node(id: number): TestNode {
    const node = this.nodes.get(id)
    if (node === undefined) throw new Error(`there is no node ${id}`)
    return node
  }

  status(id: number): MachineStatus {
    return this.machine(id).status()
  }

  machine(id: number): Raft {
    const { machine } = this.node(id)
    if (machine === undefined) throw new Error(`node ${id} is down`)
    return machine
  }

  get running(): TestNode[] {
    return [...this.nodes.values()].filter(node => node.machine !== undefined)
  }

  get leaders(): number[] {
    return this.running.map(node => node.id).filter(id => this.status(id).role === 'leader')
  }

  /** A node that is not among the initial members joins with an empty list of them. */
  addNode(id: number): TestNode {
    const node = newNode(id)
    this.nodes.set(id, node)
    return node
  }

  start(id: number): void {
    const node = this.node(id)
    const initial = id <= this.#options.nodes ? this.#options.nodes : 0
    const { hardState, checkpoint } = node.disk
    node.starts++
    node.pending = []
    node.applied = checkpoint.position
    node.appliedTime = checkpoint.time
    node.appliedEpoch = checkpoint.epoch
    node.membership = checkpoint.membership
    node.machine = new Raft({
      self: id,
      store: node.store,
      canVote: node.canVote,
      mayForm: node.mayForm,
      seed: (this.#options.seed ?? 1) * 1000 + id * 100 + node.starts,
      limits: this.#limits,
      initialMembers: Array.from({ length: initial }, (_, index) => {
        return { node: index + 1, address: `n${index + 1}` }
      }),
      recovered: { hardState, checkpoint, entries: recoveredBatches(node.disk) },
    })
    this.step(id, { kind: 'roundEnded' })
  }

  startAll(): void {
    for (const id of this.nodes.keys()) this.start(id)
  }

  /** Whatever was not durable is gone, and so are messages that had not left. */
  crash(id: number, closeLinks = true): void {
    const node = this.node(id)
    node.machine = undefined
    node.pending = []
    if (!closeLinks) return
    for (const other of this.running) {
      this.step(other.id, { kind: 'linkDown', node: id, closed: true })
    }
  }

  loseDisk(id: number): void {
    const node = this.node(id)
    this.disksLost++
    node.disk = emptyDisk()
    node.store = `s${id}.${node.starts}`
  }

  step(id: number, event: Event<RaftMessage>): void {
    const node = this.node(id)
    if (node.machine === undefined) return
    for (const effect of node.machine.step(event)) this.#carryOut(node, effect)
    this.checker.afterStep(this)
  }

  round(id: number, event: Event<RaftMessage>): void {
    this.step(id, event)
    this.step(id, { kind: 'roundEnded' })
  }

  tick(id: number, count = 1): void {
    for (let index = 0; index < count; index++) this.round(id, { kind: 'tick' })
  }

  propose(id: number, ...bodies: string[]): void {
    this.proposed += bodies.length
    const batches = bodies.map(body => ({ entries: entryOf(body), count: 1 }))
    this.round(id, { kind: 'proposed', batches, now: this.now++ })
  }

  change(id: number, change: MembershipChange): void {
    this.round(id, { kind: 'membershipProposed', change, now: this.now++ })
  }

  /** Makes the oldest persist of a node durable. */
  persistOne(id: number): boolean {
    const node = this.node(id)
    const effect = node.pending.shift()
    if (effect === undefined) return false
    write(node.disk, effect)
    this.#say(node, effect)
    this.round(id, { kind: 'persisted', id: effect.id })
    return true
  }

  deliver(index: number): void {
    const [envelope] = this.queue.splice(index, 1)
    if (envelope === undefined) return
    this.round(envelope.to, { kind: 'received', message: envelope.message })
  }

  /** Persists and delivers until nothing moves; messages for which `drop` says so are lost. */
  stabilize(drop: (envelope: Envelope) => boolean = () => false): void {
    for (let guard = 0; guard < 100_000; guard++) {
      this.queue = this.queue.filter(envelope => !drop(envelope))
      const persisted = this.running.some(node => this.persistOne(node.id))
      if (this.queue.length > 0) this.deliver(0)
      else if (!persisted) return
    }
    const moving = this.queue.slice(0, 4).map(envelope => JSON.stringify(envelope))
    throw new Error(
      `the cluster does not come to rest (${this.queue.length}): ${moving.join('\n')}`,
    )
  }

  /** Ticks all until one leads. */
  elect(drop: (envelope: Envelope) => boolean = () => false): number {
    for (let ticks = 0; ticks < 1000; ticks++) {
      this.stabilize(drop)
      const leader = this.newestLeader()
      if (leader !== 0) return leader
      for (const node of this.running) this.tick(node.id)
    }
    throw new Error('no leader was elected')
  }

  newestLeader(): number {
    let found = 0
    for (const id of this.leaders) {
      if (found === 0 || this.status(id).epoch > this.status(found).epoch) found = id
    }
    return found
  }

  /** Lets the state machine of a node cut a checkpoint of what it has applied. */
  checkpoint(id: number): void {
    const node = this.node(id)
    if (node.applied <= node.disk.checkpoint.position) return
    node.disk.checkpoint = {
      position: node.applied,
      epoch: node.appliedEpoch,
      time: node.appliedTime,
      membership: node.membership,
    }
    this.round(id, { kind: 'checkpointed', position: node.applied })
  }

  /** Carries out the first transfer that `from` asked for; the receiver may end before its log hears of it. */
  transferCheckpoint(from: number, arrives = true, receiverEnds = false): boolean {
    const node = this.node(from)
    const to = node.snapshotsWanted.shift()
    if (to === undefined || node.machine === undefined) return false
    const receiver = this.nodes.get(to)
    const sent = arrives && receiver?.machine !== undefined
    if (sent && receiverEnds) {
      if (node.disk.checkpoint.position > receiver.applied)
        receiver.disk.checkpoint = node.disk.checkpoint
      this.crash(to)
    } else if (sent) this.#install(receiver, node.disk.checkpoint)
    this.round(from, { kind: 'snapshotSent', node: to, sent })
    return true
  }

  #install(node: TestNode, checkpoint: CheckpointMark): void {
    if (checkpoint.position <= node.applied) return
    node.disk.checkpoint = checkpoint
    node.applied = checkpoint.position
    node.appliedTime = checkpoint.time
    node.appliedEpoch = checkpoint.epoch
    node.membership = checkpoint.membership
    this.round(node.id, { kind: 'snapshotInstalled', checkpoint })
  }

  #carryOut(node: TestNode, effect: RaftEffect): void {
    this.#options.observe?.(node.id, effect)
    node.effects.push(effect)
    switch (effect.kind) {
      case 'send':
        this.queue.push({ from: node.id, to: effect.to, message: copied(effect.message) })
        return
      case 'persist':
        this.#persist(node, effect)
        return
      case 'committedTo':
        this.#apply(node, effect.position)
        return
      case 'roleChanged':
        if (effect.role === 'leader') this.checker.elected(this, node, effect.epoch)
        return
      case 'snapshotNeeded':
        node.snapshotsWanted.push(effect.node)
        return
      case 'reset':
        node.disk.base = effect.position
        node.disk.entries = []
        // The journal writes in order: what is under way comes before the reset.
        node.pending = node.pending.map(one => ({ ...one, truncateFrom: 0, entries: [] }))
        return
      case 'compactJournal':
        while (node.disk.base < effect.position && node.disk.entries.length > 0) {
          node.disk.entries.shift()
          node.disk.base++
        }
    }
  }

  #persist(node: TestNode, effect: PersistEffect<RaftMessage>): void {
    const { plant } = this.#options
    if (plant === 'acknowledgeEarly') this.#say(node, effect)
    const thenSend = plant === 'acknowledgeEarly' ? [] : effect.thenSend
    const hardState = plant === 'forgetVote' ? withoutVote(effect.hardState) : effect.hardState
    node.pending.push({ ...effect, thenSend, hardState })
  }

  #say(node: TestNode, effect: PersistEffect<RaftMessage>): void {
    for (const { to, message } of effect.thenSend) this.queue.push({ from: node.id, to, message })
  }

  #apply(node: TestNode, position: number): void {
    while (node.applied < position) {
      const batch = node.machine!.committedEntries(node.applied + 1, 1000)
      for (const stored of storedOf(batch)) {
        if (stored.position > position)
          throw new Error('more than what is committed was handed over')
        this.checker.committed(this, node, stored)
        node.applied = stored.position
        node.appliedEpoch = stored.epoch
        node.appliedTime = readUint64(viewOf(stored.bytes), offset.time)
        if (stored.bytes[offset.kind] === entryKind.membership) {
          node.membership = stored.bytes.slice(entryHeaderBytes)
        }
      }
    }
  }
}

export function entryOf(body: string, time = 0): Uint8Array {
  const text = new TextEncoder().encode(body)
  const entry = new Uint8Array(entryHeaderBytes + text.length)
  const view = viewOf(entry)
  view.setUint32(offset.length, entry.length, true)
  entry[offset.format] = entryFormat
  entry[offset.kind] = entryKind.zookeeper
  writeUint64(view, offset.time, time)
  entry.set(text, entryHeaderBytes)
  return entry
}

/** An entry as a leader would have stamped it. */
export function stampedEntry(
  position: number,
  epoch: number,
  body: string,
  kind?: number,
): Uint8Array {
  const entry = entryOf(body, 1)
  const view = viewOf(entry)
  writeUint64(view, offset.position, position)
  writeUint64(view, offset.epoch, epoch)
  if (kind !== undefined) entry[offset.kind] = kind
  return entry
}

export function concatenated(entries: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(entries.reduce((sum, entry) => sum + entry.length, 0))
  let at = 0
  for (const entry of entries) {
    bytes.set(entry, at)
    at += entry.length
  }
  return bytes
}

export function storedOf(batch: Batch): Stored[] {
  const stored: Stored[] = []
  const view = viewOf(batch.bytes)
  let at = 0
  for (let index = 0; index < batch.count; index++) {
    const length = view.getUint32(at, true)
    const position = readUint64(view, at + offset.position)
    if (position !== batch.first + index) throw new Error('a batch has gaps')
    const epoch = readUint64(view, at + offset.epoch)
    stored.push({ position, epoch, bytes: batch.bytes.slice(at, at + length) })
    at += length
  }
  if (at !== batch.bytes.length) throw new Error('a batch has bytes beyond its entries')
  return stored
}

export function bodyOf(stored: Stored): string {
  return new TextDecoder().decode(stored.bytes.subarray(entryHeaderBytes))
}

export function emptyDisk(): Disk {
  return { hardState: noBytes, checkpoint: noCheckpoint, base: 0, entries: [] }
}

/** A message that has left is bytes elsewhere: the log may use its memory again. */
function copied(message: RaftMessage): RaftMessage {
  return message.kind === 'append' ? { ...message, entries: message.entries.slice() } : message
}

/** Only that the cluster has formed is kept. */
function withoutVote(hardState: Uint8Array): Uint8Array {
  if (hardState.length === 0) return hardState
  return encodeHardState({ ...decodeHardState(hardState), epoch: 0, votedFor: 0 })
}

function newNode(id: number): TestNode {
  return {
    id,
    store: `s${id}`,
    canVote: true,
    mayForm: true,
    disk: emptyDisk(),
    machine: undefined,
    pending: [],
    applied: 0,
    appliedTime: 0,
    appliedEpoch: 0,
    membership: noBytes,
    snapshotsWanted: [],
    effects: [],
    starts: 0,
  }
}

/** What a journal does: truncate, then the latest record of a position wins. */
function write(disk: Disk, effect: PersistEffect<RaftMessage>): void {
  if (effect.hardState.length > 0) disk.hardState = effect.hardState
  if (effect.truncateFrom > 0) {
    const left = Math.max(0, effect.truncateFrom - 1 - disk.base)
    disk.entries.length = Math.min(disk.entries.length, left)
  }
  for (const batch of effect.entries) {
    for (const stored of storedOf(batch)) {
      // What was under way when a checkpoint took its place, or was compacted since.
      if (stored.position <= disk.base) continue
      if (stored.position !== disk.base + disk.entries.length + 1) {
        throw new Error('the journal has no gaps')
      }
      disk.entries.push(stored)
    }
  }
}

/** From the one at the checkpoint on, if that is there. */
function recoveredBatches({ entries, checkpoint }: Disk): Batch[] {
  const above = entries.filter(({ position }) => position >= checkpoint.position)
  const first = above[0]?.position
  if (first === undefined) return []
  return [{ first, count: above.length, bytes: concatenated(above.map(entry => entry.bytes)) }]
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/**
 * A seeded world: nodes, clients, and what befalls them. First everything may happen; then all is
 * healed, and the clients must be served to the end, the nodes become equal, and every
 * acknowledged write be there once.
 */
import type { Member, Membership, MembershipChange } from '../../actors/consensus/interface.ts'
import {
  decodeMembership,
  emptyMembership,
  hasMember,
  isJoint,
  isVoter,
  nodesOf,
} from '../../actors/consensus/membership.ts'
import { directory } from '../../actors/directory.ts'
import { isDiskFull, StorageError } from '../../storage/errors.ts'
import { deriveSeed } from '../../runtime/random.ts'
import { type JobModules, loadJobModules } from './jobs.ts'
import { EtcdClient } from './etcd-client.ts'
import { Holders } from './holders.ts'
import { calmNetwork, SimulatedNetwork } from './network.ts'
import {
  etcdPort,
  SimulatedNode,
  slowSyncMillisMax,
  verySlowSyncMillisMax,
  zookeeperPort,
} from './node.ts'
import { Observer } from './observer.ts'
import type { Fault, Target, WorldOptions } from './options.ts'
import { createScheduler } from './scheduler.ts'
import { VirtualThread } from './thread.ts'
import { verifyEnd } from './verify.ts'
import { ZookeeperClient } from './zookeeper-client.ts'

export interface WorldResult {
  readonly seed: string
  readonly violations: readonly string[]
  readonly traceChecksum: number
  readonly lines: readonly string[]
  readonly acknowledged: number
  readonly committed: number
  readonly leaderChanges: number
  /** Processes that ended, and nodes that were cut off, while clients were at work. */
  readonly crashes: number
  /** Checkpoints restored and compared. */
  readonly restored: number
  readonly partitions: number
  /** Writes that were refused for lack of space. */
  readonly refusals: number
  readonly virtualMillis: number
  readonly steps: number
}

/** Everything that a world needs and that cannot be loaded in virtual time. */
export async function loadSimulator(): Promise<JobModules> {
  return await loadJobModules(['storage/journal-job.ts', 'storage/checkpoint-job.ts'])
}

const livenessMillis = 60_000
const restartMillis = 200
/** Until everybody has heard that there is space again: a checkpoint is tried again after 5 s. */
const againMillis = 8000
/** After a sync that failed: the node is up again, and counts on what it has. */
const powerLossMillis = 3 * restartMillis
const changeMillis = 500
/** Between the changes that a leader is asked for which is cut off: less than it takes to notice. */
const splitAskMillis = 60
const leasesEndMillis = 20_000
const settleMillis = 2000
/** A command may be applied this long after it was refused: clocks drift, and deadlines are not finer. */
const lateMillisMax = 1500
const linesKeptDefault = 200

export function runWorld(
  options: WorldOptions,
  jobs: JobModules,
  linesKept = linesKeptDefault,
): WorldResult {
  return new World(options, jobs, linesKept).run()
}

class World {
  readonly scheduler = createScheduler()
  readonly network: SimulatedNetwork
  readonly observer: Observer
  readonly nodes: SimulatedNode[]
  readonly clients: ZookeeperClient[]
  readonly etcdClients: EtcdClient[]
  readonly #options: WorldOptions
  #crashes = 0
  #membershipPosition = 0
  #newestMembership = emptyMembership
  #partitions = 0
  #refusals = 0
  /** Nodes that are on their way to be voters. */
  readonly #broughtIn = new Set<SimulatedNode>()
  #isHealed = false
  readonly #holders = new Holders()

  constructor(options: WorldOptions, jobs: JobModules, linesKept: number) {
    this.#options = options
    const { seed, nodes, placement } = options
    this.network = new SimulatedNetwork(this.scheduler, seed, options.network)
    this.observer = new Observer(this.scheduler, nodes, linesKept)
    this.observer.etcd.lateMillisMax = lateMillisMax + clockJumpsOf(options)
    const world = {
      seed,
      scheduler: this.scheduler,
      network: this.network,
      jobs,
      nodeCount: nodes,
      placement,
      consensus: options.consensus,
      quotaBytes: options.quotaBytes,
      tap: this.observer,
      diskFailed: (node: number) => this.#diskFailed(this.nodes[node - 1]!),
    }
    this.nodes = Array.from({ length: nodes }, (_, index) => new SimulatedNode(world, index + 1))
    this.clients = Array.from({ length: options.zookeeperClients }, (_, index) =>
      this.#createClient(index + 1),
    )
    this.etcdClients = Array.from({ length: options.etcdClients }, (_, index) =>
      this.#createEtcdClient(index + 1),
    )
  }

  run(): WorldResult {
    for (const node of this.nodes) this.scheduler.after(10 * node.id, () => this.#start(node))
    for (const { atMillis, fault } of this.#options.faults) {
      this.scheduler.at(atMillis, () => this.#strike(fault))
    }
    for (const [index, client] of this.#all().entries()) {
      this.scheduler.after(100 + 20 * index, () => client.start())
    }
    this.#runUntil(this.#options.healedMillis, () => false)
    this.#heal()
    const deadlineMillis = this.scheduler.nowMillis + livenessMillis
    const isServed = (): boolean => this.#all().every(({ done }) => done)
    this.#runUntil(deadlineMillis, () => isServed() && this.#isWhole())
    // Leases that are not renewed any more end.
    const leasesMillis = this.scheduler.nowMillis + leasesEndMillis
    this.#runUntil(leasesMillis, () =>
      this.etcdClients.every(({ watch }) => watch.leased.size === 0),
    )
    this.#runUntil(this.scheduler.nowMillis + settleMillis, () => false)
    // Sessions that nobody uses any more still end, now too.
    this.#runUntil(this.scheduler.nowMillis + settleMillis, () => this.#isLevel())
    if (this.observer.violations.length === 0) this.#verify()
    return this.#result()
  }

  #all(): (ZookeeperClient | EtcdClient)[] {
    return [...this.clients, ...this.etcdClients]
  }

  /** Every node that is up has applied as much as the others. */
  #isLevel(): boolean {
    const { replicas } = this.observer
    const positions = this.nodes.map(({ id }) => replicas.of(id)?.position)
    return new Set(positions.filter(position => position !== undefined)).size <= 1
  }

  #verify(): void {
    if (!this.#isWhole()) this.observer.violate(0, 'not all nodes are voters at the end')
    verifyEnd(this.observer, this.nodes, this.clients, this.etcdClients)
  }

  #runUntil(millis: number, reached: () => boolean): void {
    while (this.observer.violations.length === 0 && !reached() && this.scheduler.step(millis));
  }

  #result(): WorldResult {
    const { observer, scheduler } = this
    return {
      seed: this.#options.seed,
      violations: observer.violations,
      traceChecksum: observer.traceChecksum,
      lines: observer.lines,
      acknowledged: this.#all().reduce((sum, client) => sum + client.acknowledged, 0),
      committed: observer.committedPositions,
      leaderChanges: observer.leaderChanges,
      crashes: this.#crashes,
      restored: observer.replicas.restored,
      partitions: this.#partitions,
      refusals: this.#refusals,
      virtualMillis: scheduler.nowMillis,
      steps: scheduler.steps,
    }
  }

  #start(node: SimulatedNode): void {
    if (node.running) return
    this.observer.note(node.id, `starts (${node.starts + 1})`)
    try {
      node.start()
    } catch (error) {
      // An operator would try again once there is room.
      if (!isFull(error)) return this.observer.failed(node.id, '(start)', error)
      this.observer.note(node.id, 'cannot start: its disk is full, or failed')
      node.mendDisk()
      this.scheduler.after(restartMillis, () => this.#start(node))
    }
  }

  #stop(node: SimulatedNode, how: 'process' | 'power', restartAfterMillis: number): void {
    if (!node.running) return
    this.#crashes++
    this.observer.note(node.id, how === 'power' ? 'loses power' : 'is killed')
    node.stop(how)
    this.observer.stopped(node.id)
    this.scheduler.after(restartAfterMillis, () => this.#start(node))
  }

  #strike(fault: Fault): void {
    if (fault.kind === 'outage') {
      for (const node of this.nodes) this.#stop(node, 'power', fault.millis)
      return
    }
    if (fault.kind === 'split') return this.#split(fault.companion, fault.millis)
    if (fault.kind === 'quorumSlow') return this.#slowQuorum(fault.millis)
    const node = this.#target(fault.node)
    const others = this.nodes.filter(other => other !== node)
    switch (fault.kind) {
      case 'crash':
        return this.#stop(node, fault.how, fault.millis)
      case 'pause':
        this.observer.note(
          node.id,
          `pauses ${fault.thread || 'all threads'} for ${fault.millis.toFixed(0)} ms`,
        )
        return node.pause(fault.millis, fault.thread)
      case 'isolate':
        return this.#cut(node, others, fault)
      case 'apart':
        return this.#cut(node, [others[fault.other % others.length]!], fault)
      case 'reset':
        this.observer.note(node.id, 'has its connections reset')
        for (const other of others) {
          this.network.resetOne(node.machine, other.machine)
          this.network.resetOne(other.machine, node.machine)
        }
        return
      case 'diskFull':
        this.observer.note(node.id, `has a full disk for ${fault.millis.toFixed(0)} ms`)
        node.limitDisk(Math.floor(fault.millis))
        this.scheduler.after(fault.millis, () => node.limitDisk(Number.POSITIVE_INFINITY))
        return
      case 'diskSlow':
        this.observer.note(node.id, `has a slow disk for ${fault.millis.toFixed(0)} ms`)
        return node.slowDisk(fault.millis, slowSyncMillisMax)
      case 'diskStands':
        this.observer.note(node.id, `has a disk that stands for ${fault.millis.toFixed(0)} ms`)
        return node.standDisk(fault.millis)
      case 'diskFails':
        if (!node.running) return
        this.observer.note(node.id, 'has a disk that fails')
        return node.failDisk()
      case 'diskLost':
        return this.#loseDisk(node, fault.millis)
      case 'remember':
        return this.#remember(node, fault.millis)
      case 'clock':
        this.observer.note(node.id, `has its clock set by ${fault.millis.toFixed(0)} ms`)
        return node.jumpWallClock(fault.millis)
    }
  }

  /** It starts again on what reads as it was, and loses power not long after. */
  #diskFailed(node: SimulatedNode): void {
    this.#stop(node, 'process', restartMillis)
    this.scheduler.after(powerLossMillis, () => this.#stop(node, 'power', restartMillis))
  }

  #slowQuorum(millis: number): void {
    const leader = this.#target('leader')
    this.observer.note(leader.id, `has a slow quorum for ${millis.toFixed(0)} ms`)
    for (const node of this.nodes) {
      if (node !== leader) node.slowDisk(millis, verySlowSyncMillisMax)
    }
  }

  #split(companion: number, millis: number): void {
    const leader = this.#target('leader')
    const rest = this.nodes.filter(({ id }) => id !== leader.id && id !== companion)
    this.observer.note(leader.id, `is cut off with ${companion} for ${millis.toFixed(0)} ms`)
    this.#partitions++
    for (const other of rest) {
      for (const node of this.nodes.filter(one => !rest.includes(one))) {
        this.network.cut(other.machine, node.machine)
        this.network.cut(node.machine, other.machine)
      }
    }
    const isFull = this.#membership().voters.length === this.nodes.length
    for (const [index, { id }] of isFull ? rest.entries() : []) {
      const ask = (): void => this.#askOf(leader, { kind: 'remove', node: id })
      this.scheduler.after(1 + index * splitAskMillis, ask)
    }
    this.scheduler.after(millis, () => this.network.heal())
    for (const node of this.nodes) this.#bringIn(node, millis + changeMillis * (1 + node.id))
  }

  #cut(
    node: SimulatedNode,
    others: readonly SimulatedNode[],
    { direction, millis }: { readonly direction: 'both' | 'in' | 'out'; readonly millis: number },
  ): void {
    const from = others.length === 1 ? ` from node ${others[0]!.id}` : ''
    this.observer.note(node.id, `is cut off${from} (${direction}) for ${millis.toFixed(0)} ms`)
    this.#partitions++
    const ways = others.flatMap(other => [
      ...(direction === 'out' ? [] : [[other.machine, node.machine] as const]),
      ...(direction === 'in' ? [] : [[node.machine, other.machine] as const]),
    ])
    for (const [start, end] of ways) this.network.cut(start, end)
    this.scheduler.after(millis, () => {
      for (const [start, end] of ways) this.network.mend(start, end)
    })
  }

  /** Whoever is in charge has it replaced, as soon as there is a leader that can. */
  #loseDisk(node: SimulatedNode, millis: number): void {
    this.#stop(node, 'power', millis)
    if (node.running) return
    this.observer.note(node.id, 'has lost its disk')
    node.loseDisk()
    this.observer.lostDisk(node.id)
    this.#bringIn(node, millis + changeMillis)
  }

  /** A node that leaves and comes back with the store that it has. */
  #remember(node: SimulatedNode, millis: number): void {
    const membership = this.#membership()
    const isOut = membership.voters.length > 0 && !nodesOf(membership).includes(node.id)
    if (isOut) return this.#bringIn(node, millis)
    // One at a time: the observer wants every committed entry on most of all disks.
    const isFull = membership.voters.length === this.nodes.length && !isJoint(membership)
    if (!isFull) return void this.scheduler.after(changeMillis, () => this.#remember(node, millis))
    // What was asked for by then may still come: it is looked after (#keepWhole).
    if (this.#isHealed) return
    this.observer.note(node.id, 'is to leave the members')
    this.#ask({ kind: 'remove', node: node.id })
    this.scheduler.after(changeMillis, () => this.#remember(node, millis))
  }

  /** Whoever is in charge asks the leader for one change after the other, until the node is a voter. */
  #bringIn(node: SimulatedNode, afterMillis: number): void {
    this.#broughtIn.add(node)
    this.scheduler.after(afterMillis, () => {
      if (this.#isIn(node)) {
        this.#broughtIn.delete(node)
        return this.observer.note(node.id, 'is a voter')
      }
      if (node.running) this.#ask(nextChange(this.#membership(), memberOf(node)))
      this.#bringIn(node, changeMillis)
    })
  }

  /** One that could not start yet, on a new disk, has no store that anybody could know. */
  #isIn(node: SimulatedNode): boolean {
    const membership = this.#membership()
    const isIn = isVoter(membership, node.id, node.storeId) && membership.outgoing.length === 0
    return node.running && isIn
  }

  #isWhole(): boolean {
    return this.nodes.every(node => this.#isIn(node))
  }

  /** Whoever left late, or was lost on the way, comes in again. */
  #keepWhole(): void {
    for (const node of this.nodes) {
      if (node.running && !this.#isIn(node) && !this.#broughtIn.has(node)) this.#bringIn(node, 0)
    }
    this.scheduler.after(changeMillis, () => this.#keepWhole())
  }

  #ask(change: MembershipChange): void {
    this.#askOf(this.#target('leader'), change)
  }

  #askOf(leader: SimulatedNode, change: MembershipChange): void {
    const bytes = Buffer.from(JSON.stringify(change))
    const asked = { kind: 'changeMembership', replyTo: 'control', id: 1, change: bytes } as const
    if (leader.running) leader.tell(directory.consensus, asked)
  }

  /** The newest that anybody has applied so far. */
  #membership(): Membership {
    for (const { id } of this.nodes) {
      const replica = this.observer.replicas.of(id)
      if (replica === undefined || replica.position <= this.#membershipPosition) continue
      this.#membershipPosition = replica.position
      try {
        this.#newestMembership = decodeMembership(replica.membership)
      } catch (error) {
        this.observer.violate(id, `its membership cannot be read: ${String(error)}`)
      }
    }
    return this.#newestMembership
  }

  #target(target: Target): SimulatedNode {
    const machine = target === 'holder' ? this.#holderMachine() : undefined
    const holder = this.nodes.find(node => node.machine === machine)
    if (holder !== undefined) return holder
    const id = typeof target === 'number' ? target : this.observer.leader
    return this.nodes[Math.max(0, id - 1)]!
  }

  #holderMachine(): string | undefined {
    return this.clients.find(({ holdsAtRest }) => holdsAtRest)?.machine
  }

  #heal(): void {
    this.observer.note(0, 'everything is healed')
    this.#isHealed = true
    this.#keepWhole()
    this.network.heal()
    this.network.options = { ...this.network.options, resetOneIn: calmNetwork.resetOneIn }
    for (const node of this.nodes) {
      // A failure that met only what is tried again, such as a checkpoint's file, ended no process.
      node.mendDisk()
      this.#start(node)
    }
  }

  #createClient(id: number): ZookeeperClient {
    const { seed, zookeeperClients, idle } = this.#options
    const operations = idle ? 0 : this.#options.operations
    const thread = this.#clientThread(`client${id}`)
    return new ZookeeperClient({
      id,
      seed,
      host: thread.host,
      machines: this.nodes.map(({ machine }) => machine),
      port: zookeeperPort,
      operations,
      clients: zookeeperClients,
      maySleep: !this.#options.idle,
      refused: () => this.#refused(),
      holders: this.#holders,
      busyUntilMillis: this.#options.busyUntilMillis,
      hasQuota: this.#options.quotaBytes !== undefined,
      note: event => this.observer.note(0, event),
      violate: sentence => this.observer.violate(0, sentence),
    })
  }

  /** Only where the state may be full, or a disk is full now, or was a moment ago. */
  #refused(): void {
    this.#refusals++
    if (this.#options.quotaBytes !== undefined) return
    const now = this.scheduler.nowMillis
    const isFull = this.#options.faults.some(
      ({ fault, atMillis }) =>
        fault.kind === 'diskFull' && now >= atMillis && now < atMillis + fault.millis + againMillis,
    )
    if (!isFull) this.observer.violate(0, 'a write was refused, and every disk has space')
  }

  #createEtcdClient(id: number): EtcdClient {
    const { seed, operations } = this.#options
    return new EtcdClient({
      id,
      seed,
      host: this.#clientThread(`etcd${id}`).host,
      machines: this.nodes.map(({ machine }) => machine),
      port: etcdPort,
      operations,
      busyUntilMillis: this.#options.busyUntilMillis,
      hasQuota: this.#options.quotaBytes !== undefined,
      history: this.observer.etcd,
      refused: () => this.#refused(),
      note: event => this.observer.note(0, event),
      violate: sentence => this.observer.violate(0, sentence),
    })
  }

  #clientThread(name: string): VirtualThread {
    return new VirtualThread({
      name,
      machine: 'clients',
      seed: deriveSeed(this.#options.seed, 'clients'),
      scheduler: this.scheduler,
      network: this.network,
      disk: () => ({}) as never,
      jobs: () => ({}) as never,
      clock: { wallOffsetMillis: 0, drift: 1 },
      failed: (_thread, error) => this.observer.failed(0, name, error),
    })
  }
}

/** Log time stands still for as long as clocks were set back. */
function clockJumpsOf({ faults }: WorldOptions): number {
  let millis = 0
  for (const { fault } of faults) if (fault.kind === 'clock') millis += Math.abs(fault.millis)
  return millis
}

function memberOf(node: SimulatedNode): Member {
  return { node: node.id, address: `${node.machine}:7100`, store: node.storeId }
}

/** What brings a member in that has lost its store, or its place. */
function nextChange(membership: Membership, member: Member): MembershipChange {
  const { node, store } = member
  if (hasMember(membership.learners, node, store)) return { kind: 'promote', node }
  if (nodesOf(membership).includes(node)) return { kind: 'replace', member }
  return { kind: 'addLearner', member }
}

function isFull(error: unknown): boolean {
  if (isDiskFull(error)) return true
  // Also one whose sync failed: there is a next start.
  return error instanceof StorageError && (error.code === 'noSpace' || error.code === 'diskFailed')
}

/**
 * One node of a simulated world: its disk, which outlives it, and its process: the threads of its
 * placement, with the actors that production starts on them (actors/node/thread.ts).
 */
import { configSchema, type Config } from '../../actors/node/config-schema.ts'
import { type NodeSetup, nodeSetup } from '../../actors/node/node-setup.ts'
import { placementOf } from '../../actors/node/placement.ts'
import { protocols, startThread } from '../../actors/node/thread.ts'
import { Replica } from '../../actors/state/replica.ts'
import type { SliceSetup } from '../../actors/state/slices.ts'
import type { Definition, Message, Ref, Supervision } from '../../runtime/actor.ts'
import { allowRecycling, threadPool } from '../../runtime/buffer-pool.ts'
import type { Cell } from '../../runtime/cell.ts'
import type { Disk, Random } from '../../runtime/host.ts'
import { createLogger, type Logger } from '../../runtime/log.ts'
import { below, deriveSeed, seededRandom } from '../../runtime/random.ts'
import { Router } from '../../runtime/router.ts'
import { System, type SystemOptions } from '../../runtime/system.ts'
import { openDataDirectory } from '../../storage/data-directory.ts'
import { MemoryDisk } from '../support/memory-disk.ts'
import { carrierBetween } from './carrier.ts'
import { type JobModules, simulatedJobs } from './jobs.ts'
import { type DiskPace, diskOfThread } from './disk.ts'
import type { ConsensusSizes } from './options.ts'
import type { SimulatedNetwork } from './network.ts'
import type { Scheduler } from './scheduler.ts'
import { VirtualThread } from './thread.ts'

/** Sees every message that an actor gets. */
export interface Tap {
  started(node: number, actor: string, setup: unknown): void
  message(node: number, actor: string, message: Message): void
  /** After it, by the state actor, whose node's disk this is. */
  handled(node: number, message: Message, disk: Disk): void
  failed(node: number, actor: string, error: unknown): void
  logged(node: number, line: string): void
}

export interface NodeWorld {
  readonly seed: string
  readonly scheduler: Scheduler
  readonly network: SimulatedNetwork
  readonly jobs: JobModules
  readonly nodeCount: number
  readonly placement: 'single' | 'split' | 'spread'
  readonly consensus: ConsensusSizes
  readonly quotaBytes: number | undefined
  readonly tap: Tap
  /** The process of this node ends of a sync that was to fail. */
  readonly diskFailed: (node: number) => void
}

export const zookeeperPort = 2181
export const etcdPort = 2379
const dataDirectory = '/data'
/** Of a disk that is slow for a while, and of one that is very slow. */
export const slowSyncMillisMax = 120
export const verySlowSyncMillisMax = 600
export const checkpointDirectory = `${dataDirectory}/checkpoints`

export class SimulatedNode {
  readonly id: number
  readonly machine: string
  disk: MemoryDisk
  /** Of its data directory, since it was opened last. */
  storeId = ''
  starts = 0
  threads: VirtualThread[] = []
  readonly #world: NodeWorld
  readonly #random: Random
  readonly #pace: DiskPace = {
    syncMillis: nowMillis => this.#syncMillis(nowMillis),
    nextSyncAtMillis: 0,
    isFailing: false,
  }
  #systems: readonly RunningThread[] = []
  #slowUntilMillis = 0
  #slowSyncMillisMax = 0
  #standsUntilMillis = 0
  #incarnationMin = 1
  readonly #clock = { wallOffsetMillis: 0, drift: 1 }

  constructor(world: NodeWorld, id: number) {
    this.id = id
    this.machine = `machine${id}`
    this.#world = world
    this.#random = seededRandom(deriveSeed(world.seed, `node${id}`))
    this.#clock.drift = 0.99 + 0.02 * this.#random.fraction()
    this.disk = this.#createDisk()
  }

  get running(): boolean {
    return this.threads.length > 0
  }

  start(): void {
    this.starts++
    const config = configFor(this.id, this.#world)
    const path = config.dataDirectory
    const { segmentBytes } = config.journal
    const directory = openDataDirectory({
      disk: this.disk,
      random: this.#random,
      path,
      segmentBytes,
      incarnationMin: this.#incarnationMin,
    })
    this.storeId = directory.storeId
    const setup = nodeSetup(config, directory)
    const placement = placementOf(config)
    const systems = Object.keys(placement).map(name => this.#createThread(name, setup))
    this.#systems = systems
    this.#connect(systems)
    for (const { thread, system, router } of systems) {
      thread.post(() => {
        startThread(system, setup)
        router.open()
      })
    }
  }

  /** `process`: kill -9. `power`: what was not synced is lost too, some of it by chance. */
  stop(how: 'process' | 'power'): void {
    // Of what was written behind a sync that is still under way nothing may be kept by chance.
    const keepsNothing = this.threads.some(thread => thread.isSyncing)
    for (const thread of this.threads) thread.kill()
    this.#world.network.closeAllOf(new Set(this.threads))
    this.threads = []
    this.#systems = []
    this.#pace.isFailing = false
    this.disk.fault = () => undefined
    // A process is not killed within a sync either: what it did behind one has not happened.
    if (how === 'process' && !keepsNothing) this.disk.killProcess()
    else this.disk.crash(() => !keepsNothing && below(this.#random, 3) === 0)
  }

  pause(millis: number, threadName?: string): void {
    for (const thread of this.threads) {
      if (threadName === undefined || thread.name.endsWith(threadName)) thread.pause(millis)
    }
  }

  /** Room for so many more bytes, until it is told otherwise. */
  limitDisk(bytes: number): void {
    this.disk.capacityBytes = this.disk.usedBytes() + bytes
  }

  slowDisk(millis: number, syncMillisMax: number): void {
    this.#slowUntilMillis = this.#world.scheduler.nowMillis + millis
    this.#slowSyncMillisMax = syncMillisMax
  }

  standDisk(millis: number): void {
    this.#standsUntilMillis = this.#world.scheduler.nowMillis + millis
  }

  /**
   * The next sync fails, and so do all until the process has ended of it. Not one that was begun in
   * place: what follows it in the same callback has already happened here.
   */
  failDisk(): void {
    const { scheduler } = this.#world
    if (this.#pace.nextSyncAtMillis >= scheduler.nowMillis) {
      scheduler.at(this.#pace.nextSyncAtMillis + 0.01, () => this.failDisk())
      return
    }
    this.#pace.isFailing = true
    this.disk.fault = operation => (operation === 'sync' ? 'EIO' : undefined)
  }

  /** The process that met the failure has ended, or did not begin for it. */
  mendDisk(): void {
    this.#pace.isFailing = false
    this.disk.fault = () => undefined
  }

  /** Only while it is down. */
  loseDisk(): void {
    // Until it starts again it has none: it is no voter by the store that it had.
    this.storeId = ''
    this.disk = this.#createDisk()
    this.#incarnationMin += 10_000
  }

  /** To an actor of this node, from outside. */
  tell<M extends Message>(definition: { readonly name: string }, message: M): void {
    const running = this.#systems.find(
      ({ system }) => system.threadOf(definition.name) === system.thread,
    )
    running?.thread.post(() => running.system.find<M>(definition).tell(message))
  }

  #createDisk(): MemoryDisk {
    return new MemoryDisk({
      later: callback => {
        this.#world.scheduler.at(this.#pace.nextSyncAtMillis, callback)
      },
    })
  }

  jumpWallClock(millis: number): void {
    this.#clock.wallOffsetMillis += millis
  }

  #createThread(name: string, setup: NodeSetup): RunningThread {
    const { seed, scheduler, network, jobs, tap, consensus } = this.#world
    const thread: VirtualThread = new VirtualThread({
      name: `node${this.id}.${this.starts}/${name}`,
      machine: this.machine,
      seed,
      scheduler,
      network,
      disk: own => diskOfThread(this.disk, this.#pace, scheduler, own),
      jobs: own => simulatedJobs(jobs, scheduler, this.#random, own, this.disk),
      clock: this.#clock,
      failed: (_thread, error) => this.#failed('(event loop)', error),
    })
    this.threads.push(thread)
    const log = this.#createLog(thread)
    const system = new TappedSystem(
      this.id,
      tap,
      thread,
      { disk: this.disk, sizes: consensus },
      {
        host: thread.host,
        log,
        thread: name,
        placement: placementOf(setup.config),
        node: this.id,
        protocols,
        // Also poisons what is recycled.
        freezeMessages: true,
        onFailure: (error, actor) => this.#failed(actor, error),
      },
    )
    return { thread, system, router: new Router(system, { nodesBy: 'peers' }) }
  }

  #connect(systems: readonly RunningThread[]): void {
    const { scheduler } = this.#world
    systems.forEach((left, index) => {
      for (const right of systems.slice(index + 1)) {
        const [near, far] = carrierBetween(scheduler, this.#random, left.thread, right.thread)
        left.router.connect(right.system.thread, near)
        right.router.connect(left.system.thread, far)
      }
    })
  }

  /** Fail-stop: the process ends, as in production (DESIGN.md D1). */
  #failed(actor: string, error: unknown): void {
    // Its disk may be mended by the time when it hears of it.
    if (/EIO/.test(String(error))) return this.#world.diskFailed(this.id)
    this.#world.tap.failed(this.id, actor, error)
    this.stop('process')
  }

  #createLog(thread: VirtualThread): Logger {
    return createLogger({
      level: 'info',
      format: 'text',
      wallMillis: () => thread.host.clock.wallMillis(),
      write: line => this.#world.tap.logged(this.id, line),
    })
  }

  /** Mostly quick; sometimes the disk takes its time. */
  #syncMillis(nowMillis: number): number {
    const quick = 0.05 + 0.2 * this.#random.fraction()
    const standsMillis = this.#standsUntilMillis - nowMillis
    if (standsMillis > 0) return standsMillis
    if (nowMillis < this.#slowUntilMillis) return this.#slowSyncMillisMax * this.#random.fraction()
    return below(this.#random, 50) === 0 ? 30 * this.#random.fraction() : quick
  }
}

interface RunningThread {
  readonly thread: VirtualThread
  readonly system: System
  readonly router: Router
}

/**
 * Lets the tap see what every actor gets. What happens after a sync within one callback has not
 * happened if the power fails before that sync is done, so it is seen only when its time has come.
 */
class TappedSystem extends System {
  readonly #id: number
  readonly #tap: Tap
  readonly #thread: VirtualThread
  readonly #disk: Disk
  readonly #sizes: ConsensusSizes

  constructor(
    id: number,
    tap: Tap,
    thread: VirtualThread,
    own: { disk: Disk; sizes: ConsensusSizes },
    options: SystemOptions,
  ) {
    super(options)
    this.#disk = own.disk
    this.#sizes = own.sizes
    this.#id = id
    this.#tap = tap
    this.#thread = thread
  }

  override spawnChild<M extends Message, Setup>(
    parent: Cell,
    definition: Definition<M, Setup>,
    name: string,
    setup: Setup,
    supervision?: Supervision,
  ): Ref<M> {
    const tapped: Definition<M, Setup> = {
      ...definition,
      start: (context, given) => {
        const own = this.#ownSetup(name, given, context.host.random)
        this.#tap.started(this.#id, name, own)
        const handle = definition.start(context, own)
        return message => {
          this.#show(name, message)
          handle(withRecyclable(message))
          if (name === 'state') this.#tap.handled(this.#id, message, this.#disk)
        }
      },
    }
    return super.spawnChild(parent, tapped, name, setup, supervision)
  }

  #ownSetup<Setup>(name: string, given: Setup, random: Random): Setup {
    if (name === 'state') return withReplica(random.uint32(), given)
    if (name === 'watches')
      return { ...given, slice: { millis: 2, unitsMax: 3, unslicedKeysMax: 2 } }
    if (name === 'consensus') return withSizes(this.#sizes, given)
    return given
  }

  #show(actor: string, message: Message): void {
    const thread = this.#thread
    if (!thread.hasSpent) this.#tap.message(this.#id, actor, message)
    else {
      const copy = copied(message)
      thread.leave(() => this.#tap.message(this.#id, actor, copy))
    }
  }
}

/**
 * The replica is made here, so that the world can look into it. A slice ends after a few keys or
 * entries, so that work goes in slices that would be done at once in production.
 */
function withReplica<Setup>(seed: number, given: Setup): Setup {
  const unitsMax = sliceUnits[seed % sliceUnits.length] ?? 1
  const slice: SliceSetup = { millis: 2, unitsMax, unslicedKeysMax: unitsMax % 5 }
  return { ...given, replica: new Replica(seed), slice }
}

const sliceUnits = [1, 2, 5, 20, 1_000]

function withSizes<Setup>(sizes: ConsensusSizes, given: Setup): Setup {
  const { limits } = given as { limits?: object }
  return { ...given, limits: { ...limits, ...sizes } }
}

/**
 * Entries lie in memory of their own that can be recycled, whatever their size, as only those of large
 * slabs do in production. Recycled memory is poisoned: who still reads it notices.
 */
function withRecyclable<M extends Message>(message: M): M {
  if (message.kind !== 'committed' && message.kind !== 'propose') return message
  const { entries } = message as unknown as { entries: Uint8Array }
  const memory = threadPool.take(entries.length)
  memory.set(entries)
  allowRecycling(memory)
  const length = entries.length
  const copy = Buffer.isBuffer(entries)
    ? memory.subarray(0, length)
    : new Uint8Array(memory.buffer, 0, length)
  return { ...message, entries: copy }
}

/** Bytes may be written again after the message was handled. */
function copied(message: Message): Message {
  const entries = Object.entries(message).map(([name, value]) => [
    name,
    value instanceof Uint8Array ? new Uint8Array(value) : value,
  ])
  return Object.fromEntries(entries) as Message
}

function configFor(id: number, world: NodeWorld): Config {
  const nodes = Array.from({ length: world.nodeCount }, (_, index) => index + 1)
  return configSchema.parse({
    node: `node${id}`,
    dataDirectory,
    cluster: {
      name: 'simulated',
      secret: 'what every simulated node holds, all of them',
      members: nodes.map(node => ({ id: node, name: `node${node}`, peer: `machine${node}:7100` })),
    },
    listeners: {
      zookeeper: { host: `machine${id}`, port: zookeeperPort },
      etcd: { host: `machine${id}`, port: etcdPort },
      admin: { host: `machine${id}`, port: 7200 },
    },
    placement: world.placement,
    journal: { segmentBytes: 64 * 1024, retainedBytes: 8 * 1024 },
    checkpoints: { everyBytes: 16 * 1024 },
    limits: world.quotaBytes === undefined ? {} : { quotaBytes: world.quotaBytes },
  })
}

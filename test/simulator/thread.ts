/**
 * A virtual thread: callbacks run one after the other, each takes a little time, and the thread can
 * stand still (a long garbage collection, SIGSTOP) or die. Its `Host` is all that its actors see.
 */
import type { Clock, Disk, Host, Jobs, Random, Timers } from '../../runtime/host.ts'
import { deriveSeed, seededRandom } from '../../runtime/random.ts'
import type { SimulatedNetwork } from './network.ts'
import type { Scheduler } from './scheduler.ts'

export interface ThreadSetup {
  readonly name: string
  readonly seed: string
  /** The machine (node) that it runs on, for the network. */
  readonly machine: string
  readonly scheduler: Scheduler
  readonly network: SimulatedNetwork
  readonly disk: (thread: VirtualThread) => Disk
  readonly jobs: (thread: VirtualThread) => Jobs
  /** Added to the wall clock, which may jump; the monotonic clock may drift by a factor. */
  readonly clock: { wallOffsetMillis: number; drift: number }
  /** A callback threw: what a process does with it is for the world to decide. */
  readonly failed: (thread: VirtualThread, error: unknown) => void
}

export const wallMillisAtStart = 1_800_000_000_000

export class VirtualThread {
  readonly name: string
  readonly machine: string
  readonly host: Host
  dead = false
  readonly #setup: ThreadSetup
  readonly #random: Random
  #queue: (() => void)[] = []
  #freeAtMillis = 0
  #pausedUntilMillis = 0
  /** Time that the running callback has spent so far, waiting for a disk. */
  #spentMillis = 0
  #syncingUntilMillis = 0
  #running = false

  constructor(setup: ThreadSetup) {
    this.#setup = setup
    this.name = setup.name
    this.machine = setup.machine
    this.#random = seededRandom(deriveSeed(setup.seed, `${setup.name}/pace`))
    this.host = this.#createHost()
  }

  /** From anywhere: `callback` runs on this thread when its turn comes. */
  post(callback: () => void): void {
    if (this.dead) return
    this.#queue.push(callback)
    if (!this.#running) this.#schedule()
  }

  /** The time on this thread: within a callback it moves only by what the callback spends. */
  get nowMillis(): number {
    return this.#setup.scheduler.nowMillis + this.#spentMillis
  }

  /** Within a sync: what the same callback wrote after it has not been written yet. */
  get isSyncing(): boolean {
    return this.#setup.scheduler.nowMillis < this.#syncingUntilMillis
  }

  get hasSpent(): boolean {
    return this.#spentMillis > 0
  }

  spend(millis: number): void {
    this.#spentMillis += millis
  }

  /** What the running callback sends leaves when its time has come, unless the thread dies before. */
  leave(action: () => void): void {
    if (this.#spentMillis === 0) action()
    else this.#setup.scheduler.at(this.nowMillis, () => !this.dead && action())
  }

  pause(millis: number): void {
    this.#pausedUntilMillis = Math.max(
      this.#pausedUntilMillis,
      this.#setup.scheduler.nowMillis + millis,
    )
  }

  kill(): void {
    this.dead = true
    this.#queue = []
  }

  #schedule(): void {
    this.#running = true
    const start = Math.max(this.#freeAtMillis, this.#pausedUntilMillis)
    this.#setup.scheduler.at(start, () => this.#runOne())
  }

  #runOne(): void {
    if (this.dead) return
    const { scheduler } = this.#setup
    if (scheduler.nowMillis < this.#pausedUntilMillis) {
      this.#schedule()
      return
    }
    const callback = this.#queue.shift()!
    try {
      callback()
    } catch (error) {
      this.#setup.failed(this, error)
    }
    this.#syncingUntilMillis = this.nowMillis
    this.#freeAtMillis = this.nowMillis + callbackMillisMax * this.#random.fraction()
    this.#spentMillis = 0
    if (this.#queue.length > 0) this.#schedule()
    else this.#running = false
  }

  #createHost(): Host {
    const { seed, name, network, machine, disk, jobs } = this.#setup
    return {
      clock: this.#createClock(),
      timers: this.#createTimers(),
      random: seededRandom(deriveSeed(seed, name)),
      network: network.forThread(this, machine),
      disk: disk(this),
      jobs: jobs(this),
      defer: callback => this.post(callback),
    }
  }

  #createClock(): Clock {
    const { clock } = this.#setup
    return {
      monotonicMillis: () => this.nowMillis * clock.drift,
      wallMillis: () => Math.floor(wallMillisAtStart + this.nowMillis + clock.wallOffsetMillis),
    }
  }

  #createTimers(): Timers {
    const { scheduler, clock } = this.#setup
    return {
      after: (delayMillis, callback) => {
        let live = true
        const event = scheduler.after(delayMillis / clock.drift, () =>
          this.post(() => live && callback()),
        )
        return {
          cancel() {
            live = false
            event.cancel()
          },
        }
      },
    }
  }
}

/** What one callback costs at most: enough that a thread with much to do falls behind. */
const callbackMillisMax = 0.02

/** A host whose clock, timers and turns move only when a test says so; a whole `System` runs on it too. */
import type { Disk, Host, Jobs, Network, Timer } from './host.ts'
import { seededRandom } from './random.ts'

export interface ManualHost extends Host {
  /** Moves the clock, firing timers in the order in which they are due, and runs what was deferred. */
  advance(millis: number): void
  /** Runs deferred callbacks (turns of a dispatcher) until there are none; at most `countMax`. */
  runDeferred(countMax?: number): number
}

export interface ManualHostOptions {
  readonly seed?: number | string
  readonly wallMillis?: number
  readonly network?: Network
  readonly disk?: Disk
  readonly jobs?: Jobs
}

export function manualHost(options: ManualHostOptions = {}): ManualHost {
  return new SteppedHost(options)
}

interface ManualTimer extends Timer {
  readonly dueMillis: number
  readonly order: number
  readonly callback: () => void
}

class SteppedHost implements ManualHost {
  readonly random
  readonly network: Network
  readonly disk: Disk
  readonly jobs: Jobs
  readonly clock = {
    monotonicMillis: (): number => this.#nowMillis,
    wallMillis: (): number => this.#wallMillis + Math.floor(this.#nowMillis),
  }
  readonly timers = {
    after: (delayMillis: number, callback: () => void): Timer => this.#after(delayMillis, callback),
  }
  readonly #wallMillis: number
  #nowMillis = 0
  #order = 0
  #pending: ManualTimer[] = []
  #deferred: (() => void)[] = []

  constructor(options: ManualHostOptions) {
    this.random = seededRandom(options.seed ?? 1)
    this.#wallMillis = options.wallMillis ?? 1_700_000_000_000
    this.network = options.network ?? absent('network')
    this.disk = options.disk ?? absent('disk')
    this.jobs = options.jobs ?? absent('jobs')
  }

  defer(callback: () => void): void {
    this.#deferred.push(callback)
  }

  advance(millis: number): void {
    const end = this.#nowMillis + millis
    this.runDeferred()
    for (let timer = this.#takeDue(end); timer !== undefined; timer = this.#takeDue(end)) {
      this.#nowMillis = Math.max(this.#nowMillis, timer.dueMillis)
      timer.callback()
      this.runDeferred()
    }
    this.#nowMillis = end
  }

  runDeferred(countMax = 10_000): number {
    let count = 0
    while (this.#deferred.length > 0) {
      if (++count > countMax) throw new Error(`deferred work did not end after ${countMax} turns`)
      this.#deferred.shift()!()
    }
    return count
  }

  #after(delayMillis: number, callback: () => void): Timer {
    const dueMillis = this.#nowMillis + Math.max(delayMillis, 0)
    const timer: ManualTimer = {
      dueMillis,
      order: this.#order++,
      callback,
      cancel: () => {
        this.#pending = this.#pending.filter(other => other !== timer)
      },
    }
    this.#pending.push(timer)
    return timer
  }

  #takeDue(endMillis: number): ManualTimer | undefined {
    let first: ManualTimer | undefined
    for (const timer of this.#pending) {
      if (timer.dueMillis > endMillis) continue
      if (first === undefined || isEarlier(timer, first)) first = timer
    }
    first?.cancel()
    return first
  }
}

function isEarlier(left: ManualTimer, right: ManualTimer): boolean {
  if (left.dueMillis !== right.dueMillis) return left.dueMillis < right.dueMillis
  return left.order < right.order
}

function absent<Part extends object>(part: string): Part {
  return new Proxy({} as Part, {
    get: (_target, member) => {
      throw new Error(`this test's host has no ${part} (${String(member)}): pass one to manualHost`)
    },
  })
}

/**
 * The threads of a process, hosted by piscina and by nothing else: one worker for each thread of the
 * placement, which runs one endless task, and an ordinary pool for jobs. Piscina gives the workers;
 * who they are, their links and their deaths are ours (`atomics: 'disabled'` keeps an idle worker's
 * event loop alive, and one task a worker makes the worker the thread).
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { Piscina } from 'piscina'
import type { Host, Jobs } from './host.ts'
import { nodeHost } from './host-node.ts'
import type { JobTask } from './job-task.ts'
import { limits } from './limits.ts'
import type { Logger } from './log.ts'
import { giveOldGenerationsRoom } from './memory.ts'
import { createCarrierEnds, ringCarrier } from './ring-carrier.ts'
import type { Router } from './router.ts'
import type { Placement } from './system.ts'
import type {
  ThreadCommon,
  ThreadOrder,
  ThreadReport,
  ThreadTask,
  ThreadTaskLink,
} from './thread-task.ts'

export interface ThreadsOptions {
  /** `main` in the placement is this thread; its actors are spawned by the caller. */
  readonly common: ThreadCommon
  /** Exports `startThread(system, setup)`, see ThreadModule. */
  readonly module: URL
  /** Made before with the same placement and module. */
  readonly warm?: WarmThreads
  readonly setup: (thread: string) => unknown
  /** The router of this thread: it is linked with all others. */
  readonly router: Router
  readonly log: Logger
  readonly jobs: Jobs
  /**
   * A thread died: `restart` gives its actors a new one; `stop` leaves the end to the caller, who is
   * told by `onLost` in both cases. Threads that hold consensus, log or state must not restart.
   */
  readonly onThreadLost: (thread: string) => 'restart' | 'stop'
  readonly onLost: (thread: string, error: Error) => void
}

export interface Threads {
  /** Asks all threads to end, last started first; those that do not are terminated. */
  stop(): Promise<void>
}

/** Threads that load their module while the caller still prepares what to start on them. */
export interface WarmThreads {
  readonly pool: Piscina
}

export function warmThreads(placement: Placement, module: URL): WarmThreads {
  giveOldGenerationsRoom()
  const count = threadNames(placement).length
  const pool = new Piscina({
    filename: taskFile('thread-task'),
    name: 'hostThread',
    workerData: { preload: module.href },
    minThreads: count,
    maxThreads: count,
    concurrentTasksPerWorker: 1,
    idleTimeout: Number.POSITIVE_INFINITY,
    atomics: 'disabled',
    recordTiming: false,
    closeTimeout: limits.threadStopMillis,
  })
  return { pool }
}

function threadNames(placement: Placement): string[] {
  return Object.keys(placement).filter(name => name !== 'main')
}

/** Resolves when the actors of all threads have started; rejects when one cannot. */
export async function startThreads(options: ThreadsOptions): Promise<Threads> {
  const names = threadNames(options.common.placement)
  const threads = new HostedThreads(options, names)
  try {
    await threads.start()
  } catch (error) {
    await threads.stop()
    throw error
  }
  return threads
}

class HostedThreads implements Threads {
  readonly #options: ThreadsOptions
  readonly #names: readonly string[]
  readonly #pool: Piscina
  readonly #controls = new Map<string, MessagePort>()
  readonly #tasks = new Map<string, Promise<void>>()
  #stopping = false

  constructor(options: ThreadsOptions, names: readonly string[]) {
    this.#options = options
    this.#names = names
    const { warm, common, module } = options
    this.#pool = (warm ?? warmThreads(common.placement, module)).pool
    this.#pool.on('error', error => {
      // Errors of tasks arrive at their promises; these are about a pool that is ending.
      if (!this.#stopping) options.log.error('The thread pool has failed', { error })
    })
  }

  async start(): Promise<void> {
    const mesh = meshOf(this.#names)
    await Promise.all(this.#names.map(name => this.#startOne(name, mesh.get(name)!)))
  }

  async stop(): Promise<void> {
    this.#stopping = true
    for (const name of [...this.#names].reverse()) this.#order(name, { kind: 'stop' })
    await this.#allEnded()
    await this.#pool.destroy()
    for (const control of this.#controls.values()) control.close()
  }

  async #allEnded(): Promise<void> {
    await new Promise<void>(resolve => {
      const timer = this.#options.router.host.timers.after(limits.threadStopMillis, resolve)
      Promise.allSettled(this.#tasks.values()).then(() => {
        timer.cancel()
        resolve()
      })
    })
  }

  /** Links it with this thread and, by the ports given, with the others. */
  async #startOne(thread: string, links: ThreadTask['links']): Promise<void> {
    const { common, module, setup, router } = this.#options
    const control = new MessageChannel()
    const [here, there] = createCarrierEnds()
    router.connect(thread, ringCarrier(here))
    this.#controls.set(thread, control.port1)
    const task: ThreadTask = {
      thread,
      common,
      module: module.href,
      setup: setup(thread),
      control: control.port2,
      links: [...links, { thread: 'main', end: there }],
    }
    const transferList = [control.port2, ...task.links.map(link => link.end.port)]
    await new Promise<void>((resolve, reject) => {
      let failure: Error | undefined
      control.port1.on('message', (report: ThreadReport) => {
        if (report.kind === 'ready') resolve()
        else if (report.kind === 'job') this.#runJob(control.port1, report)
        else failure = new Error(`actor ${report.actor} failed`, { cause: report.error })
      })
      const ended = this.#pool.run(task, { transferList })
      this.#tasks.set(thread, ended)
      ended.then(
        () => this.#ended(thread, failure ?? new Error('the thread ended')),
        error => {
          reject(failure ?? error)
          this.#ended(thread, failure ?? error)
        },
      )
    })
  }

  #ended(thread: string, error: Error): void {
    if (this.#stopping) return
    const { log, onThreadLost, onLost } = this.#options
    this.#controls.get(thread)?.close()
    const next = onThreadLost(thread)
    log.error('A thread has died', { lost: thread, next, error })
    if (next === 'restart') this.#restart(thread)
    onLost(thread, error)
  }

  /** Piscina has replaced the worker; the new thread gets new links with all others. */
  #restart(thread: string): void {
    const links = this.#names
      .filter(name => name !== thread)
      .map(name => {
        const [theirs, own] = createCarrierEnds()
        this.#order(name, { kind: 'connect', thread, end: theirs })
        return { thread: name, end: own }
      })
    this.#startOne(thread, links).catch(() => {
      // Reported by `#ended` like every death.
    })
  }

  #order(thread: string, order: ThreadOrder): void {
    this.#controls.get(thread)?.postMessage(order, order.kind === 'connect' ? [order.end.port] : [])
  }

  #runJob(
    control: MessagePort,
    { id, module, input }: Extract<ThreadReport, { kind: 'job' }>,
  ): void {
    this.#options.jobs.run(new URL(module), input, (error, result) => {
      const order: ThreadOrder = { kind: 'jobDone', id, error, result }
      control.postMessage(order)
    })
  }
}

/** One channel for each pair. */
function meshOf(names: readonly string[]): Map<string, ThreadTaskLink[]> {
  const mesh = new Map(names.map(name => [name, [] as ThreadTaskLink[]]))
  for (const [index, left] of names.entries()) {
    for (const right of names.slice(index + 1)) {
      const [leftEnd, rightEnd] = createCarrierEnds()
      mesh.get(left)!.push({ thread: right, end: leftEnd })
      mesh.get(right)!.push({ thread: left, end: rightEnd })
    }
  }
  return mesh
}

/** Beside this file, in the repository as in the published build. */
function taskFile(name: string): string {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return new URL(`./${name}.${extension}`, import.meta.url).href
}

export interface JobPool extends Jobs {
  /** Waits for the jobs that run. */
  close(): Promise<void>
}

/** The pool for work that would hold up a thread. Its threads start with the first job and end when idle. */
export function createJobPool(threadsMax: number): JobPool {
  let pool: Piscina | undefined
  return {
    run(module, input, done) {
      pool ??= createPool(threadsMax)
      const task: JobTask = { module: module.href, input }
      pool.run(task).then(
        result => done(undefined, result),
        (error: Error) => done(error),
      )
    },
    close: async () => await pool?.close(),
  }
}

/** The host of the main thread. */
export function mainHost(jobs: Jobs): Host {
  return nodeHost(jobs)
}

const jobIdleMillis = 10_000

function createPool(threadsMax: number): Piscina {
  const pool = new Piscina({
    filename: taskFile('job-task'),
    name: 'runJob',
    minThreads: 0,
    maxThreads: threadsMax,
    idleTimeout: jobIdleMillis,
    atomics: 'disabled',
    recordTiming: false,
  })
  pool.on('error', () => {})
  return pool
}

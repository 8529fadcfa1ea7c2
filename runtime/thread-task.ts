/**
 * What runs inside a worker thread: the endless host task of its actors. Piscina calls `hostThread`
 * once; it ends when the control port says so. A failure beyond supervision ends the thread.
 */
import { type MessagePort, workerData } from 'node:worker_threads'
import { systemClock, systemTimers } from './clock.ts'
import type { Jobs } from './host.ts'
import { nodeHost } from './host-node.ts'
import { limits } from './limits.ts'
import { createLogger, type LogFields, type LogLevel } from './log.ts'
import { type CarrierEnd, ringCarrier } from './ring-carrier.ts'
import type { Protocol } from './protocol.ts'
import { Router, type RouterOptions } from './router.ts'
import { type Placement, System } from './system.ts'

/** The module that knows which actors there are; `setup` is the caller's, copied to the thread. */
export interface ThreadModule {
  /** Spawns this thread's actors (`system.thread`); messages of other threads wait until it returns. */
  startThread(system: System, setup: unknown): Started | Promise<Started>
  /** Protocols of actors that are found by name alone. */
  readonly protocols?: readonly (readonly [actor: string, protocol: Protocol<never>])[]
}

/** What a thread module gives back, if anything. */
export interface ThreadStart {
  /** The actors have stopped: what is left to be sent goes out now, within `threadFlushMillis`. */
  stopped(): Promise<void>
}

// biome-ignore lint/suspicious/noConfusingVoidType: most modules return nothing.
type Started = ThreadStart | void

/** What all threads of a process have in common; can be copied. */
export interface ThreadCommon {
  readonly placement: Placement
  readonly node: number
  readonly log: {
    readonly level: LogLevel
    readonly format: 'json' | 'text'
    readonly fields: LogFields
  }
  readonly router: RouterOptions
}

export interface ThreadTask {
  readonly thread: string
  readonly common: ThreadCommon
  readonly module: string
  readonly setup: unknown
  readonly control: MessagePort
  readonly links: readonly ThreadTaskLink[]
}

export interface ThreadTaskLink {
  readonly thread: string
  readonly end: CarrierEnd
}

export type ThreadOrder =
  | { readonly kind: 'stop' }
  | { readonly kind: 'connect'; readonly thread: string; readonly end: CarrierEnd }
  | {
      readonly kind: 'jobDone'
      readonly id: number
      readonly error: Error | undefined
      readonly result: unknown
    }

export type ThreadReport =
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly actor: string; readonly error: Error }
  | { readonly kind: 'job'; readonly id: number; readonly module: string; readonly input: unknown }

/** Loading the actors takes longest of a start: it begins with the thread, before the task comes. */
const { preload } = (workerData ?? {}) as { preload?: string }
// What is wrong with the module shows when the task imports it.
if (preload !== undefined) import(preload).catch(() => {})

export async function hostThread(task: ThreadTask): Promise<void> {
  const module = (await import(task.module)) as ThreadModule
  const jobs = new RemoteJobs(task.control)
  const system = createSystem(task, module, jobs)
  const router = new Router(system, task.common.router)
  for (const { thread, end } of task.links) router.connect(thread, ringCarrier(end))
  const stopped = new Promise<void>(resolve => {
    task.control.on('message', (order: ThreadOrder) => {
      if (order.kind === 'connect') router.connect(order.thread, ringCarrier(order.end))
      else if (order.kind === 'jobDone') jobs.done(order.id, order.error, order.result)
      else resolve()
    })
  })
  const started = await module.startThread(system, task.setup)
  router.open()
  report(task.control, { kind: 'ready' })
  await stopped
  system.stop()
  router.flush()
  router.close()
  if (started !== undefined) await withinMillis(started.stopped(), limits.threadFlushMillis)
  task.control.close()
}

function withinMillis(work: Promise<void>, millis: number): Promise<void> {
  return new Promise(resolve => {
    const timer = systemTimers.after(millis, resolve)
    const end = (): void => {
      timer.cancel()
      resolve()
    }
    work.then(end, end)
  })
}

function createSystem(task: ThreadTask, module: ThreadModule, jobs: Jobs): System {
  const { placement, node, log } = task.common
  return new System({
    host: nodeHost(jobs),
    log: createLogger({
      level: log.level,
      format: log.format,
      wallMillis: systemClock.wallMillis,
      fields: { ...log.fields, thread: task.thread },
    }),
    thread: task.thread,
    placement,
    node,
    protocols: module.protocols ?? [],
    onFailure: (error, actor) => {
      report(task.control, { kind: 'failed', actor, error })
      // Ends this thread alone; what it holds (sockets, files, timers) ends with it.
      process.exit(1)
    },
  })
}

function report(control: MessagePort, message: ThreadReport): void {
  control.postMessage(message)
}

/** Jobs of this thread run in the one pool of the process, which the main thread owns. */
class RemoteJobs implements Jobs {
  readonly #control: MessagePort
  readonly #waiting = new Map<number, (error: Error | undefined, result?: never) => void>()
  #id = 0

  constructor(control: MessagePort) {
    this.#control = control
  }

  run<Result>(
    module: URL,
    input: unknown,
    done: (error: Error | undefined, result?: Result) => void,
  ): void {
    const id = ++this.#id
    this.#waiting.set(id, done)
    report(this.#control, { kind: 'job', id, module: module.href, input })
  }

  done(id: number, error: Error | undefined, result: unknown): void {
    const done = this.#waiting.get(id)
    this.#waiting.delete(id)
    done?.(error, result as never)
  }
}

/**
 * Syncs that keep their caller for no longer than it allows. A sync that was begun in place cannot be
 * interrupted, and through the system's thread pool it costs a fifth more and half as much processor again; so a
 * thread of its own does it, and the caller waits in shared memory, which costs next to nothing, and
 * goes on after a while. One thread for each thread that has a journal, made when it is first needed; it
 * keeps some 17 MB resident.
 *
 * Shared words: 0 number of the request, 1 state, 2 file descriptor.
 */
import { fdatasync, fdatasyncSync } from 'node:fs'
import { parentPort, Worker, workerData } from 'node:worker_threads'
import { asDiskError } from './disk-error.ts'
import { invariant } from './invariant.ts'

const at = { request: 0, state: 1, descriptor: 2 } as const
/** `left`: the caller did not wait any longer, and wants a message. */
const state = { idle: 0, running: 1, done: 2, failed: 3, left: 4 } as const

/** What it is for, in `workerData`. */
interface Purpose {
  readonly purpose: 'quorate-sync'
  readonly words: SharedArrayBuffer
}

/** Of the last sync that failed, or '' where it succeeded: they come in order, one at a time. */
type Ended = { readonly failure: '' } | { readonly failure: unknown }

export class SyncThread {
  readonly #words = new Int32Array(new SharedArrayBuffer(16))
  #worker: Worker | undefined
  #isReady = false
  #later: ((error?: Error) => void) | undefined
  #path = ''

  /**
   * True: it is done. False: it goes on, or has failed: `done` is called from the event loop.
   */
  sync(
    descriptor: number,
    path: string,
    millisMax: number,
    done: (error?: Error) => void,
  ): boolean {
    this.#start()
    if (!this.#isReady || this.#later !== undefined) {
      fdatasync(descriptor, error => {
        if (error === null) done()
        else done(asDiskError(error, path))
      })
      return false
    }
    const words = this.#words
    Atomics.store(words, at.descriptor, descriptor)
    Atomics.store(words, at.state, state.running)
    Atomics.add(words, at.request, 1)
    Atomics.notify(words, at.request)
    Atomics.wait(words, at.state, state.running, millisMax)
    const before = Atomics.compareExchange(words, at.state, state.running, state.left)
    if (before === state.done) return true
    // The reason follows by message, which is not waited for.
    this.#path = path
    this.#later = done
    return false
  }

  #start(): void {
    if (this.#worker !== undefined) return
    const data: Purpose = {
      purpose: 'quorate-sync',
      words: this.#words.buffer as SharedArrayBuffer,
    }
    const worker = new Worker(new URL(import.meta.url), {
      workerData: data,
      name: 'sync',
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
    })
    worker.on('message', (ended: Ended | 'ready') => {
      if (ended === 'ready') this.#isReady = true
      else this.#ended(ended.failure)
    })
    worker.on('error', error => this.#ended(error))
    worker.on('exit', () => {
      this.#isReady = false
      this.#ended(new Error('the thread for syncs has ended'))
    })
    // It keeps no process alive that has nothing else to do.
    worker.unref()
    this.#worker = worker
  }

  #ended(failure: unknown): void {
    const later = this.#later
    this.#later = undefined
    if (failure === '') later?.()
    else later?.(asDiskError(failure, this.#path))
  }
}

function serve(words: Int32Array): void {
  parentPort?.postMessage('ready')
  for (let seen = 0; ; ) {
    Atomics.wait(words, at.request, seen)
    const request = Atomics.load(words, at.request)
    if (request === seen) continue
    seen = request
    const failure = synced(Atomics.load(words, at.descriptor))
    const outcome = failure === '' ? state.done : state.failed
    const before = Atomics.compareExchange(words, at.state, state.running, outcome)
    if (before === state.running) Atomics.notify(words, at.state)
    else invariant(before === state.left, 'the caller waits, or has left')
    if (before === state.left || failure !== '') parentPort?.postMessage({ failure })
  }
}

function synced(descriptor: number): unknown {
  try {
    fdatasyncSync(descriptor)
    return ''
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return { code, message }
  }
}

const given = workerData as Partial<Purpose> | null
if (given?.purpose === 'quorate-sync' && given.words !== undefined) {
  serve(new Int32Array(given.words))
}

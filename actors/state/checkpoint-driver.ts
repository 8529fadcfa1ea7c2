/**
 * Writes checkpoints beside the running service (DESIGN.md D18): after a stretch of log it pins the
 * state, lists it a slice a tick, and hands the list to the pool; and it loads them, at the start and
 * when a peer has sent one. The state actor owns it and calls it from its own messages only.
 */
import type { Context } from '../../runtime/actor.ts'
import { invariant } from '../../runtime/invariant.ts'
import { CheckpointFiles, type Loaded } from '../../storage/checkpoint-files.ts'
import { type EntryList, finishLoad, loadBlock } from '../../storage/checkpoint-format.ts'
import { CheckpointLister, canListDelta, sliceEntries } from '../../storage/checkpoint-lister.ts'
import { StorageError } from '../../storage/errors.ts'
import { directory } from '../directory.ts'
import type { StateMessage } from './messages.ts'
import type { Replica } from './replica.ts'

export interface CheckpointSetup {
  readonly directory: string
  /** A checkpoint is due after this much log. */
  readonly everyBytes: number
  readonly fsync: 'always' | 'never'
}

/** A slice takes 1 ms: a third of the time is the most that listing takes. */
const sliceGapMillis = 2
/** After a full disk. */
const retryMillis = 5000

interface Running {
  readonly lister: CheckpointLister
  readonly kind: 'base' | 'delta'
  readonly position: number
  readonly epoch: number
  readonly head: Uint8Array
  readonly lists: EntryList[]
  readonly beganMillis: number
  /** Listed, and in the pool's hands. */
  writing: boolean
}

export class CheckpointDriver {
  readonly #context: Context<StateMessage>
  readonly #replica: Replica
  readonly #setup: CheckpointSetup
  readonly #files: CheckpointFiles
  readonly #took: (millis: number) => void
  #bytesSince = 0
  #running: Running | undefined
  #notBeforeMillis = 0
  #isLacking = false
  /** What the pool's last job came to, until the message about it is handled. */
  #outcome: StorageError | undefined

  /** `took`: told of each that became durable. */
  constructor(
    context: Context<StateMessage>,
    replica: Replica,
    setup: CheckpointSetup,
    took: (millis: number) => void = () => {},
  ) {
    const { disk, jobs } = context.host
    this.#context = context
    this.#replica = replica
    this.#setup = setup
    this.#took = took
    this.#files = new CheckpointFiles({ ...setup, disk, jobs })
  }

  get busy(): boolean {
    return this.#running !== undefined
  }

  /** Once, at the start: the newest whole checkpoint, if there is any. @throws StorageError */
  restore(): void {
    this.#load()
  }

  /**
   * Takes over what a peer sent, unless there is no space to note it: the leader sends it again later.
   * Not while one is being written (`busy`). @throws StorageError
   */
  install(arrived: string): boolean {
    invariant(this.#running === undefined, 'no checkpoint is under way')
    try {
      this.#files.adopt(arrived)
    } catch (error) {
      if (!(error instanceof StorageError) || error.code !== 'noSpace') throw error
      this.#context.log.warn('A checkpoint of a peer cannot be taken over', {
        reason: error.message,
      })
      this.discard(arrived)
      return false
    }
    this.#load()
    return true
  }

  /** What a peer sent has come in vain: it lies behind what the state has by now. */
  discard(arrived: string): void {
    this.#files.discard(arrived)
  }

  applied(logBytes: number): void {
    this.#bytesSince += logBytes
  }

  /** One is due now, however short the log is: compacted history waits for it. */
  hasten(): void {
    if (this.#running !== undefined) return
    this.#bytesSince = Math.max(this.#bytesSince, this.#setup.everyBytes)
  }

  tick(): void {
    if (this.#running === undefined) this.#beginIfDue()
  }

  /** One slice; the next follows soon, so that the log that piles up meanwhile stays short. */
  slice(): void {
    const running = this.#running
    if (running === undefined || running.writing) return
    const list = running.lister.step(sliceEntries)
    if (list === undefined) this.#write(running)
    else {
      running.lists.push(list)
      this.#sliceSoon()
    }
  }

  #sliceSoon(): void {
    this.#context.after(sliceGapMillis, { kind: 'checkpointSlice' })
  }

  /** The pool has finished (message `checkpointWritten`). */
  written(): void {
    const running = this.#running
    invariant(running?.writing, 'a checkpoint was being written')
    this.#running = undefined
    const error = this.#outcome
    running.lister.release(error === undefined)
    const { kind, position, epoch } = running
    if (error === undefined) {
      this.#took(this.#context.host.clock.monotonicMillis() - running.beganMillis)
      this.#context.log.info('A checkpoint is durable', { checkpoint: kind, position })
      this.#context.find(directory.consensus).tell({ kind: 'checkpointed', position, epoch })
      this.#spaceIs(false)
      return
    }
    if (error.code !== 'noSpace') throw error
    this.#spaceIs(true)
    this.#context.log.warn('No space for a checkpoint: it is tried again', { position })
    this.#bytesSince = Math.max(this.#bytesSince, this.#setup.everyBytes)
    this.#notBeforeMillis = this.#context.host.clock.monotonicMillis() + retryMillis
  }

  /** The log that no checkpoint covers grows: consensus has to know. */
  #spaceIs(lacking: boolean): void {
    if (lacking === this.#isLacking) return
    this.#isLacking = lacking
    this.#context.find(directory.consensus).tell({ kind: 'checkpointSpace', lacking })
  }

  #beginIfDue(): void {
    if (this.#bytesSince < this.#setup.everyBytes) return
    if (this.#context.host.clock.monotonicMillis() < this.#notBeforeMillis) return
    this.#bytesSince = 0
    const { tree, keyspace, position, epoch } = this.#replica
    const kind = canListDelta(tree) ? this.#files.nextKind() : 'base'
    const lister = new CheckpointLister(tree, keyspace, kind)
    const head = this.#replica.encodeHead()
    const beganMillis = this.#context.host.clock.monotonicMillis()
    this.#running = { lister, kind, position, epoch, head, lists: [], beganMillis, writing: false }
    this.#sliceSoon()
  }

  #write(running: Running): void {
    const { lister, kind, position, epoch, head, lists } = running
    running.writing = true
    const slabs = { tree: lister.buffers('tree'), keyspace: lister.buffers('keyspace') }
    this.#files.write({ kind, position, epoch, head, listed: { lists, slabs } }, (error, left) => {
      this.#outcome = error
      if (left !== '') this.#context.log.warn('An old checkpoint cannot be removed', { left })
      this.#context.self.tell({ kind: 'checkpointWritten' })
    })
  }

  #load(): void {
    const { clock } = this.#context.host
    const began = clock.monotonicMillis()
    const replica = this.#replica
    const loaded = loadReplica(this.#files, replica)
    if (loaded === undefined) return
    for (const reason of loaded.passedOver) {
      this.#context.log.error('A checkpoint is damaged; the one before it is used', { reason })
    }
    if (loaded.position !== replica.position) {
      throw new StorageError('damaged', `checkpoint ${loaded.position} holds ${replica.position}`)
    }
    this.#context.log.info('A checkpoint is loaded', {
      position: loaded.position,
      keys: replica.keyspace.keyCount,
      znodes: replica.tree.nodeCount,
      millis: Math.round(clock.monotonicMillis() - began),
    })
  }
}

/** The newest whole checkpoint, if there is any, into a replica that may hold anything. @throws StorageError */
export function loadReplica(files: CheckpointFiles, replica: Replica): Loaded | undefined {
  const loaded = files.load(() => {
    replica.clear()
    return {
      head: bytes => replica.decodeHead(bytes),
      entries: block => loadBlock(block, replica.tree, replica.keyspace),
    }
  })
  if (loaded !== undefined) finishLoad(replica.tree, replica.keyspace)
  return loaded
}

/**
 * What is on its way to the journal. One persist a round; it carries what may be said once it is
 * durable. Several may be under way; the journal completes them in order.
 */
import type { Addressed, Batch, PeerMessage, PersistEffect } from './interface.ts'
import { invariant } from './invariant.ts'
import type { Log } from './log.ts'

const noBytes = new Uint8Array(0)

interface Outstanding {
  readonly id: number
  /** The end of the log that is durable once this is; lowered when the log is truncated below it. */
  last: number
}

export class Persistence<M extends PeerMessage> {
  #durable: number
  #issued: number
  #nextId = 1
  #truncateFrom = 0
  #hardState: Uint8Array = noBytes
  #thenSend: Addressed<M>[] = []
  readonly #outstanding: Outstanding[] = []
  #ticksOutstanding = 0

  constructor(durable: number) {
    this.#durable = durable
    this.#issued = durable
  }

  /** The log up to here is on disk. */
  get durable(): number {
    return this.#durable
  }

  /** How long the oldest persist has been under way. */
  get ticksOutstanding(): number {
    return this.#ticksOutstanding
  }

  get idle(): boolean {
    return this.#outstanding.length === 0
  }

  /** Whether the persist of this round will carry entries. */
  hasEntries(log: Log): boolean {
    return this.#issued < log.last
  }

  /** The id that the persist of this round will have. */
  get nextId(): number {
    return this.#nextId
  }

  tick(): void {
    if (this.#outstanding.length > 0) this.#ticksOutstanding++
  }

  setHardState(bytes: Uint8Array): void {
    this.#hardState = bytes
  }

  /** Said when everything before it, this round included, is durable. */
  say(to: number, message: M): void {
    this.#thenSend.push({ to, message })
  }

  truncated(from: number): void {
    if (from <= this.#issued) {
      this.#truncateFrom = this.#truncateFrom === 0 ? from : Math.min(this.#truncateFrom, from)
    }
    this.#issued = Math.min(this.#issued, from - 1)
    this.#durable = Math.min(this.#durable, from - 1)
    for (const persist of this.#outstanding) persist.last = Math.min(persist.last, from - 1)
  }

  /** The log starts anew above a checkpoint, which is durable itself. */
  reset(position: number): void {
    this.#truncateFrom = 0
    this.#issued = position
    this.#durable = position
    for (const persist of this.#outstanding) persist.last = position
  }

  /** The persist of this round, if there is anything to write or to wait for. */
  flush(log: Log): PersistEffect<M> | undefined {
    const nothing =
      this.#issued === log.last &&
      this.#truncateFrom === 0 &&
      this.#hardState.length === 0 &&
      this.#thenSend.length === 0
    if (nothing) return undefined
    const effect: PersistEffect<M> = {
      kind: 'persist',
      id: this.#nextId++,
      truncateFrom: this.#truncateFrom,
      entries: this.#unissued(log),
      hardState: this.#hardState,
      thenSend: this.#thenSend,
    }
    if (this.#outstanding.length === 0) this.#ticksOutstanding = 0
    this.#outstanding.push({ id: effect.id, last: log.last })
    this.#issued = log.last
    this.#truncateFrom = 0
    this.#hardState = noBytes
    this.#thenSend = []
    return effect
  }

  completed(id: number): void {
    const persist = this.#outstanding.shift()
    invariant(persist !== undefined && persist.id === id, 'persists complete in their order')
    this.#ticksOutstanding = 0
    if (persist.last > this.#durable) this.#durable = persist.last
  }

  #unissued(log: Log): Batch[] {
    const batches: Batch[] = []
    let first = this.#issued + 1
    while (first <= log.last) {
      const batch = log.batch(first, log.last, Number.POSITIVE_INFINITY)
      batches.push(batch)
      first += batch.count
    }
    return batches
  }
}

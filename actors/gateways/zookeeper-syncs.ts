/**
 * sync is a real quorum read (DESIGN.md D9): it waits until this node has applied what was committed
 * when it was asked.
 */
import { BatchedQuestions } from '../batched-questions.ts'
import type { Connection } from './zookeeper-connection.ts'

export interface SyncEffects {
  /** Asks consensus for a position; `readReady` or `readFailed` comes back with the id. */
  ask(id: number): void
  /** The position is known: the read may go, and what waits behind it. */
  ready(connection: Connection, request: Uint8Array, position: number): void
}

const patienceMillis = 1_000

interface Waiting {
  readonly connection: Connection
  readonly request: Uint8Array
}

export class Syncs {
  readonly #effects: SyncEffects
  readonly #batches: BatchedQuestions<Waiting>
  #failed = false

  constructor(effects: SyncEffects) {
    this.#effects = effects
    this.#batches = new BatchedQuestions({ ask: id => effects.ask(id) })
  }

  add(connection: Connection, request: Uint8Array): void {
    this.#batches.add({ connection, request })
  }

  /** At the end of a round. */
  flush(nowMillis: number): void {
    this.#batches.begin(nowMillis)
  }

  ready(id: number, position: number): void {
    const answered = this.#batches.takeAnswered(id)
    if (answered.length > 0) this.#failed = false
    for (const { connection, request } of answered) {
      this.#effects.ready(connection, request, position)
    }
  }

  /** Asked again at the next tick: a question that fails at once must not spin. */
  failed(id: number): void {
    if (this.#batches.isStanding(id)) this.#failed = true
  }

  /** A new leader is known: what the old one was asked may be lost. */
  leaderChanged(nowMillis: number): void {
    if (this.#batches.isAsking) this.#askAgain(nowMillis)
  }

  tick(nowMillis: number): void {
    const isDue = this.#failed || this.#batches.isLate(nowMillis, patienceMillis)
    if (isDue && this.#batches.isAsking) this.#askAgain(nowMillis)
  }

  #askAgain(nowMillis: number): void {
    this.#failed = false
    this.#batches.askAgain(nowMillis)
  }
}

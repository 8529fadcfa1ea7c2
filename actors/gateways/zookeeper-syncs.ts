/**
 * sync is a real quorum read (DESIGN.md D9): it waits until this node has applied what was committed
 * when it was asked. One question to consensus at a time serves all that came before it.
 */
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
  #waiting: Waiting[] = []
  #asked: Waiting[] = []
  #id = 0
  /** The first question for those that are asked for: a late answer to it serves them as well. */
  #firstId = 0
  #asking = false
  #failed = false
  #askedMillis = 0

  constructor(effects: SyncEffects) {
    this.#effects = effects
  }

  add(connection: Connection, request: Uint8Array): void {
    this.#waiting.push({ connection, request })
  }

  /** At the end of a round. */
  flush(nowMillis: number): void {
    if (this.#asking || this.#waiting.length === 0) return
    this.#asked = this.#waiting
    this.#waiting = []
    this.#firstId = this.#id + 1
    this.#ask(nowMillis)
  }

  ready(id: number, position: number): void {
    if (!this.#asking || id < this.#firstId || id > this.#id) return
    const asked = this.#asked
    this.#asked = []
    this.#asking = false
    for (const { connection, request } of asked) this.#effects.ready(connection, request, position)
  }

  /** Asked again at the next tick: a question that fails at once must not spin. */
  failed(id: number): void {
    if (id === this.#id) this.#failed = true
  }

  /** A new leader is known: what the old one was asked may be lost. */
  leaderChanged(nowMillis: number): void {
    if (this.#asking) this.#ask(nowMillis)
  }

  tick(nowMillis: number): void {
    if (!this.#asking) return
    if (this.#failed || nowMillis - this.#askedMillis >= patienceMillis) this.#ask(nowMillis)
  }

  #ask(nowMillis: number): void {
    this.#asking = true
    this.#failed = false
    this.#askedMillis = nowMillis
    this.#id += 1
    this.#effects.ask(this.#id)
  }
}

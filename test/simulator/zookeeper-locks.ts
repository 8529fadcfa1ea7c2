/** The locks of one simulated ZooKeeper client, as far as it knows: what holders.ts is told of them. */
import type { Host } from '../../runtime/host.ts'
import type { Holders } from './holders.ts'

export interface LocksSetup {
  readonly client: number
  readonly holders: Holders
  readonly host: Pick<Host, 'timers'>
  readonly violate: (sentence: string) => void
}

export class Locks {
  /** That its session holds, or did when its last connection ended. */
  readonly #paths = new Set<string>()
  readonly #setup: LocksSetup
  #isLeaving = false

  constructor(setup: LocksSetup) {
    this.#setup = setup
  }

  get count(): number {
    return this.#paths.size
  }

  has(path: string): boolean {
    return this.#paths.has(path)
  }

  /** Its creation was answered. One that is granted behind the end that was asked for is none to the client. */
  granted(path: string): void {
    this.#paths.add(path)
    if (!this.#isLeaving) this.#hold(path)
  }

  /** Its deletion is asked for. */
  givesUp(path: string): void {
    this.#setup.holders.lost(path, this.#setup.client)
  }

  /** Its deletion was answered, or may have been done. */
  gone(path: string): void {
    this.#paths.delete(path)
  }

  /** The end of the session is asked for. */
  leaves(): void {
    this.#isLeaving = true
    this.#giveUpAll()
  }

  disconnected(): void {
    this.#isLeaving = false
    this.#giveUpAll()
  }

  /** With the session that it had, whose end has not come, or with one that has no locks yet. */
  connected(): void {
    for (const path of this.#paths) this.#hold(path)
  }

  sessionEnded(): void {
    this.#isLeaving = false
    this.#giveUpAll()
    this.#paths.clear()
  }

  #hold(path: string): void {
    const { holders, client, host, violate } = this.#setup
    holders.gained(path, client, host, violate)
  }

  #giveUpAll(): void {
    for (const path of this.#paths) this.givesUp(path)
  }
}

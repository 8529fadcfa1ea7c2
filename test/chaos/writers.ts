/**
 * Clients that write until they are told to stop and remember what was acknowledged: sequential znodes
 * by name through one session that moves, and keys created if absent. What happened is checked later.
 */
import { EtcdClient } from '../support/etcd-client.ts'
import {
  ConnectionLost,
  type Endpoint,
  ZookeeperError,
  ZookeeperSession,
} from '../support/zookeeper-session.ts'

export interface Writer {
  readonly name: string
  /** Indexes acknowledged, in order; dense by construction. */
  acknowledged: number
  /** Errors that a client of a healthy node must not see. */
  readonly errors: string[]
  /** How often the connection was lost. */
  losses(): number
  /** The node (1, 2, …) that it talks to now. */
  node(): number
  /** Until `count` are acknowledged, and on while `goOn` says so. */
  run(count: number, goOn?: () => boolean): Promise<void>
  close(): Promise<void>
}

export type OnAcknowledged = (writer: Writer) => void

const sessionTimeoutMillis = 10_000
const windowCount = 20

/** Creates /chaos/<name>/n<index>, `windowCount` at a time, and goes on where a lost connection cut it off. */
export class ZnodeWriter implements Writer {
  readonly name: string
  readonly errors: string[] = []
  acknowledged = 0
  readonly session: ZookeeperSession
  readonly #endpoints: readonly Endpoint[]
  readonly #onAcknowledged: OnAcknowledged

  constructor(
    name: string,
    endpoints: readonly Endpoint[],
    first: number,
    onAcknowledged: OnAcknowledged,
  ) {
    this.name = name
    this.#endpoints = endpoints
    this.#onAcknowledged = onAcknowledged
    this.session = new ZookeeperSession(endpoints, first, sessionTimeoutMillis)
  }

  losses(): number {
    return this.session.losses
  }

  node(): number {
    return (this.session.at % this.#endpoints.length) + 1
  }

  async run(count: number, goOn = () => false): Promise<void> {
    await this.#createBase('/chaos')
    await this.#createBase(`/chaos/${this.name}`)
    while (this.acknowledged < count || goOn()) {
      const first = this.acknowledged
      const last = first < count ? Math.min(count, first + windowCount) : first + windowCount
      const window = Array.from({ length: last - first }, (_, at) => this.#create(first + at))
      for (const outcome of await Promise.all(window)) {
        // Later ones of this window came after the cut, or their fate is found out by the next.
        if (!outcome) break
        this.acknowledged += 1
        this.#onAcknowledged(this)
      }
      if (this.session.expired) {
        this.errors.push('the session expired')
        return
      }
    }
  }

  close(): Promise<void> {
    return this.session.close()
  }

  /** True when the node exists because of this writer. */
  async #create(index: number): Promise<boolean> {
    try {
      await this.session.create(`/chaos/${this.name}/n${index}`, Buffer.from(String(index)))
      return true
    } catch (error) {
      if (error instanceof ConnectionLost) return false
      // Written before the connection was lost; nobody else writes here.
      if (error instanceof ZookeeperError && error.code === -110 && this.session.losses > 0)
        return true
      this.errors.push(`create ${index}: ${(error as Error).message}`)
      throw error
    }
  }

  async #createBase(path: string): Promise<void> {
    for (;;) {
      try {
        await this.session.create(path, Buffer.alloc(0))
        return
      } catch (error) {
        if (error instanceof ZookeeperError && error.code === -110) return
        if (!(error instanceof ConnectionLost)) throw error
      }
    }
  }
}

/** Creates chaos/<name>/<index> in a transaction, one at a time. */
export class KeyWriter implements Writer {
  readonly name: string
  readonly errors: string[] = []
  acknowledged = 0
  readonly client: EtcdClient
  readonly #onAcknowledged: OnAcknowledged

  constructor(
    name: string,
    endpoints: readonly Endpoint[],
    first: number,
    onAcknowledged: OnAcknowledged,
  ) {
    this.name = name
    this.#onAcknowledged = onAcknowledged
    this.client = new EtcdClient(endpoints, first)
  }

  losses(): number {
    return this.client.failures
  }

  node(): number {
    return this.client.at + 1
  }

  async run(count: number, goOn = () => false): Promise<void> {
    while (this.acknowledged < count || goOn()) {
      const failuresBefore = this.client.failures
      const key = `chaos/${this.name}/${String(this.acknowledged).padStart(8, '0')}`
      const created = await this.client.create(key, String(this.acknowledged))
      if (!created && this.client.failures === failuresBefore) this.errors.push(`${key} existed`)
      this.acknowledged += 1
      this.#onAcknowledged(this)
    }
  }

  async close(): Promise<void> {
    this.client.close()
  }
}

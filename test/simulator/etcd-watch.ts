/**
 * The watch of one etcd client: what it was told, across reconnects, each of which asks for what
 * follows the last revision seen.
 */
import { type Decoded, decodeFull, encode } from '../transport/etcd/messages/schema.ts'
import type { Change, KeyRange, KeyValue } from './etcd-history.ts'
import type { GrpcConnection } from './grpc-client.ts'

export class EtcdWatch {
  readonly changes: Change[] = []
  /** Keys that hang on a lease, as far as this watch has seen. */
  readonly leased = new Set<string>()
  readonly #keys: KeyRange
  readonly #violate: (sentence: string) => void
  #revision = 0

  constructor(keys: KeyRange, violate: (sentence: string) => void) {
    this.#keys = keys
    this.#violate = violate
  }

  open(connection: GrpcConnection): void {
    const send = connection.stream('/etcdserverpb.Watch/Watch', {
      message: bytes => this.#take(decodeFull('WatchResponse', bytes)),
      ended: () => {
        if (connection.isOpen) connection.destroy()
      },
    })
    const create_request = {
      key: Buffer.from(this.#keys.from),
      range_end: Buffer.from(this.#keys.to),
      start_revision: this.#revision + 1,
      prev_kv: true,
    }
    send(encode('WatchRequest', { create_request }))
  }

  /** A revision comes whole, so the next stream may begin behind it. */
  #take({ header, events, canceled, cancel_reason }: Decoded): void {
    if (canceled) this.#violate(`its watch was canceled: ${cancel_reason}`)
    const before = this.#revision
    for (const event of events) {
      const change: Change = { ...keyValue(event.kv), deleted: event.type === 1 }
      if (change.modified <= before)
        this.#violate(`watched revision ${change.modified} after ${before}`)
      this.#checkPrevious(change, event.prev_kv)
      this.#revision = Math.max(this.#revision, change.modified)
      this.changes.push(change)
      if (change.lease !== 0) this.leased.add(change.key)
      else this.leased.delete(change.key)
    }
    // Without events it may be of a node that is behind: the watch waits for its revision.
    if (events.length > 0 && Number(header.revision) < this.#revision)
      this.#violate(`an answer of ${header.revision} showed revision ${this.#revision}`)
  }

  #checkPrevious({ key, modified }: Change, previous: Decoded): void {
    const last = this.changes.findLast(change => change.key === key)
    const due = last === undefined || last.deleted ? 0 : last.modified
    const told = previous === null || previous === undefined ? 0 : Number(previous.mod_revision)
    if (told !== due)
      this.#violate(`before ${modified} ${key} was modified at ${due}, not ${told} as told`)
  }
}

export function keyValue(one: Decoded): KeyValue {
  return {
    key: String(one.key),
    value: String(one.value),
    created: Number(one.create_revision),
    modified: Number(one.mod_revision),
    version: Number(one.version),
    lease: Number(one.lease),
  }
}

/**
 * Sessions and leases: the replicated table of things that end when nobody renews them, one
 * mechanism keyed by kind and id (DESIGN.md D7). Deadlines are not here: the leader's sessions
 * actor keeps them and proposes the end. What a lifetime holds (ephemeral znodes, attached keys) is
 * in the indexes of the tree and the keyspace, by its id.
 */
import { invariant } from '../../runtime/invariant.ts'
import { lifetime } from '../sessions/messages.ts'

export interface Lifetime {
  readonly kind: number
  readonly id: bigint
  /** Position of the command that opened it: one of the same id may have been there before. */
  readonly openedAt: number
  ttlMillis: number
  /** 16 bytes; empty for a lease. */
  readonly password: Uint8Array
  /** Node and connection that the session is attached to (DESIGN.md D10); 0 for a lease. */
  node: number
  connection: number
}

/** What a session or a lease takes here and where its deadline is kept, about: objects, ids, places in maps. */
export const lifetimeBytes = 512

export class Lifetimes {
  readonly #sessions = new Map<bigint, Lifetime>()
  readonly #leases = new Map<bigint, Lifetime>()
  /** Two 32-bit lanes, the sum over all lifetimes (storage/state-hash.ts explains why a sum). */
  hashLow = 0
  hashHigh = 0

  get sessionCount(): number {
    return this.#sessions.size
  }

  get leaseCount(): number {
    return this.#leases.size
  }

  /** The same on all replicas. */
  get heldBytes(): number {
    return (this.#sessions.size + this.#leases.size) * lifetimeBytes
  }

  session(id: bigint): Lifetime | undefined {
    return this.#sessions.get(id)
  }

  lease(id: bigint): Lifetime | undefined {
    return this.#leases.get(id)
  }

  open(
    kind: number,
    id: bigint,
    openedAt: number,
    ttlMillis: number,
    password: Uint8Array,
  ): Lifetime {
    const table = this.#table(kind)
    invariant(!table.has(id), 'a lifetime is opened once')
    const opened = {
      kind,
      id,
      openedAt,
      ttlMillis,
      password,
      node: 0,
      connection: 0,
    }
    table.set(id, opened)
    this.#mix(opened, 1)
    return opened
  }

  attach(
    session: Lifetime,
    node: number,
    connection: number,
    ttlMillis: number = session.ttlMillis,
  ): void {
    invariant(session.kind === lifetime.session, 'only sessions attach')
    this.#mix(session, -1)
    session.ttlMillis = ttlMillis
    session.node = node
    session.connection = connection
    this.#mix(session, 1)
  }

  /** The caller removes what it holds first. */
  close(closed: Lifetime): void {
    const removed = this.#table(closed.kind).delete(closed.id)
    invariant(removed, 'a lifetime is closed once')
    this.#mix(closed, -1)
  }

  /** In order of kind and id, so that equal tables give equal bytes. */
  *all(): Generator<Lifetime> {
    yield* inOrder(this.#sessions)
    yield* inOrder(this.#leases)
  }

  sessions(): IterableIterator<Lifetime> {
    return this.#sessions.values()
  }

  leases(): IterableIterator<Lifetime> {
    return this.#leases.values()
  }

  clear(): void {
    this.#sessions.clear()
    this.#leases.clear()
    this.hashLow = 0
    this.hashHigh = 0
  }

  #table(kind: number): Map<bigint, Lifetime> {
    return kind === lifetime.session ? this.#sessions : this.#leases
  }

  #mix(one: Lifetime, sign: number): void {
    let low = Math.imul(one.kind ^ 0x9e3779b9, 0x85ebca6b)
    let high = one.ttlMillis | 0
    const idLow = Number(BigInt.asIntN(32, one.id))
    const idHigh = Number(BigInt.asIntN(32, one.id >> 32n))
    const { openedAt, ttlMillis, node, connection, password } = one
    for (const word of [idLow, idHigh, openedAt, ttlMillis, node, connection, ...password]) {
      low = Math.imul(low ^ word, 0xc2b2ae35)
      low ^= low >>> 15
      high = Math.imul(high + low, 0x27d4eb2f) ^ (high >>> 13)
    }
    this.hashLow = (this.hashLow + sign * low) | 0
    this.hashHigh = (this.hashHigh + sign * high) | 0
  }
}

function inOrder(table: Map<bigint, Lifetime>): Lifetime[] {
  return [...table.values()].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))
}

/**
 * When each lifetime ends unless it is touched. Touching only moves a number; buckets of time hold
 * each lifetime once and put it into a later bucket when its own has come but its deadline has not.
 * Pure: time is given.
 */
export interface Deadline {
  readonly lifetime: number
  readonly id: bigint
  readonly ttlMillis: number
  /** Position in the log at which it was opened; the end that is proposed names it. */
  readonly openedAt: number
  atMillis: number
  /** What it is attached to; a lease to nothing. */
  readonly node: number
  readonly connection: number
  /** The epoch in which its end was proposed; 0: not. */
  proposedIn: number
}

const bucketMillis = 100
const unattached = { node: 0, connection: 0, openedAt: 0 }

export class Deadlines {
  readonly #tables = new Map<number, Map<bigint, Deadline>>()
  #buckets = new Map<number, Deadline[]>()
  #nextBucket = 0
  #running = false

  get size(): number {
    let size = 0
    for (const table of this.#tables.values()) size += table.size
    return size
  }

  /** Places in buckets, those of closed ones too. */
  get filedCount(): number {
    let count = 0
    for (const bucket of this.#buckets.values()) count += bucket.length
    return count
  }

  find(lifetime: number, id: bigint): Deadline | undefined {
    return this.#tables.get(lifetime)?.get(id)
  }

  /** Opened again, it has its whole time again. */
  open(
    lifetime: number,
    id: bigint,
    ttlMillis: number,
    nowMillis: number,
    { node, connection, openedAt } = unattached,
  ): void {
    this.close(lifetime, id)
    const atMillis = nowMillis + ttlMillis
    const opened = { lifetime, id, ttlMillis, atMillis, node, connection, openedAt, proposedIn: 0 }
    let table = this.#tables.get(lifetime)
    if (table === undefined) this.#tables.set(lifetime, (table = new Map()))
    table.set(id, opened)
    if (this.#running) this.#file(opened)
  }

  close(lifetime: number, id: bigint): void {
    const closed = this.find(lifetime, id)
    if (closed === undefined) return
    this.#tables.get(lifetime)?.delete(id)
    // Its bucket drops it when it comes.
    closed.atMillis = Number.NaN
  }

  clear(): void {
    this.#tables.clear()
    this.#buckets.clear()
  }

  /** A new leader gives every lifetime its whole time again. */
  restart(nowMillis: number, extraMillis: number): void {
    this.#running = true
    this.#buckets = new Map()
    this.#nextBucket = Math.floor(nowMillis / bucketMillis)
    for (const table of this.#tables.values()) {
      for (const one of table.values()) {
        one.atMillis = nowMillis + one.ttlMillis + extraMillis
        one.proposedIn = 0
        this.#file(one)
      }
    }
  }

  /** On a node that does not lead nobody asks what is due: buckets would only grow. */
  stop(): void {
    this.#running = false
    this.#buckets.clear()
  }

  /** Those whose time is over, at most `countMax`; they stay until closed and come once per restart. */
  due(nowMillis: number, countMax: number): Deadline[] {
    const ended: Deadline[] = []
    const last = Math.floor(nowMillis / bucketMillis) - 1
    while (this.#nextBucket <= last && ended.length < countMax) {
      const bucket = this.#buckets.get(this.#nextBucket) ?? []
      this.#buckets.delete(this.#nextBucket)
      for (const one of bucket) {
        if (Number.isNaN(one.atMillis)) continue
        if (one.atMillis > nowMillis) this.#file(one)
        else ended.push(one)
      }
      this.#nextBucket += 1
    }
    return ended
  }

  #file(one: Deadline): void {
    const slot = Math.max(this.#nextBucket, Math.floor(one.atMillis / bucketMillis))
    const bucket = this.#buckets.get(slot)
    if (bucket === undefined) this.#buckets.set(slot, [one])
    else bucket.push(one)
  }
}

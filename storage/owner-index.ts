/**
 * Which ids belong to an owner (a lease, a session), two uint32 halves; 0/0 owns nothing. An id has
 * one owner at a time: a list an owner, and for each id its place there.
 *
 * An owner stays for a while when it has nothing any more: a lock is an ephemeral that comes and goes,
 * and a map out of which one key is taken and put back again and again gets slow, the slower the
 * larger it is (100 to 200 µs a time with 100,000 owners).
 */
export class OwnerIndex {
  /** Ids that somebody owns. */
  count = 0
  readonly #byHigh = new Map<number, Map<number, number[]>>()
  #places = new Uint32Array(1024)
  #ownerCount = 0
  #idleCount = 0

  add(high: number, low: number, id: number): void {
    if ((high | low) === 0) return
    const ids = this.#idsOf(high, low)
    if (this.#isAmong(ids, id)) return
    if (ids.length === 0) this.#idleCount--
    if (id >= this.#places.length) this.#grow(id)
    this.#places[id] = ids.length
    ids.push(id)
    this.count++
  }

  remove(high: number, low: number, id: number): void {
    const ids = this.#byHigh.get(high)?.get(low)
    if (ids === undefined || !this.#isAmong(ids, id)) return
    const place = this.#places[id]!
    const last = ids.pop()!
    if (last !== id) {
      ids[place] = last
      this.#places[last] = place
    }
    this.count--
    if (ids.length > 0) return
    this.#idleCount++
    if (this.#idleCount > this.#ownerCount / 2 + idleMin) this.#dropIdle()
  }

  /** In no order; good until the next change. */
  of(high: number, low: number): readonly number[] {
    return this.#byHigh.get(high)?.get(low) ?? nothing
  }

  #isAmong(ids: readonly number[], id: number): boolean {
    return id < this.#places.length && ids[this.#places[id]!] === id
  }

  #idsOf(high: number, low: number): number[] {
    let byLow = this.#byHigh.get(high)
    if (byLow === undefined) this.#byHigh.set(high, (byLow = new Map()))
    let ids = byLow.get(low)
    if (ids === undefined) {
      byLow.set(low, (ids = []))
      this.#ownerCount++
      this.#idleCount++
    }
    return ids
  }

  #grow(id: number): void {
    const larger = new Uint32Array(Math.max(id + 1, 2 * this.#places.length))
    larger.set(this.#places)
    this.#places = larger
  }

  #dropIdle(): void {
    for (const [high, byLow] of this.#byHigh) {
      for (const [low, ids] of byLow) if (ids.length === 0) byLow.delete(low)
      if (byLow.size === 0) this.#byHigh.delete(high)
    }
    this.#ownerCount -= this.#idleCount
    this.#idleCount = 0
  }
}

/** So many owners without anything are kept in any case. */
const idleMin = 64
const nothing: readonly number[] = []

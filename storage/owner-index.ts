/**
 * Which ids belong to an owner (a lease, a session), two uint32 halves; 0/0 owns nothing. A set of
 * numbers an owner, no object an id.
 */
export class OwnerIndex {
  /** Ids that somebody owns. */
  count = 0
  #byHigh = new Map<number, Map<number, Set<number>>>()

  add(high: number, low: number, id: number): void {
    if ((high | low) === 0) return
    let byLow = this.#byHigh.get(high)
    if (byLow === undefined) this.#byHigh.set(high, (byLow = new Map()))
    const ids = byLow.get(low)
    if (ids?.has(id)) return
    this.count++
    if (ids === undefined) byLow.set(low, new Set([id]))
    else ids.add(id)
  }

  remove(high: number, low: number, id: number): void {
    if ((high | low) === 0) return
    const byLow = this.#byHigh.get(high)
    const ids = byLow?.get(low)
    if (byLow === undefined || ids === undefined) return
    if (ids.delete(id)) this.count--
    if (ids.size > 0) return
    byLow.delete(low)
    if (byLow.size === 0) this.#byHigh.delete(high)
  }

  of(high: number, low: number): ReadonlySet<number> {
    return this.#byHigh.get(high)?.get(low) ?? nothing
  }
}

const nothing: ReadonlySet<number> = new Set()

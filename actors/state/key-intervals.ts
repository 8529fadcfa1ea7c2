/**
 * A union of intervals of keys, asked whether it covers a key: a search, however many intervals there
 * are. New ones gather for a while and are merged into the sorted, disjoint rest together.
 */
interface Interval {
  readonly from: string
  /** Not in it. */
  readonly to: string
}

const freshMax = 32

export class KeyIntervals {
  #sorted: Interval[] = []
  #fresh: Interval[] = []

  get isEmpty(): boolean {
    return this.#sorted.length === 0 && this.#fresh.length === 0
  }

  /** [from, to); an empty `to` stands for `from` alone. */
  add(from: string, to: string): void {
    const interval = { from, to: to === '' ? `${from}\0` : to }
    if (interval.from >= interval.to) return
    this.#fresh.push(interval)
    if (this.#fresh.length > Math.max(freshMax, this.#sorted.length / freshMax)) this.#merge()
  }

  addAll(others: KeyIntervals): void {
    for (const { from, to } of others.#sorted) this.add(from, to)
    for (const { from, to } of others.#fresh) this.add(from, to)
  }

  covers(key: string): boolean {
    if (this.#fresh.length > freshMax) this.#merge()
    return this.#sortedCovers(key) || this.#fresh.some(({ from, to }) => from <= key && key < to)
  }

  /** The last that begins at or before the key is the only one that may cover it. */
  #sortedCovers(key: string): boolean {
    let low = 0
    let high = this.#sorted.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#sorted[middle] as Interval).from <= key) low = middle + 1
      else high = middle
    }
    const last = this.#sorted[low - 1]
    return last !== undefined && key < last.to
  }

  #merge(): void {
    const all = [...this.#sorted, ...this.#fresh].sort((one, two) =>
      one.from < two.from ? -1 : one.from > two.from ? 1 : 0,
    )
    this.#fresh = []
    this.#sorted = []
    for (const interval of all) {
      const last = this.#sorted.at(-1)
      if (last === undefined || last.to < interval.from) this.#sorted.push(interval)
      else if (last.to < interval.to)
        this.#sorted[this.#sorted.length - 1] = { from: last.from, to: interval.to }
    }
  }
}

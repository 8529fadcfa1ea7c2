/**
 * Replicas at one position are equal (DESIGN.md D19). Every node says its hash at certain positions;
 * one that a majority contradicts is wrong and must stop.
 */
export interface PositionHash {
  readonly low: number
  readonly high: number
}

export const hashEveryPositions = 512
const positionsKept = 64

export class HashComparison {
  readonly #own: number
  readonly #nodeCount: () => number
  /** By position, in order of arrival; the oldest go. */
  readonly #seen = new Map<number, Map<number, PositionHash>>()

  constructor(ownNode: number, nodeCount: () => number) {
    this.#own = ownNode
    this.#nodeCount = nodeCount
  }

  /** True when this node's own hash at `position` is known and a majority has another, equal one. */
  add(node: number, position: number, hash: PositionHash): boolean {
    let hashes = this.#seen.get(position)
    if (hashes === undefined) {
      hashes = new Map()
      this.#seen.set(position, hashes)
      for (const old of this.#seen.keys()) {
        if (this.#seen.size <= positionsKept) break
        this.#seen.delete(old)
      }
    }
    hashes.set(node, hash)
    return this.#contradicted(hashes)
  }

  #contradicted(hashes: ReadonlyMap<number, PositionHash>): boolean {
    const own = hashes.get(this.#own)
    if (own === undefined) return false
    const counts = new Map<string, number>()
    for (const { low, high } of hashes.values()) {
      if (low === own.low && high === own.high) continue
      const key = `${low}/${high}`
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
    return Math.max(0, ...counts.values()) > this.#nodeCount() / 2
  }
}

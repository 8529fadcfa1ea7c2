/**
 * Replicas at one position are equal (DESIGN.md D19). Every node says its hash at certain positions;
 * one that a majority contradicts is wrong and must stop.
 */
export interface PositionHash {
  readonly low: number
  readonly high: number
}

/** What a node that stops says of itself. */
export interface Contradiction {
  /** Where a majority has another hash than this node. */
  readonly position: number
  /** The last position where this node agreed with a majority; 0: none is known. */
  readonly agreedAt: number
  readonly majority: readonly number[]
}

export const hashEveryPositions = 512
const positionsKept = 64

export class HashComparison {
  readonly #own: number
  readonly #nodeCount: () => number
  /** By position, in order of arrival; the oldest go. */
  readonly #seen = new Map<number, Map<number, PositionHash>>()
  #agreedAt = 0

  constructor(ownNode: number, nodeCount: () => number) {
    this.#own = ownNode
    this.#nodeCount = nodeCount
  }

  /** When this node's own hash at `position` is known and a majority has another, equal one. */
  add(node: number, position: number, hash: PositionHash): Contradiction | undefined {
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
    const own = hashes.get(this.#own)
    const majority = this.#majorityOf(hashes)
    if (own === undefined || majority === undefined) return undefined
    if (majority.includes(this.#own)) {
      this.#agreedAt = Math.max(this.#agreedAt, position)
      return undefined
    }
    return { position, agreedAt: this.#agreedAt, majority }
  }

  /** The nodes that make up a majority of equal hashes, if there is one. */
  #majorityOf(hashes: ReadonlyMap<number, PositionHash>): readonly number[] | undefined {
    for (const { low, high } of hashes.values()) {
      const equal = [...hashes].filter(([, other]) => other.low === low && other.high === high)
      if (equal.length > this.#nodeCount() / 2) return equal.map(([node]) => node)
    }
    return undefined
  }
}

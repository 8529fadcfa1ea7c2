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

/** States differ, and no majority of the members has the same one. */
export interface Undecided {
  readonly position: number
  readonly agreedAt: number
  /** Nodes with the same state, for each state that there is. */
  readonly groups: readonly (readonly number[])[]
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

  /** At the newest position where this node's state and another's are known, if they differ undecidedly. */
  undecided(): Undecided | undefined {
    const newest = [...this.#seen]
      .filter(([, hashes]) => hashes.size > 1 && hashes.has(this.#own))
      .reduce<readonly [number, ReadonlyMap<number, PositionHash>] | undefined>(
        (best, one) => (best === undefined || one[0] > best[0] ? one : best),
        undefined,
      )
    if (newest === undefined) return undefined
    const [position, hashes] = newest
    if (this.#majorityOf(hashes) !== undefined) return undefined
    const groups = new Map<string, number[]>()
    for (const [node, { low, high }] of hashes) {
      const state = `${low} ${high}`
      groups.set(
        state,
        [...(groups.get(state) ?? []), node].sort((one, other) => one - other),
      )
    }
    if (groups.size === 1) return undefined
    return { position, agreedAt: this.#agreedAt, groups: inOrder([...groups.values()]) }
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

function inOrder(groups: number[][]): number[][] {
  return groups.sort((one, other) => (one[0] ?? 0) - (other[0] ?? 0))
}

/**
 * Nodes of the ordered index, all of one size, in chunks of typed memory. Words of a node:
 *
 *   0 slots in use   1 shared: leading bytes that all its keys have in common   2 next   3 previous
 *   4…67 ids         68…131 the four key bytes after the shared ones
 *   of inner nodes   132…195 children   196…259 how many ids there are below each
 */
export const fanout = 64
export const countWord = 0
export const sharedWord = 1
export const nextWord = 2
export const previousWord = 3
export const idsWord = 4
export const prefixesWord = idsWord + fanout
export const childrenWord = prefixesWord + fanout

export const leafWords = childrenWord
export const belowWord = childrenWord + fanout
export const innerWords = belowWord + fanout

const chunkBits = 6
const chunkMask = (1 << chunkBits) - 1

export class NodePool {
  readonly chunks: Uint32Array[] = []
  readonly #nodeWords: number
  #end = 1
  #free: number[] = []

  constructor(nodeWords: number) {
    this.#nodeWords = nodeWords
  }

  get isInner(): boolean {
    return this.#nodeWords === innerWords
  }

  words(node: number): Uint32Array {
    return this.chunks[node >>> chunkBits]!
  }

  /** Where the node starts in its chunk. */
  base(node: number): number {
    return (node & chunkMask) * this.#nodeWords
  }

  /** A node without slots or neighbours. */
  take(): number {
    const node = this.#free.pop() ?? this.#end++
    if (node >>> chunkBits >= this.chunks.length) {
      this.chunks.push(new Uint32Array(this.#nodeWords << chunkBits))
    }
    this.words(node).fill(0, this.base(node), this.base(node) + idsWord)
    return node
  }

  give(node: number): void {
    this.#free.push(node)
  }

  get bytes(): number {
    return (this.chunks.length * this.#nodeWords * 4) << chunkBits
  }
}

/**
 * Pointers to all versions in the order in which they came: (revision, sub). Elements have running
 * numbers; the front goes as compaction advances. Kept in chunks, so that nothing is ever copied; each
 * chunk has a sum, which history-account.ts keeps.
 */
import type { Pointer } from './entry.ts'

const chunkBits = 12
const chunkMask = (1 << chunkBits) - 1

export class RevisionLog {
  #chunks: Uint32Array[] = []
  #sums: number[] = []
  /** Number of the first element of the first chunk. */
  #base = 0
  #first = 0
  #end = 0

  /** Number of the oldest element. */
  get first(): number {
    return this.#first
  }

  /** One above the number of the newest. */
  get end(): number {
    return this.#end
  }

  get bytes(): number {
    return this.#chunks.length << (chunkBits + 2)
  }

  push(pointer: Pointer): void {
    const at = this.#end++ - this.#base
    if (at >>> chunkBits >= this.#chunks.length) {
      this.#chunks.push(new Uint32Array(chunkMask + 1))
      this.#sums.push(0)
    }
    this.#chunks[at >>> chunkBits]![at & chunkMask] = pointer
  }

  pop(): Pointer {
    const pointer = this.at(this.#end - 1)
    this.#end--
    return pointer
  }

  at(number: number): Pointer {
    const at = number - this.#base
    return this.#chunks[at >>> chunkBits]![at & chunkMask]!
  }

  set(number: number, pointer: Pointer): void {
    const at = number - this.#base
    this.#chunks[at >>> chunkBits]![at & chunkMask] = pointer
  }

  /** Of the chunk that holds this number. */
  sumAt(number: number): number {
    return this.#sums[(number - this.#base) >>> chunkBits]!
  }

  addToSum(number: number, more: number): void {
    this.#sums[(number - this.#base) >>> chunkBits]! += more
  }

  isChunkStart(number: number): boolean {
    return ((number - this.#base) & chunkMask) === 0
  }

  /** One above the last number that this chunk can hold. */
  chunkEnd(number: number): number {
    return number + chunkMask + 1 - ((number - this.#base) & chunkMask)
  }

  dropFirst(): void {
    this.#first++
    if (this.#first - this.#base <= chunkMask) return
    this.#chunks.shift()
    this.#sums.shift()
    this.#base += chunkMask + 1
  }
}

/**
 * From an id to the pointer of its current entry. Indexes hold ids, so a change of an entry, or its
 * move to another slab, is one word here. Ids are this node's own and are used again.
 */
import type { Pointer } from './entry.ts'

const chunkBits = 14
const chunkSize = 1 << chunkBits

export class EntryTable {
  readonly chunks: Uint32Array[] = []
  #end = 1
  #free: number[] = []

  get(id: number): Pointer {
    return this.chunks[id >>> chunkBits]![id & (chunkSize - 1)]!
  }

  set(id: number, pointer: Pointer): void {
    this.chunks[id >>> chunkBits]![id & (chunkSize - 1)] = pointer
  }

  take(): number {
    const free = this.#free.pop()
    if (free !== undefined) return free
    const id = this.#end++
    if (id >>> chunkBits >= this.chunks.length) this.chunks.push(new Uint32Array(chunkSize))
    return id
  }

  /** The id has no entry any more. */
  give(id: number): void {
    this.set(id, 0)
    this.#free.push(id)
  }

  /** Takes back the latest `give`. */
  takeBack(id: number): void {
    const at = this.#free.lastIndexOf(id)
    this.#free[at] = this.#free[this.#free.length - 1]!
    this.#free.pop()
  }

  /** One above the largest id. */
  get end(): number {
    return this.#end
  }

  get bytes(): number {
    return this.chunks.length * chunkSize * 4
  }
}

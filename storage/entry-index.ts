/** The entries of one face of the store by key: the slabs they lie in, ids, point index and order. */
import { byteOf, idWord, keyByte, keyLengthWord, type Pointer, slabOf, wordOf } from './entry.ts'
import { EntryTable } from './entry-table.ts'
import { HashIndex } from './hash-index.ts'
import { OrderedIndex } from './ordered-index.ts'
import { Slabs } from './slabs.ts'

/** About what one entry takes in the table, the point index and the order (benchmarks/state). */
export const indexedEntryBytes = 32

export class EntryIndex {
  readonly slabs = new Slabs()
  readonly table = new EntryTable()
  readonly order: OrderedIndex
  readonly #points: HashIndex

  /** `seed` keeps outsiders from choosing keys that collide; it is no part of the state. */
  constructor(seed: number) {
    this.order = new OrderedIndex(this.slabs, this.table)
    this.#points = new HashIndex(this.slabs, this.table, seed)
  }

  get size(): number {
    return this.#points.size
  }

  get indexBytes(): number {
    return this.#points.bytes + this.order.bytes + this.table.bytes
  }

  /** The id of the key in the first `length` bytes, or 0. */
  find(key: Uint8Array, length: number): number {
    return this.#points.find(key, length, this.#points.hash(key, 0, length))
  }

  /** The id of the key that an entry carries, or 0. */
  findKeyOf(pointer: Pointer): number {
    const at = byteOf(pointer) + keyByte
    const length = this.#keyLength(pointer)
    return this.find(this.slabs.bytes[slabOf(pointer)]!.subarray(at, at + length), length)
  }

  /** Whether the key that an entry carries is larger than all. */
  isAboveAll(pointer: Pointer): boolean {
    const bytes = this.slabs.bytes[slabOf(pointer)]!
    return this.order.isAboveAll(bytes, byteOf(pointer) + keyByte, this.#keyLength(pointer))
  }

  /** Enters an entry whose key is new; `aboveAll` if it is known to be larger than all. */
  add(pointer: Pointer, aboveAll = false): number {
    const id = this.table.take()
    this.enter(id, pointer, aboveAll)
    return id
  }

  /** The same with a given id, which nobody has. */
  enter(id: number, pointer: Pointer, aboveAll = false): void {
    this.table.set(id, pointer)
    this.slabs.words[slabOf(pointer)]![wordOf(pointer) + idWord] = id
    this.#points.insert(this.#hashOf(pointer), id)
    this.order.insert(id, aboveAll)
  }

  /** Another entry of the same key takes the place of the current one. */
  replace(id: number, pointer: Pointer): void {
    this.table.set(id, pointer)
    this.slabs.words[slabOf(pointer)]![wordOf(pointer) + idWord] = id
  }

  /** The key goes; its entry is not freed. */
  remove(id: number): void {
    this.order.remove(id)
    this.#points.remove(this.#hashOf(this.table.get(id)), id)
    this.table.give(id)
  }

  /** Takes back the latest `remove` of this id. */
  restore(id: number, pointer: Pointer): void {
    this.table.takeBack(id)
    this.enter(id, pointer)
  }

  /** Negative, 0 or positive, as the keys of two entries compare. */
  compareKeys(one: Pointer, two: Pointer): number {
    const a = this.slabs.bytes[slabOf(one)]!
    const b = this.slabs.bytes[slabOf(two)]!
    const atA = byteOf(one) + keyByte
    const atB = byteOf(two) + keyByte
    const lengthA = this.#keyLength(one)
    const lengthB = this.#keyLength(two)
    const common = Math.min(lengthA, lengthB)
    for (let index = 0; index < common; index++) {
      const difference = a[atA + index]! - b[atB + index]!
      if (difference !== 0) return difference
    }
    return lengthA - lengthB
  }

  #hashOf(pointer: Pointer): number {
    const bytes = this.slabs.bytes[slabOf(pointer)]!
    return this.#points.hash(bytes, byteOf(pointer) + keyByte, this.#keyLength(pointer))
  }

  #keyLength(pointer: Pointer): number {
    return this.slabs.words[slabOf(pointer)]![wordOf(pointer) + keyLengthWord]!
  }
}

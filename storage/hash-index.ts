/**
 * From a key's bytes to its id: extendible hashing. A directory names segments of 1,024 places;
 * a full segment splits in two (some 10 µs), so no insert ever pays for a rehash of everything.
 */
import { byteOf, keyByte, keyLengthWord, slabOf, wordOf } from './entry.ts'
import type { EntryTable } from './entry-table.ts'
import type { Slabs } from './slabs.ts'

const placesMin = 1024
/** The lower bits of a hash choose the segment, the upper 10 the place; past that a segment grows. */
const depthMax = 22

export class HashIndex {
  readonly #slabs: Slabs
  readonly #table: EntryTable
  readonly #seed: number
  #depth = 0
  #directory: number[] = [0]
  /** Each place is two words: the key's hash, and its id or 0. */
  #segments: Uint32Array[] = [new Uint32Array(2 * placesMin)]
  #counts: number[] = [0]
  #depths: number[] = [0]
  #size = 0

  constructor(slabs: Slabs, table: EntryTable, seed: number) {
    this.#slabs = slabs
    this.#table = table
    this.#seed = seed
  }

  get size(): number {
    return this.#size
  }

  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.byteLength, 0)
  }

  /** Seeded, so that nobody outside can choose keys that collide. */
  hash(key: Uint8Array, at: number, length: number): number {
    let hash = this.#seed ^ length
    const wholeEnd = at + (length & ~3)
    let index = at
    for (; index < wholeEnd; index += 4) {
      const word =
        key[index]! | (key[index + 1]! << 8) | (key[index + 2]! << 16) | (key[index + 3]! << 24)
      hash = Math.imul(hash ^ word, 0x9e3779b1)
      hash = (hash << 13) | (hash >>> 19)
    }
    for (; index < at + length; index++)
      hash = Math.imul(hash ^ key[index]!, 0x85ebca6b) ^ (hash >>> 15)
    hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d)
    hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b)
    return (hash ^ (hash >>> 16)) >>> 0
  }

  /** The id of the key with this hash, or 0. */
  find(key: Uint8Array, length: number, hash: number): number {
    const segment = this.#segments[this.#directory[hash & (this.#directory.length - 1)]!]!
    const mask = (segment.length >> 1) - 1
    for (let place = (hash >>> 22) & mask; ; place = (place + 1) & mask) {
      const id = segment[2 * place + 1]!
      if (id === 0) return 0
      if (segment[2 * place] === hash && this.#matches(id, key, length)) return id
    }
  }

  /** The key of `id` is not in the index yet. */
  insert(hash: number, id: number): void {
    let number = this.#directory[hash & (this.#directory.length - 1)]!
    while (this.#counts[number]! >= (this.#segments[number]!.length >> 3) * 3) {
      this.#split(number, hash)
      number = this.#directory[hash & (this.#directory.length - 1)]!
    }
    put(this.#segments[number]!, hash, id)
    this.#counts[number]!++
    this.#size++
  }

  remove(hash: number, id: number): void {
    const number = this.#directory[hash & (this.#directory.length - 1)]!
    const segment = this.#segments[number]!
    const mask = (segment.length >> 1) - 1
    let place = (hash >>> 22) & mask
    while (segment[2 * place + 1] !== id) place = (place + 1) & mask
    closeHole(segment, place, mask)
    this.#counts[number]!--
    this.#size--
  }

  #matches(id: number, key: Uint8Array, length: number): boolean {
    const pointer = this.#table.get(id)
    const slab = slabOf(pointer)
    if (this.#slabs.words[slab]![wordOf(pointer) + keyLengthWord] !== length) return false
    const bytes = this.#slabs.bytes[slab]!
    const at = byteOf(pointer) + keyByte
    // From the end, where keys of one kind differ most.
    for (let index = length - 1; index >= 0; index--) {
      if (bytes[at + index] !== key[index]) return false
    }
    return true
  }

  #split(number: number, hash: number): void {
    const depth = this.#depths[number]!
    if (depth === depthMax) return this.#grow(number)
    if (depth === this.#depth) {
      this.#directory = this.#directory.concat(this.#directory)
      this.#depth++
    }
    const old = this.#segments[number]!
    const zeros = new Uint32Array(old.length)
    const ones = new Uint32Array(old.length)
    let moved = 0
    for (let at = 0; at < old.length; at += 2) {
      if (old[at + 1] === 0) continue
      const one = (old[at]! >>> depth) & 1
      put(one === 1 ? ones : zeros, old[at]!, old[at + 1]!)
      moved += one
    }
    const sibling = this.#segments.length
    this.#segments[number] = zeros
    this.#segments.push(ones)
    this.#counts[number]! -= moved
    this.#counts.push(moved)
    this.#depths[number] = depth + 1
    this.#depths.push(depth + 1)
    this.#repoint(sibling, hash, depth)
  }

  /** The directory's places that end in the lowest `depth` bits of `hash`, and a one before them. */
  #repoint(sibling: number, hash: number, depth: number): void {
    const one = 1 << depth
    const first = (hash & (one - 1)) | one
    for (let place = first; place < this.#directory.length; place += 2 * one) {
      this.#directory[place] = sibling
    }
  }

  #grow(number: number): void {
    const old = this.#segments[number]!
    const larger = new Uint32Array(2 * old.length)
    for (let at = 0; at < old.length; at += 2) {
      if (old[at + 1] !== 0) put(larger, old[at]!, old[at + 1]!)
    }
    this.#segments[number] = larger
  }
}

function put(segment: Uint32Array, hash: number, id: number): void {
  const mask = (segment.length >> 1) - 1
  let place = (hash >>> 22) & mask
  while (segment[2 * place + 1] !== 0) place = (place + 1) & mask
  segment[2 * place] = hash
  segment[2 * place + 1] = id
}

/** Later entries of the run move back, unless they already stand at or after where they belong. */
function closeHole(segment: Uint32Array, from: number, mask: number): void {
  let hole = from
  for (let place = (hole + 1) & mask; segment[2 * place + 1] !== 0; place = (place + 1) & mask) {
    const home = (segment[2 * place]! >>> 22) & mask
    if (((place - home) & mask) < ((place - hole) & mask)) continue
    segment[2 * hole] = segment[2 * place]!
    segment[2 * hole + 1] = segment[2 * place + 1]!
    hole = place
  }
  segment[2 * hole + 1] = 0
}

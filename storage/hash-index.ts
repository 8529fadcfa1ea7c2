/**
 * From a key's bytes to its id: extendible hashing. A directory names segments of 1,024 places;
 * a full segment splits in two (some 10 µs), so no insert ever pays for a rehash of everything.
 * Keys that collide beyond what splitting can part (they were made to) go to a plain map.
 */
import { byteOf, keyByte, keyLengthWord, slabOf, wordOf } from './entry.ts'
import type { EntryTable } from './entry-table.ts'
import type { Slabs } from './slabs.ts'

/** The lower bits of a hash choose the segment, the upper 10 the place. */
const places = 1024
const placeMask = places - 1
const placeShift = 22
const depthMax = 22
const fullCount = (places / 4) * 3
/** Words of a segment: each place is the key's hash, and its id or 0. */
const segmentWords = 2 * places
const chunkBits = 5
const chunkMask = (1 << chunkBits) - 1

export class HashIndex {
  readonly #slabs: Slabs
  readonly #table: EntryTable
  readonly #seed: number
  #depth = 0
  #directory = new Uint32Array(1)
  /** 32 segments each, so that few objects stand between a key and its place. */
  #chunks: Uint32Array[] = []
  #counts = new Uint32Array(1)
  #depths = new Uint8Array(1)
  #segments = 0
  #size = 0
  #overflow = new Map<number, Set<number>>()

  constructor(slabs: Slabs, table: EntryTable, seed: number) {
    this.#slabs = slabs
    this.#table = table
    this.#seed = seed
    this.#addSegment(0)
  }

  get size(): number {
    return this.#size
  }

  get bytes(): number {
    return this.#chunks.length * (chunkMask + 1) * segmentWords * 4 + this.#directory.byteLength
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
    for (; index < at + length; index++) {
      hash = Math.imul(hash ^ key[index]!, 0x85ebca6b) ^ (hash >>> 15)
    }
    hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d)
    hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b)
    return (hash ^ (hash >>> 16)) >>> 0
  }

  /** The id of the key with this hash, or 0. */
  find(key: Uint8Array, length: number, hash: number): number {
    const segment = this.#directory[hash & (this.#directory.length - 1)]!
    const words = this.#chunks[segment >>> chunkBits]!
    const base = (segment & chunkMask) * segmentWords
    for (let place = hash >>> placeShift; ; place = (place + 1) & placeMask) {
      const id = words[base + 2 * place + 1]!
      if (id === 0) break
      if (words[base + 2 * place] === hash && this.#matches(id, key, length)) return id
    }
    return this.#overflow.size === 0 ? 0 : this.#findOverflow(key, length, hash)
  }

  /** The key of `id` is not in the index yet. */
  insert(hash: number, id: number): void {
    this.#size++
    let segment = this.#directory[hash & (this.#directory.length - 1)]!
    while (this.#counts[segment]! >= fullCount) {
      if (this.#depths[segment] === depthMax) return this.#insertOverflow(hash, id)
      this.#split(segment, hash)
      segment = this.#directory[hash & (this.#directory.length - 1)]!
    }
    this.#put(segment, hash, id)
  }

  remove(hash: number, id: number): void {
    this.#size--
    if (this.#overflow.get(hash)?.delete(id)) {
      if (this.#overflow.get(hash)!.size === 0) this.#overflow.delete(hash)
      return
    }
    const segment = this.#directory[hash & (this.#directory.length - 1)]!
    const words = this.#chunks[segment >>> chunkBits]!
    const base = (segment & chunkMask) * segmentWords
    let place = hash >>> placeShift
    while (words[base + 2 * place + 1] !== id) place = (place + 1) & placeMask
    closeHole(words, base, place)
    this.#counts[segment]!--
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

  #findOverflow(key: Uint8Array, length: number, hash: number): number {
    for (const id of this.#overflow.get(hash) ?? []) if (this.#matches(id, key, length)) return id
    return 0
  }

  #insertOverflow(hash: number, id: number): void {
    const ids = this.#overflow.get(hash)
    if (ids === undefined) this.#overflow.set(hash, new Set([id]))
    else ids.add(id)
  }

  #put(segment: number, hash: number, id: number): void {
    const words = this.#chunks[segment >>> chunkBits]!
    const base = (segment & chunkMask) * segmentWords
    let place = hash >>> placeShift
    while (words[base + 2 * place + 1] !== 0) place = (place + 1) & placeMask
    words[base + 2 * place] = hash
    words[base + 2 * place + 1] = id
    this.#counts[segment]!++
  }

  /** Of the keys of a segment, those with bit `depth` of the hash go to a new one. */
  #split(segment: number, hash: number): void {
    const depth = this.#depths[segment]!
    if (depth === this.#depth) this.#doubleDirectory()
    const words = this.#chunks[segment >>> chunkBits]!
    const base = (segment & chunkMask) * segmentWords
    splitting.set(words.subarray(base, base + segmentWords))
    words.fill(0, base, base + segmentWords)
    this.#counts[segment] = 0
    this.#depths[segment] = depth + 1
    const sibling = this.#addSegment(depth + 1)
    for (let at = 0; at < segmentWords; at += 2) {
      const id = splitting[at + 1]!
      if (id === 0) continue
      this.#put(((splitting[at]! >>> depth) & 1) === 1 ? sibling : segment, splitting[at]!, id)
    }
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

  #doubleDirectory(): void {
    const { length } = this.#directory
    const larger = new Uint32Array(2 * length)
    larger.set(this.#directory)
    larger.set(this.#directory, length)
    this.#directory = larger
    this.#depth++
  }

  #addSegment(depth: number): number {
    const segment = this.#segments++
    if (segment >>> chunkBits >= this.#chunks.length) {
      this.#chunks.push(new Uint32Array((chunkMask + 1) * segmentWords))
    }
    if (segment >= this.#counts.length) {
      const counts = new Uint32Array(2 * segment)
      const depths = new Uint8Array(2 * segment)
      counts.set(this.#counts)
      depths.set(this.#depths)
      this.#counts = counts
      this.#depths = depths
    }
    this.#depths[segment] = depth
    return segment
  }
}

/** A segment's places while it is being split. */
const splitting = new Uint32Array(segmentWords)

/** Later entries of the run move back, unless they already stand at or after where they belong. */
function closeHole(words: Uint32Array, base: number, from: number): void {
  let hole = from
  let place = (hole + 1) & placeMask
  for (; words[base + 2 * place + 1] !== 0; place = (place + 1) & placeMask) {
    const home = words[base + 2 * place]! >>> placeShift
    if (((place - home) & placeMask) < ((place - hole) & placeMask)) continue
    words[base + 2 * hole] = words[base + 2 * place]!
    words[base + 2 * hole + 1] = words[base + 2 * place + 1]!
    hole = place
  }
  words[base + 2 * hole + 1] = 0
}

/**
 * Ids in the order of their keys' bytes: a B+tree in typed arrays. A slot holds an id and four bytes
 * of its key, taken after what all keys of the node share, so that a search touches about one slab a
 * level. Inner slots hold the smallest id below each child. A position is leaf × 64 + slot, good
 * until the next change; 0 is the end.
 */
import { byteOf, keyByte, keyLengthWord, slabOf, wordOf } from './entry.ts'
import type { EntryTable } from './entry-table.ts'
import {
  belowWord,
  childrenWord,
  countWord,
  fanout,
  idsWord,
  innerWords,
  leafWords,
  NodePool,
  nextWord,
  prefixesWord,
  previousWord,
  sharedWord,
} from './node-pool.ts'
import type { Slabs } from './slabs.ts'

const half = fanout / 2
/** A leaf with fewer slots joins a neighbour, if both fit with room to spare. */
const mergeBelow = 16
const mergedMax = 48
const heightMax = 12
const keyBytesMax = 2 ** 31

export class OrderedIndex {
  readonly #slabs: Slabs
  readonly #table: EntryTable
  readonly #leaves = new NodePool(leafWords)
  readonly #inners = new NodePool(innerWords)
  #root: number
  /** Levels of inner nodes above the leaves. */
  #height = 0
  #last: number
  #first: number
  #size = 0
  /** The way of the latest descent, by level; level 1 is just above the leaves. */
  readonly #pathNodes = new Int32Array(heightMax + 1)
  readonly #pathSlots = new Int32Array(heightMax + 1)
  /** Whether the latest search in a node found the key itself. */
  #exact = false

  constructor(slabs: Slabs, table: EntryTable) {
    this.#slabs = slabs
    this.#table = table
    this.#root = this.#first = this.#last = this.#leaves.take()
  }

  get size(): number {
    return this.#size
  }

  get bytes(): number {
    return this.#leaves.bytes + this.#inners.bytes
  }

  /** The position of the first key that is not below this one. */
  seek(key: Uint8Array, at: number, length: number): number {
    const leaf = this.#descend(key, at, length)
    return this.#position(leaf, this.#lowerBound(this.#leaves, leaf, key, at, length))
  }

  first(): number {
    return this.#position(this.#first, 0)
  }

  next(position: number): number {
    return this.#position(position >>> 6, (position & 63) + 1)
  }

  id(position: number): number {
    const leaf = position >>> 6
    return this.#leaves.words(leaf)[this.#leaves.base(leaf) + idsWord + (position & 63)]!
  }

  /** How many keys are below this one: costs a search, however many there are. */
  rank(key: Uint8Array, at: number, length: number): number {
    const inners = this.#inners
    let node = this.#root
    let rank = 0
    for (let level = this.#height; level > 0; level--) {
      let slot = this.#lowerBound(inners, node, key, at, length)
      if (!this.#exact && slot > 0) slot--
      const words = inners.words(node)
      const base = inners.base(node)
      for (let before = 0; before < slot; before++) rank += words[base + belowWord + before]!
      node = words[base + childrenWord + slot]!
    }
    return rank + this.#lowerBound(this.#leaves, node, key, at, length)
  }

  /** Whether this key comes after all that are here: it may then be inserted without a search. */
  isAboveAll(key: Uint8Array, at: number, length: number): boolean {
    const count = this.#count(this.#leaves, this.#last)
    if (count === 0) return true
    return this.#compare(key, at, length, this.#slotId(this.#leaves, this.#last, count - 1), 0) > 0
  }

  /** The key of `id`, read from its entry, is not here yet; `aboveAll` if it is known to be. */
  insert(id: number, aboveAll = false): void {
    const pointer = this.#table.get(id)
    const key = this.#slabs.bytes[slabOf(pointer)]!
    const at = byteOf(pointer) + keyByte
    const length = this.#slabs.words[slabOf(pointer)]![wordOf(pointer) + keyLengthWord]!
    this.#size++
    const lastCount = this.#count(this.#leaves, this.#last)
    if (lastCount > 0 && lastCount < fanout && (aboveAll || this.isAboveAll(key, at, length))) {
      this.#insertSlot(this.#leaves, this.#last, lastCount, id, 0)
      this.#countLast()
      return
    }
    const leaf = this.#descend(key, at, length)
    this.#countPath(1)
    const slot = this.#lowerBound(this.#leaves, leaf, key, at, length)
    if (this.#count(this.#leaves, leaf) < fanout) {
      this.#insertSlot(this.#leaves, leaf, slot, id, 0)
      if (slot === 0) this.#setMinimum(1, id)
    } else this.#splitLeaf(leaf, slot, id)
  }

  /** The entry of `id` must still be readable. */
  remove(id: number): void {
    const pointer = this.#table.get(id)
    const key = this.#slabs.bytes[slabOf(pointer)]!
    const at = byteOf(pointer) + keyByte
    const length = this.#slabs.words[slabOf(pointer)]![wordOf(pointer) + keyLengthWord]!
    const leaf = this.#descend(key, at, length)
    this.#countPath(-1)
    const slot = this.#lowerBound(this.#leaves, leaf, key, at, length)
    this.#removeSlot(this.#leaves, leaf, slot)
    this.#size--
    const count = this.#count(this.#leaves, leaf)
    if (count === 0) this.#dropLeaf(leaf)
    else {
      if (slot === 0) this.#setMinimum(1, this.#slotId(this.#leaves, leaf, 0))
      if (count < mergeBelow) this.#merge(leaf)
    }
  }

  #position(leaf: number, slot: number): number {
    const words = this.#leaves.words(leaf)
    const base = this.#leaves.base(leaf)
    if (slot < words[base + countWord]!) return (leaf << 6) | slot
    return words[base + nextWord]! << 6
  }

  #count(pool: NodePool, node: number): number {
    return pool.words(node)[pool.base(node) + countWord]!
  }

  #slotId(pool: NodePool, node: number, slot: number): number {
    return pool.words(node)[pool.base(node) + idsWord + slot]!
  }

  /** One more, or one less, below all nodes of the latest descent. */
  #countPath(by: number): void {
    const inners = this.#inners
    for (let level = this.#height; level > 0; level--) {
      const node = this.#pathNodes[level]!
      inners.words(node)[inners.base(node) + belowWord + this.#pathSlots[level]!]! += by
    }
  }

  /** One more in the last leaf. */
  #countLast(): void {
    const inners = this.#inners
    let node = this.#root
    for (let level = this.#height; level > 0; level--) {
      const words = inners.words(node)
      const slot = inners.base(node) + words[inners.base(node) + countWord]! - 1
      words[slot + belowWord]! += 1
      node = words[slot + childrenWord]!
    }
  }

  /** How many ids there are below a node whose children are of this level; 0: it is a leaf. */
  #idsBelow(node: number, level: number): number {
    if (level === 0) return this.#count(this.#leaves, node)
    const words = this.#inners.words(node)
    const base = this.#inners.base(node)
    let count = 0
    for (let slot = 0; slot < words[base + countWord]!; slot++) {
      count += words[base + belowWord + slot]!
    }
    return count
  }

  #descend(key: Uint8Array, at: number, length: number): number {
    let node = this.#root
    for (let level = this.#height; level > 0; level--) {
      const inners = this.#inners
      let slot = this.#lowerBound(inners, node, key, at, length)
      if (!this.#exact && slot > 0) slot--
      this.#pathNodes[level] = node
      this.#pathSlots[level] = slot
      node = inners.words(node)[inners.base(node) + childrenWord + slot]!
    }
    return node
  }

  /** The first slot whose key is not below this one. */
  #lowerBound(pool: NodePool, node: number, key: Uint8Array, at: number, length: number): number {
    const words = pool.words(node)
    const base = pool.base(node)
    const count = words[base + countWord]!
    this.#exact = false
    if (count === 0) return 0
    const shared = words[base + sharedWord]!
    const side =
      shared === 0 ? 0 : this.#compareShared(key, at, length, words[base + idsWord]!, shared)
    if (side !== 0) return side < 0 ? 0 : count
    const prefix = prefixAt(key, at + shared, at + length)
    let low = firstNotBelow(words, base + prefixesWord, 0, count, prefix)
    if (low === count || words[base + prefixesWord + low] !== prefix) return low
    let high = firstAbove(words, base + prefixesWord, low + 1, count, prefix)
    while (low < high) {
      const middle = (low + high) >>> 1
      const order = this.#compare(key, at, length, words[base + idsWord + middle]!, shared)
      if (order === 0) this.#exact = true
      if (order > 0) low = middle + 1
      else high = middle
    }
    return low
  }

  /** −1, 0, 1: the key against the first `shared` bytes of an entry's; a key that ends earlier is below. */
  #compareShared(key: Uint8Array, at: number, length: number, id: number, shared: number): number {
    const pointer = this.#table.get(id)
    const bytes = this.#slabs.bytes[slabOf(pointer)]!
    const start = byteOf(pointer) + keyByte
    const common = Math.min(length, shared)
    for (let index = 0; index < common; index++) {
      const difference = key[at + index]! - bytes[start + index]!
      if (difference !== 0) return difference < 0 ? -1 : 1
    }
    return length < shared ? -1 : 0
  }

  /** Negative, 0 or positive; the first `from` bytes are known to be equal. */
  #compare(key: Uint8Array, at: number, length: number, id: number, from: number): number {
    const pointer = this.#table.get(id)
    const slab = slabOf(pointer)
    const bytes = this.#slabs.bytes[slab]!
    const start = byteOf(pointer) + keyByte
    const otherLength = this.#slabs.words[slab]![wordOf(pointer) + keyLengthWord]!
    const common = Math.min(length, otherLength)
    for (let index = from; index < common; index++) {
      const difference = key[at + index]! - bytes[start + index]!
      if (difference !== 0) return difference
    }
    return length - otherLength
  }

  /** How many leading bytes two entries' keys share, at most `limit`. */
  #commonBytes(first: number, second: number, limit: number): number {
    const one = this.#table.get(first)
    const two = this.#table.get(second)
    const a = this.#slabs.bytes[slabOf(one)]!
    const b = this.#slabs.bytes[slabOf(two)]!
    const atA = byteOf(one) + keyByte
    const atB = byteOf(two) + keyByte
    const end = Math.min(limit, this.#keyLength(first), this.#keyLength(second))
    let index = 0
    while (index < end && a[atA + index] === b[atB + index]) index++
    return index
  }

  #keyLength(id: number): number {
    const pointer = this.#table.get(id)
    return this.#slabs.words[slabOf(pointer)]![wordOf(pointer) + keyLengthWord]!
  }

  #prefix(id: number, shared: number): number {
    const pointer = this.#table.get(id)
    const slab = slabOf(pointer)
    const start = byteOf(pointer) + keyByte
    const length = this.#slabs.words[slab]![wordOf(pointer) + keyLengthWord]!
    return prefixAt(this.#slabs.bytes[slab]!, start + shared, start + length)
  }

  #insertSlot(
    pool: NodePool,
    node: number,
    slot: number,
    id: number,
    child: number,
    below = 0,
  ): void {
    const words = pool.words(node)
    const base = pool.base(node)
    const count = words[base + countWord]!
    shift(words, base + idsWord, slot, count, 1)
    shift(words, base + prefixesWord, slot, count, 1)
    if (pool.isInner) {
      shift(words, base + childrenWord, slot, count, 1)
      words[base + childrenWord + slot] = child
      shift(words, base + belowWord, slot, count, 1)
      words[base + belowWord + slot] = below
    }
    words[base + countWord] = count + 1
    this.#setSlot(pool, node, slot, id)
  }

  /** Puts `id` in a slot and sees to the shared bytes, which the new key may shorten. */
  #setSlot(pool: NodePool, node: number, slot: number, id: number): void {
    const words = pool.words(node)
    const base = pool.base(node)
    words[base + idsWord + slot] = id
    if (words[base + countWord] === 1) {
      words[base + sharedWord] = this.#keyLength(id)
      words[base + prefixesWord + slot] = 0
      return
    }
    const shared = words[base + sharedWord]!
    const other = words[base + idsWord + (slot === 0 ? 1 : 0)]!
    const common = this.#commonBytes(id, other, shared)
    if (common < shared) {
      words[base + sharedWord] = common
      this.#refreshPrefixes(pool, node)
    } else words[base + prefixesWord + slot] = this.#prefix(id, shared)
  }

  #removeSlot(pool: NodePool, node: number, slot: number): void {
    const words = pool.words(node)
    const base = pool.base(node)
    const count = words[base + countWord]!
    shift(words, base + idsWord, slot + 1, count, -1)
    shift(words, base + prefixesWord, slot + 1, count, -1)
    if (pool.isInner) {
      shift(words, base + childrenWord, slot + 1, count, -1)
      shift(words, base + belowWord, slot + 1, count, -1)
    }
    words[base + countWord] = count - 1
  }

  #refresh(pool: NodePool, node: number): void {
    const words = pool.words(node)
    const base = pool.base(node)
    const count = words[base + countWord]!
    if (count === 0) return
    const first = words[base + idsWord]!
    const last = words[base + idsWord + count - 1]!
    const shared = this.#commonBytes(first, last, this.#keyLength(first))
    if (shared === words[base + sharedWord]) return
    words[base + sharedWord] = shared
    this.#refreshPrefixes(pool, node)
  }

  #refreshPrefixes(pool: NodePool, node: number): void {
    const words = pool.words(node)
    const base = pool.base(node)
    const count = words[base + countWord]!
    const shared = words[base + sharedWord]!
    for (let slot = 0; slot < count; slot++) {
      words[base + prefixesWord + slot] = this.#prefix(words[base + idsWord + slot]!, shared)
    }
  }

  /** The node on the path at `level` − 1 has a new smallest id: so have its ancestors, while it is their first. */
  #setMinimum(from: number, id: number): void {
    for (let level = from; level <= this.#height; level++) {
      const slot = this.#pathSlots[level]!
      this.#setSlot(this.#inners, this.#pathNodes[level]!, slot, id)
      if (slot > 0) return
    }
  }

  #splitLeaf(leaf: number, slot: number, id: number): void {
    const right = this.#leaves.take()
    this.#linkAfter(leaf, right)
    const appending = slot === fanout && right === this.#last
    if (!appending) this.#moveUpper(this.#leaves, leaf, right)
    if (appending || slot > half) {
      const at = appending ? 0 : slot - half
      this.#insertSlot(this.#leaves, right, at, id, 0)
    } else {
      this.#insertSlot(this.#leaves, leaf, slot, id, 0)
      if (slot === 0) this.#setMinimum(1, id)
    }
    this.#insertChild(1, right, this.#slotId(this.#leaves, right, 0))
  }

  #linkAfter(leaf: number, right: number): void {
    const words = this.#leaves.words(leaf)
    const base = this.#leaves.base(leaf)
    const next = words[base + nextWord]!
    const rightWords = this.#leaves.words(right)
    const rightBase = this.#leaves.base(right)
    rightWords[rightBase + nextWord] = next
    rightWords[rightBase + previousWord] = leaf
    words[base + nextWord] = right
    if (next === 0) this.#last = right
    else this.#leaves.words(next)[this.#leaves.base(next) + previousWord] = right
  }

  #moveUpper(pool: NodePool, from: number, to: number): void {
    const source = pool.words(from)
    const base = pool.base(from)
    const target = pool.words(to)
    const place = pool.base(to)
    const parts = pool.isInner ? 4 : 2
    for (let part = 0; part < parts; part++) {
      const start = idsWord + part * fanout
      for (let slot = 0; slot < half; slot++) {
        target[place + start + slot] = source[base + start + half + slot]!
      }
    }
    source[base + countWord] = half
    target[place + countWord] = half
    target[place + sharedWord] = source[base + sharedWord]!
    this.#refresh(pool, from)
    this.#refresh(pool, to)
  }

  /** Enters a new right neighbour of the path's node at `level` − 1. */
  #insertChild(level: number, child: number, minimum: number): void {
    if (level > this.#height) return this.#growRoot(child, minimum)
    const inners = this.#inners
    const node = this.#pathNodes[level]!
    const slot = this.#pathSlots[level]! + 1
    const below = this.#idsBelow(child, level - 1)
    inners.words(node)[inners.base(node) + belowWord + slot - 1]! -= below
    if (this.#count(inners, node) < fanout) {
      this.#insertSlot(inners, node, slot, minimum, child, below)
      return
    }
    const right = inners.take()
    if (slot < fanout) this.#moveUpper(inners, node, right)
    if (slot === fanout) this.#insertSlot(inners, right, 0, minimum, child, below)
    else if (slot > half) this.#insertSlot(inners, right, slot - half, minimum, child, below)
    else this.#insertSlot(inners, node, slot, minimum, child, below)
    this.#insertChild(level + 1, right, this.#slotId(inners, right, 0))
  }

  #growRoot(right: number, minimum: number): void {
    const below = this.#height === 0 ? this.#leaves : this.#inners
    const left = this.#root
    const [leftIds, rightIds] = [left, right].map(node => this.#idsBelow(node, this.#height))
    this.#root = this.#inners.take()
    this.#insertSlot(this.#inners, this.#root, 0, this.#slotId(below, left, 0), left, leftIds)
    this.#insertSlot(this.#inners, this.#root, 1, minimum, right, rightIds)
    this.#height++
  }

  #dropLeaf(leaf: number): void {
    if (this.#height === 0) return
    this.#unlink(leaf)
    this.#leaves.give(leaf)
    this.#removeChild(1)
  }

  #unlink(leaf: number): void {
    const words = this.#leaves.words(leaf)
    const base = this.#leaves.base(leaf)
    const next = words[base + nextWord]!
    const previous = words[base + previousWord]!
    if (previous === 0) this.#first = next
    else this.#leaves.words(previous)[this.#leaves.base(previous) + nextWord] = next
    if (next === 0) this.#last = previous
    else this.#leaves.words(next)[this.#leaves.base(next) + previousWord] = previous
  }

  /** The path's child at this level is gone. */
  #removeChild(level: number): void {
    const inners = this.#inners
    const node = this.#pathNodes[level]!
    const slot = this.#pathSlots[level]!
    this.#removeSlot(inners, node, slot)
    if (this.#count(inners, node) === 0) {
      inners.give(node)
      return this.#removeChild(level + 1)
    }
    if (slot === 0) this.#setMinimum(level + 1, this.#slotId(inners, node, 0))
    while (this.#height > 0 && this.#count(inners, this.#root) === 1) {
      const root = this.#root
      this.#root = inners.words(root)[inners.base(root) + childrenWord]!
      inners.give(root)
      this.#height--
    }
  }

  /** Joins the leaf of the path with a neighbour below the same parent. */
  #merge(leaf: number): void {
    if (this.#height === 0) return
    const inners = this.#inners
    const parent = this.#pathNodes[1]!
    const slot = this.#pathSlots[1]!
    const children = inners.base(parent) + childrenWord
    if (slot + 1 < this.#count(inners, parent)) {
      const right = inners.words(parent)[children + slot + 1]!
      if (this.#mergePair(leaf, right)) {
        this.#joinCounts(parent, slot)
        this.#pathSlots[1] = slot + 1
        this.#removeChild(1)
      }
    } else if (slot > 0) {
      const left = inners.words(parent)[children + slot - 1]!
      if (this.#mergePair(left, leaf)) {
        this.#joinCounts(parent, slot - 1)
        this.#removeChild(1)
      }
    }
  }

  /** The child at this slot takes over what is below the next. */
  #joinCounts(parent: number, slot: number): void {
    const words = this.#inners.words(parent)
    const at = this.#inners.base(parent) + belowWord + slot
    words[at]! += words[at + 1]!
  }

  #mergePair(left: number, right: number): boolean {
    const count = this.#count(this.#leaves, left)
    const added = this.#count(this.#leaves, right)
    if (count + added > mergedMax) return false
    const words = this.#leaves.words(left)
    const base = this.#leaves.base(left)
    for (let slot = 0; slot < added; slot++) {
      words[base + idsWord + count + slot] = this.#slotId(this.#leaves, right, slot)
    }
    words[base + countWord] = count + added
    words[base + sharedWord] = this.#commonBytes(
      this.#slotId(this.#leaves, left, 0),
      this.#slotId(this.#leaves, right, added - 1),
      keyBytesMax,
    )
    this.#refreshPrefixes(this.#leaves, left)
    this.#unlink(right)
    this.#leaves.give(right)
    return true
  }
}

/** Four bytes, the first in front, zeros after the end of the key. */
function prefixAt(bytes: Uint8Array, at: number, end: number): number {
  if (at + 4 <= end) {
    return (
      ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
    )
  }
  let prefix = 0
  for (let index = 0; index < 4; index++) {
    prefix = (prefix << 8) | (at + index < end ? bytes[at + index]! : 0)
  }
  return prefix >>> 0
}

function firstNotBelow(
  words: Uint32Array,
  base: number,
  from: number,
  to: number,
  value: number,
): number {
  let low = from
  let high = to
  while (low < high) {
    const middle = (low + high) >>> 1
    if (words[base + middle]! < value) low = middle + 1
    else high = middle
  }
  return low
}

function firstAbove(
  words: Uint32Array,
  base: number,
  from: number,
  to: number,
  value: number,
): number {
  let low = from
  let high = to
  while (low < high) {
    const middle = (low + high) >>> 1
    if (words[base + middle]! <= value) low = middle + 1
    else high = middle
  }
  return low
}

/** Loops, since the slots are few and `copyWithin` has a price of its own. */
function shift(words: Uint32Array, base: number, from: number, count: number, by: number): void {
  if (by > 0) for (let at = base + count - 1; at >= base + from; at--) words[at + by] = words[at]!
  else for (let at = base + from; at < base + count; at++) words[at + by] = words[at]!
}

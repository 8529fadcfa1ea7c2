/**
 * Entries of the tree (common words in entry.ts). A `znode` is a node without what concerns its
 * children; that is its `family`, there from the first child on, so that a child costs the parent's
 * counters and not a copy of its data. `gone` says in a checkpoint's delta that a key is no more.
 *
 *   znode    6 id of the family (local)   7-8 czxid   9-10 mzxid   11-12 ctime   13-14 mtime
 *            15 version   16 aversion   17 owner high   18 owner low, or ttl in 17-18   19 acl
 *            detail: kind, and 0x80 when the data is null
 *   family   6 id of the node (local)   7-8 pzxid   9 creations   10 children
 */
import {
  byteOf,
  entryType,
  hashWord,
  headerWords,
  keyByte,
  keyLengthWord,
  type Pointer,
  padded,
  readNumber,
  sizeWord,
  slabOf,
  typeWord,
  wordOf,
  writeNumber,
} from './entry.ts'
import type { Slabs } from './slabs.ts'
import { hashEntry } from './state-hash.ts'

/** What a node is beyond its owner; containers and nodes with a time to live are reaped when empty. */
export const znodeKind = { ordinary: 0, container: 1, timeToLive: 2 } as const

export const relativeWord = 6
const contentWord = 7
export const czxidWord = 7
export const mzxidWord = 9
export const ctimeWord = 11
export const mtimeWord = 13
export const versionWord = 15
export const aversionWord = 16
export const ownerHighWord = 17
export const ownerLowWord = 18
export const aclWord = 19

export const pzxidWord = 7
export const creationsWord = 9
export const childrenWord = 10

const nullData = 0x80

/** Reads and writes entries of the tree by pointer. */
export class ZnodeEntries {
  readonly #slabs: Slabs

  constructor(slabs: Slabs) {
    this.#slabs = slabs
  }

  /** A znode with this key, everything but key and data still to be written; then `seal`. */
  allocate(
    key: Uint8Array,
    keyAt: number,
    keyLength: number,
    data: Uint8Array | null,
    kind: number,
  ): Pointer {
    const bytes = keyByte + keyLength + (data === null ? 0 : data.length)
    const detail = kind | (data === null ? nullData : 0)
    const pointer = this.#allocate(entryType.znode, bytes, key, keyAt, keyLength, detail)
    if (data !== null) {
      this.#slabs.bytes[slabOf(pointer)]!.set(data, byteOf(pointer) + keyByte + keyLength)
    }
    return pointer
  }

  /** The same with another entry's data. */
  allocateCopy(from: Pointer): Pointer {
    const size = this.word(from, sizeWord)
    const pointer = this.#slabs.allocate(size)
    const source = this.#slabs.words[slabOf(from)]!
    const target = this.#slabs.words[slabOf(pointer)]!
    const start = wordOf(from)
    const place = wordOf(pointer)
    for (let index = 1; index < size >> 2; index++) target[place + index] = source[start + index]!
    return pointer
  }

  /** Writes other data over an entry's own, if it takes the same room; false if not. */
  overwrite(pointer: Pointer, data: Uint8Array | null): boolean {
    const words = this.#slabs.words[slabOf(pointer)]!
    const at = wordOf(pointer)
    const type = words[at + typeWord]!
    if (data === null || type >>> 31 === 1) return false
    const bytes = keyByte + words[at + keyLengthWord]! + data.length
    const size = words[at + sizeWord]!
    if (padded(bytes) !== size) return false
    words[at + typeWord] = (type & 0xff00ffff) | ((size - bytes) << 16)
    const target = this.#slabs.bytes[slabOf(pointer)]!
    const start = byteOf(pointer)
    target.set(data, start + bytes - data.length)
    for (let index = start + bytes; index < start + size; index++) target[index] = 0
    return true
  }

  family(
    key: Uint8Array,
    keyLength: number,
    pzxid: number,
    creations: number,
    children: number,
  ): Pointer {
    const pointer = this.#allocate(entryType.family, keyByte + keyLength, key, 0, keyLength, 0)
    this.fillFamily(pointer, pzxid, creations, children)
    return pointer
  }

  fillFamily(pointer: Pointer, pzxid: number, creations: number, children: number): void {
    const words = this.#slabs.words[slabOf(pointer)]!
    const at = wordOf(pointer)
    words.fill(0, at + contentWord, at + headerWords)
    writeNumber(words, at + pzxidWord, pzxid)
    words[at + creationsWord] = creations
    words[at + childrenWord] = children
    this.seal(pointer, 0)
  }

  /** Says that the key of `entry` is no more. */
  gone(entry: Pointer): Pointer {
    const key = this.#slabs.bytes[slabOf(entry)]!
    const length = this.word(entry, keyLengthWord)
    const at = byteOf(entry) + keyByte
    const pointer = this.#allocate(entryType.gone, keyByte + length, key, at, length, 0)
    const words = this.#slabs.words[slabOf(pointer)]!
    words.fill(0, wordOf(pointer) + hashWord, wordOf(pointer) + keyLengthWord)
    words.fill(0, wordOf(pointer) + relativeWord, wordOf(pointer) + headerWords)
    return pointer
  }

  /** Computes the hash; the access list counts by its content, since its id is this node's own. */
  seal(pointer: Pointer, aclHash: number): void {
    const words = this.#slabs.words[slabOf(pointer)]!
    const at = wordOf(pointer)
    const acl = words[at + aclWord]!
    words[at + aclWord] = aclHash
    hashEntry(words, at, contentWord, words[at + sizeWord]! >> 2, words[at + keyLengthWord]!)
    words[at + aclWord] = acl
  }

  type(pointer: Pointer): number {
    return this.word(pointer, typeWord) & 0xff
  }

  kind(pointer: Pointer): number {
    return (this.word(pointer, typeWord) >>> 24) & ~nullData
  }

  dataLength(pointer: Pointer): number {
    const words = this.#slabs.words[slabOf(pointer)]!
    const at = wordOf(pointer)
    const type = words[at + typeWord]!
    if (type >>> 31 === 1) return -1
    const padding = (type >>> 16) & 0xff
    return words[at + sizeWord]! - keyByte - words[at + keyLengthWord]! - padding
  }

  word(pointer: Pointer, word: number): number {
    return this.#slabs.words[slabOf(pointer)]![wordOf(pointer) + word]!
  }

  setWord(pointer: Pointer, word: number, value: number): void {
    this.#slabs.words[slabOf(pointer)]![wordOf(pointer) + word] = value
  }

  number(pointer: Pointer, word: number): number {
    return readNumber(this.#slabs.words[slabOf(pointer)]!, wordOf(pointer) + word)
  }

  setNumber(pointer: Pointer, word: number, value: number): void {
    writeNumber(this.#slabs.words[slabOf(pointer)]!, wordOf(pointer) + word, value)
  }

  #allocate(
    type: number,
    bytes: number,
    key: Uint8Array,
    keyAt: number,
    keyLength: number,
    detail: number,
  ): Pointer {
    const pointer = this.#slabs.allocate(bytes)
    const words = this.#slabs.words[slabOf(pointer)]!
    const at = wordOf(pointer)
    words[at + typeWord] = type | ((padded(bytes) - bytes) << 16) | (detail << 24)
    words[at + keyLengthWord] = keyLength
    const target = this.#slabs.bytes[slabOf(pointer)]!
    const start = byteOf(pointer) + keyByte
    for (let index = 0; index < keyLength; index++) target[start + index] = key[keyAt + index]!
    return pointer
  }
}

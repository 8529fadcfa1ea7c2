/**
 * Entries of the keyspace: one version of one key, or the tombstone that ended it (types `version`,
 * `tombstone`; layout of the common words in entry.ts).
 *
 *    6 previous version of the key   7 jump: an earlier one   8-9 its revision   10 depth   (all local)
 *   11-12 modRevision   13-14 createRevision   15-16 version   17 lease high   18 lease low   19 sub
 */
import {
  byteOf,
  entryType,
  headerWords,
  hashWord,
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

export const previousVersionWord = 6
export const jumpWord = 7
export const jumpRevisionWord = 8
export const depthWord = 10
const contentWord = 11
const modWord = 11
const createWord = 13
const versionWord = 15
const leaseHighWord = 17
const leaseLowWord = 18
const subWord = 19

/** Reads and writes version entries; a pointer's slab is looked up anew each time. */
export class VersionEntries {
  readonly #slabs: Slabs

  constructor(slabs: Slabs) {
    this.#slabs = slabs
  }

  write(
    key: Uint8Array,
    value: Uint8Array,
    leaseHigh: number,
    leaseLow: number,
    revision: number,
    sub: number,
    old: Pointer,
  ): Pointer {
    const pointer = this.#allocate(entryType.version, key, value.length)
    const words = this.#slabs.words[slabOf(pointer)]!
    const at = wordOf(pointer)
    const fresh = old === 0 || this.deleted(old)
    writeNumber(words, at + modWord, revision)
    writeNumber(words, at + createWord, fresh ? revision : this.createRevision(old))
    writeNumber(words, at + versionWord, fresh ? 1 : this.version(old) + 1)
    words[at + leaseHighWord] = leaseHigh
    words[at + leaseLowWord] = leaseLow
    words[at + subWord] = sub
    const start = byteOf(pointer) + keyByte + key.length
    this.#slabs.bytes[slabOf(pointer)]!.set(value, start)
    hashEntry(words, at, contentWord, words[at + sizeWord]! >> 2, key.length)
    return pointer
  }

  writeTombstone(key: Uint8Array, revision: number, sub: number): Pointer {
    const pointer = this.#allocate(entryType.tombstone, key, 0)
    const words = this.#slabs.words[slabOf(pointer)]!
    const at = wordOf(pointer)
    words.fill(0, at + contentWord, at + headerWords)
    words[at + hashWord] = words[at + hashWord + 1] = 0
    writeNumber(words, at + modWord, revision)
    words[at + subWord] = sub
    return pointer
  }

  deleted(pointer: Pointer): boolean {
    const word = this.#slabs.words[slabOf(pointer)]![wordOf(pointer) + typeWord]!
    return (word & 0xff) === entryType.tombstone
  }

  createRevision(pointer: Pointer): number {
    return readNumber(this.#slabs.words[slabOf(pointer)]!, wordOf(pointer) + createWord)
  }

  modRevision(pointer: Pointer): number {
    return readNumber(this.#slabs.words[slabOf(pointer)]!, wordOf(pointer) + modWord)
  }

  sub(pointer: Pointer): number {
    return this.#slabs.words[slabOf(pointer)]![wordOf(pointer) + subWord]!
  }

  version(pointer: Pointer): number {
    return readNumber(this.#slabs.words[slabOf(pointer)]!, wordOf(pointer) + versionWord)
  }

  leaseHigh(pointer: Pointer): number {
    return this.#slabs.words[slabOf(pointer)]![wordOf(pointer) + leaseHighWord]!
  }

  leaseLow(pointer: Pointer): number {
    return this.#slabs.words[slabOf(pointer)]![wordOf(pointer) + leaseLowWord]!
  }

  keyLength(pointer: Pointer): number {
    return this.#slabs.words[slabOf(pointer)]![wordOf(pointer) + keyLengthWord]!
  }

  valueLength(pointer: Pointer): number {
    const words = this.#slabs.words[slabOf(pointer)]!
    const at = wordOf(pointer)
    const padding = (words[at + typeWord]! >>> 16) & 0xff
    return words[at + sizeWord]! - keyByte - words[at + keyLengthWord]! - padding
  }

  #allocate(type: number, key: Uint8Array, valueLength: number): Pointer {
    const bytes = keyByte + key.length + valueLength
    const pointer = this.#slabs.allocate(bytes)
    const slab = slabOf(pointer)
    const words = this.#slabs.words[slab]!
    const at = wordOf(pointer)
    words[at + typeWord] = type | ((padded(bytes) - bytes) << 16)
    words[at + keyLengthWord] = key.length
    this.#slabs.bytes[slab]!.set(key, byteOf(pointer) + keyByte)
    return pointer
  }
}

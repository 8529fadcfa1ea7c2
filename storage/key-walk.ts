/**
 * Goes through a part of an index in the order of its keys, with pauses: since positions change with
 * the index, it remembers in a pause the key that it has come to.
 */
import { byteOf, keyByte, keyLengthWord, slabOf, wordOf } from './entry.ts'
import type { EntryIndex } from './entry-index.ts'

export class KeyWalk {
  readonly #index: EntryIndex
  readonly #to: Uint8Array | null
  #key: Uint8Array
  #length: number
  #position = 0
  #end = 0
  #last = 0

  /** [from, to); `to` null is the end of all keys. */
  constructor(index: EntryIndex, from: Uint8Array, to: Uint8Array | null) {
    this.#index = index
    this.#to = to
    this.#key = new Uint8Array(from)
    this.#length = from.length
  }

  /** Before the first `next`, and after each `pause`. */
  resume(): void {
    const { order } = this.#index
    this.#position = order.seek(this.#key, 0, this.#length)
    this.#end = this.#to === null ? 0 : order.seek(this.#to, 0, this.#to.length)
  }

  /** The next id, 0 after the last. */
  next(): number {
    if (this.#position === this.#end) return 0
    const { order } = this.#index
    this.#last = order.id(this.#position)
    this.#position = order.next(this.#position)
    return this.#last
  }

  /** Before anything changes: goes on behind the latest key, the next possible is that with a zero byte. */
  pause(): void {
    if (this.#last === 0) return
    const { table, slabs } = this.#index
    const pointer = table.get(this.#last)
    const length = slabs.words[slabOf(pointer)]![wordOf(pointer) + keyLengthWord]!
    const at = byteOf(pointer) + keyByte
    if (length >= this.#key.length) this.#key = new Uint8Array(2 * length + 1)
    this.#key.set(slabs.bytes[slabOf(pointer)]!.subarray(at, at + length))
    this.#key[length] = 0
    this.#length = length + 1
    this.#last = 0
  }
}

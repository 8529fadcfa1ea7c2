/**
 * The entries from one position on as a replay of the journal leaves them: the latest record of a
 * position wins, a truncation drops what lies above, a reset starts anew. Bytes stay where they were
 * read; `chunks` copies them together.
 */
import { entryAt, entryBytesMin, readUint64 } from './journal-record.ts'

export class RecoveredLog {
  /** Position of the checkpoint. Its own entry is kept, if there is one, to see whether the two fit. */
  readonly base: number
  readonly #first: number
  readonly #images: Uint8Array[] = []
  /** By position − first: image, offset and length of the entry; length 0: none. */
  readonly #image: number[] = []
  readonly #offset: number[] = []
  readonly #length: number[] = []
  /** The log was replaced by a checkpoint that ended here, and `base` must reach it. */
  resetPosition = 0
  /** An entry so far above the others that what lies between cannot come any more. */
  #isBroken = false

  constructor(base: number) {
    this.base = base
    this.#first = Math.max(1, base)
  }

  get last(): number {
    return Math.max(this.base, this.#first + this.#length.length - 1)
  }

  /** Returns the highest position found, or what is wrong with the bytes. */
  entries(bytes: Uint8Array, view: DataView, start: number, end: number): number | string {
    if (this.#images.at(-1) !== bytes) this.#images.push(bytes)
    let highest = 0
    for (let offset = start; offset < end; ) {
      const length =
        end - offset < entryBytesMin ? 0 : view.getUint32(offset + entryAt.length, true)
      if (length < entryBytesMin || offset + length > end)
        return `entry of ${length} bytes at ${offset}`
      const position = readUint64(view, offset + entryAt.position)
      if (position >= this.#first) this.#set(position - this.#first, offset, length)
      if (position > highest) highest = position
      offset += length
    }
    return highest
  }

  truncate(from: number): void {
    const kept = Math.max(0, from - this.#first)
    if (kept >= this.#length.length) return
    this.#image.length = kept
    this.#offset.length = kept
    this.#length.length = kept
  }

  reset(position: number): void {
    this.truncate(0)
    this.#isBroken = false
    this.resetPosition = position
  }

  /** The first position without an entry below the last one, or nothing. */
  hole(): number | undefined {
    if (this.resetPosition > this.base) return this.base + 1
    const index = this.#length.indexOf(0, this.base + 1 - this.#first)
    if (index >= 0) return this.#first + index
    return this.#isBroken ? this.last + 1 : undefined
  }

  /** Concatenated entries of about `bytesMax` (at least one entry) each. */
  *chunks(bytesMax: number): Generator<{ first: number; count: number; entries: Uint8Array }> {
    const total = this.#length.length
    for (let from = this.#length[0] === 0 ? 1 : 0; from < total; ) {
      let to = from
      let size = 0
      while (to < total && (to === from || size + this.#length[to]! <= bytesMax)) {
        size += this.#length[to++]!
      }
      yield { first: this.#first + from, count: to - from, entries: this.#copy(from, to, size) }
      from = to
    }
  }

  #set(index: number, offset: number, length: number): void {
    if (index > this.#length.length + holesMax) {
      this.#isBroken = true
      return
    }
    while (this.#length.length <= index) {
      this.#image.push(0)
      this.#offset.push(0)
      this.#length.push(0)
    }
    this.#image[index] = this.#images.length - 1
    this.#offset[index] = offset
    this.#length[index] = length
  }

  /** Neighbours on disk are copied in one go. */
  #copy(from: number, to: number, size: number): Uint8Array {
    const target = new Uint8Array(size)
    let written = 0
    for (let index = from; index < to; ) {
      const image = this.#image[index]!
      const start = this.#offset[index]!
      let end = start + this.#length[index]!
      index++
      while (index < to && this.#image[index] === image && this.#offset[index] === end) {
        end += this.#length[index++]!
      }
      target.set(this.#images[image]!.subarray(start, end), written)
      written += end - start
    }
    return target
  }
}

/** Positions that may be missing for a while when they are decided out of order. */
const holesMax = 65_536

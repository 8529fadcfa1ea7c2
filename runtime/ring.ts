/**
 * A queue of slabs in shared memory for one writer and one reader. Positions are bytes since the
 * beginning, modulo 2^32; each side writes only its own. A slab lies in one piece:
 *
 *   0 u32 length (all ones: go on at the start of the ring)   4 u32 sequence   8 bytes, padded to 8
 *
 * Words before the ring: written, read, and whether the reader sleeps and wants to be woken.
 */
import { invariant } from './invariant.ts'

const headerBytes = 64
const entryHeaderBytes = 8
const wrapMark = 0xffffffff

const word = { written: 0, read: 8, asleep: 15 } as const

export function createRing(bytes: number): SharedArrayBuffer {
  invariant(bytes >= 1024 && (bytes & (bytes - 1)) === 0, 'the size of a ring is a power of two')
  const memory = new SharedArrayBuffer(headerBytes + bytes)
  Atomics.store(new Int32Array(memory, 0, headerBytes / 4), word.asleep, 1)
  return memory
}

export class RingWriter {
  readonly #words: Int32Array
  readonly #view: DataView
  readonly #bytes: Uint8Array
  readonly #size: number

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory, 0, headerBytes / 4)
    this.#bytes = new Uint8Array(memory, headerBytes)
    this.#view = new DataView(memory, headerBytes)
    this.#size = this.#bytes.length
  }

  /** False: there is no room now. */
  write(slab: Uint8Array, sequence: number): boolean {
    let position = Atomics.load(this.#words, word.written) >>> 0
    const used = (position - Atomics.load(this.#words, word.read)) >>> 0
    const needed = entryHeaderBytes + ((slab.length + 7) & ~7)
    const offset = position & (this.#size - 1)
    const toEnd = this.#size - offset
    // An empty ring starts over: little traffic then touches little memory.
    const wraps = needed > toEnd || (used === 0 && offset >= this.#size / 8)
    if (used + needed + (wraps ? toEnd : 0) > this.#size) return false
    if (wraps) {
      this.#view.setUint32(offset, wrapMark, true)
      position += toEnd
    }
    const at = position & (this.#size - 1)
    this.#view.setUint32(at, slab.length, true)
    this.#view.setUint32(at + 4, sequence, true)
    this.#bytes.set(slab, at + entryHeaderBytes)
    Atomics.store(this.#words, word.written, (position + needed) | 0)
    return true
  }

  /** True once after the reader has gone to sleep: it has to be woken by other means. */
  mustWake(): boolean {
    return (
      Atomics.load(this.#words, word.asleep) === 1 &&
      Atomics.exchange(this.#words, word.asleep, 0) === 1
    )
  }
}

export class RingReader {
  readonly #memory: SharedArrayBuffer
  readonly #words: Int32Array
  readonly #view: DataView
  readonly #size: number
  #length = 0

  constructor(memory: SharedArrayBuffer) {
    this.#memory = memory
    this.#words = new Int32Array(memory, 0, headerBytes / 4)
    this.#view = new DataView(memory, headerBytes)
    this.#size = memory.byteLength - headerBytes
  }

  /** Sequence of the next slab, or -1. */
  next(): number {
    const position = Atomics.load(this.#words, word.read) >>> 0
    if (position === Atomics.load(this.#words, word.written) >>> 0) return -1
    const offset = position & (this.#size - 1)
    const length = this.#view.getUint32(offset, true)
    if (length === wrapMark) {
      Atomics.store(this.#words, word.read, (position + this.#size - offset) | 0)
      return this.next()
    }
    this.#length = length
    return this.#view.getUint32(offset + 4, true)
  }

  /** The slab that `next` told of; valid until `release`. */
  peek(): Uint8Array {
    const offset = Atomics.load(this.#words, word.read) & (this.#size - 1)
    return new Uint8Array(this.#memory, headerBytes + offset + entryHeaderBytes, this.#length)
  }

  release(): void {
    const needed = entryHeaderBytes + ((this.#length + 7) & ~7)
    Atomics.add(this.#words, word.read, needed)
  }

  /** From now on the writer wakes the reader, who looks once more before it rests. */
  sleep(): void {
    Atomics.store(this.#words, word.asleep, 1)
  }

  awake(): void {
    Atomics.store(this.#words, word.asleep, 0)
  }
}

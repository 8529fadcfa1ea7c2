/**
 * Memory for entries: slabs of shared memory, filled from the front, never written twice while
 * anything in them lives. Freed entries leave holes; a slab without life goes back, and `compactStep`
 * moves the last ones out of sparse slabs. Bytes stay readable until `reclaim`, also after `free`,
 * and while a checkpoint is pinned even beyond it.
 */
import { invariant } from '../runtime/invariant.ts'
import { deadFlag, headerWords, type Pointer, padded, sizeWord, slabOf, wordOf } from './entry.ts'

export const slabBytes = 1 << 20
export const slabCountMax = 1 << 15
/** Larger entries have a slab of their own size. */
export const sharedEntryBytesMax = slabBytes / 4

/** The first unit of a slab is never used, so that pointer 0 is nobody's. */
const slabStart = 8
const spareSlabsMax = 8
const garbageBytesMin = 4 * slabBytes
/** Compaction starts when the holes exceed this part of what lives. */
const garbageShare = 1 / 3
const sparse = 0.85
/** What one step looks at: some, and more the more was allocated. */
const stepBytesMin = 16 * 1024
const stepBytesMax = 2 * slabBytes
const stepShare = 4

export interface Mover {
  /** Whether the entry may move now. */
  movable(pointer: Pointer): boolean
  /** The entry has been copied; whoever points to `from` has to point to `to`. */
  moved(from: Pointer, to: Pointer): void
}

export class Slabs {
  /** Views of each slab by number; empty where there is none. */
  readonly words: Uint32Array[] = []
  readonly bytes: Uint8Array[] = []
  #used: number[] = []
  #live: number[] = []
  #stuck: boolean[] = []
  #open = -1
  #at = slabBytes
  #usedBytes = 0
  #liveBytes = 0
  #reservedBytes = 0
  #retired: number[] = []
  #numbers: number[] = []
  #spare: SharedArrayBuffer[] = []
  #pins = 0
  #victim = -1
  #victimAt = 0
  /** Since the latest `compactStep`. */
  #allocatedBytes = 0

  /** Room for an entry of `bytes`; its size is set and its last 8 bytes are zero, all else is undefined. */
  allocate(bytes: number): Pointer {
    const size = padded(bytes)
    if (size > sharedEntryBytesMax) return this.#allocateAlone(size)
    if (this.#at + size > slabBytes) this.#openSlab()
    const pointer = this.#place(this.#open, this.#at, size)
    this.#at += size
    this.#allocatedBytes += size
    this.#used[this.#open] = this.#at
    return pointer
  }

  /** Takes a block of whole entries as one; returns the pointer of the first. */
  load(block: Uint8Array): Pointer {
    const alone = block.length > sharedEntryBytesMax
    if (!alone && this.#at + block.length > slabBytes) this.#openSlab()
    const slab = alone ? this.#addSlab(slabStart + block.length) : this.#open
    const at = alone ? slabStart : this.#at
    this.bytes[slab]!.set(block, at)
    this.#live[slab]! += block.length
    this.#liveBytes += block.length
    this.#usedBytes += block.length
    this.#used[slab] = at + block.length
    if (!alone) this.#at += block.length
    return pointerTo(slab, at)
  }

  free(pointer: Pointer): void {
    const slab = slabOf(pointer)
    const words = this.words[slab]!
    const at = wordOf(pointer)
    const size = words[at + sizeWord]!
    invariant((words[at + 1]! & (deadFlag << 8)) === 0, 'an entry is freed once')
    words[at + 1]! |= deadFlag << 8
    this.#liveBytes -= size
    if ((this.#live[slab]! -= size) === 0) this.#retired.push(slab)
  }

  /** Takes back a `free`; only before the next `reclaim`. */
  revive(pointer: Pointer): void {
    const slab = slabOf(pointer)
    const words = this.words[slab]!
    const at = wordOf(pointer)
    invariant((words[at + 1]! & (deadFlag << 8)) !== 0, 'only a freed entry can be revived')
    words[at + 1]! &= ~(deadFlag << 8)
    this.#live[slab]! += words[at + sizeWord]!
    this.#liveBytes += words[at + sizeWord]!
  }

  /** From now on no slab goes back, until as many calls of `unpin`. */
  pin(): void {
    this.#pins++
  }

  unpin(): void {
    invariant(this.#pins > 0, 'a pin is released once')
    this.#pins--
  }

  /** Gives back the slabs in which nothing lives. */
  reclaim(): void {
    if (this.#retired.length === 0 || this.#pins > 0) return
    for (const slab of this.#retired) {
      if (slab === this.#open || this.#live[slab] !== 0 || this.words[slab]!.length === 0) continue
      this.#drop(slab)
    }
    this.#retired.length = 0
    if (this.#open >= 0 && this.#live[this.#open] === 0) this.#retired.push(this.#open)
  }

  /**
   * Moves live entries out of the sparsest slabs, if holes take more than their share: in proportion
   * to what was allocated since the last time, so that it keeps up with any load.
   */
  compactStep(mover: Mover): void {
    let left = Math.min(stepBytesMax, stepBytesMin + stepShare * this.#allocatedBytes)
    while (left > 0 && (this.#victim >= 0 || this.#chooseVictim())) {
      left -= this.#evacuate(mover, left)
    }
    this.#allocatedBytes = 0
  }

  /** Slabs in which nothing lives are kept while somebody has pinned them. */
  get holdsBack(): boolean {
    return this.#pins > 0 && this.#retired.length > 0
  }

  /** What could not move may be able to now. */
  unstick(): void {
    this.#stuck.fill(false)
  }

  /** Bytes of entries that are alive. */
  get liveBytes(): number {
    return this.#liveBytes
  }

  /** Bytes written, holes included. */
  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Bytes of all slabs. */
  get reservedBytes(): number {
    return this.#reservedBytes
  }

  /** The shared memory by slab number, for a thread that reads entries of a pinned checkpoint. */
  buffers(): (SharedArrayBuffer | undefined)[] {
    return this.words.map(words =>
      words.length === 0 ? undefined : (words.buffer as SharedArrayBuffer),
    )
  }

  /** Looks at up to `bytesMax` of the slab that is being emptied; returns how many. */
  #evacuate(mover: Mover, bytesMax: number): number {
    const slab = this.#victim
    const words = this.words[slab]!
    const start = this.#victimAt
    const end = Math.min(this.#used[slab]!, start + bytesMax)
    while (this.#victimAt < end && this.#live[slab]! > 0) {
      const size = words[this.#victimAt >> 2]!
      if ((words[(this.#victimAt >> 2) + 1]! & (deadFlag << 8)) === 0) {
        this.#move(slab, this.#victimAt, size, mover)
      }
      this.#victimAt += size
    }
    if (this.#victimAt >= this.#used[slab]! || this.#live[slab]! === 0) {
      this.#stuck[slab] = this.#live[slab]! > 0
      this.#victim = -1
    }
    return this.#victimAt - start + 1
  }

  #place(slab: number, at: number, size: number): Pointer {
    const words = this.words[slab]!
    const last = (at + size) >> 2
    words[last - 1] = 0
    words[last - 2] = 0
    words[(at >> 2) + sizeWord] = size
    this.#live[slab]! += size
    this.#liveBytes += size
    this.#usedBytes += size
    return pointerTo(slab, at)
  }

  #allocateAlone(size: number): Pointer {
    const slab = this.#addSlab(slabStart + size)
    this.#used[slab] = slabStart + size
    return this.#place(slab, slabStart, size)
  }

  #openSlab(): void {
    const before = this.#open
    this.#open = this.#addSlab(slabBytes)
    this.#at = slabStart
    if (before >= 0 && this.#live[before] === 0) this.#retired.push(before)
  }

  #addSlab(bytes: number): number {
    const slab = this.#numbers.pop() ?? this.words.length
    invariant(slab < slabCountMax, 'the slabs are within the limit that pointers can name')
    const spare = bytes === slabBytes ? this.#spare.pop() : undefined
    const buffer = spare ?? new SharedArrayBuffer(bytes)
    this.words[slab] = new Uint32Array(buffer)
    this.bytes[slab] = new Uint8Array(buffer)
    this.#used[slab] = slabStart
    this.#live[slab] = 0
    this.#stuck[slab] = false
    this.#reservedBytes += bytes
    return slab
  }

  #drop(slab: number): void {
    const buffer = this.words[slab]!.buffer as SharedArrayBuffer
    if (buffer.byteLength === slabBytes && this.#spare.length < spareSlabsMax)
      this.#spare.push(buffer)
    this.#usedBytes -= this.#used[slab]! - slabStart
    this.#reservedBytes -= buffer.byteLength
    if (this.#victim === slab) this.#victim = -1
    this.words[slab] = noWords
    this.bytes[slab] = noBytes
    this.#numbers.push(slab)
  }

  #chooseVictim(): boolean {
    const garbage = this.#usedBytes - this.#liveBytes
    if (garbage < garbageBytesMin || garbage < this.#liveBytes * garbageShare) return false
    let best = -1
    let bestShare = sparse
    for (let slab = 0; slab < this.words.length; slab++) {
      if (slab === this.#open || this.#stuck[slab] || this.#live[slab] === 0) continue
      const share = this.#live[slab]! / this.#used[slab]!
      if (share < bestShare) {
        best = slab
        bestShare = share
      }
    }
    this.#victim = best
    this.#victimAt = slabStart
    return best >= 0
  }

  #move(slab: number, at: number, size: number, mover: Mover): void {
    const from = pointerTo(slab, at)
    if (!mover.movable(from)) return
    const to = this.allocate(size)
    const source = this.words[slab]!
    const target = this.words[slabOf(to)]!
    const start = at >> 2
    const place = wordOf(to)
    const count = size >> 2
    if (count > 16 * headerWords) target.set(source.subarray(start, start + count), place)
    else for (let index = 0; index < count; index++) target[place + index] = source[start + index]!
    mover.moved(from, to)
    this.free(from)
  }
}

const noWords = new Uint32Array(0)
const noBytes = new Uint8Array(0)

function pointerTo(slab: number, at: number): Pointer {
  return ((slab << 17) | (at >>> 3)) >>> 0
}

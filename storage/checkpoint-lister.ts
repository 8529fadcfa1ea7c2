/**
 * Lists what a checkpoint holds, a slice at a time, while applies go on (DESIGN.md D18). Made at the
 * position that the checkpoint stands for, between commands; from there on the state it lists is
 * pinned: what an apply replaces is listed first, slabs wait, the keyspace's compaction too.
 */
import { invariant } from '../runtime/invariant.ts'
import type { EntryList, Face } from './checkpoint-format.ts'
import { byteOf, keyByte, keyLengthWord, type Pointer, slabOf, wordOf } from './entry.ts'
import type { EntryIndex } from './entry-index.ts'
import type { Keyspace } from './keyspace.ts'
import type { Tree } from './tree.ts'

/** What one slice looks at: below 2 ms, also where every entry is a cache miss. */
export const sliceEntries = 2500

/** Whether what changed since the last checkpoint is known: after a load, or a checkpoint that succeeded. */
export function canListDelta(tree: Tree): boolean {
  return tree.tracker.complete
}

export class CheckpointLister {
  readonly kind: 'base' | 'delta'
  readonly #tree: Tree
  readonly #keyspace: Keyspace
  readonly #treeWalk: TreeWalk
  readonly #keyWalk: Walk
  #released = false

  constructor(tree: Tree, keyspace: Keyspace, kind: 'base' | 'delta') {
    invariant(kind === 'base' || canListDelta(tree), 'a delta follows a checkpoint that succeeded')
    this.kind = kind
    this.#tree = tree
    this.#keyspace = keyspace
    tree.index.slabs.pin()
    keyspace.index.slabs.pin()
    keyspace.holdHistory()
    this.#treeWalk = kind === 'base' ? new TreeBase(tree) : new TreeDelta(tree)
    this.#keyWalk = kind === 'base' ? new KeyBase(keyspace) : new KeyDelta(keyspace)
    // From here on: what comes later belongs to the next delta, and compaction has to leave it.
    keyspace.checkpointRevision = keyspace.revision
  }

  /** The next entries, about `entriesMax` looked at (`sliceEntries`); nothing when all are listed. */
  step(entriesMax: number): EntryList | undefined {
    const pointers: Pointer[] = []
    if (!this.#treeWalk.done) {
      this.#treeWalk.step(entriesMax, pointers)
      return { face: 'tree', pointers: Uint32Array.from(pointers) }
    }
    if (this.#keyWalk.done) return undefined
    this.#keyWalk.step(entriesMax, pointers)
    if (this.#keyWalk.done) this.#keyspace.releaseHistory()
    return { face: 'keyspace', pointers: Uint32Array.from(pointers) }
  }

  /** A face's slabs by number, as they are now: enough for all that has been listed so far. */
  buffers(face: Face): (SharedArrayBuffer | undefined)[] {
    return (face === 'tree' ? this.#tree : this.#keyspace).index.slabs.buffers()
  }

  /** The files are durable, or given up: then the next checkpoint is a base. */
  release(succeeded: boolean): void {
    invariant(!this.#released, 'a checkpoint is released once')
    this.#released = true
    if (!this.#keyWalk.done) this.#keyspace.releaseHistory()
    this.#tree.endListing(this.#treeWalk.gone, succeeded && this.#keyWalk.done)
    if (!succeeded) this.#keyspace.checkpointRevision = Number.POSITIVE_INFINITY
    this.#tree.index.slabs.unpin()
    this.#keyspace.index.slabs.unpin()
  }
}

interface Walk {
  readonly done: boolean
  step(entriesMax: number, into: Pointer[]): void
}

interface TreeWalk extends Walk {
  readonly gone: Pointer[]
}

/** Goes through an index in key order; between slices it remembers the last key, since positions change. */
class OrderWalk {
  readonly #index: EntryIndex
  #key = new Uint8Array(256)
  #length = 0
  #started = false
  #position = 0

  constructor(index: EntryIndex) {
    this.#index = index
  }

  resume(): void {
    const { order } = this.#index
    this.#position = this.#started ? order.seek(this.#key, 0, this.#length) : order.first()
  }

  /** The next id, 0 after the last. */
  next(): number {
    if (this.#position === 0) return 0
    const id = this.#index.order.id(this.#position)
    this.#position = this.#index.order.next(this.#position)
    return id
  }

  /** Goes on after this id's key: the next possible key is the same with a zero byte. */
  pause(id: number): void {
    const pointer = this.#index.table.get(id)
    const { slabs } = this.#index
    const length = slabs.words[slabOf(pointer)]![wordOf(pointer) + keyLengthWord]!
    const at = byteOf(pointer) + keyByte
    if (length >= this.#key.length) this.#key = new Uint8Array(2 * length)
    this.#key.set(slabs.bytes[slabOf(pointer)]!.subarray(at, at + length))
    this.#key[length] = 0
    this.#length = length + 1
    this.#started = true
  }
}

class TreeBase implements TreeWalk {
  done = false
  readonly gone: Pointer[]
  readonly #tree: Tree
  readonly #walk: OrderWalk

  constructor(tree: Tree) {
    this.#tree = tree
    this.#walk = new OrderWalk(tree.index)
    this.gone = tree.tracker.beginBase(tree.index.table.end)
  }

  step(entriesMax: number, into: Pointer[]): void {
    const { tracker, index } = this.#tree
    takeEarly(this.#tree, into)
    this.#walk.resume()
    let last = 0
    for (let left = entriesMax; left > 0; left--) {
      const id = this.#walk.next()
      if (id === 0) {
        this.done = true
        return
      }
      last = id
      if (tracker.take(id)) into.push(index.table.get(id))
    }
    this.#walk.pause(last)
  }
}

class TreeDelta implements TreeWalk {
  done = false
  readonly gone: Pointer[]
  readonly #tree: Tree
  readonly #ids: number[]
  #goneAt = 0
  #at = 0

  constructor(tree: Tree) {
    const { ids, gone } = tree.tracker.beginDelta()
    this.#tree = tree
    this.#ids = ids
    this.gone = gone
  }

  /** All `gone` first: a key may have gone and come again. */
  step(entriesMax: number, into: Pointer[]): void {
    let left = entriesMax
    for (; left > 0 && this.#goneAt < this.gone.length; left--)
      into.push(this.gone[this.#goneAt++]!)
    if (this.#goneAt < this.gone.length) return
    takeEarly(this.#tree, into)
    for (; left > 0 && this.#at < this.#ids.length; left--) {
      const id = this.#ids[this.#at++]!
      if (!this.#tree.tracker.take(id)) continue
      const pointer = this.#tree.index.table.get(id)
      if (pointer !== 0) into.push(pointer)
    }
    this.done = this.#at === this.#ids.length
  }
}

function takeEarly(tree: Tree, into: Pointer[]): void {
  for (const pointer of tree.tracker.early) into.push(pointer)
  tree.tracker.early = []
}

class KeyBase implements Walk {
  done = false
  readonly #keyspace: Keyspace
  readonly #walk: OrderWalk
  readonly #revision: number
  /** Versions of the key in hand, newest first, and where its chain goes on. */
  #chain: Pointer[] = []
  #older: Pointer = 0

  constructor(keyspace: Keyspace) {
    this.#keyspace = keyspace
    this.#walk = new OrderWalk(keyspace.index)
    this.#revision = keyspace.revision
  }

  step(entriesMax: number, into: Pointer[]): void {
    this.#walk.resume()
    let last = 0
    for (let left = entriesMax; left > 0; left--) {
      if (this.#older !== 0) {
        this.#follow()
        continue
      }
      this.#flush(into)
      const id = this.#walk.next()
      if (id === 0) {
        this.done = true
        return
      }
      last = id
      this.#older = this.#keyspace.versionOf(id, this.#revision)
    }
    if (last !== 0) this.#walk.pause(last)
  }

  #follow(): void {
    this.#chain.push(this.#older)
    this.#older = this.#keyspace.older(this.#older)
  }

  #flush(into: Pointer[]): void {
    for (let index = this.#chain.length - 1; index >= 0; index--) into.push(this.#chain[index]!)
    this.#chain.length = 0
  }
}

/** Changes in the order of their revisions. */
class KeyDelta implements Walk {
  done = false
  readonly #keyspace: Keyspace
  readonly #revision: number
  #at: number

  constructor(keyspace: Keyspace) {
    this.#keyspace = keyspace
    this.#revision = keyspace.revision
    this.#at = keyspace.logNumber(keyspace.checkpointRevision + 1)
  }

  step(entriesMax: number, into: Pointer[]): void {
    const { log } = this.#keyspace
    for (let left = entriesMax; left > 0; left--) {
      if (this.#at >= log.end) {
        this.done = true
        return
      }
      const pointer = log.at(this.#at++)
      if (this.#keyspace.modRevision(pointer) > this.#revision) this.#at = log.end
      else into.push(pointer)
    }
  }
}

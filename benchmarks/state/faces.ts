/** The two faces of the store as the benchmark sees them: a million things with a value of 128 bytes. */
import {
  blockBytesMax,
  type Face,
  finishLoad,
  gatherBlocks,
  loadBlock,
} from '../../storage/checkpoint-format.ts'
import { CheckpointLister } from '../../storage/checkpoint-lister.ts'
import { Keyspace, type Pointer } from '../../storage/keyspace.ts'
import { Tree, type Znode } from '../../storage/tree.ts'

export interface Subject {
  readonly name: Face
  insert(number: number): void
  update(number: number, bytes: number): void
  /** Finds and touches one value; returns its length. */
  read(number: number): number
  /** A range of `count` things in order; returns how many were found. */
  range(from: number, count: number): number
  /** What belongs between commands. */
  maintain(): void
  readonly slabBytes: number
  readonly liveBytes: number
  readonly indexBytes: number
  /** Fills an empty subject with the blocks of this one; `onSlice` gets the time of each listing slice. */
  list(slice: number, timed: (work: () => void) => void): Uint8Array[]
  reload(blocks: readonly Uint8Array[]): Subject
  readonly hash: string
}

export const valueBytes = 128
/** After how many updates of keys their history is compacted, and a checkpoint lists what changed. */
const updatesPerCheckpoint = 100_000

export class Keys implements Subject {
  readonly name = 'keyspace'
  readonly #keyspace: Keyspace
  /** A checkpoint is of both. */
  readonly #tree = new Tree()
  readonly #key = new Uint8Array(24)
  readonly #value = new Uint8Array(valueBytes).fill(7)
  #found: Pointer[] = []

  constructor(keyspace = new Keyspace(1)) {
    this.#keyspace = keyspace
    this.#key.set(Buffer.from('/bench/key/'))
  }

  insert(number: number): void {
    digits(this.#key, 11, number)
    this.#keyspace.put(this.#key, this.#value, 0, 0, this.#keyspace.revision + 1, 0)
  }

  update(number: number, bytes: number): void {
    digits(this.#key, 11, number)
    const value = bytes === valueBytes ? this.#value : this.#value.subarray(0, bytes)
    this.#keyspace.put(this.#key, value, 0, 0, this.#keyspace.revision + 1, 0)
    const { revision } = this.#keyspace
    if (revision % updatesPerCheckpoint !== 0) return
    this.#keyspace.compact(revision - 1000)
    const lister = new CheckpointLister(this.#tree, this.#keyspace, 'delta')
    while (lister.step(updatesPerCheckpoint) !== undefined);
    lister.release(true)
  }

  read(number: number): number {
    digits(this.#key, 11, number)
    const pointer = this.#keyspace.get(this.#key)
    const at = this.#keyspace.valueOffset(pointer)
    return this.#keyspace.bytes(pointer)[at] === 7 ? this.#keyspace.valueLength(pointer) : 0
  }

  range(from: number, count: number): number {
    digits(this.#key, 11, from)
    this.#found.length = 0
    this.#keyspace.range(this.#key, null, 0, count, this.#found)
    let bytes = 0
    for (const pointer of this.#found) bytes += this.#keyspace.valueLength(pointer)
    return bytes / valueBytes
  }

  maintain(): void {
    this.#keyspace.maintain()
  }

  get slabBytes(): number {
    return this.#keyspace.index.slabs.reservedBytes
  }

  get liveBytes(): number {
    return this.#keyspace.index.slabs.liveBytes
  }

  get indexBytes(): number {
    return this.#keyspace.index.indexBytes + this.#keyspace.log.bytes
  }

  list(slice: number, timed: (work: () => void) => void): Uint8Array[] {
    return blocksOf(this.#tree, this.#keyspace, 'keyspace', slice, timed)
  }

  reload(blocks: readonly Uint8Array[]): Subject {
    const keyspace = new Keyspace(2)
    const tree = new Tree()
    keyspace.restoreRevisions(this.#keyspace.revision, this.#keyspace.compactRevision)
    for (const block of blocks) loadBlock(block, tree, keyspace)
    finishLoad(tree, keyspace)
    return new Keys(keyspace)
  }

  get hash(): string {
    return `${this.#keyspace.hashLow}/${this.#keyspace.hashHigh}`
  }
}

export class Nodes implements Subject {
  readonly name = 'tree'
  readonly #tree: Tree
  readonly #path = new Uint8Array(24)
  readonly #data = new Uint8Array(valueBytes).fill(7)
  readonly #parent: Znode
  #zxid = 1
  #children: Znode[] = []

  constructor(tree = new Tree(1)) {
    this.#tree = tree
    this.#path.set(Buffer.from('/bench/nod/'))
    const born = {
      data: null,
      acl: 1,
      ownerHigh: 0,
      ownerLow: 0,
      kind: 0,
      ttl: 0,
      zxid: 1,
      time: 1,
    }
    if (tree.find('/bench') === 0) tree.create(tree.root, '/bench', born)
    if (tree.find('/bench/nod') === 0) tree.create(tree.find('/bench'), '/bench/nod', born)
    this.#parent = tree.find('/bench/nod')
  }

  insert(number: number): void {
    digits(this.#path, 11, number)
    const zxid = ++this.#zxid
    const data = this.#data
    const node = { data, acl: 1, ownerHigh: 0, ownerLow: 0, kind: 0, ttl: 0, zxid, time: zxid }
    this.#tree.create(this.#parent, this.#path, node)
  }

  update(number: number, bytes: number): void {
    digits(this.#path, 11, number)
    const zxid = ++this.#zxid
    const data = bytes === valueBytes ? this.#data : this.#data.subarray(0, bytes)
    this.#tree.setData(this.#tree.find(this.#path), data, zxid, zxid)
  }

  read(number: number): number {
    digits(this.#path, 11, number)
    const node = this.#tree.find(this.#path)
    const at = this.#tree.dataOffset(node)
    return this.#tree.bytes(node)[at] === 7 ? this.#tree.dataLength(node) : 0
  }

  /** Below the node, since ZooKeeper has no range: the first `count`. */
  range(_from: number, count: number): number {
    this.#children.length = 0
    this.#tree.descendants(this.#parent, count, this.#children)
    let bytes = 0
    for (const node of this.#children) bytes += this.#tree.dataLength(node)
    return bytes / valueBytes
  }

  maintain(): void {
    this.#tree.maintain()
  }

  get slabBytes(): number {
    return this.#tree.index.slabs.reservedBytes
  }

  get liveBytes(): number {
    return this.#tree.index.slabs.liveBytes
  }

  get indexBytes(): number {
    return this.#tree.index.indexBytes
  }

  list(slice: number, timed: (work: () => void) => void): Uint8Array[] {
    return blocksOf(this.#tree, new Keyspace(), 'tree', slice, timed)
  }

  reload(blocks: readonly Uint8Array[]): Subject {
    const keyspace = new Keyspace()
    const tree = new Tree(2)
    tree.acls.decode(this.#tree.acls.encode())
    for (const block of blocks) loadBlock(block, tree, keyspace)
    finishLoad(tree, keyspace)
    return new Nodes(tree)
  }

  get hash(): string {
    return `${this.#tree.hashLow}/${this.#tree.hashHigh}`
  }
}

function blocksOf(
  tree: Tree,
  keyspace: Keyspace,
  face: Face,
  slice: number,
  timed: (work: () => void) => void,
): Uint8Array[] {
  const blocks: Uint8Array[] = []
  const scratch = new Uint8Array(blockBytesMax)
  const lister = new CheckpointLister(tree, keyspace, 'base')
  for (let more = true; more; ) {
    let list: ReturnType<CheckpointLister['step']>
    timed(() => {
      list = lister.step(slice)
    })
    more = list !== undefined
    if (list?.face !== face) continue
    const buffers = lister.buffers(face)
    gatherBlocks(buffers, list.pointers, scratch, block => blocks.push(block.slice()))
  }
  lister.release(true)
  return blocks
}

function digits(target: Uint8Array, at: number, number: number): void {
  let rest = number
  for (let index = target.length - 1; index >= at; index--) {
    target[index] = 48 + (rest % 10)
    rest = Math.floor(rest / 10)
  }
}

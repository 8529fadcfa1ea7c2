import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  blockBytesMax,
  type EntryList,
  finishLoad,
  gatherBlocks,
  loadBlock,
} from '../../storage/checkpoint-format.ts'
import { CheckpointLister, canListDelta } from '../../storage/checkpoint-lister.ts'
import { indexedEntryBytes } from '../../storage/entry-index.ts'
import { Keyspace, type Pointer } from '../../storage/keyspace.ts'
import { Tree, type Znode } from '../../storage/tree.ts'

test('base and deltas, listed while applies go on, are the state at the position of the last', () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.constantFrom(1, 3, 17, 100),
      fc.integer({ min: 0, max: 12 }),
      (seed, slice, between) => {
        const world = new World(seed)
        world.apply(300)
        const files: Checkpoint[] = [world.checkpoint('base', slice, between)]
        expectEqual(restore(files), files)
        for (let round = 0; round < 3; round++) {
          world.apply(world.next() % 200)
          files.push(world.checkpoint('delta', slice, between))
          expectEqual(restore(files), files)
        }
      },
    ),
    { seed: 11, numRuns: 12 },
  )
})

test('a restored state goes on as the original does, and lists its own deltas', () => {
  const world = new World(3)
  world.apply(500)
  const base = world.checkpoint('base', 50, 0)
  const copy = new World(99, restore([base]))
  expect(canListDelta(copy.tree)).toBe(true)
  world.seed(17)
  copy.seed(17)
  copy.zxid = world.zxid
  world.apply(300)
  copy.apply(300)
  expect(dump(copy.tree, copy.keyspace)).toEqual(dump(world.tree, world.keyspace))
  const delta = copy.checkpoint('delta', 20, 5)
  expectEqual(restore([base, delta]), [base, delta])
})

test('a checkpoint that failed is followed by a base', () => {
  const world = new World(1)
  world.apply(50)
  expect(canListDelta(world.tree)).toBe(false)
  world.checkpoint('base', 1000, 0)
  world.apply(50)
  const lister = new CheckpointLister(world.tree, world.keyspace, 'delta')
  lister.step(10)
  lister.release(false)
  expect(canListDelta(world.tree)).toBe(false)
  expect(() => new CheckpointLister(world.tree, world.keyspace, 'delta')).toThrow('Invariant')
  const base = world.checkpoint('base', 7, 3)
  expectEqual(restore([base]), [base])
})

test('what is listed stays in place until the release, whatever is freed and compacted', () => {
  const world = new World(5)
  world.apply(200)
  const expected = dump(world.tree, world.keyspace)
  const lists: EntryList[] = []
  const lister = new CheckpointLister(world.tree, world.keyspace, 'base')
  for (let list = lister.step(5); list !== undefined; list = lister.step(5)) lists.push(list)
  const head = headOf(world)
  const data = new Uint8Array(80_000)
  for (let round = 0; round < 400; round++) {
    world.tree.setData(world.tree.root, data.subarray(40 * round), ++world.zxid, 1)
    world.tree.maintain()
    world.apply(5)
  }
  const reservedBytes = world.tree.index.slabs.reservedBytes
  const restored = restore([{ head, blocks: blocksOf(lister, lists), expected }])
  expectEqual(restored, [{ head, blocks: [], expected }])
  lister.release(true)
  for (let round = 0; round < 500; round++) world.tree.maintain()
  expect(world.tree.index.slabs.reservedBytes).toBeLessThan(reservedBytes / 2)
})

test('a damaged block is refused', () => {
  const tree = new Tree()
  const keyspace = new Keyspace()
  const lister = new CheckpointLister(tree, keyspace, 'base')
  const [block] = blocksOf(lister, [lister.step(100)!])
  for (const bytes of [
    block!.subarray(0, block!.length - 8),
    block!.map(byte => byte ^ 1),
    new Uint8Array(12),
  ]) {
    expect(() => loadBlock(bytes, new Tree(), new Keyspace())).toThrow(
      'checkpoint block is damaged',
    )
  }
})

interface Checkpoint {
  readonly head: Head
  readonly blocks: Uint8Array[]
  readonly expected: unknown
}

interface Head {
  readonly acls: Uint8Array
  readonly revision: number
  readonly compactRevision: number
}

class World {
  readonly tree: Tree
  readonly keyspace: Keyspace
  zxid = 0
  #state: number

  constructor(seed: number, state = { tree: new Tree(seed), keyspace: new Keyspace(seed) }) {
    this.#state = seed | 1
    this.tree = state.tree
    this.keyspace = state.keyspace
  }

  seed(value: number): void {
    this.#state = value
  }

  next(): number {
    this.#state ^= this.#state << 13
    this.#state ^= this.#state >>> 17
    this.#state ^= this.#state << 5
    return this.#state >>> 0
  }

  apply(count: number): void {
    for (let index = 0; index < count; index++) {
      const what = this.next() % 20
      if (what < 7) this.#changeKey()
      else if (what < 17) this.#changeNode()
      else if (what === 17) this.#failedMulti()
      else if (what === 18 && this.next() % 8 === 0) this.#compact()
      this.tree.maintain()
      this.keyspace.maintain()
    }
  }

  /** Pins, lists with applies in between, and keeps what the state was at the pin. */
  checkpoint(kind: 'base' | 'delta', slice: number, between: number): Checkpoint {
    const expected = dump(this.tree, this.keyspace)
    const head = headOf(this)
    const lister = new CheckpointLister(this.tree, this.keyspace, kind)
    const lists: EntryList[] = []
    for (let list = lister.step(slice); list !== undefined; list = lister.step(slice)) {
      lists.push(list)
      this.apply(between)
    }
    const blocks = blocksOf(lister, lists)
    lister.release(true)
    return { head, blocks, expected }
  }

  #changeKey(): void {
    const key = Buffer.from(`/registry/${this.next() % 60}`)
    const revision = this.keyspace.revision + 1
    if (this.next() % 3 === 0) this.keyspace.delete(key, revision, 0)
    else
      this.keyspace.put(
        key,
        Buffer.alloc(this.next() % 50, revision),
        0,
        this.next() % 2,
        revision,
        0,
      )
  }

  #changeNode(): void {
    const { tree } = this
    const path = this.#path()
    const node = tree.find(path)
    if (node === 0) this.#create(path)
    else if (this.next() % 2 === 0)
      tree.setData(node, Buffer.alloc(this.next() % 80), ++this.zxid, 7)
    else if (this.next() % 8 === 0)
      tree.setAcl(node, tree.acls.intern(Uint8Array.of(this.next() % 5)))
    else if (tree.childCount(node) === 0) tree.delete(node, ++this.zxid)
  }

  #create(path: string): void {
    const { tree } = this
    const parent = tree.find(path.slice(0, path.lastIndexOf('/')) || '/')
    if (parent === 0) return
    const acl = tree.acls.intern(Uint8Array.of(this.next() % 5, 1))
    const owner = this.next() % 4 === 0 ? 5 : 0
    const data = this.next() % 9 === 0 ? null : Buffer.alloc(this.next() % 60, 1)
    tree.create(parent, path, {
      data,
      acl,
      ownerHigh: 0,
      ownerLow: owner,
      kind: 0,
      ttl: 0,
      zxid: ++this.zxid,
      time: 3,
    })
  }

  #failedMulti(): void {
    this.tree.begin()
    for (let index = 0; index < 6; index++) this.#changeNode()
    this.tree.rollback()
  }

  #compact(): void {
    const revision = this.keyspace.revision - (this.next() % 40)
    if (revision > this.keyspace.compactRevision && revision > 0) this.keyspace.compact(revision)
  }

  #path(): string {
    let path = ''
    for (let depth = 1 + (this.next() % 3); depth > 0; depth--) path += `/n${this.next() % 6}`
    return path
  }
}

function headOf({ tree, keyspace }: World): Head {
  return {
    acls: tree.acls.encode(),
    revision: keyspace.revision,
    compactRevision: keyspace.compactRevision,
  }
}

function blocksOf(lister: CheckpointLister, lists: readonly EntryList[]): Uint8Array[] {
  const blocks: Uint8Array[] = []
  const scratch = new Uint8Array(blockBytesMax)
  for (const { face, pointers } of lists) {
    gatherBlocks(lister.buffers(face), pointers, scratch, block => blocks.push(block.slice()))
  }
  return blocks
}

function restore(files: readonly Checkpoint[]): { tree: Tree; keyspace: Keyspace } {
  const tree = new Tree(77)
  const keyspace = new Keyspace(78)
  const { head } = files.at(-1)!
  keyspace.restoreRevisions(head.revision, head.compactRevision)
  tree.acls.decode(head.acls)
  for (const { blocks } of files) for (const block of blocks) loadBlock(block, tree, keyspace)
  finishLoad(tree, keyspace)
  return { tree, keyspace }
}

function expectEqual(
  { tree, keyspace }: { tree: Tree; keyspace: Keyspace },
  files: readonly Checkpoint[],
): void {
  expect(dump(tree, keyspace)).toEqual(files.at(-1)!.expected)
  const { slabs, size } = tree.index
  expect(tree.heldBytes).toBe(slabs.liveBytes + size * indexedEntryBytes + tree.acls.heldBytes)
}

/** Everything that can be seen of the state. */
function dump(tree: Tree, keyspace: Keyspace): unknown {
  const nodes: Znode[] = [tree.root]
  tree.descendants(tree.root, 0, nodes)
  const first = Math.max(1, keyspace.compactRevision)
  const changes: Pointer[] = []
  keyspace.changes(first, 1_000_000, changes)
  const histories: unknown[] = []
  const step = Math.ceil((keyspace.revision - first + 1) / 15)
  for (let revision = first; revision <= keyspace.revision; revision += step) {
    const found: Pointer[] = []
    keyspace.range(new Uint8Array(0), null, revision, 0, found)
    histories.push(found.map(pointer => version(keyspace, pointer)))
  }
  const owned: Znode[] = []
  const leased: Pointer[] = []
  tree.owned(0, 5, owned)
  keyspace.leased(0, 1, leased)
  return {
    nodes: nodes.map(node => znode(tree, node)),
    owned: owned.map(node => tree.path(node)),
    held: [tree.heldBytes, keyspace.heldBytes],
    hashes: [tree.hashLow, tree.hashHigh, keyspace.hashLow, keyspace.hashHigh],
    counts: [tree.nodeCount, keyspace.keyCount, keyspace.revision, keyspace.compactRevision],
    changes: changes.map(pointer => version(keyspace, pointer)),
    histories,
    leased: leased.map(pointer => version(keyspace, pointer)),
    acls: Buffer.from(tree.acls.encode()).toString('latin1').length,
  }
}

function znode(tree: Tree, node: Znode): unknown {
  const data = tree.data(node)
  return [
    [
      tree.path(node),
      data === null ? null : Buffer.from(data).toString('latin1'),
      tree.czxid(node),
      tree.mzxid(node),
    ],
    [
      tree.ctime(node),
      tree.mtime(node),
      tree.version(node),
      tree.cversion(node),
      tree.aversion(node),
    ],
    [tree.ownerLow(node), tree.childCount(node), tree.pzxid(node), tree.creations(node)],
    Buffer.from(tree.acls.bytes(tree.acl(node))).toString('latin1'),
  ]
}

function version(keyspace: Keyspace, pointer: Pointer): unknown {
  return [
    Buffer.from(keyspace.key(pointer)).toString('latin1'),
    Buffer.from(keyspace.value(pointer)).toString('latin1'),
    [keyspace.createRevision(pointer), keyspace.modRevision(pointer), keyspace.version(pointer)],
    [keyspace.leaseLow(pointer), keyspace.deleted(pointer), keyspace.sub(pointer)],
  ]
}

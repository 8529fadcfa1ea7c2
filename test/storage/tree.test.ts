import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type NewZnode, Tree, type Znode, znodeKind } from '../../storage/tree.ts'
import { PlainTree } from './plain-tree.ts'

type Step =
  | { kind: 'create'; under: number; name: number; data: number; owner: number }
  | { kind: 'delete'; at: number }
  | { kind: 'setData'; at: number; data: number }
  | { kind: 'setAcl'; at: number; acl: number }
  | { kind: 'multi'; steps: Step[]; undo: boolean }
  | { kind: 'maintain' }

const choice = fc.nat({ max: 1000 })
const write = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('create' as const),
      under: choice,
      name: fc.nat({ max: 12 }),
      data: fc.nat({ max: 60 }),
      owner: fc.nat({ max: 3 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), at: choice }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('setData' as const),
      at: choice,
      data: fc.nat({ max: 60 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('setAcl' as const),
      at: choice,
      acl: fc.nat({ max: 3 }),
    }),
  },
)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: write },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('multi' as const),
      steps: fc.array(write, { maxLength: 8 }),
      undo: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('maintain' as const) }) },
)

test('answers every question as the plain tree does', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: 'max' }), steps => {
      const pair = new Pair()
      for (const each of steps) {
        pair.run(each)
        if (pair.zxid % 16 === 0) pair.compare()
      }
      pair.compare()
    }),
    { seed: 20_261_123, numRuns: 60 },
  )
})

test('a new tree is what clients of ZooKeeper expect', () => {
  const tree = new Tree()
  expect(tree.nodeCount).toBe(4)
  expect(tree.cversion(tree.root)).toBe(-1)
  expect(tree.cversion(tree.find('/zookeeper'))).toBe(-2)
  expect(tree.version(tree.find('/zookeeper/config'))).toBe(-1)
  expect(tree.aversion(tree.find('/zookeeper/config'))).toBe(-1)
  expect(tree.czxid(tree.find('/zookeeper/quota'))).toBe(0)
  expect(tree.data(tree.root)).toEqual(new Uint8Array(0))
})

test('what is no node is not found', () => {
  const tree = new Tree()
  tree.create(tree.root, '/a', node(1))
  for (const path of [
    '',
    'a',
    'a/',
    '/a/',
    '//',
    '/\0',
    '/zookeeper/',
    '/zookeeper\0config',
    '\0a',
    '/a\0',
  ]) {
    expect(tree.find(path)).toBe(0)
  }
})

test('names outside ASCII are kept, as text and as bytes', () => {
  const tree = new Tree()
  const parent = tree.create(tree.root, '/\u00fcber', node(1))
  const child = tree.create(parent, '/\u00fcber/\ufeffk\u00e4se \u{1f9c0}', node(2))
  expect(tree.find(new TextEncoder().encode('/\u00fcber/\ufeffk\u00e4se \u{1f9c0}'))).toBe(child)
  expect(tree.path(child)).toBe('/\u00fcber/\ufeffk\u00e4se \u{1f9c0}')
  expect(tree.name(child)).toBe('\ufeffk\u00e4se \u{1f9c0}')
  expect(tree.parent(child)).toBe(parent)
})

test('containers and nodes with a time to live are not ephemeral', () => {
  const tree = new Tree()
  const container = tree.create(tree.root, '/c', { ...node(1), kind: znodeKind.container })
  const mortal = tree.create(tree.root, '/t', {
    ...node(2),
    kind: znodeKind.timeToLive,
    ttl: 2 ** 40 - 1,
  })
  tree.setData(mortal, null, 3, 3)
  expect([tree.kind(container), tree.isEphemeral(container), tree.ttl(container)]).toEqual([
    1,
    false,
    0,
  ])
  expect([tree.kind(mortal), tree.isEphemeral(mortal), tree.ttl(mortal)]).toEqual([
    2,
    false,
    2 ** 40 - 1,
  ])
  expect(tree.dataLength(mortal)).toBe(-1)
})

test('children of one node do not cost what is below them', () => {
  const tree = new Tree()
  let zxid = 0
  const top = tree.create(tree.root, '/top', node(++zxid))
  for (const name of ['b', 'a', 'c-d', 'c']) {
    const child = tree.create(top, `/top/${name}`, node(++zxid))
    for (let index = 0; index < 100; index++)
      tree.create(child, `/top/${name}/${index}`, node(++zxid))
  }
  const children: Znode[] = []
  expect(tree.children(top, children)).toBe(4)
  expect(children.map(child => tree.name(child))).toEqual(['a', 'b', 'c', 'c-d'])
  expect(tree.descendantCount(top)).toBe(404)
  expect(tree.descendants(top, 7, [])).toBe(7)
})

test('a list of permissions goes with its last use', () => {
  const tree = new Tree()
  const before = tree.acls.size
  const acl = tree.acls.intern(Uint8Array.of(9, 9))
  tree.maintain()
  expect(tree.acls.size).toBe(before)
  const kept = tree.create(tree.root, '/a', {
    ...node(1),
    acl: tree.acls.intern(Uint8Array.of(9, 9)),
  })
  tree.maintain()
  expect(tree.acls.bytes(tree.acl(kept))).toEqual(Uint8Array.of(9, 9))
  expect(acl).toBeGreaterThan(0)
  tree.delete(kept, 2)
  tree.maintain()
  expect(tree.acls.size).toBe(before)
})

class Pair {
  readonly real = new Tree(5)
  readonly plain = new PlainTree()
  zxid = 0
  #paths = ['/']

  run(step: Step): void {
    if (step.kind === 'maintain') this.real.maintain()
    else if (step.kind === 'multi') this.#multi(step.steps, step.undo)
    else this.#write(step)
  }

  compare(): void {
    expect(this.real.nodeCount).toBe(this.plain.nodeCount)
    for (const path of this.#paths) {
      expect(describe(this.real, this.real.find(path))).toEqual(
        describe(this.plain, this.plain.find(path)),
      )
    }
    let ephemeralCount = 0
    for (const owner of [1, 2, 3]) {
      expect(owned(this.real, owner)).toEqual(owned(this.plain, owner))
      ephemeralCount += owned(this.plain, owner).length
    }
    expect(this.real.ephemeralCount).toBe(ephemeralCount)
    expect(this.real.textBytes).toBe(this.#textBytes())
  }

  #textBytes(): number {
    const below: Znode[] = []
    this.plain.descendants(this.plain.root, 0, below)
    let bytes = '/'.length + (this.plain.data(this.plain.root)?.length ?? 0)
    for (const one of below) {
      bytes += Buffer.byteLength(this.plain.path(one)) + (this.plain.data(one)?.length ?? 0)
    }
    return bytes
  }

  #multi(steps: Step[], undo: boolean): void {
    const hash = [this.real.hashLow, this.real.hashHigh]
    const paths = [...this.#paths]
    this.real.begin()
    this.plain.begin()
    for (const each of steps) this.run(each)
    if (undo) {
      this.real.rollback()
      this.plain.rollback()
      this.#paths = paths
      expect([this.real.hashLow, this.real.hashHigh]).toEqual(hash)
    } else {
      this.real.commit()
      this.plain.commit()
    }
    this.compare()
  }

  #write(step: Step): void {
    const zxid = ++this.zxid
    if (step.kind === 'create') this.#create(step, zxid)
    if (step.kind === 'delete') this.#delete(this.#paths[step.at % this.#paths.length]!, zxid)
    if (step.kind === 'setData' || step.kind === 'setAcl') {
      const path = this.#paths[step.at % this.#paths.length]!
      for (const tree of [this.real, this.plain]) {
        if (step.kind === 'setData')
          tree.setData(tree.find(path), dataOf(step.data), zxid, zxid * 3)
        else tree.setAcl(tree.find(path), tree.acls.intern(Uint8Array.of(step.acl)))
      }
    }
  }

  #create(step: Extract<Step, { kind: 'create' }>, zxid: number): void {
    const parent = this.#paths[step.under % this.#paths.length]!
    const name =
      ['a', 'a-b', 'ab', 'b', '\u00fc', 'zookeeper', 'x'.repeat(40)][step.name % 7] +
      (step.name > 6 ? '2' : '')
    const path = parent === '/' ? `/${name}` : `${parent}/${name}`
    if (this.plain.find(path) !== 0) return
    for (const tree of [this.real, this.plain]) {
      tree.create(tree.find(parent), path, {
        ...node(zxid),
        data: dataOf(step.data),
        ownerHigh: step.owner === 0 ? 0 : 0x80000001,
        ownerLow: step.owner,
      })
    }
    this.#paths.push(path)
  }

  #delete(path: string, zxid: number): void {
    if (path === '/' || this.plain.childCount(this.plain.find(path)) > 0) return
    for (const tree of [this.real, this.plain]) tree.delete(tree.find(path), zxid)
    this.#paths.splice(this.#paths.indexOf(path), 1)
  }
}

function describe(tree: Tree | PlainTree, at: Znode): unknown {
  expect(at).not.toBe(0)
  const children: Znode[] = []
  const below: Znode[] = []
  return {
    path: tree.path(at),
    name: tree.name(at),
    data: tree.data(at),
    stat: [
      tree.czxid(at),
      tree.mzxid(at),
      tree.ctime(at),
      tree.mtime(at),
      tree.version(at),
      tree.cversion(at),
      tree.aversion(at),
    ],
    more: [
      tree.ownerHigh(at),
      tree.ownerLow(at),
      tree.dataLength(at),
      tree.childCount(at),
      tree.pzxid(at),
      tree.creations(at),
    ],
    acl: tree.acls.bytes(tree.acl(at)),
    children: [tree.children(at, children), children.map(child => tree.path(child)).sort()],
    below: [tree.descendants(at, 0, below), below.map(node => tree.path(node)).sort()],
    parent: tree.parent(at) === 0 ? undefined : tree.path(tree.parent(at)),
  }
}

function owned(tree: Tree | PlainTree, owner: number): string[] {
  const nodes: Znode[] = []
  tree.owned(0x80000001, owner, nodes)
  return nodes.map(each => tree.path(each)).sort()
}

function dataOf(length: number): Uint8Array | null {
  return length === 0 ? null : new Uint8Array(length - 1).fill(length)
}

function node(zxid: number): NewZnode {
  return {
    data: new Uint8Array(0),
    acl: 1,
    ownerHigh: 0,
    ownerLow: 0,
    kind: 0,
    ttl: 0,
    zxid,
    time: zxid * 2,
  }
}

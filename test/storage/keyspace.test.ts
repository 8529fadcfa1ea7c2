import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Keyspace, type Pointer } from '../../storage/keyspace.ts'
import { PlainKeyspace } from './plain-keyspace.ts'

type Step =
  | { kind: 'put'; key: number; length: number; lease: number }
  | { kind: 'delete'; key: number }
  | { kind: 'transaction'; keys: number[]; undo: boolean }
  | { kind: 'compact'; back: number; steps: number }
  | { kind: 'maintain' }
  | { kind: 'look'; back: number; from: number; to: number; limit: number }

const keyNumber = fc.nat({ max: 40 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      key: keyNumber,
      length: fc.nat({ max: 90 }),
      lease: fc.nat({ max: 2 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), key: keyNumber }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('transaction' as const),
      keys: fc.uniqueArray(keyNumber, { maxLength: 6 }),
      undo: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('compact' as const),
      back: fc.nat({ max: 30 }),
      steps: fc.nat({ max: 20 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('maintain' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('look' as const),
      back: fc.nat({ max: 60 }),
      from: keyNumber,
      to: keyNumber,
      limit: fc.nat({ max: 5 }),
    }),
  },
)

test('answers every question as the plain keyspace does', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300, size: 'max' }), steps => {
      const pair = new Pair()
      for (const each of steps) pair.run(each)
      pair.compareAll()
    }),
    { seed: 20_261_123, numRuns: 150 },
  )
})

test('a long history of one key is read at every revision, before and after compaction', () => {
  const keyspace = new Keyspace()
  const key = text('/one')
  for (let revision = 2; revision <= 3000; revision++) {
    if (revision % 7 === 0) keyspace.delete(key, revision, 0)
    else keyspace.put(key, text(`${revision}`), 0, 0, revision, 0)
  }
  const check = (from: number) => {
    for (let revision = from; revision <= 3000; revision++) {
      const pointer = keyspace.get(key, revision)
      if (revision % 7 === 0) expect(pointer).toBe(0)
      else expect(keyspace.modRevision(pointer)).toBe(revision)
    }
  }
  check(2)
  for (const compacted of [5, 700, 701, 2999]) {
    keyspace.compact(compacted)
    while (!keyspace.compactStep(100)) keyspace.maintain()
    check(compacted)
  }
})

test('histories stay whole while the memory of compacted versions is used again', () => {
  const keyspace = new Keyspace()
  const keys = ['a', 'b', 'c'].map(text)
  // All ones: whoever reads memory that is no longer his finds no pointer and no revision in it.
  const value = new Uint8Array(4000).fill(255)
  for (let revision = 2; revision <= 6000; revision++) {
    keyspace.put(keys[revision % 3]!, value.subarray(revision % 991), 0, 0, revision, 0)
    if (revision % 400 === 0) keyspace.compact(revision - 150)
    keyspace.maintain()
    if (revision % 190 !== 0) continue
    for (let past = Math.max(4, keyspace.compactRevision); past <= revision; past++) {
      const pointers = keys.map(key => keyspace.get(key, past))
      const revisions = pointers.map(pointer => keyspace.modRevision(pointer))
      expect(revisions.sort((one, two) => one - two)).toEqual([past - 2, past - 1, past])
    }
  }
  expect(keyspace.index.slabs.reservedBytes).toBeLessThan(6000 * 2000)
})

test('versions count from the creation, and a deletion ends them', () => {
  const keyspace = new Keyspace()
  const key = text('a')
  keyspace.put(key, text('1'), 0, 0, 2, 0)
  const second = keyspace.put(key, text('2'), 0, 0, 3, 0)
  expect([keyspace.createRevision(second), keyspace.version(second)]).toEqual([2, 2])
  expect(keyspace.delete(key, 4, 0)).toBe(second)
  expect(keyspace.delete(key, 5, 0)).toBe(0)
  expect(keyspace.revision).toBe(4)
  const again = keyspace.put(key, text('3'), 0, 0, 5, 0)
  expect([keyspace.createRevision(again), keyspace.version(again)]).toEqual([5, 1])
  expect(keyspace.previous(again)).toBe(0)
})

test('a tombstone exactly at the compacted revision is kept for watches, one below it is not', () => {
  const keyspace = new Keyspace()
  keyspace.put(text('a'), text('1'), 0, 0, 2, 0)
  keyspace.put(text('b'), text('1'), 0, 0, 3, 0)
  keyspace.delete(text('a'), 4, 0)
  keyspace.delete(text('b'), 5, 0)
  keyspace.compact(5)
  while (!keyspace.compactStep(1));
  const changes: Pointer[] = []
  expect(keyspace.changes(5, 10, changes)).toBe(6)
  expect(changes.map(pointer => string(keyspace.key(pointer)))).toEqual(['b'])
  expect(keyspace.index.size).toBe(1)
})

test('what compaction frees goes back, and the survivors are as before', () => {
  const keyspace = new Keyspace()
  const value = new Uint8Array(400)
  let revision = 1
  for (let round = 0; round < 20; round++) {
    for (let key = 0; key < 2000; key++)
      keyspace.put(text(`/k/${key}`), value.fill(round), 0, 0, ++revision, 0)
  }
  const hash = [keyspace.hash.low, keyspace.hash.high]
  const before = keyspace.index.slabs.reservedBytes
  keyspace.compact(revision)
  for (let round = 0; round < 2000; round++) keyspace.maintain()
  expect(keyspace.index.slabs.reservedBytes).toBeLessThan(before / 4)
  expect([keyspace.hash.low, keyspace.hash.high]).toEqual(hash)
  for (let key = 0; key < 2000; key++) {
    const pointer = keyspace.get(text(`/k/${key}`))
    expect(keyspace.value(pointer)).toEqual(value.fill(19))
    expect(keyspace.version(pointer)).toBe(20)
  }
})

test('what a compaction makes obsolete is not held from then on, and memory follows', () => {
  const keyspace = new Keyspace(3)
  const value = new Uint8Array(1000)
  // More than two chunks of the log of revisions.
  for (let revision = 2; revision <= 10_001; revision++)
    keyspace.put(keyOf(revision % 10), value, 0, 0, revision, 0)
  const versionBytes = 80 + 1000 + keyOf(1).length + 8
  expect(keyspace.heldBytes).toBeGreaterThan(10_000 * versionBytes)
  const fullBytes = keyspace.reservedBytes
  keyspace.compact(10_001)
  expect(keyspace.heldBytes).toBeLessThan(10 * (versionBytes + 8 + 32))
  // The last checkpoint was cut before all of it: the next has to list it still.
  keyspace.checkpointRevision = 1
  while (!keyspace.compactStep(1000)) keyspace.maintain()
  expect([keyspace.compactionWaits, keyspace.obsoleteBytes > 9_000 * 1000]).toEqual([true, true])
  keyspace.checkpointRevision = 10_001
  while (!keyspace.compactStep(1000)) keyspace.maintain()
  keyspace.maintain()
  expect([keyspace.compactionPending, keyspace.compactionWaits]).toEqual([false, false])
  expect(keyspace.obsoleteBytes).toBeLessThan(1000)
  expect(fullBytes).toBeGreaterThan(10_000_000)
  expect(keyspace.reservedBytes).toBeLessThan(fullBytes / 4)
})

test('the same state reached in another order has the same hash', () => {
  const one = new Keyspace(1)
  const two = new Keyspace(2)
  one.put(text('x'), text('1'), 0, 9, 2, 0)
  one.put(text('y'), text('2'), 0, 0, 3, 0)
  one.put(text('z'), text('2'), 0, 0, 4, 0)
  one.delete(text('z'), 5, 0)
  two.put(text('x'), text('1'), 0, 9, 2, 0)
  two.put(text('y'), text('2'), 0, 0, 3, 0)
  expect([one.hash.low, one.hash.high]).toEqual([two.hash.low, two.hash.high])
  two.put(text('y'), text('3'), 0, 0, 4, 0)
  expect(one.hash.low).not.toBe(two.hash.low)
  expect(one.hash.high).not.toBe(two.hash.high)
})

class Pair {
  readonly real = new Keyspace(7)
  readonly plain = new PlainKeyspace()

  run(step: Step): void {
    if (step.kind === 'put') this.#put(step.key, step.length, step.lease, this.real.revision + 1, 0)
    else if (step.kind === 'delete') this.#delete(step.key, this.real.revision + 1, 0)
    else if (step.kind === 'transaction') this.#transaction(step.keys, step.undo)
    else if (step.kind === 'compact') this.#compact(step.back, step.steps)
    else if (step.kind === 'maintain') this.real.maintain()
    else this.#look(step)
    expect(this.real.heldBytes).toBe(this.plain.heldBytes)
  }

  compareAll(): void {
    const { real, plain } = this
    expect(real.keyCount).toBe(plain.keyCount)
    expect(real.revision).toBe(plain.revision)
    expect(real.heldBytes).toBe(plain.heldBytes)
    const first = Math.max(1, real.compactRevision)
    for (let revision = first; revision <= real.revision; revision += 3) {
      this.#compareRange(new Uint8Array(0), null, revision, 0)
    }
    this.#compareChanges(first, 1_000_000)
    for (const lease of [1, 2]) {
      const found: Pointer[] = []
      const expected: Pointer[] = []
      expect(real.leased(5, lease, found)).toBe(plain.leased(5, lease, expected))
      expect(found.map(pointer => describe(real, pointer))).toEqual(
        expected.map(pointer => describe(plain, pointer)),
      )
    }
  }

  #put(number: number, length: number, lease: number, revision: number, sub: number): void {
    const value = new Uint8Array(length).fill(revision)
    const high = lease === 0 ? 0 : 5
    const pointer = this.real.put(keyOf(number), value, high, lease, revision, sub)
    const expected = this.plain.put(keyOf(number), value, high, lease, revision, sub)
    expect(describe(this.real, pointer)).toEqual(describe(this.plain, expected))
    this.#comparePrevious(pointer, expected)
  }

  #delete(number: number, revision: number, sub: number): boolean {
    const pointer = this.real.delete(keyOf(number), revision, sub)
    const expected = this.plain.delete(keyOf(number), revision, sub)
    expect(describe(this.real, pointer)).toEqual(describe(this.plain, expected))
    return pointer !== 0
  }

  #transaction(keys: number[], undo: boolean): void {
    this.real.begin()
    this.plain.begin()
    const revision = this.real.revision + 1
    const hash = [this.real.hash.low, this.real.hash.high]
    let sub = 0
    for (const key of keys) {
      if (key % 3 === 0) sub += this.#delete(key, revision, sub) ? 1 : 0
      else this.#put(key, 10, key % 2, revision, sub++)
    }
    if (undo) {
      this.real.rollback()
      this.plain.rollback()
      expect([this.real.hash.low, this.real.hash.high]).toEqual(hash)
    } else {
      this.real.commit()
      this.plain.commit()
    }
  }

  #compact(back: number, steps: number): void {
    const revision = this.real.revision - back
    if (revision <= this.real.compactRevision) return
    this.real.compact(revision)
    this.real.compactStep(steps)
    this.plain.compact(revision)
    this.plain.compactStep(1)
  }

  #look(step: Extract<Step, { kind: 'look' }>): void {
    const revision = Math.max(this.real.compactRevision, this.real.revision - step.back, 1)
    const pointer = this.real.get(keyOf(step.from), revision)
    const expected = this.plain.get(keyOf(step.from), revision)
    expect(describe(this.real, pointer)).toEqual(describe(this.plain, expected))
    this.#comparePrevious(pointer, expected)
    this.#compareRange(keyOf(step.from), keyOf(step.to), step.back === 0 ? 0 : revision, step.limit)
    this.#compareChanges(revision, 1 + step.limit)
  }

  #comparePrevious(pointer: Pointer, expected: Pointer): void {
    if (pointer === 0 || expected === 0) return
    expect(describe(this.real, this.real.previous(pointer))).toEqual(
      describe(this.plain, this.plain.previous(expected)),
    )
  }

  #compareRange(from: Uint8Array, to: Uint8Array | null, revision: number, limit: number): void {
    const found: Pointer[] = []
    const expected: Pointer[] = []
    expect(this.real.range(from, to, revision, limit, found)).toBe(
      this.plain.range(from, to, revision, limit, expected),
    )
    expect(found.map(pointer => describe(this.real, pointer))).toEqual(
      expected.map(pointer => describe(this.plain, pointer)),
    )
    expect(this.real.count(from, to, revision)).toBe(this.plain.count(from, to, revision))
  }

  #compareChanges(from: number, revisionsMax: number): void {
    const found: Pointer[] = []
    const expected: Pointer[] = []
    expect(this.real.changes(from, revisionsMax, found)).toBe(
      this.plain.changes(from, revisionsMax, expected),
    )
    expect(found.map(pointer => describe(this.real, pointer))).toEqual(
      expected.map(pointer => describe(this.plain, pointer)),
    )
  }
}

function describe(keyspace: Keyspace | PlainKeyspace, pointer: Pointer): unknown {
  if (pointer === 0) return undefined
  return {
    key: string(keyspace.key(pointer)),
    value: string(keyspace.value(pointer)),
    deleted: keyspace.deleted(pointer),
    create: keyspace.createRevision(pointer),
    mod: keyspace.modRevision(pointer),
    version: keyspace.version(pointer),
    sub: keyspace.sub(pointer),
    lease: [keyspace.leaseHigh(pointer), keyspace.leaseLow(pointer)],
  }
}

/** Keys that share much, contain zeros and high bytes, and are prefixes of each other. */
function keyOf(number: number): Uint8Array {
  const endings = ['', '\0', '\0\0', 'a', 'a\0b', '\u00ff', '/x', '-y']
  const stem = ['/registry/pods/', '/registry/', 'k', ''][number & 3]!
  return Uint8Array.from(`${stem}${endings[(number >> 2) & 7]}${number >> 5}`, each =>
    each.charCodeAt(0),
  )
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value)
}

function string(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Log, slabBytes } from '../../../actors/consensus/log.ts'
import { bodyOf, concatenated, entryOf, stampedEntry, storedOf } from './cluster.ts'

interface ModelEntry {
  epoch: number
  body: string
}

/** The log as anybody would write it. */
class Model {
  base = 0
  baseEpoch = 0
  entries: ModelEntry[] = []

  get last(): number {
    return this.base + this.entries.length
  }

  get lastEpoch(): number {
    return this.entries.at(-1)?.epoch ?? this.baseEpoch
  }

  at(position: number): ModelEntry {
    return this.entries[position - this.base - 1]!
  }

  epochAt(position: number): number {
    return position === this.base ? this.baseEpoch : this.at(position).epoch
  }
}

const size = fc.oneof(fc.nat(60), fc.nat(3000), fc.nat(300_000))
const action = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('propose'),
      sizes: fc.array(size, { minLength: 1, maxLength: 6 }),
      grow: fc.nat(1),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('append'),
      sizes: fc.array(size, { minLength: 1, maxLength: 6 }),
      grow: fc.nat(1),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('truncate'),
      sizes: fc.constant([] as number[]),
      grow: fc.nat(12),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('compact'),
      sizes: fc.constant([] as number[]),
      grow: fc.nat(12),
    }),
  },
)

test('the log holds what a plain list of entries would', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 30 }), actions => {
      const log = new Log(0, 0, 0)
      const model = new Model()
      let serial = 0
      for (const { kind, sizes, grow } of actions) {
        const bodies = sizes.map(length => `${serial++} `.padEnd(length, 'x'))
        if (kind === 'propose') propose(log, model, bodies, grow)
        if (kind === 'append') appendStamped(log, model, bodies, grow)
        if (kind === 'truncate') truncate(log, model, grow)
        if (kind === 'compact') compact(log, model, grow)
        expectSame(log, model)
      }
    }),
    { numRuns: 60 },
  )
})

test('an entry larger than a slab gets one of its own', () => {
  const log = new Log(0, 0, 0)
  const bodies = ['small', 'x'.repeat(3 * slabBytes), 'after']
  log.propose(concatenated(bodies.map(body => entryOf(body))), 3, 1, 5)
  expect(read(log, 1, 3)).toEqual(bodies)
  expect(log.batch(2, 3, 10).count).toBe(1)
})

test('a view stays as it is while its entry is truncated and others take its position', () => {
  const log = new Log(0, 0, 0)
  log.propose(concatenated([entryOf('a'), entryOf('b')]), 2, 1, 5)
  const view = log.batch(1, 2, 1000)
  log.truncate(2)
  log.propose(entryOf('c'), 1, 2, 6)
  expect(storedOf(view).map(bodyOf)).toEqual(['a', 'b'])
  expect(read(log, 1, 2)).toEqual(['a', 'c'])
})

test('time never goes back along the log, and an entry that has one keeps it', () => {
  const log = new Log(0, 0, 100)
  log.propose(entryOf('a'), 1, 1, 50)
  log.propose(entryOf('b', 70), 1, 1, 200)
  log.propose(entryOf('c'), 1, 1, 150)
  expect([1, 2, 3].map(position => log.timeAt(position))).toEqual([100, 70, 150])
})

test('a batch that is torn, or does not hold what it says, is a broken invariant', () => {
  const log = new Log(0, 0, 0)
  expect(() => log.propose(entryOf('abc').subarray(0, 81), 1, 1, 5)).toThrow(/entries are whole/)
  const two = concatenated([entryOf('a'), entryOf('b')])
  expect(() => new Log(0, 0, 0).propose(two, 1, 1, 5)).toThrow(/as many entries as it says/)
  expect(() => new Log(0, 0, 0).append(stampedEntry(2, 1, 'gap'), 1)).toThrow(/dense/)
})

test('compaction leaves what a follower that is a little behind needs', () => {
  const log = new Log(0, 0, 0)
  for (let position = 1; position <= 100; position++) log.propose(entryOf('x'.repeat(20)), 1, 1, 5)
  // Each entry has 100 bytes.
  expect(log.compactionPoint(80, 1000)).toBe(70)
  expect(log.compactionPoint(80, 100_000)).toBe(0)
  log.compact(70)
  expect(log.base).toBe(70)
  expect(read(log, 71, 100)).toHaveLength(30)
})

function propose(log: Log, model: Model, bodies: string[], grow: number): void {
  const epoch = model.lastEpoch + grow
  if (epoch === 0) return
  log.propose(concatenated(bodies.map(body => entryOf(body))), bodies.length, epoch, 1000)
  for (const body of bodies) model.entries.push({ epoch, body })
}

function appendStamped(log: Log, model: Model, bodies: string[], grow: number): void {
  const epoch = Math.max(1, model.lastEpoch + grow)
  const entries = bodies.map((body, index) => stampedEntry(model.last + 1 + index, epoch, body))
  log.append(concatenated(entries), entries.length)
  for (const body of bodies) model.entries.push({ epoch, body })
}

function truncate(log: Log, model: Model, back: number): void {
  const from = Math.max(model.base + 1, model.last + 1 - back)
  log.truncate(from)
  model.entries.length = from - model.base - 1
}

function compact(log: Log, model: Model, forth: number): void {
  const position = Math.min(model.last, model.base + forth)
  const epoch = model.epochAt(position)
  log.compact(position)
  model.entries.splice(0, position - model.base)
  model.base = position
  model.baseEpoch = epoch
}

function expectSame(log: Log, model: Model): void {
  expect([log.base, log.last, log.lastEpoch]).toEqual([model.base, model.last, model.lastEpoch])
  expect(read(log, model.base + 1, model.last)).toEqual(model.entries.map(({ body }) => body))
  for (let position = model.base; position <= model.last; position++) {
    expect(log.epochAt(position)).toBe(model.epochAt(position))
  }
  for (let epoch = 0; epoch <= model.lastEpoch; epoch++) {
    expect(log.lastPositionWithEpochAtMost(model.last, epoch)).toBe(lastAtMost(model, epoch))
  }
}

function lastAtMost(model: Model, epoch: number): number {
  for (let position = model.last; position >= model.base; position--) {
    if (model.epochAt(position) <= epoch) return position
  }
  return model.base - 1
}

/** All bodies from `first` to `last`, batch by batch. */
function read(log: Log, first: number, last: number): string[] {
  const bodies: string[] = []
  for (let position = first; position <= last; ) {
    const batch = log.batch(position, last, 5000)
    expect(batch.count).toBeGreaterThan(0)
    if (batch.count > 1) expect(batch.bytes.length).toBeLessThanOrEqual(5000)
    bodies.push(...storedOf(batch).map(bodyOf))
    position += batch.count
  }
  return bodies
}

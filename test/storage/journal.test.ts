import { expect, test } from 'vitest'
import { batchMagic } from '../../storage/journal-record.ts'
import {
  bytesOf,
  directory,
  entries,
  entry,
  newDisk,
  nothing,
  openBench,
  segmentBytes,
  tryOpen,
} from './journal-kit.ts'

const first = `${directory}/0000000000000001.journal`
const second = `${directory}/0000000000000002.journal`

test('what was persisted is there after a crash, with the newest hard state', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.journal.persist(1, 0, entry(1, 'one'), bytesOf('term 1'))
  bench.journal.persist(
    2,
    0,
    entries(2, 2, position => `at ${position}`),
    nothing,
  )
  bench.journal.flush()
  bench.journal.persist(3, 0, nothing, bytesOf('term 2'))
  bench.journal.flush()
  expect(bench.persisted).toEqual([1, 2, 3])
  on.disk.crash()
  const { found } = openBench({ on })
  expect(found.positions).toEqual([1, 2, 3])
  expect(found.bodies).toEqual(['one', 'at 2', 'at 3'])
  expect(found.hardState).toBe('term 2')
  expect(found.tornBytes).toBe(0)
})

test('what a killed process had written and not synced is durable once it has been recovered', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.settle()
  bench.journal.persist(1, 0, entry(1, 'one'), nothing)
  on.disk.fault = operation => (operation === 'sync' ? 'EIO' : undefined)
  expect(() => bench.journal.flush()).toThrow('EIO')
  on.disk.fault = () => undefined
  on.disk.killProcess()
  expect(openBench({ on }).found.bodies).toEqual(['one'])
  on.disk.crash()
  expect(openBench({ on }).found.bodies).toEqual(['one'])
})

test('after a sync that failed, what is read back is written anew before it counts', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.settle()
  bench.journal.persist(1, 0, entry(1, 'one'), nothing)
  bench.journal.flush()
  bench.journal.persist(2, 0, entry(2, 'two'), nothing)
  on.disk.fault = operation => (operation === 'sync' ? 'EIO' : undefined)
  expect(() => bench.journal.flush()).toThrow('EIO')
  on.disk.fault = () => undefined
  on.disk.killProcess()
  // The pages are clean: they read as written, and a sync alone would write nothing.
  const second = openBench({ on })
  expect(second.found.bodies).toEqual(['one', 'two'])
  on.disk.crash()
  expect(openBench({ on }).found.bodies).toEqual(['one', 'two'])
})

test('an opening whose sync failed is written anew too', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.settle()
  const large = (id: number): void => {
    bench.journal.persist(id, 0, entry(id, new Uint8Array(8000).fill(7)), nothing)
    bench.journal.flush()
    bench.settle()
  }
  on.disk.fault = (operation, path) => (operation === 'sync' && path === second ? 'EIO' : undefined)
  expect(() => [1, 2, 3, 4, 5, 6, 7, 8, 9].forEach(large)).toThrow(`${second}: EIO`)
  on.disk.fault = () => undefined
  on.disk.killProcess()
  const before = openBench({ on }).found.positions
  expect(before.length).toBeGreaterThan(5)
  on.disk.crash()
  expect(openBench({ on }).found.positions).toEqual(before)
})

test('the zeros of a torn end are written anew when their sync failed', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.settle()
  bench.journal.persist(1, 0, entry(1, 'one'), nothing)
  bench.journal.flush()
  bench.journal.persist(2, 0, entry(2, new Uint8Array(4000).fill(7)), nothing)
  on.disk.fault = operation => (operation === 'sync' ? 'EIO' : undefined)
  expect(() => bench.journal.flush()).toThrow('EIO')
  on.disk.fault = () => undefined
  let sectors = 0
  const image = on.disk.contents(first)
  // All of the batch but its first sector reached the disk before the power went.
  on.disk.crash()
  const torn = on.disk.contents(first)
  for (let at = 0; at < image.length; at += 512) {
    const isNew = image.subarray(at, at + 512).some((byte, index) => byte !== torn[at + index])
    if (isNew && sectors++ > 0) torn.set(image.subarray(at, at + 512), at)
  }
  on.disk.put(first, torn)
  on.disk.fault = operation => (operation === 'sync' ? 'EIO' : undefined)
  expect(() => openBench({ on })).toThrow('EIO')
  on.disk.fault = () => undefined
  on.disk.killProcess()
  const again = openBench({ on })
  again.bench.settle()
  again.bench.journal.persist(1, 0, entry(2, 'small'), nothing)
  again.bench.journal.flush()
  on.disk.crash()
  expect(openBench({ on }).found.bodies).toEqual(['one', 'small'])
})

test('all of one turn is one write and one sync', () => {
  const { disk, queue } = newDisk()
  const { bench } = openBench({ on: { disk, queue } })
  bench.settle()
  const writes: string[] = []
  disk.fault = (operation, path) => {
    if (operation !== 'read') writes.push(`${operation} ${path}`)
    return undefined
  }
  for (let id = 1; id <= 20; id++) bench.journal.persist(id, 0, entry(id, 'x'), bytesOf(`${id}`))
  bench.journal.flush()
  expect(writes).toEqual([`write ${first}`, `sync ${first}`])
  expect(bench.persisted).toHaveLength(20)
})

test('nothing is told before the sync', () => {
  const { disk, queue } = newDisk()
  const { bench } = openBench({ on: { disk, queue } })
  bench.journal.persist(1, 0, entry(1, 'x'), nothing)
  expect(bench.outcomes).toEqual([])
  disk.fault = operation => (operation === 'sync' ? 'EIO' : undefined)
  expect(() => bench.journal.flush()).toThrow(/0000000000000001.journal: EIO/)
  expect(bench.outcomes).toEqual([])
})

test('truncation is a record: what it drops stays dropped, what comes after counts', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.journal.persist(
    1,
    0,
    entries(1, 9, () => 'old'),
    nothing,
  )
  bench.journal.persist(
    2,
    5,
    entries(5, 2, () => 'new'),
    nothing,
  )
  bench.journal.persist(3, 6, nothing, nothing)
  bench.journal.flush()
  on.disk.crash()
  const { found } = openBench({ on })
  expect(found.positions).toEqual([1, 2, 3, 4, 5])
  expect(found.bodies).toEqual(['old', 'old', 'old', 'old', 'new'])
})

test('without a truncation the latest record of a position wins and what is above it stays', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.journal.persist(
    1,
    0,
    entries(1, 4, () => 'old'),
    nothing,
  )
  bench.journal.persist(2, 0, entry(2, 'new', 2), nothing)
  bench.journal.flush()
  on.disk.crash()
  expect(openBench({ on }).found.bodies).toEqual(['old', 'new', 'old', 'old'])
})

test('entries covered by the checkpoint are not read; a position missing above it is damage', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.journal.persist(
    1,
    0,
    entries(11, 5, () => 'x'),
    nothing,
  )
  bench.journal.flush()
  on.disk.crash()
  // The one at the checkpoint shows whether the two fit together.
  expect(openBench({ on, position: 12 }).found.positions).toEqual([12, 13, 14, 15])
  expect(openBench({ on, position: 15 }).found.positions).toEqual([15])
  expect(openBench({ on, position: 16 }).found.positions).toEqual([])
  expect(openBench({ on, position: 10 }).found.positions).toEqual([11, 12, 13, 14, 15])
  expect(tryOpen({ on, position: 9 })).toMatchObject({
    kind: 'damaged',
    path: first,
    offset: 0,
    reason: 'the log above position 9 lacks position 10',
  })
})

test('the entry at the checkpoint is read wherever a segment ends', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.settle()
  for (let position = 1; position <= 100; position++) {
    bench.journal.persist(position, 0, entry(position, 'b'.repeat(1000)), nothing)
    bench.journal.flush()
    bench.settle()
  }
  expect(bench.journal.status().segments).toBeGreaterThan(2)
  on.disk.crash()
  for (let position = 1; position <= 100; position++) {
    const { found } = openBench({ on, position })
    expect(found.positions[0]).toBe(position)
    expect(found.positions).toHaveLength(101 - position)
  }
})

test('an empty request is answered, in its turn', () => {
  const { bench } = openBench()
  bench.journal.persist(1, 0, nothing, nothing)
  bench.journal.flush()
  expect(bench.persisted).toEqual([1])
})

test('many segments: entries, hard state and order survive, old segments go by position', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.settle()
  const body = 'b'.repeat(1000)
  bench.journal.persist(1, 0, nothing, bytesOf('term 7'))
  for (let position = 1; position <= 300; position++) {
    bench.journal.persist(position + 1, 0, entry(position, body), nothing)
    bench.journal.flush()
    bench.settle()
  }
  expect(bench.persisted).toHaveLength(301)
  expect(bench.journal.status().segments).toBeGreaterThan(5)
  on.disk.crash()
  const again = openBench({ on, position: 200 })
  expect(again.found.positions).toHaveLength(101)
  expect(again.found.hardState).toBe('term 7')
  again.bench.journal.compact(200)
  again.bench.settle()
  on.disk.crash()
  const after = openBench({ on, position: 200 })
  expect(after.found.positions).toHaveLength(101)
  expect(after.found.hardState).toBe('term 7')
  expect(on.disk.exists(first)).toBe(false)
  // 42 entries a segment: the fourth ends with 168, the fifth holds 200.
  expect(on.disk.exists(`${directory}/0000000000000004.journal`)).toBe(false)
  expect(on.disk.exists(`${directory}/0000000000000005.journal`)).toBe(true)
})

test('segments that the checkpoint covers are not read, and still go later', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.settle()
  for (let position = 1; position <= 300; position++) {
    bench.journal.persist(
      position,
      0,
      entry(position, 'b'.repeat(1000)),
      bytesOf(`term ${position}`),
    )
    bench.journal.flush()
    bench.settle()
  }
  on.disk.crash()
  // Damage there goes unseen, since nobody needs it.
  on.disk.flip(first, 5000)
  expect(tryOpen({ on, position: 20 }).kind).toBe('damaged')
  const again = openBench({ on, position: 200, mayCreate: false })
  expect(again.found.positions).toHaveLength(101)
  expect(again.found.hardState).toBe('term 300')
  again.bench.journal.compact(200)
  again.bench.settle()
  expect(on.disk.exists(first)).toBe(false)
})

test('a hard state is never durable before the entries of its own request', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.settle()
  bench.journal.persist(1, 0, entry(1, 'b'.repeat(40_000)), bytesOf('old'))
  bench.journal.flush()
  bench.settle()
  // The next batch needs a new segment; the disk fails when its opening is durable.
  let writes = 0
  on.disk.fault = operation => (operation === 'write' && ++writes === 3 ? 'EIO' : undefined)
  bench.journal.persist(2, 0, entry(2, 'b'.repeat(40_000)), bytesOf('new'))
  expect(() => bench.journal.flush()).toThrow('EIO')
  on.disk.fault = () => undefined
  on.disk.crash()
  const { found } = openBench({ on, mayCreate: false })
  expect(found.positions).toEqual([1])
  expect(found.hardState).toBe('old')
})

test('retained segments stay within their budget', () => {
  const on = newDisk()
  const { bench } = openBench({ on, retainedBytesMax: 2 * segmentBytes })
  bench.settle()
  for (let position = 1; position <= 300; position++) {
    bench.journal.persist(position, 0, entry(position, 'b'.repeat(1000)), nothing)
    bench.journal.flush()
    bench.settle()
  }
  const before = bench.journal.status().segments
  bench.journal.compact(300)
  bench.settle()
  expect(before).toBeGreaterThan(4)
  // Two retained, the current one, and the one made ahead.
  expect(bench.journal.status().segments).toBe(4)
})

test('old segments that cannot be removed stay, are told of, and go with the next', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.settle()
  const put = (position: number): void => {
    bench.journal.persist(position, 0, entry(position, 'b'.repeat(1000)), nothing)
    bench.journal.flush()
    bench.settle()
  }
  for (let position = 1; position <= 200; position++) put(position)
  const { segments } = bench.journal.status()
  on.disk.fault = (operation, path) =>
    operation === 'remove' && path === second ? 'EBUSY' : undefined
  bench.journal.compact(200)
  bench.settle()
  expect(bench.outcomes.at(-1)).toMatchObject({ kind: 'notRemoved' })
  expect(bench.journal.status().segments).toBe(segments - 1)
  on.disk.fault = () => undefined
  put(201)
  bench.journal.compact(201)
  bench.settle()
  expect(bench.journal.status().segments).toBe(2)
})

test('a batch larger than a segment has one of its own that grows', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.settle()
  bench.journal.persist(1, 0, entry(1, 'small'), nothing)
  bench.journal.flush()
  bench.journal.persist(2, 0, entry(2, 'B'.repeat(3 * segmentBytes)), nothing)
  bench.journal.flush()
  bench.journal.persist(3, 0, entry(3, 'small'), nothing)
  bench.journal.flush()
  bench.settle()
  expect(bench.persisted).toEqual([1, 2, 3])
  on.disk.crash()
  const { found } = openBench({ on })
  expect(found.bodies.map(body => body.length)).toEqual([5, 3 * segmentBytes, 5])
})

test('reset: the log starts anew above a checkpoint and what was before it goes', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.settle()
  bench.journal.persist(
    1,
    0,
    entries(1, 9, () => 'old'),
    bytesOf('term 3'),
  )
  bench.journal.flush()
  bench.journal.reset(100, 3)
  bench.journal.persist(2, 0, entry(101, 'new'), nothing)
  bench.journal.flush()
  bench.settle()
  expect(bench.persisted).toEqual([1, 2])
  on.disk.crash()
  const { found } = openBench({ on, position: 100 })
  expect(found.bodies).toEqual(['new'])
  expect(found.hardState).toBe('term 3')
  expect(tryOpen({ on, position: 50 })).toMatchObject({
    kind: 'damaged',
    reason: 'the log above position 50 lacks position 51',
  })
})

test('after a reset alone nothing of the old log is left on disk', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.settle()
  bench.journal.persist(
    1,
    0,
    entries(1, 200, () => 'old'),
    bytesOf('term 3'),
  )
  bench.journal.flush()
  bench.journal.reset(100, 3)
  bench.journal.flush()
  bench.settle()
  expect(on.disk.exists(first)).toBe(false)
  on.disk.crash()
  const { found } = openBench({ on, position: 100 })
  expect(found.positions).toEqual([])
  expect(found.hardState).toBe('term 3')
})

test('a reset does not take back what is in flight before it', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.settle()
  makeSlow(bench)
  bench.journal.persist(
    20,
    0,
    entries(1, 3, () => 'old'),
    nothing,
  )
  bench.journal.flush()
  bench.journal.reset(3, 1)
  bench.journal.flush()
  expect(bench.persisted).not.toContain(20)
  bench.settle()
  expect(bench.persisted).toContain(20)
  on.disk.crash()
  expect(openBench({ on, position: 3 }).found.positions).toEqual([])
})

test('slow syncs leave the thread; what comes meanwhile is the next batch', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.settle()
  makeSlow(bench)
  expect(bench.journal.status().inline).toBe(false)
  bench.persisted.length = 0
  for (let id = 1; id <= 5; id++) {
    bench.journal.persist(id, 0, entry(id, 'x'), nothing)
    bench.journal.flush()
  }
  expect(bench.persisted).toEqual([])
  on.queue.shift()!()
  expect(bench.persisted).toEqual([1])
  on.queue.shift()!()
  expect(bench.persisted).toEqual([1, 2, 3, 4, 5])
  for (let id = 6; id <= 20; id++) {
    bench.journal.persist(id, 0, nothing, bytesOf('h'))
    bench.journal.flush()
    bench.settle()
  }
  expect(bench.journal.status().inline).toBe(true)
})

test('a sync in place that takes long goes on off the thread, and is told of when it is done', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.settle()
  on.disk.isSlow = () => true
  bench.journal.persist(1, 0, entry(1, 'one'), nothing)
  bench.journal.flush()
  bench.journal.persist(2, 0, entry(2, 'two'), nothing)
  bench.journal.flush()
  expect(bench.persisted).toEqual([])
  bench.settle()
  expect(bench.persisted).toEqual([1, 2])
})

test('a sync that fails off the thread is fatal too', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.settle()
  makeSlow(bench)
  bench.journal.persist(9, 0, entry(1, 'x'), nothing)
  bench.journal.flush()
  on.disk.fault = operation => (operation === 'sync' ? 'EIO' : undefined)
  expect(() => bench.settle()).toThrow(/EIO/)
  expect(bench.persisted).not.toContain(9)
})

test('the names of new segments are durable before anything in them is acknowledged', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.settle()
  for (let position = 1; position <= 100; position++) {
    bench.journal.persist(position, 0, entry(position, 'b'.repeat(1000)), nothing)
    bench.journal.flush()
    bench.settle()
  }
  on.disk.crash()
  expect(on.disk.exists(second)).toBe(true)
  expect(openBench({ on }).found.positions).toHaveLength(100)
})

test('without the directory sync the same crash loses a segment, and recovery says so', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  on.disk.syncDirectory = () => {}
  bench.settle()
  for (let position = 1; position <= 100; position++) {
    bench.journal.persist(position, 0, entry(position, 'b'.repeat(1000)), nothing)
    bench.journal.flush()
    bench.settle()
  }
  on.disk.crash()
  expect(tryOpen({ on, mayCreate: false })).toMatchObject({
    kind: 'damaged',
    path: second,
    offset: 0,
    reason: 'the segment is missing',
  })
})

test('a journal that should be there and is not is damage', () => {
  const on = newDisk()
  expect(tryOpen({ on, mayCreate: false })).toMatchObject({ reason: 'the journal is missing' })
})

test('fsync never: nothing is synced', () => {
  const on = newDisk()
  const { bench } = openBench({ on, fsync: 'never' })
  bench.settle()
  const before = on.disk.fileSyncs
  bench.journal.persist(1, 0, entry(1, 'x'), nothing)
  bench.journal.flush()
  expect(bench.persisted).toEqual([1])
  expect(on.disk.fileSyncs).toBe(before)
})

test('a value that looks like a batch header does not confuse recovery', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.settle()
  const fake = new Uint8Array(4096)
  const view = new DataView(fake.buffer)
  for (let at = 0; at < fake.length; at += 4) view.setUint32(at, batchMagic, true)
  bench.journal.persist(1, 0, entry(1, fake), nothing)
  bench.journal.flush()
  on.disk.crash()
  expect(openBench({ on }).found.positions).toEqual([1])
})

/** One slow sync takes the next ones off the thread. */
function makeSlow(bench: ReturnType<typeof openBench>['bench']): void {
  bench.clockStepMillis = 10
  bench.journal.persist(0, 0, nothing, bytesOf('slow'))
  bench.journal.flush()
  bench.clockStepMillis = 0
}

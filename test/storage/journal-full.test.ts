import { expect, test } from 'vitest'
import {
  directory,
  entry,
  newDisk,
  nothing,
  openBench,
  segmentBytes,
  tryOpen,
} from './journal-kit.ts'

test('a batch of which a full disk took only a part is undone before anything else goes there', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.settle()
  bench.journal.persist(1, 0, entry(1, 'first'), nothing)
  bench.journal.flush()
  // Larger than a segment: it has to grow one, and there is room for half of it.
  on.disk.capacityBytes = on.disk.usedBytes() + segmentBytes
  bench.journal.persist(2, 0, entry(2, 'B'.repeat(3 * segmentBytes)), nothing)
  bench.journal.flush()
  bench.settle()
  bench.journal.retry()
  bench.settle()
  expect(bench.persisted).toEqual([1])
  expect(bench.outcomes.at(-1)).toEqual({ kind: 'diskFull', id: 2 })
  on.disk.capacityBytes = Number.POSITIVE_INFINITY
  bench.journal.retry()
  bench.settle()
  expect(bench.outcomes.slice(-2)).toEqual([
    { kind: 'spaceReturned' },
    { kind: 'persisted', id: 2 },
  ])
  on.disk.crash()
  expect(openBench({ on, mayCreate: false }).found.positions).toEqual([1, 2])
})

test('a crash while the disk is full: what it took of the batch is torn, whatever of it was kept', () => {
  for (let kept = 0; kept <= 4; kept++) {
    const on = newDisk()
    const { bench } = openBench({ on })
    bench.settle()
    bench.journal.persist(1, 0, entry(1, 'first'), nothing)
    bench.journal.flush()
    on.disk.capacityBytes = on.disk.usedBytes() + segmentBytes
    bench.journal.persist(2, 0, entry(2, 'B'.repeat(3 * segmentBytes)), nothing)
    bench.journal.flush()
    bench.settle()
    let sectors = 0
    on.disk.crash(() => sectors++ % 4 < kept)
    on.disk.capacityBytes = Number.POSITIVE_INFINITY
    on.queue.length = 0
    const again = openBench({ on, mayCreate: false })
    expect(again.found.positions).toEqual([1])
    again.bench.journal.persist(1, 0, entry(2, 'second'), nothing)
    again.bench.journal.flush()
    again.bench.settle()
    on.disk.crash()
    expect(openBench({ on, mayCreate: false }).found.bodies).toEqual(['first', 'second'])
  }
})

test('the last room of a segment is kept for votes while no other can be made', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  on.disk.capacityBytes = on.disk.usedBytes()
  bench.settle()
  let position = 0
  while (!bench.outcomes.some(outcome => outcome.kind === 'diskFull')) {
    position++
    bench.journal.persist(position, 0, entry(position, 'b'.repeat(1500)), nothing)
    bench.journal.flush()
  }
  const used = bench.persisted.length * 2048
  expect(used).toBeLessThan(segmentBytes - segmentBytes / 16)
  expect(used).toBeGreaterThan(segmentBytes / 2)
  // Another life on the full disk has nothing waiting, and can still vote.
  on.disk.crash()
  const { bench: again } = openBench({ on, mayCreate: false })
  again.settle()
  again.journal.persist(1, 0, nothing, new TextEncoder().encode('vote'))
  again.journal.flush()
  expect(again.persisted).toEqual([1])
  again.journal.persist(2, 0, entry(position, 'b'.repeat(1500)), nothing)
  again.journal.flush()
  expect(again.outcomes.at(-1)).toEqual({ kind: 'diskFull', id: 2 })
})

test('EIO while a batch that failed is being undone is final', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.settle()
  on.disk.fault = (operation, path) =>
    operation === 'write' && !path.endsWith('.tmp') ? 'ENOSPC' : undefined
  bench.journal.persist(1, 0, entry(1, 'x'), nothing)
  bench.journal.flush()
  expect(bench.outcomes).toEqual([{ kind: 'diskFull', id: 1 }])
  on.disk.fault = operation => (operation === 'write' ? 'EIO' : undefined)
  expect(() => bench.journal.retry()).toThrow(`${directory}/0000000000000001.journal: EIO`)
  on.disk.fault = () => undefined
  on.disk.crash()
  expect(tryOpen({ on, mayCreate: false }).kind).toBe('opened')
})

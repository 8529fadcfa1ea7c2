import { expect, test } from 'vitest'
import { salvageJournal } from '../../storage/journal-salvage.ts'
import { directory, entries, entry, newDisk, openBench, segmentBytes } from './journal-kit.ts'

/** One batch an entry, 1 to `count`, stamped 1000 and on; some segments. */
function written(count: number) {
  const on = newDisk()
  const { bench } = openBench({ on, retainedBytesMax: 1 << 30 })
  for (let position = 1; position <= count; position++) {
    const bytes = entry(position, 'x'.repeat(5000))
    new DataView(bytes.buffer).setUint32(24, 1000 + position, true)
    bench.journal.persist(position, 0, bytes, new Uint8Array(0))
    bench.journal.flush()
    bench.settle()
  }
  bench.journal.close()
  return on.disk
}

function flip(disk: ReturnType<typeof written>, segment: number, at: number): void {
  const path = `${directory}/${segment.toString(16).padStart(16, '0')}.journal`
  const file = disk.open(path, 'write')
  const bytes = new Uint8Array(1)
  file.read(bytes, at)
  file.write(Uint8Array.of(bytes[0]! ^ 4), at)
  file.close()
}

function salvage(disk: ReturnType<typeof written>, position = 0) {
  const found = salvageJournal({ disk, directory, position })
  if (found === undefined) throw new Error('there is a journal')
  const { kept, behind, damage } = found
  return { kept: [kept.first, kept.last], behind: [behind.first, behind.last], damage, found }
}

test('a journal that is whole is kept whole', () => {
  const disk = written(30)
  const { kept, behind, damage, found } = salvage(disk)
  expect({ kept, behind, damage }).toEqual({ kept: [1, 30], behind: [0, 0], damage: undefined })
  expect(found.kept).toMatchObject({ count: 30, firstTimeMillis: 1001, lastTimeMillis: 1030 })
})

test('a flipped bit ends what is kept, and what is whole behind it is named, segments behind too', () => {
  const disk = written(30)
  // Of a batch in the middle of the first segment.
  flip(disk, 1, Math.floor(segmentBytes / 2))
  const { kept, behind, damage, found } = salvage(disk)
  expect(damage?.path).toMatch(/0001\.journal$/)
  expect(kept[0]).toBe(1)
  expect(kept[1]).toBeGreaterThan(2)
  expect(behind).toEqual([kept[1]! + 2, 30])
  expect(found.behind.count).toBe(30 - kept[1]! - 1)
  expect(found.behind.lastTimeMillis).toBe(1030)
  const bytes = found.chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  expect(bytes).toBe(entries(1, kept[1]!, () => 'x'.repeat(5000)).length)
})

test('damage that a checkpoint covers is of no matter', () => {
  const disk = written(30)
  flip(disk, 1, Math.floor(segmentBytes / 2))
  const { kept, behind } = salvage(disk, 29)
  expect(kept).toEqual([29, 30])
  expect(behind).toEqual([0, 0])
})

test('without a journal there is nothing', () => {
  const { disk } = newDisk()
  expect(salvageJournal({ disk, directory, position: 0 })).toBeUndefined()
})

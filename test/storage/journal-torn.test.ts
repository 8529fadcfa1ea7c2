import { expect, test } from 'vitest'
import { writeUint64 } from '../../storage/journal-record.ts'
import { type RecoveryResult, recoverJournal } from '../../storage/journal-recovery.ts'
import type { MemoryDisk } from '../support/memory-disk.ts'
import {
  bytesOf,
  directory,
  entries,
  entry,
  newDisk,
  nothing,
  openBench,
  segmentBytes,
  store,
  tryOpen,
} from './journal-kit.ts'

const path = `${directory}/0000000000000001.journal`
const sector = 512

/** Two acknowledged batches and a last one of about four sectors; where the last one lies. */
function written(last: Uint8Array = entries(4, 3, position => `${position}`.repeat(500))): {
  on: ReturnType<typeof newDisk>
  start: number
  end: number
} {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.journal.persist(
    1,
    0,
    entries(1, 2, () => 'x'.repeat(600)),
    bytesOf('term 1'),
  )
  bench.journal.flush()
  bench.journal.persist(2, 0, entry(3, 'y'), bytesOf('term 2'))
  bench.journal.flush()
  const start = endOf(on.disk)
  bench.journal.persist(3, 0, last, bytesOf('term 3'))
  bench.journal.flush()
  return { on, start, end: endOf(on.disk) }
}

function endOf(disk: MemoryDisk): number {
  const bytes = disk.contents(path)
  let end = bytes.length
  while (bytes[end - 1] === 0) end--
  return Math.ceil(end / sector) * sector
}

function reopen(bytes: Uint8Array): ReturnType<typeof tryOpen> {
  const on = newDisk()
  on.disk.makeDirectory(directory)
  on.disk.syncDirectory('/data')
  on.disk.put(path, bytes)
  return tryOpen({ on, mayCreate: false })
}

const judged = newDisk().disk
judged.makeDirectory(directory)

/** Only reads: what would be made of these bytes. */
function recover(bytes: Uint8Array): RecoveryResult {
  judged.put(path, bytes)
  return recoverJournal({ disk: judged, directory, store, position: 0 })
}

test('cut at every byte of its last batch', () => {
  const { on, start, end } = written()
  const whole = on.disk.contents(path)
  expect(end - start).toBe(4 * sector)
  for (let cut = start; cut <= end; cut++) {
    const bytes = whole.slice()
    bytes.fill(0, cut)
    const result = recover(bytes)
    if (result.kind !== 'recovered') throw new Error(`cut at ${cut}: ${JSON.stringify(result)}`)
    const isWhole = result.log.last === 6
    if (!isWhole) expect(result.log.last).toBe(3)
    expect(new TextDecoder().decode(result.hardState)).toBe(isWhole ? 'term 3' : 'term 2')
    // The checksum's last byte may be zero by itself, and then nothing is missing.
    if (cut < end - 1) expect(isWhole).toBe(false)
    if (cut === end) expect(isWhole).toBe(true)
  }
})

test('a file that is shorter than it was made is damage, wherever it ends', () => {
  const { on, start } = written()
  const whole = on.disk.contents(path)
  for (const size of [sector, 2 * sector, start, start + 700, whole.length - 1]) {
    expect(recover(whole.slice(0, size))).toMatchObject({
      kind: 'damaged',
      path,
      offset: 0,
      reason: `the file has ${size} bytes, and had ${segmentBytes}`,
    })
  }
})

test('a batch that was to grow its segment is torn where the file ends before it', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.journal.persist(1, 0, entry(1, 'z'.repeat(2 * segmentBytes)), nothing)
  bench.journal.flush()
  bench.settle()
  const whole = on.disk.contents(path)
  expect(whole.length).toBeGreaterThan(2 * segmentBytes)
  expect(recover(whole)).toMatchObject({ kind: 'recovered', log: { last: 1 } })
  for (const size of [segmentBytes, segmentBytes + 700, whole.length - sector]) {
    const result = recover(whole.slice(0, size))
    expect(result).toMatchObject({ kind: 'recovered', log: { last: 0 } })
  }
})

test('any set of sectors of the last batch may be missing', () => {
  const { on, start } = written()
  const whole = on.disk.contents(path)
  for (let missing = 1; missing < 16; missing++) {
    const bytes = whole.slice()
    for (let index = 0; index < 4; index++) {
      if (missing & (1 << index))
        bytes.fill(0, start + index * sector, start + (index + 1) * sector)
    }
    const result = reopen(bytes)
    expect(result).toMatchObject({ kind: 'opened', found: { positions: [1, 2, 3] } })
  }
})

test('after a torn batch is cut off the journal goes on in its place, and reads back', () => {
  const { on, start, end } = written()
  const bytes = on.disk.contents(path)
  bytes.fill(0, start + sector, start + 2 * sector)
  on.disk.put(path, bytes)
  const { bench, found } = openBench({ on, mayCreate: false })
  expect(found.tornBytes).toBe(end - start)
  bench.journal.persist(1, 0, entry(4, 'again'), nothing)
  bench.journal.flush()
  on.disk.crash()
  const again = openBench({ on })
  expect(again.found.positions).toEqual([1, 2, 3, 4])
  expect(again.found.tornBytes).toBe(0)
})

test('a crash while the torn end is being made zeros leaves it torn', () => {
  const { on, start } = written()
  const bytes = on.disk.contents(path)
  bytes.fill(0, start + sector, start + 2 * sector)
  for (const kept of [0, 1, 2]) {
    const partly = bytes.slice()
    partly.fill(0, start, start + kept * sector)
    expect(reopen(partly)).toMatchObject({ kind: 'opened', found: { positions: [1, 2, 3] } })
  }
})

test('a flipped bit anywhere in what was acknowledged is damage, or nothing', () => {
  const { on, end } = written()
  const whole = on.disk.contents(path)
  for (let at = 0; at < end; at++) {
    const bytes = whole.slice()
    bytes[at] = bytes[at]! ^ (1 << (at % 8))
    const result = recover(bytes)
    if (result.kind !== 'damaged') throw new Error(`a flipped bit at ${at} went unseen`)
  }
})

test('an all-zero sector in a value is no sign of a torn write', () => {
  const { on, start } = written(entry(4, new Uint8Array(2000)))
  const bytes = on.disk.contents(path)
  expect(reopen(bytes)).toMatchObject({ kind: 'opened', found: { positions: [1, 2, 3, 4] } })
  bytes[start + 60]! ^= 1
  expect(reopen(bytes)).toMatchObject({
    kind: 'damaged',
    path,
    offset: start,
    reason: 'wrong checksum, though every sector was written',
  })
})

test('zeros in an older batch are damage: a later one is intact', () => {
  const { on, start } = written()
  const bytes = on.disk.contents(path)
  bytes.fill(0, start - sector, start)
  expect(reopen(bytes)).toMatchObject({
    kind: 'damaged',
    path,
    offset: start - sector,
    reason: `the batch here is not intact, but one at ${start} is`,
  })
})

test('a batch repeated where the next one belongs is damage', () => {
  const { on, start, end } = written()
  const bytes = on.disk.contents(path)
  bytes.copyWithin(end, start, end)
  expect(reopen(bytes)).toMatchObject({
    kind: 'damaged',
    path,
    offset: end,
    reason: 'batch 4 where 5 belongs',
  })
})

test('a journal of another store is damage', () => {
  const { on } = written()
  const result = tryOpen({ on, store: new Uint8Array(16) })
  const reason = 'a batch of another store'
  expect(result).toEqual({ kind: 'damaged', path, offset: 0, reason, isForeign: true })
})

test('a segment without its beginning is damage', () => {
  const { on } = written()
  const bytes = on.disk.contents(path)
  bytes.fill(0, 0, sector)
  expect(reopen(bytes)).toMatchObject({
    kind: 'damaged',
    path,
    offset: 0,
    reason: 'the first batch header is not what was written',
  })
})

test('a segment under the name of another is damage', () => {
  const { on } = written()
  on.disk.put(`${directory}/0000000000000009.journal`, on.disk.contents(path))
  on.disk.remove(path)
  expect(tryOpen({ on })).toMatchObject({
    kind: 'damaged',
    path: `${directory}/0000000000000009.journal`,
    offset: 0,
    reason: 'segment 1 under the name of 9',
  })
})

test('a segment that is gone from the middle or the end is damage', () => {
  const on = newDisk()
  const { bench } = openBench({ on })
  bench.settle()
  for (let position = 1; position <= 200; position++) {
    bench.journal.persist(position, 0, entry(position, 'b'.repeat(1000)), nothing)
    bench.journal.flush()
    bench.settle()
  }
  on.disk.crash()
  const name = (sequence: number): string => `${directory}/000000000000000${sequence}.journal`
  const current = [6, 5, 4].find(sequence =>
    on.disk.contents(name(sequence)).some(byte => byte !== 0),
  )!
  for (const gone of [2, current]) {
    const bytes = on.disk.contents(name(gone))
    on.disk.remove(name(gone))
    const result = tryOpen({ on, mayCreate: false })
    expect(result.kind).toBe('damaged')
    on.disk.put(name(gone), bytes)
  }
  expect(tryOpen({ on, mayCreate: false }).kind).toBe('opened')
})

test('the newer format of a later version is refused, not called damage', () => {
  const { on } = written()
  const bytes = on.disk.contents(path)
  rewriteHeader(bytes, view => view.setUint8(4, 2))
  expect(() => reopen(bytes)).toThrow('/data/journal has journal format 2; this version knows 1')
})

test('random crashes: what was acknowledged is always there, in order', () => {
  for (let seed = 1; seed <= 60; seed++) {
    let state = seed * 2654435761
    const random = (): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return state / 2 ** 32
    }
    const on = newDisk()
    let next = 1
    let acknowledged = 0
    for (let life = 0; life < 6; life++) {
      const result = tryOpen({ on, mayCreate: acknowledged === 0 })
      if (result.kind === 'damaged')
        throw new Error(`seed ${seed}: ${result.path} ${result.reason}`)
      const { bench, found } = result
      expect(found.positions.length).toBeGreaterThanOrEqual(acknowledged)
      expect(found.positions).toEqual(found.positions.map((_, index) => index + 1))
      next = found.positions.length + 1
      // Half of the lives sync off the thread, so that a crash may find a batch unsynced.
      bench.clockStepMillis = random() < 0.5 ? 10 : 0
      const first = next
      const rounds = Math.floor(random() * 60)
      for (let round = 0; round < rounds; round++) {
        const count = 1 + Math.floor(random() * 4)
        const size = Math.floor(random() * random() * 6000)
        bench.journal.persist(
          next + count - 1,
          0,
          entries(next, count, () => 'v'.repeat(size)),
          nothing,
        )
        next += count
        bench.journal.flush()
        if (random() < 0.7) on.queue.shift()?.()
      }
      acknowledged = Math.max(acknowledged, first - 1, ...bench.persisted)
      on.queue.length = 0
      on.disk.crash(() => random() < 0.5)
    }
  }
})

/** Changes the first header and makes its checksum right again. */
function rewriteHeader(bytes: Uint8Array, change: (view: DataView) => void): void {
  const view = new DataView(bytes.buffer)
  change(view)
  view.setUint32(36, crc(bytes.subarray(0, 36)), true)
  writeUint64(view, segmentBytes - 8, 0)
}

function crc(bytes: Uint8Array): number {
  let value = ~0
  for (const byte of bytes) {
    value ^= byte
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
  }
  return ~value >>> 0
}

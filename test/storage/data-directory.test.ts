import { expect, test } from 'vitest'
import { seededRandom } from '../../runtime/random.ts'
import { openDataDirectory } from '../../storage/data-directory.ts'
import { MemoryDisk } from '../support/memory-disk.ts'
import { entry, nothing, openBench, segmentBytes } from './journal-kit.ts'

const path = '/srv/quorate/node'

function open(disk: MemoryDisk, seed = 1): ReturnType<typeof openDataDirectory> {
  return openDataDirectory({ disk, random: seededRandom(seed), path, segmentBytes })
}

test('a store id is made once, an incarnation each time, and both survive a crash', () => {
  const disk = new MemoryDisk()
  const first = open(disk)
  expect(first.storeId).toMatch(/^[0-9a-f]{32}$/)
  expect(first.incarnation).toBe(1)
  disk.crash()
  const second = open(disk, 2)
  expect(second.storeId).toBe(first.storeId)
  expect(second.incarnation).toBe(2)
  expect(open(new MemoryDisk(), 3).storeId).not.toBe(first.storeId)
})

test('a crash at any step of the making leaves a directory that opens', () => {
  for (let steps = 1; ; steps++) {
    const disk = new MemoryDisk()
    let left = steps
    disk.fault = operation => (operation !== 'read' && --left === 0 ? 'EIO' : undefined)
    let isDone = true
    try {
      open(disk)
    } catch {
      isDone = false
    }
    if (isDone) {
      expect(steps).toBeGreaterThan(10)
      return
    }
    disk.fault = () => undefined
    disk.crash(() => steps % 2 === 0)
    const directory = open(disk)
    const found = openBench({
      on: { disk, queue: [] },
      directory: directory.journalPath,
      store: directory.storeBytes,
      mayCreate: false,
    })
    expect(found.found.positions).toEqual([])
  }
})

test('what crashes left of checkpoints goes before the threads start that could receive one', () => {
  const disk = new MemoryDisk()
  open(disk)
  const left = ['incoming/1.base', 'arrived-90-1/2.base', '00000001-90.base.tmp', 'manifest.tmp']
  for (const name of left) {
    if (name.includes('/')) disk.makeDirectory(`${path}/checkpoints/${name.split('/')[0]}`)
    disk.put(`${path}/checkpoints/${name}`, new Uint8Array(10))
  }
  open(disk)
  expect(disk.list(`${path}/checkpoints`)).toEqual([])
})

test('formed is remembered', () => {
  const disk = new MemoryDisk()
  const first = open(disk)
  expect(first.mayForm).toBe(true)
  first.markFormed()
  disk.crash()
  expect(open(disk).mayForm).toBe(false)
})

test('after damage: the journal is set aside, and an empty store of another id takes its place', () => {
  const disk = new MemoryDisk()
  const first = open(disk)
  const queue: (() => void)[] = []
  const on = { disk, queue }
  const where = { on, directory: first.journalPath, mayCreate: false }
  const { bench } = openBench({ ...where, store: first.storeBytes })
  for (const id of [1, 2]) {
    bench.journal.persist(id, 0, entry(id, 'x'), nothing)
    bench.journal.flush()
  }
  first.markFormed()
  disk.crash()
  disk.flip(`${first.journalPath}/0000000000000001.journal`, 600)
  const second = open(disk, 2)
  expect(second.damage).toBe(
    `${path}/journal/0000000000000001.journal was damaged at 512: ` +
      `the batch here is not intact, but one at 1024 is; the journal is now in ${path}/set-aside-1`,
  )
  expect(second.storeId).not.toBe(first.storeId)
  expect(second.incarnation).toBe(2)
  expect(second.mayForm).toBe(false)
  disk.crash()
  expect(disk.list(`${path}/set-aside-1`)).toContain('0000000000000001.journal')
  const third = open(disk, 3)
  expect(third.damage).toBe('')
  expect(third.storeId).toBe(second.storeId)
  expect(openBench({ ...where, store: third.storeBytes }).found.positions).toEqual([])
})

test('a log directory of its own, which may be a mount point, keeps all of the journal', () => {
  const disk = new MemoryDisk()
  const logPath = '/mnt/log'
  const make = (seed: number) =>
    openDataDirectory({ disk, random: seededRandom(seed), path, logPath, segmentBytes })
  const { journalPath } = make(1)
  expect(journalPath).toBe(`${logPath}/journal`)
  expect(disk.list(path)).not.toContain('journal')
  disk.flip(`${journalPath}/0000000000000001.journal`, 50)
  expect(make(2).damage).toContain(`the journal is now in ${logPath}/set-aside-1`)
})

test("another store's journal is left where it is", () => {
  const disk = new MemoryDisk()
  const logPath = '/mnt/log'
  const other = { disk, path: '/srv/quorate/other', logPath, segmentBytes }
  open(disk)
  const { journalPath } = openDataDirectory({ ...other, random: seededRandom(2) })
  const names = disk.list(journalPath)
  expect(() => openDataDirectory({ ...other, path, random: seededRandom(1) })).toThrow(
    `${journalPath} holds the journal of another store: is it the right log directory?`,
  )
  expect(disk.list(journalPath)).toEqual(names)
  expect(disk.list(logPath)).toEqual(['journal'])
})

test('a crash at any step of setting a journal aside', () => {
  for (let steps = 1; ; steps++) {
    const disk = new MemoryDisk()
    const { storeId, journalPath } = open(disk)
    disk.flip(`${journalPath}/0000000000000001.journal`, 50)
    let left = steps
    disk.fault = operation => (operation !== 'read' && --left === 0 ? 'EIO' : undefined)
    let isDone = true
    try {
      open(disk, 2)
    } catch {
      isDone = false
    }
    disk.fault = () => undefined
    disk.crash(() => steps % 2 === 0)
    const after = open(disk, 3)
    expect(after.storeId).not.toBe(storeId)
    expect(after.mayForm).toBe(false)
    expect(disk.list(`${path}/set-aside-1`)).toContain('0000000000000001.journal')
    if (isDone) return expect(steps).toBeGreaterThan(15)
  }
})

test('a journal that is gone as a whole stops the start: its disk may not be mounted', () => {
  const disk = new MemoryDisk()
  const { journalPath } = open(disk)
  disk.remove(`${journalPath}/0000000000000001.journal`)
  expect(() => open(disk)).toThrow(`${journalPath} holds no journal: is its disk mounted?`)
})

test('a damaged identity, and one of a newer version', () => {
  const disk = new MemoryDisk()
  open(disk)
  const whole = disk.contents(`${path}/identity`)
  disk.flip(`${path}/identity`, 20)
  expect(() => open(disk)).toThrow(`${path}/identity: wrong checksum`)
  disk.put(`${path}/identity`, whole.slice(0, 30))
  expect(() => open(disk)).toThrow(`${path}/identity: wrong checksum`)
})

test('a journal whose identity is gone is not overwritten', () => {
  const disk = new MemoryDisk()
  const directory = open(disk)
  const { bench } = openBench({
    on: { disk, queue: [] },
    directory: directory.journalPath,
    store: directory.storeBytes,
  })
  bench.journal.persist(1, 0, entry(1, 'x'), nothing)
  bench.journal.flush()
  disk.remove(`${path}/identity`)
  expect(() => open(disk)).toThrow(
    `${path}/journal holds a journal, but its identity file is missing`,
  )
})

test('no space for the first segment is a clear error', () => {
  const disk = new MemoryDisk({ capacityBytes: segmentBytes / 2 })
  expect(() => open(disk)).toThrow(
    `${path}/journal: no space for the first journal segment of 65536 bytes`,
  )
})

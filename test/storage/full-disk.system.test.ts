/** A journal on a real file system of 16 MiB that fills up. Mounting needs root. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../runtime/clock.ts'
import { systemDisk } from '../../runtime/disk-node.ts'
import type { JournalOutcome } from '../../storage/journal.ts'
import { openJournal } from '../../storage/journal-open.ts'
import { journalJobModule, run } from '../../storage/journal-job.ts'
import { inlineJobs } from '../support/inline-jobs.ts'
import { bytesOf, entry, nothing, store } from './journal-kit.ts'

const mount = mkdtempSync(join(tmpdir(), 'quorate-full-'))
let whyNot = ''

beforeAll(() => {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', mount], { stdio: 'pipe' })
  } catch (error) {
    whyNot = `mounting is not permitted here: ${(error as Error).message.trim()}`
  }
})

afterAll(() => {
  if (whyNot === '') execFileSync('umount', [mount])
  rmSync(mount, { recursive: true, force: true })
})

test('fills up, acknowledges nothing, and goes on when space returns', async context => {
  if (whyNot !== '') context.skip(whyNot)
  const outcomes: JournalOutcome[] = []
  const { journal } = open(outcomes)
  let id = 0
  const isFull = (): boolean => outcomes.some(outcome => outcome.kind === 'diskFull')
  while (!isFull()) {
    id++
    if (id > 1000) throw new Error('16 MiB never filled up')
    journal.persist(id, 0, entry(id, 'v'.repeat(50_000)), bytesOf(`term ${id}`))
    journal.flush()
    await turn()
  }
  expect(systemDisk.freeBytes(mount)).toBeLessThan(2 * segmentBytes)
  expect(idsOf(outcomes, 'persisted')).toEqual(Array.from({ length: id - 1 }, (_, at) => at + 1))
  expect(idsOf(outcomes, 'diskFull')).toEqual([id])
  journal.retry()
  await turn()
  expect(idsOf(outcomes, 'persisted')).toHaveLength(id - 1)
  // A second life finds all that was acknowledged, although the disk is still full.
  const second = open([])
  expect(second.log.last).toBe(id - 1)
  second.journal.close()
  // What a checkpoint covers may go, and then there is space.
  journal.compact(id - 1)
  for (let tries = 0; idsOf(outcomes, 'persisted').length < id; tries++) {
    if (tries > 100) throw new Error('space returned and was not used')
    await turn()
    journal.retry()
  }
  expect(outcomes.slice(-2)).toEqual([{ kind: 'spaceReturned' }, { kind: 'persisted', id }])
  journal.close()
  const third = open([], id - 1)
  expect(third.log.last).toBe(id)
  expect(new TextDecoder().decode(third.hardState)).toBe(`term ${id}`)
  third.journal.close()
})

test('somebody else fills the disk: the same, and a batch larger than a segment is undone', async context => {
  if (whyNot !== '') context.skip(whyNot)
  const outcomes: JournalOutcome[] = []
  const { journal } = open(outcomes, 0, 'other')
  await turn()
  journal.persist(1, 0, entry(1, 'first'), nothing)
  journal.flush()
  const filler = join(mount, 'filler')
  const free = systemDisk.freeBytes(mount)
  writeFileSync(filler, new Uint8Array(free - 300_000))
  journal.persist(2, 0, entry(2, 'B'.repeat(2 * segmentBytes)), nothing)
  for (let tries = 0; tries < 10; tries++) {
    journal.flush()
    await turn()
    journal.retry()
  }
  expect(idsOf(outcomes, 'persisted')).toEqual([1])
  expect(idsOf(outcomes, 'diskFull')).toEqual([2])
  rmSync(filler)
  for (let tries = 0; idsOf(outcomes, 'persisted').length < 2; tries++) {
    if (tries > 100) throw new Error('space returned and was not used')
    await turn()
    journal.retry()
  }
  journal.close()
  const again = open([], 0, 'other')
  expect(again.log.last).toBe(2)
  again.journal.close()
})

const segmentBytes = 1024 * 1024

function open(outcomes: JournalOutcome[], position = 0, name = 'journal') {
  const opened = openJournal(
    {
      disk: systemDisk,
      jobs: inlineJobs(systemDisk, [{ url: journalJobModule, run }]),
      clock: systemClock,
      directory: join(mount, name),
      store,
      segmentBytes,
      fsync: 'always',
      retainedBytesMax: 0,
      notify: outcome => outcomes.push(outcome),
      complete: completion => opened.kind === 'opened' && opened.journal.completed(completion),
    },
    { position, mayCreate: true },
  )
  if (opened.kind === 'damaged')
    throw new Error(`${opened.path} at ${opened.offset}: ${opened.reason}`)
  return opened
}

function idsOf(outcomes: readonly JournalOutcome[], kind: 'persisted' | 'diskFull'): number[] {
  return outcomes
    .filter(outcome => outcome.kind === kind)
    .map(outcome => (outcome as { id: number }).id)
}

/** Jobs and syncs that are due complete. */
async function turn(): Promise<void> {
  await new Promise(resolve => setTimeout(resolve, 2))
}

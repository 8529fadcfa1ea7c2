import { expect, test } from 'vitest'
import { journalActor } from '../../../actors/journal/journal-actor.ts'
import type { JournalMessage } from '../../../actors/journal/messages.ts'
import { manualHost, type TestActor, testActor } from '../../../runtime/testkit.ts'
import { journalJobModule, run } from '../../../storage/journal-job.ts'
import {
  bytesOf,
  directory,
  entries,
  entry,
  newDisk,
  nothing,
  segmentBytes,
  store,
} from '../../storage/journal-kit.ts'
import { inlineJobs } from '../../support/inline-jobs.ts'

type On = ReturnType<typeof newDisk>

interface Scene {
  readonly actor: TestActor<JournalMessage>
  readonly on: On
  /** What consensus was told since the last call. */
  told(): { kind: string; id?: number }[]
  /** Lets the host finish what it does off the thread, and the actor handle it. */
  settle(): void
}

function scene(on: On = newDisk(), mayCreate = true): Scene {
  const jobs = inlineJobs(
    on.disk,
    [{ url: journalJobModule, run }],
    callback => void on.queue.push(callback),
  )
  const host = manualHost({ disk: on.disk, jobs })
  const setup = {
    directory,
    store,
    mayCreate,
    segmentBytes,
    fsync: 'always',
    retainedBytesMax: 0,
  } as const
  const actor = testActor(journalActor, setup, { host })
  return {
    actor,
    on,
    told: () => actor.takeTold('consensus') as unknown as { kind: string; id?: number }[],
    settle() {
      while (on.queue.length > 0) {
        on.queue.shift()!()
        for (const message of actor.takeTold('journal')) actor.round(message as JournalMessage)
      }
    },
  }
}

function persist(id: number, position: number, body = 'x'): JournalMessage {
  return {
    kind: 'persist',
    id,
    order: id,
    truncateFrom: 0,
    entries: entry(position, body),
    first: position,
    count: 1,
    hardState: nothing,
    spans: new Uint8Array(0),
  }
}

test('one write and one sync a round, answered in order at its end', () => {
  const { actor, on, told, settle } = scene()
  actor.round({ kind: 'recover', position: 0 })
  expect(told()).toEqual([{ kind: 'recovered', last: 0, hardState: nothing, damage: '' }])
  settle()
  const syncs = on.disk.fileSyncs
  actor.handle(persist(1, 1))
  actor.handle(persist(2, 2))
  expect(told()).toEqual([])
  actor.endRound()
  expect(told()).toEqual([
    { kind: 'persisted', id: 1 },
    { kind: 'persisted', id: 2 },
  ])
  expect(on.disk.fileSyncs).toBe(syncs + 1)
})

test('a new life gets everything back', () => {
  const { actor, on } = scene()
  actor.round({ kind: 'recover', position: 0 })
  const hardState = bytesOf('term 4')
  actor.round({
    kind: 'persist',
    id: 1,
    order: 1,
    truncateFrom: 0,
    entries: entries(1, 3, () => 'x'),
    first: 1,
    count: 3,
    hardState,
    spans: new Uint8Array(0),
  })
  on.disk.crash()
  const again = scene(on, false)
  again.actor.round({ kind: 'recover', position: 2 })
  expect(again.told()).toEqual([
    { kind: 'recoveredEntries', first: 2, count: 2, entries: entries(2, 2, () => 'x') },
    { kind: 'recovered', last: 3, hardState, damage: '' },
  ])
})

test('damage is told, and nothing can be persisted', () => {
  const { actor, on } = scene()
  actor.round({ kind: 'recover', position: 0 })
  actor.round(persist(1, 1), persist(2, 2))
  on.disk.crash()
  on.disk.flip(`${directory}/0000000000000001.journal`, 700)
  const again = scene(on, false)
  again.actor.round({ kind: 'recover', position: 0 })
  expect(again.told()).toEqual([
    {
      kind: 'recovered',
      last: 0,
      hardState: nothing,
      damage: `${directory}/0000000000000001.journal is damaged at 512: wrong checksum, though every sector was written`,
    },
  ])
  expect(() => again.actor.round(persist(1, 1))).toThrow(/recovered, undamaged, before it is used/)
})

test('a full disk: nothing is acknowledged, everything is kept, and it is tried again', () => {
  const { actor, on, told, settle } = scene()
  actor.round({ kind: 'recover', position: 0 })
  settle()
  on.disk.capacityBytes = on.disk.usedBytes()
  told()
  let id = 0
  const acknowledged: number[] = []
  let refused: number[] = []
  while (refused.length === 0) {
    id++
    actor.round(persist(id, id, 'v'.repeat(1000)))
    settle()
    const answers = told()
    refused = answers.filter(answer => answer.kind === 'diskFull').map(answer => answer.id!)
    acknowledged.push(
      ...answers.filter(answer => answer.kind === 'persisted').map(answer => answer.id!),
    )
  }
  expect(refused).toEqual([id])
  expect(acknowledged).toEqual(Array.from({ length: id - 1 }, (_, index) => index + 1))
  actor.round(persist(id + 1, id + 1))
  expect(told()).toEqual([{ kind: 'diskFull', id: id + 1 }])
  // Time alone does not help.
  for (let tries = 0; tries < 5; tries++) {
    actor.advance(250)
    settle()
  }
  expect(told()).toEqual([])
  on.disk.capacityBytes = Number.POSITIVE_INFINITY
  actor.advance(250)
  settle()
  expect(told()).toEqual([
    { kind: 'spaceReturned' },
    { kind: 'persisted', id },
    { kind: 'persisted', id: id + 1 },
    { kind: 'ownSpace', level: 0 },
  ])
  on.disk.crash()
  const again = scene(on, false)
  again.actor.round({ kind: 'recover', position: 0 })
  expect(again.told().at(-1)).toMatchObject({ kind: 'recovered', last: id + 1 })
})

test.each(['EIO', 'EROFS'])('%s on a write, or any failed sync, fails the actor', code => {
  for (const failing of ['write', 'sync']) {
    const { actor, on, told, settle } = scene()
    actor.round({ kind: 'recover', position: 0 })
    settle()
    told()
    on.disk.fault = operation => (operation === failing ? code : undefined)
    expect(() => actor.round(persist(1, 1))).toThrow(code)
    expect(told()).toEqual([])
  }
})

test('a sync that fails for want of space is final too', () => {
  const { actor, on, settle } = scene()
  actor.round({ kind: 'recover', position: 0 })
  settle()
  on.disk.fault = operation => (operation === 'sync' ? 'ENOSPC' : undefined)
  expect(() => actor.round(persist(1, 1))).toThrow('ENOSPC')
})

test('a segment that cannot be made ahead because of EIO fails the actor', () => {
  const { actor, on, settle } = scene()
  actor.round({ kind: 'recover', position: 0 })
  on.disk.fault = (operation, path) =>
    operation === 'write' && path.endsWith('.tmp') ? 'EIO' : undefined
  expect(() => settle()).toThrow('EIO')
})

test('a message that was lost on the way ends the journal, and leaves no hole on disk', () => {
  const { actor, on } = scene()
  actor.round({ kind: 'recover', position: 0 })
  actor.round(persist(1, 1))
  expect(() => actor.round(persist(3, 3))).toThrow(/message 3 to the journal came after 1/)
  on.disk.killProcess()
  const again = scene(on, false)
  again.actor.round({ kind: 'recover', position: 0 })
  expect(again.told().at(-1)).toMatchObject({ kind: 'recovered', last: 1, damage: '' })
})

test('a long log is told in parts, each after one was taken', () => {
  const { actor, on, settle } = scene()
  actor.round({ kind: 'recover', position: 0 })
  const large = 'x'.repeat(700_000)
  for (let id = 1; id <= 20; id++) {
    actor.round(persist(id, id, large))
    settle()
  }
  on.disk.killProcess()
  const again = scene(on, false)
  again.actor.round({ kind: 'recover', position: 0 })
  const kinds: string[] = again.told().map(({ kind }) => kind)
  expect(kinds.filter(kind => kind === 'recoveredEntries').length).toBe(8)
  while (kinds.at(-1) !== 'recovered') {
    again.actor.round({ kind: 'recoverMore' })
    kinds.push(...again.told().map(({ kind }) => kind))
  }
  expect(kinds.filter(kind => kind === 'recoveredEntries').length).toBe(20)
})

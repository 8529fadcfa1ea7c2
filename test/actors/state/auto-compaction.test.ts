import { describe, expect, test } from 'vitest'
import { entryKind } from '../../../actors/consensus/entry.ts'
import { AutoCompaction } from '../../../actors/state/auto-compaction.ts'
import { encodeCompaction } from '../../../actors/state/etcd-commands.ts'
import { Entries, StateNode } from './state-node.ts'

const minute = 60_000
const hour = 60 * minute

/** One revision a minute from minute 0 on; at which minutes what was compacted. */
function minutesOf(
  setup: { mode: 'periodic' | 'revision'; hours?: number; retentionRevisions?: number },
  minutes: number,
  leads: (minute: number) => boolean = () => true,
): [number, number][] {
  const { mode, hours = 1, retentionRevisions = 100 } = setup
  const retentionMillis = hours * hour
  const compaction = new AutoCompaction({ mode, retentionMillis, retentionRevisions }, 0, 1)
  const done: [number, number][] = []
  for (let at = 1; at <= minutes; at += 1) {
    for (let slice = 0; slice < 60; slice += 10) {
      const revision = compaction.tick(at * minute + slice, 1 + at, leads(at))
      if (revision !== undefined) done.push([at, revision])
    }
  }
  return done
}

describe('compaction by age', () => {
  // As etcd's: the oldest of its notes is one note older than what is to be kept.
  test('begins after what is to be kept, and goes on every hour at most', () => {
    expect(minutesOf({ mode: 'periodic' }, 200)).toEqual([
      [60, 1],
      [120, 55],
      [180, 115],
    ])
    expect(minutesOf({ mode: 'periodic', hours: 3 }, 310)).toEqual([
      [180, 1],
      [240, 55],
      [300, 115],
    ])
    expect(minutesOf({ mode: 'periodic', hours: 0.5 }, 100)).toEqual([
      [30, 1],
      [60, 28],
      [90, 58],
    ])
  })

  test('is a duty of the leader, and a new one goes on with its own notes', () => {
    const leads = (at: number) => at >= 130
    expect(minutesOf({ mode: 'periodic' }, 200, leads)).toEqual([
      [132, 67],
      [192, 127],
    ])
  })
})

describe('compaction by revisions', () => {
  test('keeps the last ones, every five minutes, once there are more', () => {
    expect(minutesOf({ mode: 'revision', retentionRevisions: 12 }, 21)).toEqual([
      [15, 4],
      [20, 9],
    ])
  })
})

describe('a node', () => {
  const compaction = { mode: 'periodic', retentionMillis: 1_000, retentionRevisions: 1 } as const
  const commands = (node: StateNode) =>
    node.actor
      .takeTold<{ kind: string; entryKind: number; body: Uint8Array }>('sessions')
      .filter(({ kind }) => kind === 'stateCommand')

  test('proposes it as an ordinary command while it leads, which nobody is answered', () => {
    const node = new StateNode({ compaction })
    const log = new Entries()
    node.actor.round({ kind: 'leader', epoch: 1, leader: 2, self: false })
    node.commit([
      log.register(),
      ...['a', 'b', 'c'].map(key => log.etcd('put', { key: Buffer.from(key) })),
    ])
    node.actor.advance(3_000)
    expect(commands(node)).toEqual([])
    node.actor.round({ kind: 'leader', epoch: 2, leader: 1, self: true })
    node.actor.advance(500)
    const [command] = commands(node)
    expect(command).toMatchObject({ entryKind: entryKind.etcd, body: encodeCompaction(4) })
    const replies = () => node.toldTo('watches').filter(({ kind }) => kind === 'reply').length
    const before = replies()
    node.commit([log.of(entryKind.etcd, 3, encodeCompaction(4))])
    expect([node.status()['compactRevision'], replies()]).toEqual([4, before])
    node.actor.advance(3_000)
    expect(commands(node)).toEqual([])
  })
})

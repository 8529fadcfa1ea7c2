import { describe, expect, test } from 'vitest'
import { entryKind, offset } from '../../../actors/consensus/entry.ts'
import { sessionsActor } from '../../../actors/sessions/sessions-actor.ts'
import { announceMillis, Levels } from '../../../actors/state/levels.ts'
import { testActor } from '../../../runtime/testkit.ts'
import { Entries, StateNode } from './state-node.ts'

const member = (node: number) => ({ node, store: `s${node}`, address: `127.0.0.1:710${node}` })
const members = {
  formation: 'f',
  voters: [member(1), member(2)],
  outgoing: [],
  learners: [member(3)],
}

/** The leader of a cluster of two voters and a learner, and the levels that it asked for. */
function leader(levelSupported: number) {
  const node = new StateNode({ levelSupported })
  const log = new Entries()
  node.commit([log.membership(members)])
  node.actor.round({ kind: 'leader', epoch: 1, leader: 1, self: true })
  const raised = () => {
    const asked = node.actor.takeTold<{ kind: string; level: number }>('sessions')
    return asked.filter(({ kind }) => kind === 'raiseLevel').map(({ level }) => level)
  }
  const announce = (from: number, level: number) =>
    node.actor.round({ kind: 'level', node: from, level })
  return { node, log, raised, announce }
}

describe('the level', () => {
  test('is raised by the leader once all members, learners too, know a higher one', () => {
    const { node, raised, announce } = leader(3)
    announce(2, 2)
    node.actor.advance(announceMillis + 100)
    expect(raised()).toEqual([])
    announce(3, 4)
    node.actor.advance(announceMillis)
    expect(raised()).toEqual([2])
  })

  test('is not raised by a follower, nor to what it is, nor for who has been silent for long', () => {
    const { node, log, raised, announce } = leader(2)
    announce(2, 2)
    announce(3, 2)
    node.actor.advance(4 * announceMillis)
    raised()
    node.actor.advance(announceMillis)
    expect(raised()).toEqual([])

    node.actor.round({ kind: 'leader', epoch: 2, leader: 2, self: false })
    announce(2, 2)
    announce(3, 2)
    node.actor.advance(announceMillis)
    expect(raised()).toEqual([])

    node.actor.round({ kind: 'leader', epoch: 3, leader: 1, self: true })
    node.commit([log.level(2)])
    announce(2, 2)
    announce(3, 2)
    node.actor.advance(announceMillis)
    expect(raised()).toEqual([])
  })

  test('that this node knows is told to all members', () => {
    const { node } = leader(7)
    node.actor.told.length = 0
    node.actor.advance(announceMillis + 100)
    const told = { kind: 'level', node: 1, level: 7 }
    for (const peer of ['state@2', 'state@3']) expect(node.toldTo(peer)).toContainEqual(told)
  })

  test('goes up by its entry, never down, and is in the checkpoint', () => {
    const node = new StateNode({ levelSupported: 5, everyBytes: 1 })
    const log = new Entries()
    node.commit([log.level(4), log.level(3)])
    expect(node.status()).toMatchObject({ level: 4 })
    expect(node.checkpoint()).toBe(true)
    expect(new StateNode({ disk: node.disk, levelSupported: 4 }).status()).toEqual(node.status())
    expect(() => new StateNode({ disk: node.disk, levelSupported: 3 })).toThrow(
      'the cluster is at level 4 and this version knows up to 3: start this node with a newer version',
    )
  })

  test('beyond what this node knows stops it before anything of that level applies', () => {
    const node = new StateNode({ levelSupported: 2 })
    const log = new Entries()
    expect(() => node.commit([log.level(3), log.register(2)])).toThrow('knows up to 2')
    expect(node.status()).toMatchObject({ level: 1 })
  })

  test('is proposed as an entry of the sessions actor', () => {
    const millis = { touchMillis: 100, questionMillis: 1_000, electionMillis: 1_000 }
    const sessions = testActor(sessionsActor, { node: 1, incarnation: 1, ...millis })
    sessions.round({ kind: 'leader', epoch: 1, leader: 1, self: true })
    sessions.takeTold()
    sessions.round({ kind: 'raiseLevel', level: 6 })
    const [proposed] = sessions.takeTold<{ kind: string; entries: Uint8Array }>('consensus')
    const { entries } = proposed ?? { entries: new Uint8Array(100) }
    expect(entries[offset.kind]).toBe(entryKind.level)
    expect(entries[offset.body]).toBe(6)
  })
})

test('levels in common: the least of all, none while one of them is silent', () => {
  const levels = new Levels(9)
  expect(levels.common([], 0)).toBe(9)
  expect(levels.common([2], 0)).toBe(0)
  levels.announced(2, 5, 0)
  levels.announced(3, 7, 10_000)
  expect(levels.common([2, 3], 15_000)).toBe(5)
  expect(levels.common([2, 3], 15_001)).toBe(0)
  expect(levels.common([3], 15_001)).toBe(7)
})

import { describe, expect, test } from 'vitest'
import type { SessionsMessage } from '../../../actors/sessions/messages.ts'
import { sessionsActor } from '../../../actors/sessions/sessions-actor.ts'
import { testActor } from '../../../runtime/testkit.ts'

const setup = {
  node: 2,
  incarnation: 1,
  touchMillis: 200,
  questionMillis: 7000,
  electionMillis: 1000,
}

type Touched = Extract<SessionsMessage, { kind: 'touchedRemotely' }>
type Confirmed = Extract<SessionsMessage, { kind: 'touchesConfirmed' }>

function member(leader: number) {
  const actor = testActor<SessionsMessage, typeof setup>(sessionsActor, setup)
  actor.round({ kind: 'leader', epoch: 3, leader, self: leader === 2 })
  actor.round({ kind: 'appliedOwn', sequence: 1 })
  actor.takeTold()
  return actor
}

type Member = ReturnType<typeof member>

function idsOf(...ids: number[]): Uint8Array {
  const bytes = new Uint8Array(ids.length * 8)
  const view = new DataView(bytes.buffer)
  for (const [index, id] of ids.entries()) view.setBigInt64(index * 8, BigInt(id))
  return bytes
}

/** Id and age of each touch that was sent with something in it. */
function sent(actor: Member): { batch: number; touches: [number, number][] }[] {
  return actor
    .takeTold<Touched>('sessions@1')
    .filter(({ kind, touches }) => kind === 'touchedRemotely' && touches.length > 0)
    .map(({ batch, touches }) => ({ batch, touches: agesIn(touches) }))
}

function agesIn(touches: Uint8Array): [number, number][] {
  const view = new DataView(touches.slice().buffer)
  const found: [number, number][] = []
  for (let at = 0; at < touches.length; at += 12)
    found.push([Number(view.getBigInt64(at)), view.getUint32(at + 8)])
  return found
}

/** What the ZooKeeper gateway was told last: sessions, and since when they live for their time-out. */
function confirmedOf(actor: Member): [number, number][] {
  const told = actor.takeTold<{ kind: string; heard: Uint8Array }>('zookeeper')
  const found: [number, number][] = []
  for (const { heard } of told) {
    const view = new DataView(heard.slice().buffer)
    for (let at = 0; at < heard.length; at += 16)
      found.push([Number(view.getBigInt64(at)), view.getFloat64(at + 8)])
  }
  return found
}

function opened(actor: Member, id: number, ttlMillis = 4_000): void {
  const common = { lifetime: 1, openedAt: id, ttlMillis, node: 1, connection: 5 }
  actor.round({ kind: 'opened', id: idsOf(id), ...common })
}

function remote(ids: readonly [id: number, ageMillis: number][], batch = 70, node = 3): Touched {
  const touches = new Uint8Array(ids.length * 12)
  const view = new DataView(touches.buffer)
  for (const [index, [id, ageMillis]] of ids.entries()) {
    view.setBigInt64(index * 12, BigInt(id))
    view.setUint32(index * 12 + 8, ageMillis)
  }
  return { kind: 'touchedRemotely', node, batch, touches }
}

function confirmationAsked(actor: Member): number | undefined {
  return actor
    .takeTold<{ kind: string; id: number }>('consensus')
    .filter(({ kind, id }) => kind === 'readRequest' && id < 0)
    .at(-1)?.id
}

describe('a node that follows', () => {
  test('tells its gateway of sessions once the leader has confirmed them, from when they were heard', () => {
    const actor = member(1)
    actor.advance(1_000)
    const heardMillis = actor.host.clock.monotonicMillis()
    actor.round({ kind: 'touched', ids: idsOf(7, 8) })
    actor.advance(200)
    const [batch, ...others] = sent(actor)
    expect(others).toEqual([])
    expect(batch!.touches.map(([id]) => id)).toEqual([7, 8])
    expect(confirmedOf(actor)).toEqual([])
    actor.advance(300)
    actor.round({ kind: 'touchesConfirmed', batch: batch!.batch, lost: idsOf(8) })
    expect(confirmedOf(actor)).toEqual([[7, heardMillis]])
    actor.round({ kind: 'touchesConfirmed', batch: batch!.batch, lost: idsOf() })
    expect(confirmedOf(actor)).toEqual([])
  })

  test('sends again what was lost, with its age, and to the new leader at once', () => {
    const actor = member(1)
    actor.round({ kind: 'touched', ids: idsOf(7) })
    actor.advance(200)
    expect(sent(actor)).toHaveLength(1)
    actor.advance(1_300)
    const [again] = sent(actor)
    expect(again!.touches[0]![1]).toBeGreaterThanOrEqual(1_000)
    actor.round({ kind: 'leader', epoch: 4, leader: 3, self: false })
    actor.advance(100)
    const [toNew] = actor.takeTold<Touched>('sessions@3')
    expect(agesIn(toNew!.touches).map(([id]) => id)).toEqual([7])
    actor.round({ kind: 'touchesConfirmed', batch: again!.batch, lost: idsOf() })
    expect(confirmedOf(actor)).toEqual([])
  })
})

test('an answer that comes after the touch was sent again counts for when the client was heard first', () => {
  const actor = member(1)
  const heardMillis = actor.host.clock.monotonicMillis()
  actor.round({ kind: 'touched', ids: idsOf(7) })
  actor.advance(200)
  const [first] = sent(actor)
  actor.advance(1_300)
  expect(sent(actor)).toHaveLength(1)
  actor.round({ kind: 'touchesConfirmed', batch: first!.batch, lost: idsOf() })
  expect(confirmedOf(actor)).toEqual([[7, heardMillis]])
})

describe('the leader', () => {
  test('takes a late confirmation: where all are late, none would be in time', () => {
    const actor = member(2)
    opened(actor, 7)
    actor.round(remote([[7, 0]]))
    const first = confirmationAsked(actor)!
    actor.advance(1_100)
    expect(confirmationAsked(actor)).not.toBe(first)
    actor.round({ kind: 'barrierReached', id: first })
    expect(actor.takeTold<Confirmed>('sessions@3')).toMatchObject([{ batch: 70 }])
  })

  test('confirms touches once a quorum has confirmed it and what was committed has applied', () => {
    const actor = member(2)
    opened(actor, 7)
    actor.round(
      remote([
        [7, 100],
        [9, 0],
      ]),
    )
    const id = confirmationAsked(actor)!
    expect(actor.takeTold('sessions@3')).toEqual([])
    actor.round({ kind: 'readReady', id, position: 44 })
    expect(actor.takeTold('state')).toEqual([
      { kind: 'barrier', replyTo: 'sessions', id, position: 44 },
    ])
    actor.round({ kind: 'barrierReached', id })
    expect(actor.takeTold<Confirmed>('sessions@3')).toEqual([
      { kind: 'touchesConfirmed', batch: 70, lost: idsOf(9) },
    ])
  })

  test('confirms no session whose end it has proposed, nor one that ended meanwhile', () => {
    const actor = member(2)
    opened(actor, 7)
    opened(actor, 8, 60_000)
    for (let millis = 0; millis < 5_500; millis += 100) actor.advance(100)
    // Own batches: those of the first question, and those that came meanwhile.
    for (let question = 1; question <= 2; question += 1)
      actor.round({ kind: 'barrierReached', id: confirmationAsked(actor)! })
    actor.round(
      remote([
        [7, 0],
        [8, 0],
      ]),
    )
    const id = confirmationAsked(actor)!
    actor.round({ kind: 'closed', lifetime: 1, id: idsOf(8) })
    actor.round({ kind: 'barrierReached', id })
    expect(actor.takeTold<Confirmed>('sessions@3')[0]?.lost).toEqual(idsOf(7, 8))
  })

  test('that leads no more, or again in another epoch, confirms nothing of before', () => {
    for (const leader of [1, 2]) {
      const actor = member(2)
      opened(actor, 7)
      actor.round(remote([[7, 0]]))
      const id = confirmationAsked(actor)!
      actor.round({ kind: 'leader', epoch: 5, leader, self: leader === 2 })
      actor.round({ kind: 'barrierReached', id })
      expect(actor.takeTold('sessions@3')).toEqual([])
    }
  })

  test('counts a time-out from when the client was heard, not from when the touch came', () => {
    const ends = (ageMillis: number): number => {
      const actor = member(2)
      opened(actor, 7)
      actor.advance(3_000)
      actor.takeTold('consensus')
      actor.round(remote([[7, ageMillis]]))
      for (let millis = 0; millis < 10_000; millis += 100) {
        actor.advance(100)
        const proposed = actor.takeTold<{ kind: string }>('consensus')
        if (proposed.some(({ kind }) => kind === 'propose')) return millis
      }
      return Number.POSITIVE_INFINITY
    }
    expect(ends(0) - ends(1_000)).toBeCloseTo(1_000, -3)
    expect(ends(0)).toBeGreaterThan(3_900)
  })
})

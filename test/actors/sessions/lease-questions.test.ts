import { describe, expect, test } from 'vitest'
import type { LeaseAnswers, SessionsMessage } from '../../../actors/sessions/messages.ts'
import { sessionsActor } from '../../../actors/sessions/sessions-actor.ts'
import { testActor } from '../../../runtime/testkit.ts'

const setup = {
  node: 2,
  incarnation: 1,
  touchMillis: 200,
  questionMillis: 7000,
  electionMillis: 1000,
}
const ids = new Uint8Array(16).fill(1)
const questions = { kind: 'leaseQuestions', tag: 9, ids, renew: true } as const
const answers: SessionsMessage = {
  kind: 'leaseAnswers',
  tag: 9,
  ids,
  times: new Uint8Array(32),
  failed: false,
}

function member(leader: number) {
  const actor = testActor<SessionsMessage, typeof setup>(sessionsActor, setup)
  actor.round({ kind: 'leader', epoch: 3, leader, self: leader === 2 })
  actor.takeTold()
  return actor
}

function granted(actor: ReturnType<typeof member>, count: number, ttlMillis: number): Uint8Array {
  const granted = new Uint8Array(count * 8)
  const view = new DataView(granted.buffer)
  for (let at = 0; at < count; at += 1) {
    view.setBigInt64(at * 8, BigInt(at + 1))
    const id = granted.slice(at * 8, at * 8 + 8)
    const lease = { lifetime: 2, id, openedAt: at, ttlMillis, node: 0, connection: 0 }
    actor.round({ kind: 'opened', ...lease })
  }
  return granted
}

test('questions that their link lost are asked again until they are answered, which their asker hears once', () => {
  const actor = member(1)
  actor.round(questions)
  const asked = { ...questions, kind: 'leaseQuestionsRemote', node: 2 }
  expect(asksOf(actor)).toEqual([asked])
  actor.advance(900)
  expect(asksOf(actor)).toEqual([])
  actor.advance(200)
  expect(asksOf(actor)).toEqual([asked])
  actor.round(answers)
  actor.round(answers)
  expect(actor.takeTold('etcd')).toEqual([answers])
  actor.advance(3000)
  expect(asksOf(actor)).toEqual([])
})

test('an answer to other leases under the same tag, of an earlier life of the node, is none', () => {
  const actor = member(1)
  actor.round(questions)
  actor.round({ ...answers, ids: new Uint8Array(16) } as SessionsMessage)
  expect(actor.takeTold('etcd')).toEqual([])
})

test('without a leader they fail when their time is over', () => {
  const actor = member(0)
  actor.round(questions)
  actor.advance(7200)
  const failed = { ...answers, times: new Uint8Array(0), failed: true }
  expect(actor.takeTold('etcd')).toEqual([failed])
})

describe('the leader', () => {
  test('confirms itself once for all batches that wait, then answers each', () => {
    const actor = member(2)
    const leases = granted(actor, 3, 5000)
    actor.round({ kind: 'leaseQuestions', tag: 1, ids: leases, renew: true })
    const other = { node: 3, tag: 1, ids: new Uint8Array(8).fill(9), renew: false }
    actor.round(
      { kind: 'leaseQuestionsRemote', ...other },
      { kind: 'leaseQuestions', tag: 2, ids: leases, renew: false },
    )
    expect(confirmations(actor)).toEqual([1])
    actor.round({ kind: 'readReady', id: 1, position: 5 })
    expect(actor.takeTold('state').length).toBe(1)
    actor.round({ kind: 'barrierReached', id: 1 })
    expect(actor.takeTold('etcd')).toMatchObject([{ tag: 1, ids: leases, failed: false }])
    expect(confirmations(actor)).toEqual([2])
    actor.round({ kind: 'barrierReached', id: 2 })
    expect(actor.takeTold('etcd')).toMatchObject([{ tag: 2 }])
    const [toOther] = actor.takeTold<LeaseAnswers>('sessions@3')
    expect(new DataView(toOther!.times.slice().buffer).getFloat64(0, true)).toBe(-1)
  })

  test('asks for confirmation again when none comes, and takes a late one', () => {
    const actor = member(2)
    granted(actor, 1, 5000)
    actor.round({ kind: 'leaseQuestions', tag: 1, ids, renew: true })
    expect(confirmations(actor)).toEqual([1])
    actor.advance(1100)
    expect(confirmations(actor)).toEqual([2])
    actor.round({ kind: 'barrierReached', id: 1 })
    expect(actor.takeTold('etcd')).toMatchObject([{ tag: 1 }])
    actor.round({ kind: 'leaseQuestions', tag: 2, ids, renew: true })
    expect(confirmations(actor)).toEqual([3])
    actor.round({ kind: 'barrierReached', id: 2 })
    expect(actor.takeTold('etcd')).toEqual([])
    actor.round({ kind: 'barrierReached', id: 3 })
    expect(actor.takeTold('etcd')).toMatchObject([{ tag: 2 }])
  })

  test('that leads no more answers nothing that it was asked as the leader', () => {
    const actor = member(2)
    const leases = granted(actor, 1, 5000)
    actor.round({ kind: 'leaseQuestionsRemote', node: 3, tag: 1, ids: leases, renew: true })
    actor.round({ kind: 'leader', epoch: 4, leader: 1, self: false })
    actor.round({ kind: 'barrierReached', id: 1 })
    expect(actor.takeTold('sessions@3')).toEqual([])
  })

  test('renews thirty thousand leases in the batches they came in', () => {
    const actor = member(2)
    const leases = granted(actor, 30_000, 5000)
    actor.advance(4000)
    const batches = Math.ceil(leases.length / (4096 * 8))
    for (let tag = 1; tag <= batches; tag += 1) {
      const of = leases.subarray((tag - 1) * 4096 * 8, tag * 4096 * 8)
      actor.round({ kind: 'leaseQuestions', tag, ids: of, renew: true })
    }
    actor.round({ kind: 'barrierReached', id: 1 }, { kind: 'barrierReached', id: 2 })
    const told = actor.takeTold<LeaseAnswers>('etcd')
    expect(told.length).toBe(batches)
    expect(told.some(({ failed }) => failed)).toBe(false)
    actor.takeTold()
    actor.advance(4000)
    // The node's own registration, which nothing here applies, and no end of any lease.
    expect(proposedCount(actor)).toBe(1)
    actor.advance(2000)
    expect(proposedCount(actor)).toBeGreaterThan(1000)
  })
})

function proposedCount(actor: ReturnType<typeof member>): number {
  type Propose = { readonly kind: 'propose'; readonly count: number }
  const proposed = actor.takeTold<Propose>('consensus').filter(one => one.kind === 'propose')
  return Math.max(...proposed.map(one => one.count))
}

function asksOf(actor: ReturnType<typeof member>) {
  return actor.takeTold('sessions@1').filter(({ kind }) => kind !== 'touchedRemotely')
}

function confirmations(actor: ReturnType<typeof member>): number[] {
  return (
    actor
      .takeTold('consensus')
      .filter(one => one.kind === 'readRequest')
      .map(one => (one as { readonly id: number } & typeof one).id)
      // Those of touches are negative.
      .filter(id => id > 0)
  )
}

import { expect, test } from 'vitest'
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
const id = new Uint8Array(8).fill(1)
const question = { kind: 'leaseQuestion', connection: 5, tag: 9, id, renew: true } as const
const times = { remainingMillis: 3000, ttlMillis: 3000, failed: false }
const answer: SessionsMessage = { kind: 'leaseAnswer', connection: 5, tag: 9, id, ...times }

function follower() {
  const actor = testActor<SessionsMessage, typeof setup>(sessionsActor, setup)
  actor.round({ kind: 'leader', epoch: 3, leader: 1, self: false })
  actor.takeTold()
  return actor
}

test('a question that its link lost is asked again until it is answered, which its asker hears once', () => {
  const actor = follower()
  actor.round(question)
  const asked = { ...question, kind: 'leaseQuestionRemote', node: 2 }
  expect(actor.takeTold('sessions@1')).toEqual([asked])
  actor.advance(900)
  expect(actor.takeTold('sessions@1')).toEqual([])
  actor.advance(200)
  expect(actor.takeTold('sessions@1')).toEqual([asked])
  actor.round(answer)
  actor.round(answer)
  expect(actor.takeTold('etcd')).toEqual([answer])
  actor.advance(3000)
  expect(actor.takeTold('sessions@1')).toEqual([])
})

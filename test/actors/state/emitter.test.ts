import { expect, test } from 'vitest'
import { StreamEmitter } from '../../../actors/state/emitter.ts'
import { limits } from '../../../actors/state/limits.ts'
import { stream } from '../../../actors/state/messages.ts'
import { replyStatus } from '../../../actors/state/zookeeper-commands.ts'
import type { WatchesMessage } from '../../../actors/watches/messages.ts'
import { failureOf } from '../../../transport/etcd/messages/failures.ts'

const address = { node: 0, actor: 'test' }

test('an answer that is too long is refused: in words, or, where there are none, by closing', () => {
  const told: WatchesMessage[] = []
  const watches = { address, tell: (message: WatchesMessage) => void told.push(message) }
  const emitter = new StreamEmitter(watches, { address, tell() {} }, () => {})
  const body = new Uint8Array(limits.replyBytesMax + 1)
  emitter.reply(stream.etcd, 3, 4, 5, 0, body)
  emitter.reply(stream.zookeeper, 3, 4, 5, 0, body)
  emitter.reply(stream.zookeeper, 3, 4, 5, 0, body.subarray(1))
  const statuses = told.map(reply => (reply.kind === 'reply' ? reply.status : -1))
  expect(failureOf(statuses[0] ?? 0).text).toBe('grpc: trying to send message larger than max')
  expect(statuses.slice(1)).toEqual([replyStatus.close, replyStatus.send])
  const addressed = { kind: 'reply', connection: 3, tag: 4, sequence: 5 }
  expect(told[0]).toMatchObject({ ...addressed, body: new Uint8Array(0) })
  expect(told[1]).toMatchObject({ ...addressed, body: new Uint8Array(0) })
})

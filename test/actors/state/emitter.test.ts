import { expect, test } from 'vitest'
import { StreamEmitter } from '../../../actors/state/emitter.ts'
import { stream } from '../../../actors/state/messages.ts'
import type { WatchesMessage } from '../../../actors/watches/messages.ts'
import { CodecError } from '../../../runtime/codec.ts'
import { failureOf } from '../../../transport/etcd/messages/failures.ts'

const address = { node: 0, actor: 'test' }

test('an answer that is too long for the way to the caller is refused instead', () => {
  const told: WatchesMessage[] = []
  const tell = (message: WatchesMessage): void => {
    if (message.kind === 'reply' && message.body.length > 10) throw new CodecError('too long')
    told.push(message)
  }
  const emitter = new StreamEmitter({ address, tell }, { address, tell() {} })
  emitter.reply(stream.etcd, 3, 4, 5, 0, new Uint8Array(11))
  const [refused] = told
  expect(refused).toMatchObject({ kind: 'reply', connection: 3, tag: 4, sequence: 5 })
  const status = refused?.kind === 'reply' ? refused.status : 0
  expect(failureOf(status).text).toBe('grpc: trying to send message larger than max')
  expect(() => emitter.reply(stream.zookeeper, 3, 4, 5, 0, new Uint8Array(11))).toThrow(CodecError)
})

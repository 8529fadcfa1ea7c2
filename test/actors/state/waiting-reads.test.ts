import { expect, test } from 'vitest'
import { stream, streamOf } from '../../../actors/state/messages.ts'
import { type WaitingRead, WaitingReads } from '../../../actors/state/waiting-reads.ts'

function read(ofStream: number, after: number, position: number): WaitingRead {
  const request = new Uint8Array(0)
  const common = { connection: 1, tag: 1, roomBytes: 100, request }
  return { kind: 'read', stream: ofStream, after, position, ...common }
}

test('reads of a gateway that is gone are forgotten, and no others', () => {
  const waiting = new WaitingReads()
  const [old, next] = [streamOf(stream.etcd, 0), streamOf(stream.etcd, 1)]
  for (const ofStream of [old, next, stream.zookeeper]) {
    waiting.waitForSequence(read(ofStream, 3, 0))
    waiting.waitForPosition(read(ofStream, 0, ofStream === old ? 5 : 9))
  }
  waiting.forgetOthers(next)
  expect(waiting.count).toBe(4)
  expect(waiting.nextPosition).toBe(9)
  expect(waiting.takeSequence(old, 3)).toEqual([])
  expect(waiting.takeSequence(next, 3)).toHaveLength(1)
  expect(waiting.takeSequence(stream.zookeeper, 3)).toHaveLength(1)
})

import { expect, test } from 'vitest'
import { forOldClient } from '../../../actors/gateways/zookeeper-old-clients.ts'
import { errorCode } from '../../../transport/zookeeper/errors.ts'
import { JuteWriter } from '../../../transport/zookeeper/jute-writer.ts'
import { encodeMultiFailure } from '../../../transport/zookeeper/multi.ts'

function reply(error: number, write: (writer: JuteWriter) => void = () => {}): Uint8Array {
  const writer = new JuteWriter()
  writer.begin()
  writer.int(7)
  writer.long(9)
  writer.int(error)
  write(writer)
  const body = writer.finish()
  const frame = new Uint8Array(4 + body.length)
  new DataView(frame.buffer).setInt32(0, body.length)
  frame.set(body, 4)
  return frame
}

test('a quota that is exceeded is a system error to clients that cannot know it', () => {
  expect(forOldClient(reply(errorCode.quotaExceeded))).toEqual(reply(errorCode.systemError))
  const multi = (error: number) =>
    reply(errorCode.ok, writer => encodeMultiFailure(writer, 4, 2, error))
  expect(forOldClient(multi(errorCode.quotaExceeded))).toEqual(multi(errorCode.systemError))
})

test('everything else is sent as it is', () => {
  const others = [
    reply(errorCode.ok),
    reply(errorCode.noNode),
    reply(errorCode.ok, writer => encodeMultiFailure(writer, 3, 0, errorCode.badVersion)),
    // Data that is null, and a stat behind it.
    reply(errorCode.ok, writer => {
      writer.int(-1)
      for (let field = 0; field < 6; field += 1) writer.long(errorCode.quotaExceeded)
    }),
    new Uint8Array(3),
  ]
  for (const other of others) expect(forOldClient(other)).toBe(other)
})

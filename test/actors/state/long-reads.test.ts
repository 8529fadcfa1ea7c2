/** Whose turn it is among long reads; what they read is in slices.test.ts. */
import { expect, test } from 'vitest'
import { LongReads } from '../../../actors/state/long-reads.ts'
import { roomUnlimited, stream } from '../../../actors/state/messages.ts'
import type { Steps } from '../../../actors/state/slices.ts'

test('a read of keys does not begin while a command is half applied, and goes on when it has begun', () => {
  const reads = new LongReads(() => {})
  const seen: string[] = []
  function* steps(): Steps {
    seen.push('began')
    yield
    seen.push('went on')
  }
  const common = {
    kind: 'read',
    connection: 1,
    tag: 1,
    after: 0,
    position: 0,
    roomBytes: roomUnlimited,
  } as const
  reads.add({ ...common, stream: stream.etcd, request: new Uint8Array(0) }, steps())
  reads.step(0, false)
  reads.step(1, false)
  expect(seen).toEqual([])
  reads.step(2, true)
  expect(seen).toEqual(['began'])
  reads.step(3, false)
  expect(seen).toEqual(['began', 'went on'])
  expect(reads.isIdle).toBe(true)
})

import { describe, expect, it } from 'vitest'
import { type Served, WaitingCalls } from '../../../actors/gateways/etcd-waiting-calls.ts'
import type { CallHead } from '../../../transport/etcd/api.ts'

const head = {} as CallHead

describe('calls that wait for room', () => {
  it('are served in turns by connection, and those of a full connection stay', () => {
    const { calls, add } = waiting()
    for (const call of [1, 2, 3]) for (const connection of [7, 8, 9]) add(connection, call)
    const served = serve(calls, ({ connection }) =>
      connection === 8 ? 'connectionFull' : 'served',
    )
    expect(served).toEqual(['7/1', '9/1', '7/2', '9/2', '7/3', '9/3'])
    expect(calls.count).toBe(3)
    expect(serve(calls, () => 'served')).toEqual(['8/1', '8/2', '8/3'])
    expect(calls).toMatchObject({ count: 0, bytes: 0 })
  })

  it('keep their turn where there is no room for anybody', () => {
    const { calls, add } = waiting()
    for (const connection of [7, 8]) for (const call of [1, 2]) add(connection, call)
    let room = 1
    const one = (): Served => (room-- > 0 ? 'served' : 'full')
    expect(serve(calls, one)).toEqual(['7/1'])
    room = 2
    expect(serve(calls, one)).toEqual(['8/1', '7/2'])
  })

  it('end with their client, their connection, or their time, from the oldest on', () => {
    const { calls, add } = waiting()
    for (const call of [1, 2, 3, 4]) add(7, call, call * 100)
    add(8, 1, 50)
    expect(calls.cancelled(7, 1)).toBe(true)
    expect(calls.cancelled(7, 1)).toBe(false)
    const asked: string[] = []
    calls.expire(({ connection, call, startMillis }) => {
      asked.push(`${connection}/${call}`)
      return startMillis < 300
    })
    // Behind one that is in time nobody is late.
    expect(asked).toEqual(['7/2', '7/3', '8/1'])
    expect(calls.count).toBe(2)
    calls.connectionClosed(7)
    expect(calls).toMatchObject({ count: 0, bytes: 0 })
  })

  it('keep bytes of their own, of short and of long messages', () => {
    for (const length of [0, 1, 100, 5_000, 100_000]) {
      const { calls } = waiting()
      const message = new Uint8Array(length).fill(1)
      calls.add({ connection: 7, call: 1, head, message, startMillis: 0 })
      message.fill(2)
      calls.serve(one => {
        expect(one.message).toEqual(new Uint8Array(length).fill(1))
        return 'served'
      })
      expect(calls.count).toBe(0)
    }
  })
})

function waiting() {
  const setup = { bytesMax: 1_000_000, connectionBytesMax: 1_000_000, hold: () => {} }
  const calls = new WaitingCalls(setup)
  const message = new Uint8Array(10)
  const add = (connection: number, call: number, startMillis = 0): void => {
    expect(calls.add({ connection, call, head, message, startMillis })).toBe(true)
  }
  return { calls, add }
}

function serve(calls: WaitingCalls, serve: (one: { connection: number }) => Served): string[] {
  const served: string[] = []
  calls.serve(one => {
    const outcome = serve(one)
    if (outcome === 'served') served.push(`${one.connection}/${one.call}`)
    return outcome
  })
  return served
}

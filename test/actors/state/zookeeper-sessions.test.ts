import { describe, expect, test } from 'vitest'
import { type Caller, ownOperation, replyStatus } from '../../../actors/state/zookeeper-commands.ts'
import { errorCode } from '../../../transport/zookeeper/errors.ts'
import { encodeIdentities } from '../../../transport/zookeeper/identities.ts'
import { operation } from '../../../transport/zookeeper/operations.ts'
import { address, createRecord, Scene } from './zookeeper-scene.ts'

const { createSession, attach } = ownOperation

function callerOf(session: bigint, connection: number): Caller {
  return { connection, session, identities: encodeIdentities([address]) }
}

/** Status and granted time-out of the one answer there is. */
function granted(made: Scene): [number, number | undefined] {
  const [answer, ...others] = made.takeAnswers()
  expect(others).toEqual([])
  const bytes = answer!.bytes
  return [answer!.status, bytes.length === 4 ? Buffer.from(bytes).readInt32BE() : undefined]
}

describe('a new session', () => {
  test('costs a zxid and is granted its time-out', () => {
    const made = new Scene()
    made.handshake(createSession, callerOf(9n, 5), { timeoutMillis: 6_000 })
    expect(granted(made)).toEqual([replyStatus.handshake, 6_000])
    expect([made.numbers.zxid, made.opened]).toEqual([1, [9n]])
    expect(made.lifetimes.session(9n)).toMatchObject({ node: 1, connection: 5, ttlMillis: 6_000 })
  })

  test('is refused to a client that has seen more than there is', () => {
    const made = new Scene()
    made.handshake(createSession, callerOf(9n, 5), { lastZxidSeen: 1 })
    expect(granted(made)).toEqual([replyStatus.close, undefined])
    expect([made.lifetimes.sessionCount, made.numbers.zxid]).toEqual([0, 0])
  })

  test('is refused if its number is taken', () => {
    const made = new Scene()
    made.session(9n)
    made.handshake(createSession, callerOf(9n, 6), {})
    expect(granted(made)).toEqual([replyStatus.close, undefined])
    expect(made.lifetimes.session(9n)?.connection).toBe(9)
  })
})

describe('attach', () => {
  test('moves the session, changes no zxid, and tells the connection that it left', () => {
    const made = new Scene()
    made.session(9n, 5, 6_000)
    made.handshake(attach, callerOf(9n, 6), { lastZxidSeen: 1, timeoutMillis: 6_000 })
    const [detached, answer] = made.takeAnswers()
    expect(detached).toMatchObject({ status: replyStatus.detached, connection: 5, sequence: 0 })
    expect(Buffer.from(detached!.bytes).readBigInt64BE()).toBe(9n)
    expect(answer).toMatchObject({ status: replyStatus.handshake, connection: 6 })
    expect(Buffer.from(answer!.bytes).readInt32BE()).toBe(6_000)
    expect(made.numbers.zxid).toBe(1)
  })

  test('agrees on the time-out anew, and lets it begin anew', () => {
    const made = new Scene()
    made.session(9n, 5, 6_000)
    made.opened.length = 0
    made.handshake(attach, callerOf(9n, 6), { timeoutMillis: 20_000 })
    const answer = made.takeAnswers().at(-1)
    expect(Buffer.from(answer!.bytes).readInt32BE()).toBe(20_000)
    expect([made.lifetimes.session(9n)?.ttlMillis, made.opened]).toEqual([20_000, [9n]])
    const fresh = new Scene()
    fresh.session(9n, 6, 20_000)
    expect(made.lifetimes.hashHigh).toBe(fresh.lifetimes.hashHigh)
    expect(made.lifetimes.hashLow).toBe(fresh.lifetimes.hashLow)
  })

  test('to another node tells this one that its connection is left', () => {
    const made = new Scene()
    made.session(9n, 5)
    made.handshake(attach, callerOf(9n, 77), { node: 2 })
    expect(made.takeAnswers()).toMatchObject([{ status: replyStatus.detached, connection: 5 }])
    expect(made.lifetimes.session(9n)).toMatchObject({ node: 2, connection: 77 })
  })

  test.each([
    ['another password', 9n, new Uint8Array(16)],
    ['an unknown session', 8n, new Uint8Array(16).fill(8)],
  ])('with %s is answered as expired and moves nothing', (_name, session, password) => {
    const made = new Scene()
    made.session(9n, 5)
    made.handshake(attach, callerOf(session, 6), { password })
    expect(granted(made)).toEqual([replyStatus.handshake, 0])
    expect(made.lifetimes.session(9n)?.connection).toBe(5)
  })

  test('by a client that has seen more than there is gets no answer', () => {
    const made = new Scene()
    made.session(9n, 5)
    made.handshake(attach, callerOf(9n, 6), { lastZxidSeen: 2 })
    expect(granted(made)).toEqual([replyStatus.close, undefined])
    expect(made.lifetimes.session(9n)?.connection).toBe(5)
  })
})

describe('writes of a session', () => {
  test('from a connection that it left close that connection and change nothing', () => {
    const made = new Scene()
    const old = made.session(9n, 5)
    made.handshake(attach, callerOf(9n, 6), {})
    made.takeAnswers()
    made.apply(old, operation.create, createRecord('/late'))
    expect(made.takeAnswers()).toMatchObject([{ status: replyStatus.close, connection: 5 }])
    expect(made.tree.find('/late')).toBe(0)
  })

  test('from another node than it is attached to are refused too', () => {
    const made = new Scene()
    const caller = made.session(9n, 5)
    made.apply(caller, operation.create, createRecord('/late'), { node: 2 })
    expect(made.tree.find('/late')).toBe(0)
  })

  test('that is gone are answered with session expired', () => {
    const made = new Scene()
    const caller = made.session(9n, 5)
    made.expire(9n)
    made.takeAnswers()
    expect(made.create(caller, '/late').error).toBe(errorCode.sessionExpired)
  })
})

describe('the end of a session', () => {
  function withEphemerals() {
    const made = new Scene()
    const caller = made.session(9n, 5)
    const other = made.session(7n, 4)
    made.create(caller, '/a')
    for (const path of ['/a/e1', '/a/e2', '/e3']) made.create(caller, path, 1)
    made.create(other, '/other', 1)
    made.takeEmitted()
    return { made, caller, other }
  }

  test('takes all its ephemerals in one zxid, each with its event, and nobody else’s', () => {
    const { made, other } = withEphemerals()
    const before = made.numbers.zxid
    made.expire(9n)
    made.takeAnswers()
    expect(made.numbers.zxid).toBe(before + 1)
    const paths = made.takeEmitted().map(change => (change as { path: string }).path)
    expect(paths.sort()).toEqual(['/a/e1', '/a/e2', '/e3'])
    expect(made.tree.find('/a/e1')).toBe(0)
    expect(made.stat(other, '/a')).toMatchObject({ pzxid: before + 1, cversion: 4, numChildren: 0 })
    expect(made.stat(other, '/other').ephemeralOwner).toBe(7n)
    expect([made.closed, made.lifetimes.sessionCount]).toEqual([[9n], 1])
  })

  test('by expiry tells its connection here', () => {
    const { made } = withEphemerals()
    made.expire(9n)
    expect(made.takeAnswers()).toMatchObject([{ status: replyStatus.detached, connection: 5 }])
  })

  test('by its own wish is answered, and the connection closed behind the answer', () => {
    const { made, caller } = withEphemerals()
    const answer = made.call(caller, operation.closeSession, () => {})
    expect(answer).toMatchObject({ status: replyStatus.sendAndClose, error: 0 })
    expect(answer.zxid).toBe(made.numbers.zxid)
    expect(made.takeEmitted()).toHaveLength(3)
    expect(made.lifetimes.session(9n)).toBeUndefined()
  })

  test('of an id with its highest bit set finds its ephemerals all the same', () => {
    const made = new Scene()
    const id = -0x0123_4567_89ab_cdefn
    const caller = made.session(id, 5)
    made.create(caller, '/e', 1)
    expect(made.stat(caller, '/e').ephemeralOwner).toBe(id)
    made.expire(id)
    expect(made.tree.find('/e')).toBe(0)
  })
})

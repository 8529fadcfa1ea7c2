import { describe, expect, test } from 'vitest'
import { lifetime } from '../../../actors/sessions/messages.ts'
import { encodeHistoryRequest, etcdRead } from '../../../actors/state/etcd-commands.ts'
import { etcdFace } from '../../../actors/state/etcd-face.ts'
import { type Decoded, decode, encode } from '../../transport/etcd/messages/schema.ts'
import { EtcdWorld } from './etcd-world.ts'

const bytes = (text: string) => Buffer.from(text, 'latin1')
const raw = (text: string) => new Uint8Array(bytes(text))
const everything = { key: Buffer.from([0]), range_end: Buffer.from([0]) }
const put = (key: string, value = '', more = {}) => ({
  request_put: { key: bytes(key), value: bytes(value), ...more },
})
const remove = (key: string, end = '', more = {}) => ({
  request_delete_range: { key: bytes(key), range_end: bytes(end), ...more },
})
const get = (key: string, end = '', more = {}) => ({
  request_range: { key: bytes(key), range_end: bytes(end), ...more },
})
const revisionOf = (response: Decoded) => Number(response.header.revision)

describe('revisions', () => {
  test('an empty store is at 1, and the first change makes it 2', () => {
    const world = new EtcdWorld()
    expect(revisionOf(world.range({ key: bytes('a') }))).toBe(1)
    expect(revisionOf(world.put('a'))).toBe(2)
  })

  test('a command that changes nothing does not count', () => {
    const world = new EtcdWorld()
    expect(revisionOf(world.run('deleteRange', { key: bytes('a') }))).toBe(1)
    expect(revisionOf(world.run('txn', { success: [remove('a'), get('a')] }))).toBe(1)
    expect(revisionOf(world.run('leaseGrant', { TTL: 10, ID: 7 }))).toBe(1)
    expect(revisionOf(world.run('leaseRevoke', { ID: 7 }))).toBe(1)
  })

  test('a put of the same value counts', () => {
    const world = new EtcdWorld()
    world.put('a', '1')
    expect(revisionOf(world.put('a', '1'))).toBe(3)
    expect(world.range({ key: bytes('a') }).kvs[0]).toMatchObject({
      create_revision: '2',
      mod_revision: '3',
      version: '2',
    })
  })

  test('a transaction is one revision, with changes counted up inside it', () => {
    const world = new EtcdWorld()
    world.emitter.keysWatched = true
    world.run('txn', { success: [put('b', '1'), put('a', '2'), remove('x')] })
    expect(world.emitter.emitted).toMatchObject([
      { kind: 'keysChanged', revision: 2, events: [{ key: raw('b') }, { key: raw('a') }] },
    ])
    const versions: number[] = []
    world.keyspace.changes(2, 10, versions)
    expect(versions.map(one => [world.keyspace.modRevision(one), world.keyspace.sub(one)])).toEqual(
      [
        [2, 0],
        [2, 1],
      ],
    )
  })

  test('deleting a range is one revision, in the order of the keys', () => {
    const world = new EtcdWorld()
    for (const key of ['c', 'a', 'b']) world.put(key)
    world.emitter.keysWatched = true
    expect(revisionOf(world.run('deleteRange', { key: bytes('a'), range_end: bytes('c') }))).toBe(5)
    expect(world.emitter.emitted).toMatchObject([
      {
        events: [
          { deleted: true, key: raw('a') },
          { deleted: true, key: raw('b') },
        ],
      },
    ])
  })

  test('a key that is put again after it was deleted begins a new life', () => {
    const world = new EtcdWorld()
    world.put('a')
    world.put('a')
    world.run('deleteRange', { key: bytes('a') })
    world.put('a')
    expect(world.range({ key: bytes('a') }).kvs[0]).toMatchObject({
      create_revision: '5',
      mod_revision: '5',
      version: '1',
    })
  })

  test('the header has the ids and the epoch', () => {
    expect(new EtcdWorld().put('a').header).toEqual({
      cluster_id: '9',
      member_id: '8',
      revision: '2',
      raft_term: '3',
    })
  })

  test('a node that does not answer comes to the same state', () => {
    const world = new EtcdWorld()
    const follower = new EtcdWorld()
    const commands = [
      ['put', { key: bytes('a'), value: bytes('1') }],
      ['txn', { success: [put('b', '2'), remove('a', '', { prev_kv: true }), get('b')] }],
      ['leaseGrant', { TTL: 5, ID: '-3' }],
      ['put', { key: bytes('c'), lease: '-3', prev_kv: true }],
      ['put', { key: bytes('d'), lease: '4' }],
      ['compact', { revision: 2 }],
    ] as const
    for (const [operation, request] of commands) {
      world.run(operation, request)
      follower.follow(operation, request)
    }
    expect(follower.emitter.replies).toEqual([])
    expect(follower.contents()).toBe(world.contents())
    expect(follower.keyspace.revision).toBe(4)
    expect(follower.keyspace.compactRevision).toBe(2)
    expect(follower.lifetimes.hashLow).toBe(world.lifetimes.hashLow)
    expect(follower.keyspace.hash).toEqual(world.keyspace.hash)
  })
})

describe('put', () => {
  test('prev_kv shows the whole version before, and nothing for a new key', () => {
    const world = new EtcdWorld()
    const request = { key: bytes('a'), value: bytes('1'), prev_kv: true }
    expect(world.run('put', request).prev_kv).toBeUndefined()
    expect(world.run('put', request).prev_kv).toEqual({
      key: bytes('a'),
      create_revision: '2',
      mod_revision: '2',
      version: '1',
      value: bytes('1'),
    })
  })

  test('ignore_value keeps the value, ignore_lease the lease', () => {
    const world = new EtcdWorld()
    world.run('leaseGrant', { TTL: 10, ID: 7 })
    world.put('a', 'kept', 7)
    world.run('put', { key: bytes('a'), ignore_value: true, ignore_lease: true })
    expect(world.range({ key: bytes('a') }).kvs[0]).toMatchObject({
      value: bytes('kept'),
      lease: '7',
      version: '2',
    })
    world.run('put', { key: bytes('a'), ignore_value: true })
    expect(world.range({ key: bytes('a') }).kvs[0].lease).toBeUndefined()
  })

  test('ignoring what is not there, or together with what is given, is refused', () => {
    const world = new EtcdWorld()
    const missing = [3, 'etcdserver: key not found']
    expect(world.run('put', { key: bytes('a'), ignore_value: true })).toEqual(missing)
    expect(world.run('put', { key: bytes('a'), ignore_lease: true })).toEqual(missing)
    expect(world.run('put', { key: bytes('a'), ignore_value: true, value: bytes('v') })).toEqual([
      3,
      'etcdserver: value is provided',
    ])
    expect(world.run('put', { key: bytes('a'), ignore_lease: true, lease: 5 })).toEqual([
      3,
      'etcdserver: lease is provided',
    ])
    expect(world.run('put', {})).toEqual([3, 'etcdserver: key is not provided'])
    expect(world.keyspace.revision).toBe(1)
  })

  test('the lease has to exist, and this comes before the key', () => {
    const world = new EtcdWorld()
    const refused = [5, 'etcdserver: requested lease not found']
    expect(world.put('a', '', 7)).toEqual(refused)
    expect(world.put('a', '', -1)).toEqual(refused)
    expect(world.run('put', { key: bytes('a'), ignore_value: true, lease: 7 })).toEqual(refused)
  })

  test('keys and values may be any bytes, and the value empty', () => {
    const world = new EtcdWorld()
    const key = Buffer.from([0, 255, 128, 10])
    world.run('put', { key, value: Buffer.from([255, 0]) })
    expect(world.range({ key }).kvs[0]).toMatchObject({ key, value: Buffer.from([255, 0]) })
    world.run('put', { key })
    expect(world.range({ key }).kvs[0].value).toBeUndefined()
  })
})

describe('events with the value before', () => {
  const everything = {
    request_delete_range: { key: Buffer.from([0]), range_end: Buffer.from([0]) },
  }
  const valuesOf = (events: readonly { key: Uint8Array; previous: Uint8Array }[]) =>
    events.map(({ key, previous }) => [
      String.fromCharCode(...key),
      previous.length === 0 ? undefined : String(decode('KeyValue', previous).value),
    ])
  const told = (world: EtcdWorld, from: number) => {
    world.emitter.emitted = []
    world.readBytes(etcdRead.history, encodeHistoryRequest(from, 10).subarray(1))
    const [slice] = world.emitter.emitted
    if (slice?.kind !== 'keyHistory') throw new Error('history was told')
    return slice.changes.map(change => valuesOf(change.events))
  }

  // As a real etcd 3.6.14 answers; both while the watch keeps up and from history.
  test('a key that is deleted and put in one transaction is new: nothing was before', () => {
    const world = new EtcdWorld()
    world.put('a', '1')
    world.put('b', '2')
    world.emitter.keysWatched = true
    world.run('txn', { success: [everything, put('a', '3')] })
    world.run('txn', { success: [put('a', '4'), everything] })
    const live = world.emitter.emitted.map(
      one => one.kind === 'keysChanged' && valuesOf(one.events),
    )
    const expected = [
      [
        ['a', '1'],
        ['b', '2'],
        ['a', undefined],
      ],
      [
        ['a', '3'],
        ['a', '3'],
      ],
    ]
    expect(live).toEqual(expected)
    expect(told(world, 4)).toEqual(expected)
  })

  test('a key that is put and deleted in one transaction was nothing before', () => {
    const world = new EtcdWorld()
    world.emitter.keysWatched = true
    world.run('txn', { success: [put('a', '4'), everything] })
    const expected = [
      [
        ['a', undefined],
        ['a', undefined],
      ],
    ]
    expect(
      world.emitter.emitted.map(one => one.kind === 'keysChanged' && valuesOf(one.events)),
    ).toEqual(expected)
    expect(told(world, 2)).toEqual(expected)
  })
})

describe('sizes', () => {
  test('an answer that is too long is refused, and what it would have told of is done', () => {
    const world = new EtcdWorld()
    for (let at = 0; at < 3; at += 1)
      world.run('put', { key: bytes(`big${at}`), value: Buffer.alloc(1_000_000) })
    const ranges = Array.from({ length: 100 }, () => get('big', 'bih'))
    const tooLarge = [8, 'grpc: trying to send message larger than max']
    expect(world.readTxn({ success: ranges })).toEqual(tooLarge)
    const changes = [put('a', '1'), ...ranges, remove('big', 'bih', { prev_kv: true })]
    expect(world.run('txn', { success: changes })).toEqual(tooLarge)
    expect(world.contents()).toBe('a=1')
    expect(revisionOf(world.put('b'))).toBe(6)
  })

  test('changes of one revision are told in parts, and no part is long', () => {
    const world = new EtcdWorld()
    world.emitter.keysWatched = true
    const puts = Array.from({ length: 12 }, (_, at) => put(`k${at}`, 'v'.repeat(300_000)))
    world.run('txn', { success: puts })
    world.run('deleteRange', { key: bytes('k'), range_end: bytes('l') })
    const changes = world.emitter.emitted.filter(message => message.kind === 'keysChanged')
    for (const revision of [2, 3]) {
      const parts = changes.filter(one => one.revision === revision)
      expect(parts.slice(0, -1).every(({ more }) => more)).toBe(true)
      expect(parts.at(-1)?.more).toBe(false)
      expect(parts.length).toBeGreaterThan(2)
      expect(parts.flatMap(({ events }) => events)).toHaveLength(12)
      for (const { events } of parts) expect(events.length).toBeLessThan(5)
    }
    expect(changes.map(({ revision }) => revision)).toEqual(
      changes.map(({ revision }) => revision).sort(),
    )
  })

  test('so is history, within a revision too', () => {
    const world = new EtcdWorld()
    const puts = Array.from({ length: 12 }, (_, at) => put(`k${at}`, 'v'.repeat(300_000)))
    world.run('txn', { success: puts })
    world.put('x')
    world.readBytes(etcdRead.history, encodeHistoryRequest(1, 10).subarray(1))
    const slices = world.emitter.emitted.filter(message => message.kind === 'keyHistory')
    expect(slices.slice(0, -1).every(({ more }) => more)).toBe(true)
    expect(slices.at(-1)).toMatchObject({ more: false, upTo: 2 })
    expect(slices.length).toBeGreaterThan(2)
    const events = slices.flatMap(({ changes }) => changes).flatMap(change => change.events)
    expect(events.map(({ key }) => String.fromCharCode(...key))).toEqual(
      Array.from({ length: 12 }, (_, at) => `k${at}`),
    )
  })

  test('a key, or a value, may be as long as a request', () => {
    const world = new EtcdWorld()
    const length = 1_500_000
    world.run('put', { key: Buffer.alloc(length, 97), value: bytes('small') })
    world.run('put', { key: bytes('b'), value: Buffer.alloc(length, 98) })
    const [long, short] = world.range(everything).kvs
    expect([long.key.length, short.value.length]).toEqual([length, length])
    expect(world.run('deleteRange', { ...everything, prev_kv: true }).prev_kvs.length).toBe(2)
  })
})

describe('delete', () => {
  test('answers how many, and what they were when asked', () => {
    const world = new EtcdWorld()
    for (const key of ['a', 'b', 'c']) world.put(key, `value of ${key}`)
    const response = world.run('deleteRange', {
      key: bytes('a'),
      range_end: bytes('c'),
      prev_kv: true,
    })
    expect(response.deleted).toBe('2')
    expect(
      response.prev_kvs.map((kv: Decoded) => [String(kv.key), String(kv.value), kv.mod_revision]),
    ).toEqual([
      ['a', 'value of a', '2'],
      ['b', 'value of b', '3'],
    ])
    expect(world.contents()).toBe('c=value of c')
  })

  test('a single key, everything from a key, everything, an interval that is none', () => {
    const world = new EtcdWorld()
    for (const key of ['a', 'b', 'c', 'd']) world.put(key)
    expect(world.run('deleteRange', { key: bytes('b') }).deleted).toBe('1')
    expect(
      world.run('deleteRange', { key: bytes('d'), range_end: bytes('a') }).deleted,
    ).toBeUndefined()
    expect(world.run('deleteRange', { key: bytes('c'), range_end: Buffer.from([0]) }).deleted).toBe(
      '2',
    )
    expect(world.run('deleteRange', everything).deleted).toBe('1')
    expect(world.run('deleteRange', {})).toEqual([3, 'etcdserver: key is not provided'])
  })
})

describe('transactions', () => {
  test('the branch follows from the comparisons, and none at all hold', () => {
    const world = new EtcdWorld()
    world.put('a', '1')
    const branches = { success: [put('yes')], failure: [put('no')] }
    const wrong = { result: 0, target: 3, key: bytes('a'), value: bytes('2') }
    expect(world.run('txn', { compare: [wrong], ...branches }).succeeded).toBeUndefined()
    expect(world.run('txn', branches).succeeded).toBe(true)
    expect(world.contents()).toBe('a=1 no= yes=')
  })

  test('each target and each result', () => {
    const world = new EtcdWorld()
    world.run('leaseGrant', { TTL: 10, ID: 7 })
    world.put('z')
    world.put('a', 'm')
    world.put('a', 'm', 7)
    // create 3, mod 4, version 2, value m, lease 7: how each compares with one less, the same, one more.
    const targets = [
      { target: 0, values: [{ version: 1 }, { version: 2 }, { version: 3 }] },
      {
        target: 1,
        values: [{ create_revision: 2 }, { create_revision: 3 }, { create_revision: 4 }],
      },
      { target: 2, values: [{ mod_revision: 3 }, { mod_revision: 4 }, { mod_revision: 5 }] },
      { target: 3, values: [{ value: bytes('l') }, { value: bytes('m') }, { value: bytes('ma') }] },
      { target: 4, values: [{ lease: '-7' }, { lease: 7 }, { lease: '9223372036854775807' }] },
    ]
    const results = [
      [false, true, false],
      [true, false, false],
      [false, false, true],
      [true, false, true],
    ]
    for (const { target, values } of targets) {
      results.forEach((expected, result) => {
        const found = values.map(value =>
          holds(world, { result, target, key: bytes('a'), ...value }),
        )
        expect(found, `target ${target}, result ${result}`).toEqual(expected)
      })
    }
  })

  test('a key that is not there compares as zero, but its value never holds', () => {
    const world = new EtcdWorld()
    expect(holds(world, { target: 0, key: bytes('a'), version: 0 })).toBe(true)
    expect(holds(world, { target: 1, key: bytes('a') })).toBe(true)
    expect(holds(world, { target: 4, key: bytes('a'), lease: 0 })).toBe(true)
    expect(holds(world, { result: 3, target: 2, key: bytes('a'), mod_revision: 5 })).toBe(true)
    for (const result of [0, 1, 2, 3]) {
      expect(holds(world, { result, target: 3, key: bytes('a'), value: bytes('x') })).toBe(false)
    }
  })

  test('a value given for another target counts as none', () => {
    const world = new EtcdWorld()
    world.put('a')
    expect(holds(world, { target: 0, key: bytes('a'), mod_revision: 1 })).toBe(false)
    expect(holds(world, { result: 1, target: 0, key: bytes('a'), mod_revision: 1 })).toBe(true)
    expect(holds(world, { target: 3, key: bytes('a') })).toBe(true)
  })

  test('over a range every key has to hold; an empty one is a key that is not there', () => {
    const world = new EtcdWorld()
    for (const key of ['a', 'b']) world.put(key)
    world.put('b')
    const over = (more: object) =>
      holds(world, { target: 0, key: bytes('a'), range_end: bytes('c'), ...more })
    expect(over({ result: 1, version: 0 })).toBe(true)
    expect(over({ result: 0, version: 1 })).toBe(false)
    const empty = { key: bytes('x'), range_end: bytes('z') }
    expect(holds(world, { target: 0, ...empty, version: 0 })).toBe(true)
    expect(holds(world, { target: 3, ...empty })).toBe(false)
  })

  test('comparisons, nested ones too, see the state before', () => {
    const world = new EtcdWorld()
    const absent = { target: 0, key: bytes('a'), version: 0 }
    const response = world.run('txn', {
      success: [
        put('a', '1'),
        { request_txn: { compare: [absent], success: [put('b')], failure: [put('c')] } },
      ],
    })
    expect(response.responses[1].response_txn.succeeded).toBe(true)
    expect(world.contents()).toBe('a=1 b=')
  })

  test('ranges inside see the writes before them, at the new revision', () => {
    const world = new EtcdWorld()
    const response = world.run('txn', {
      success: [
        get('a'),
        put('a', '1'),
        get('a', 'c'),
        put('b', '2'),
        get('a', 'c', { count_only: true }),
      ],
    })
    expect(response).toEqual({
      header: { cluster_id: '9', member_id: '8', revision: '2', raft_term: '3' },
      succeeded: true,
      responses: [
        { response_range: { header: { revision: '1' } } },
        { response_put: { header: { revision: '2' } } },
        {
          response_range: {
            header: { revision: '2' },
            kvs: [
              {
                key: bytes('a'),
                create_revision: '2',
                mod_revision: '2',
                version: '1',
                value: bytes('1'),
              },
            ],
            count: '1',
          },
        },
        { response_put: { header: { revision: '2' } } },
        { response_range: { header: { revision: '2' }, count: '2' } },
      ],
    })
  })

  test('the answer has one element for each operation, nested with an empty header', () => {
    const world = new EtcdWorld()
    world.put('p', 'old')
    const response = world.run('txn', {
      success: [
        put('p', 'new', { prev_kv: true }),
        { request_txn: { success: [remove('q', '', { prev_kv: true }), { request_txn: {} }] } },
      ],
    })
    const [first, second] = response.responses
    expect(String(first.response_put.prev_kv.value)).toBe('old')
    expect(second.response_txn).toEqual({
      header: {},
      succeeded: true,
      responses: [
        { response_delete_range: { header: { revision: '3' } } },
        { response_txn: { header: {}, succeeded: true } },
      ],
    })
  })

  test('what is wrong in either branch is found before anything runs', () => {
    const world = new EtcdWorld()
    const refusals = [
      [[put('')], 'key is not provided'],
      [[get('')], 'key is not provided'],
      [[remove('')], 'key is not provided'],
      [[put('a', 'v', { ignore_value: true })], 'value is provided'],
      [[put('a', '', { ignore_lease: true, lease: 1 })], 'lease is provided'],
      [[get('a', '', { sort_order: 3 })], 'invalid sort option'],
      [[get('a', '', { sort_target: -1 })], 'invalid sort option'],
      [[{}], 'key not found'],
      [[put('a'), put('a')], 'duplicate key given in txn request'],
      [[{ request_txn: { compare: [{ key: bytes('') }] } }], 'key is not provided'],
    ] as const
    for (const [operations, text] of refusals) {
      expect(world.run('txn', { success: [put('z')], failure: operations })).toEqual([
        3,
        `etcdserver: ${text}`,
      ])
      expect(world.run('txn', { success: operations })).toEqual([3, `etcdserver: ${text}`])
    }
    expect(world.keyspace.revision).toBe(1)
  })

  test('what cannot be in the chosen branch leaves no trace', () => {
    const world = new EtcdWorld()
    world.put('a')
    const compacted = world.run('compact', { revision: 2 })
    expect(revisionOf(compacted)).toBe(2)
    const impossible = [
      [put('b', '', { lease: 5 }), [5, 'etcdserver: requested lease not found']],
      [put('b', '', { ignore_value: true }), [3, 'etcdserver: key not found']],
      [
        get('b', '', { revision: 3 }),
        [11, 'etcdserver: mvcc: required revision is a future revision'],
      ],
      [
        get('b', '', { revision: 1 }),
        [11, 'etcdserver: mvcc: required revision has been compacted'],
      ],
      [
        get('b', '', { revision: -1 }),
        [11, 'etcdserver: mvcc: required revision has been compacted'],
      ],
    ] as const
    for (const [operation, failed] of impossible) {
      expect(
        world.run('txn', { success: [put('z'), { request_txn: { success: [operation] } }] }),
      ).toEqual(failed)
      // In the branch that does not run it does no harm.
      expect(world.run('txn', { success: [remove('none')], failure: [operation] }).succeeded).toBe(
        true,
      )
    }
    expect(world.contents()).toBe('a=')
    expect(world.keyspace.revision).toBe(2)
  })

  test('of several failures the first operation’s is told; of one put, the key’s before the lease’s', () => {
    const world = new EtcdWorld()
    world.put('a')
    const noLease = put('a', '', { lease: 5 })
    const future = get('a', '', { revision: 9 })
    const leaseNotFound = [5, 'etcdserver: requested lease not found']
    const inFuture = [11, 'etcdserver: mvcc: required revision is a future revision']
    const nested = (...success: object[]) => ({ request_txn: { success } })
    expect(world.run('txn', { success: [noLease, future] })).toEqual(leaseNotFound)
    expect(world.run('txn', { success: [future, noLease] })).toEqual(inFuture)
    expect(world.run('txn', { success: [nested(get('a'), future), noLease] })).toEqual(inFuture)
    expect(world.run('txn', { success: [nested(), nested(noLease), future] })).toEqual(
      leaseNotFound,
    )
    const neither = put('none', '', { lease: 5, ignore_value: true })
    expect(world.run('txn', { success: [neither] })).toEqual([3, 'etcdserver: key not found'])
  })

  test('a revision below zero is the newest for a range alone, in a transaction only while all is kept', () => {
    const world = new EtcdWorld()
    world.put('a')
    const compacted = [11, 'etcdserver: mvcc: required revision has been compacted']
    expect(world.run('txn', { success: [get('a', '', { revision: -1 })] }).succeeded).toBe(true)
    expect(world.run('txn', { success: [get('a', '', { revision: -2 })] })).toEqual(compacted)
    world.run('compact', { revision: 2 })
    expect(world.readTxn({ success: [get('a', '', { revision: -1 })] })).toEqual(compacted)
    expect(world.range({ key: bytes('a'), revision: -1 }).count).toBe('1')
  })

  test('one key twice in a branch is refused, through any nesting', () => {
    const world = new EtcdWorld()
    const nested = (...success: object[]) => ({ request_txn: { success } })
    const refused = [3, 'etcdserver: duplicate key given in txn request']
    for (const operations of [
      [put('a'), nested(put('a'))],
      [nested(nested(put('a'))), nested(put('a'))],
      [remove('a'), put('a')],
      [remove('a', 'c'), put('b')],
      [nested(remove('a', 'c')), put('b')],
      [remove('a', 'c'), nested(put('b'))],
      [
        { request_txn: { success: [put('a')], failure: [put('b')] } },
        { request_txn: { failure: [put('b')] } },
      ],
    ]) {
      expect(world.run('txn', { success: operations })).toEqual(refused)
    }
  })

  test('both branches of a nested transaction may put the same key; deletes may overlap', () => {
    const world = new EtcdWorld()
    for (const operations of [
      [{ request_txn: { success: [put('a')], failure: [put('a')] } }],
      [remove('a', 'c'), remove('b', 'd')],
      [remove('a', 'b'), put('b')],
      [get('a'), put('a'), get('a')],
    ]) {
      expect(world.run('txn', { success: operations }).succeeded).toBe(true)
    }
  })

  test('everything may be deleted together with a put, as etcd lets it', () => {
    const world = new EtcdWorld()
    for (const key of ['a', 'b']) world.put(key, 'old')
    const all = { request_delete_range: everything }
    const response = world.run('txn', { success: [all, put('b', 'new')] })
    expect(response.responses[0].response_delete_range.deleted).toBe('2')
    expect(world.contents()).toBe('b=new')
    expect(world.range({ key: bytes('b') }).kvs[0]).toMatchObject({
      create_revision: '4',
      version: '1',
    })
    world.run('txn', { success: [put('b', 'newer'), all] })
    expect(world.contents()).toBe('')
    expect(world.keyspace.revision).toBe(5)
  })

  test('no more than 128 operations, less what the transactions around use', () => {
    const world = new EtcdWorld()
    const puts = (count: number) => Array.from({ length: count }, (_, index) => put(`k${index}`))
    const refused = [3, 'etcdserver: too many operations in txn request']
    expect(world.run('txn', { success: puts(128) }).succeeded).toBe(true)
    expect(world.run('txn', { success: puts(129) })).toEqual(refused)
    expect(world.run('txn', { failure: puts(129) })).toEqual(refused)
    const compare = Array.from({ length: 129 }, () => ({ key: bytes('a') }))
    expect(world.run('txn', { compare })).toEqual(refused)
    const nested = (inner: number) => ({
      success: [{ request_txn: { success: puts(inner) } }, put('other')],
    })
    expect(world.run('txn', nested(126)).succeeded).toBe(true)
    expect(world.run('txn', nested(127))).toEqual(refused)
  })
})

describe('compaction', () => {
  test('of the future, and twice the same, is refused', () => {
    const world = new EtcdWorld()
    for (const key of ['a', 'b', 'c']) world.put(key)
    expect(world.run('compact', { revision: 5 })).toEqual([
      11,
      'etcdserver: mvcc: required revision is a future revision',
    ])
    expect(revisionOf(world.run('compact', { revision: 3 }))).toBe(4)
    for (const revision of [3, 2, 0, -1]) {
      expect(world.run('compact', { revision })).toEqual([
        11,
        'etcdserver: mvcc: required revision has been compacted',
      ])
    }
    expect(revisionOf(world.run('compact', { revision: 4 }))).toBe(4)
  })

  test('reads at the compacted revision work, below it they are refused', () => {
    const world = new EtcdWorld()
    world.put('a', '1')
    world.put('a', '2')
    world.put('a', '3')
    world.run('compact', { revision: 3 })
    while (!world.keyspace.compactStep(1));
    expect(String(world.range({ key: bytes('a'), revision: 3 }).kvs[0].value)).toBe('2')
    expect(world.range({ key: bytes('a'), revision: 2 })).toEqual([
      11,
      'etcdserver: mvcc: required revision has been compacted',
    ])
  })

  test('physical is answered when nothing compacted is left', () => {
    const world = new EtcdWorld()
    world.put('a')
    world.put('a')
    world.applyBytes('compact', encode('CompactionRequest', { revision: 3, physical: true }), true)
    expect(world.emitter.replies).toEqual([])
    etcdFace.compacted(world.world)
    expect(world.emitter.replies).toMatchObject([{ connection: 77, tag: 5, status: 0 }])
    etcdFace.compacted(world.world)
    expect(world.emitter.replies.length).toBe(1)
  })
})

describe('leases', () => {
  test('granted with the given id, once', () => {
    const world = new EtcdWorld()
    expect(world.run('leaseGrant', { TTL: 10, ID: '-9223372036854775808' })).toMatchObject({
      ID: '-9223372036854775808',
      TTL: '10',
    })
    expect(world.run('leaseGrant', { TTL: 10, ID: '-9223372036854775808' })).toEqual([
      9,
      'etcdserver: lease already exists',
    ])
    expect(world.run('leaseGrant', { TTL: 9_000_000_001, ID: 5 })).toEqual([
      11,
      'etcdserver: too large lease TTL',
    ])
    expect(world.emitter.opened).toEqual([-(2n ** 63n)])
  })

  test('revoking deletes the attached keys in order, as one revision, and only them', () => {
    const world = new EtcdWorld()
    world.run('leaseGrant', { TTL: 10, ID: 7 })
    world.run('leaseGrant', { TTL: 10, ID: 8 })
    for (const key of ['c', 'a', 'moved', 'detached']) world.put(key, '', 7)
    world.put('moved', '', 8)
    world.put('detached')
    world.emitter.keysWatched = true
    const before = world.keyspace.revision
    expect(revisionOf(world.run('leaseRevoke', { ID: 7 }))).toBe(before + 1)
    expect(world.emitter.emitted).toMatchObject([
      {
        revision: before + 1,
        events: [
          { deleted: true, key: raw('a') },
          { deleted: true, key: raw('c') },
        ],
      },
    ])
    expect(world.contents()).toBe('detached= moved=')
    expect(world.emitter.closed).toEqual([7n])
    expect(world.run('leaseRevoke', { ID: 7 })).toEqual([
      5,
      'etcdserver: requested lease not found',
    ])
  })

  test('a key that was deleted, and put again without the lease, is no longer its', () => {
    const world = new EtcdWorld()
    world.run('leaseGrant', { TTL: 10, ID: 7 })
    world.put('a', '', 7)
    world.run('deleteRange', { key: bytes('a') })
    world.put('a')
    world.run('leaseRevoke', { ID: 7 })
    expect(world.contents()).toBe('a=')
  })

  test('the end of a lease deletes as revoking does', () => {
    const world = new EtcdWorld()
    world.run('leaseGrant', { TTL: 10, ID: 7 })
    world.put('a', '', 7)
    const lease = world.lifetimes.lease(7n)!
    expect(lease.kind).toBe(lifetime.lease)
    etcdFace.expire(world.world, world.command(new Uint8Array(0), false), lease)
    expect(world.contents()).toBe('')
    expect(world.lifetimes.leaseCount).toBe(0)
  })

  test('time to live, with the keys when asked', () => {
    const world = new EtcdWorld()
    world.run('leaseGrant', { TTL: 10, ID: 7 })
    for (const key of ['b', 'a']) world.put(key, '', 7)
    const ask = (remaining: number, keys: boolean, id = 7) => {
      const times = Buffer.alloc(16)
      times.writeDoubleLE(remaining, 0)
      times.writeDoubleLE(10_000, 8)
      const question = encode('LeaseTimeToLiveRequest', { ID: id, keys })
      return world.read(
        etcdRead.timeToLive,
        Uint8Array.of(...times, ...question),
        'LeaseTimeToLiveResponse',
      )
    }
    expect(ask(8999, true)).toMatchObject({
      ID: '7',
      TTL: '8',
      grantedTTL: '10',
      keys: [bytes('a'), bytes('b')],
    })
    expect(ask(8999, false).keys).toBeUndefined()
    const missing = ask(-1, true)
    expect(missing).toMatchObject({ ID: '7', TTL: '-1' })
    expect(missing.grantedTTL).toBeUndefined()
    // It ended between the leader's answer and this read.
    expect(ask(5000, false, 8)).toMatchObject({ ID: '8', TTL: '-1' })
  })

  test('the list', () => {
    const world = new EtcdWorld()
    for (const ID of ['5', '-6']) world.run('leaseGrant', { TTL: 10, ID })
    const list = world.read(etcdRead.leases, new Uint8Array(0), 'LeaseLeasesResponse')
    expect(list.leases).toEqual([{ ID: '5' }, { ID: '-6' }])
  })
})

function holds(world: EtcdWorld, compare: object): boolean {
  return world.readTxn({ compare: [compare] }).succeeded === true
}

test('counts what was applied here, whoever asked, and what was read here', () => {
  const world = new EtcdWorld()
  world.put('a', '123')
  world.follow('put', { key: bytes('b'), value: bytes('4') })
  world.run('txn', { success: [put('c'), get('a'), remove('b')], failure: [put('d')] })
  world.follow('txn', { success: [get('a')] })
  world.readTxn({ success: [get('a'), get('b')] })
  world.range({ key: bytes('a') })
  world.run('put', {})
  world.run('leaseGrant', { TTL: 9, ID: 1 })
  world.run('leaseRevoke', { ID: 1 })
  expect({ ...world.tally }).toEqual({
    puts: 3,
    putBytes: 4 + 2 + 1,
    deletes: 1,
    ranges: 5,
    transactions: 3,
    leasesGranted: 1,
    leasesRevoked: 1,
  })
})

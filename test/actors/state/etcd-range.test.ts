import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  etcdRead,
  encodeHistoryRequest,
  stateNumbers,
} from '../../../actors/state/etcd-commands.ts'
import { etcdFace } from '../../../actors/state/etcd-face.ts'
import { roomUnlimited, stream } from '../../../actors/state/messages.ts'
import type { KeyHistory } from '../../../actors/watches/messages.ts'
import { type Decoded, encode } from '../../transport/etcd/messages/schema.ts'
import { EtcdWorld } from './etcd-world.ts'

const bytes = (text: string) => Buffer.from(text, 'latin1')
const zero = Buffer.from([0])
const keysOf = (response: Decoded) =>
  (response.kvs ?? []).map((kv: Decoded) => String(kv.key)).join('')

/** a=3 b=1 c=2; create 2 3 4, mod 6 3 5, versions 2 1 2. */
function three(): EtcdWorld {
  const world = new EtcdWorld()
  world.put('a', '1')
  world.put('b', '1')
  world.put('c', '1')
  world.put('c', '2')
  world.put('a', '3')
  return world
}

describe('range', () => {
  test('which keys', () => {
    const world = three()
    const range = (key: string, end: string) =>
      keysOf(world.range({ key: bytes(key), range_end: bytes(end) }))
    expect(range('b', '')).toBe('b')
    expect(range('x', '')).toBe('')
    expect(range('a', 'c')).toBe('ab')
    expect(range('b', '\0')).toBe('bc')
    expect(range('\0', '\0')).toBe('abc')
    expect(range('c', 'a')).toBe('')
    expect(range('b', 'b')).toBe('')
    expect(world.range({})).toEqual([3, 'etcdserver: key is not provided'])
  })

  test('an older revision, with the header at the newest', () => {
    const world = three()
    const response = world.range({ key: bytes('a'), revision: 5 })
    expect(response.header.revision).toBe('6')
    expect(String(response.kvs[0].value)).toBe('1')
    expect(world.range({ key: bytes('c'), revision: 3 }).count).toBeUndefined()
    expect(world.range({ key: bytes('a'), revision: -4 }).kvs[0].mod_revision).toBe('6')
    expect(world.range({ key: bytes('a'), revision: 7 })).toEqual([
      11,
      'etcdserver: mvcc: required revision is a future revision',
    ])
  })

  test('a limit cuts and says so; count is of all', () => {
    const world = three()
    const all = { key: zero, range_end: zero }
    const limited = world.range({ ...all, limit: 2 })
    expect([keysOf(limited), limited.more, limited.count]).toEqual(['ab', true, '3'])
    const exact = world.range({ ...all, limit: 3 })
    expect([keysOf(exact), exact.more, exact.count]).toEqual(['abc', undefined, '3'])
    expect(keysOf(world.range({ ...all, limit: -1 }))).toBe('abc')
  })

  test('count_only and keys_only', () => {
    const world = three()
    const counted = world.range({ key: zero, range_end: zero, count_only: true, limit: 1 })
    expect([keysOf(counted), counted.more, counted.count]).toEqual(['', undefined, '3'])
    expect(world.range({ key: bytes('a'), count_only: true })).toMatchObject({ count: '1' })
    const keys = world.range({ key: bytes('a'), keys_only: true })
    expect(keys.kvs).toEqual([
      { key: bytes('a'), create_revision: '2', mod_revision: '6', version: '2' },
    ])
  })

  test('sorted by each target, both ways', () => {
    const world = three()
    const sorted = (sort_order: number, sort_target: number) =>
      keysOf(world.range({ key: zero, range_end: zero, sort_order, sort_target }))
    expect([sorted(0, 0), sorted(1, 0), sorted(2, 0)]).toEqual(['abc', 'abc', 'cba'])
    expect([sorted(1, 1), sorted(2, 1)]).toEqual(['bac', 'acb'])
    expect([sorted(1, 2), sorted(2, 2)]).toEqual(['abc', 'cba'])
    expect([sorted(1, 3), sorted(2, 3)]).toEqual(['bca', 'acb'])
    expect([sorted(1, 4), sorted(2, 4)]).toEqual(['bca', 'acb'])
    const bad = [3, 'etcdserver: invalid sort option']
    expect(world.range({ key: zero, sort_order: 3 })).toEqual(bad)
    expect(world.range({ key: zero, sort_target: 5 })).toEqual(bad)
  })

  test('with an order the limit is of the sorted; without, of the keys, and then sorted', () => {
    const world = three()
    const limited = (sort_order: number) =>
      keysOf(world.range({ key: zero, range_end: zero, limit: 1, sort_order, sort_target: 3 }))
    expect(limited(1)).toBe('b')
    // Two were fetched, the older of them is b.
    expect(limited(0)).toBe('b')
    expect(keysOf(world.range({ key: zero, range_end: zero, limit: 2, sort_target: 3 }))).toBe('bc')
  })

  test('filters leave count alone, and come before the limit', () => {
    const world = three()
    const all = { key: zero, range_end: zero }
    const filtered = world.range({ ...all, min_mod_revision: 5 })
    expect([keysOf(filtered), filtered.count]).toEqual(['ac', '3'])
    expect(keysOf(world.range({ ...all, max_mod_revision: 5 }))).toBe('bc')
    expect(keysOf(world.range({ ...all, min_create_revision: 3 }))).toBe('bc')
    expect(keysOf(world.range({ ...all, max_create_revision: 3 }))).toBe('ab')
    const limited = world.range({ ...all, min_mod_revision: 5, limit: 1 })
    expect([keysOf(limited), limited.more]).toEqual(['a', true])
    expect(keysOf(world.range({ key: bytes('b'), min_mod_revision: 4 }))).toBe('')
  })

  test('agrees with the rules written down plainly, whatever the options', () => {
    const option = fc.record({
      limit: fc.nat({ max: 5 }),
      revision: fc.nat({ max: 12 }),
      sort_order: fc.nat({ max: 2 }),
      sort_target: fc.nat({ max: 3 }),
      min_mod_revision: fc.nat({ max: 12 }),
      max_mod_revision: fc.nat({ max: 12 }),
    })
    const letter = fc.constantFrom('a', 'b', 'c', 'd')
    const change = fc.tuple(letter, fc.boolean())
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 10 }),
        letter,
        letter,
        option,
        (changes, from, to, options) => {
          const world = new EtcdWorld()
          const states: Model[][] = [[], []]
          for (const [key, deleted] of changes) {
            if (deleted) world.run('deleteRange', { key: bytes(key) })
            else world.put(key)
            if (world.keyspace.revision < states.length) continue
            states.push(changed(states.at(-1)!, key, deleted, states.length))
          }
          const request = { key: bytes(from), range_end: bytes(to), ...options }
          const response = world.range(request)
          if (options.revision > world.keyspace.revision) {
            expect(response[0]).toBe(11)
            return
          }
          const expected = plainRange(states, from, to, options)
          expect(keysOf(response)).toBe(expected.keys)
          expect(Number(response.count ?? 0)).toBe(expected.count)
          expect(response.more ?? false).toBe(expected.more)
        },
      ),
      { numRuns: 500 },
    )
  })

  test('a large answer is whole', () => {
    const world = new EtcdWorld()
    for (let index = 0; index < 300; index += 1)
      world.put(`key ${String(index).padStart(3, '0')}`, 'x'.repeat(500))
    const response = world.range({ key: zero, range_end: zero })
    expect(response.kvs.length).toBe(300)
    expect(String(response.kvs[299].key)).toBe('key 299')
    expect(
      world.readTxn({ success: [{ request_range: { key: zero, range_end: zero } }] }).responses[0]
        .response_range.kvs.length,
    ).toBe(300)
  })
})

describe('other reads', () => {
  test('a malformed request is refused, and nothing breaks', () => {
    const world = new EtcdWorld()
    for (const which of Object.values(etcdRead).slice(0, 2)) {
      expect(world.read(which, Uint8Array.of(0x0a, 9), '')[0]).toBe(13)
    }
    expect(world.read(99, new Uint8Array(0), '')[0]).toBe(13)
  })

  test('a watch request goes to the watch actor with the revision of this moment', () => {
    const world = three()
    world.run('compact', { revision: 4 })
    const request = encode('WatchRequest', { create_request: { key: bytes('a') } })
    world.readBytes(etcdRead.watch, request)
    expect(world.emitter.emitted).toEqual([
      {
        kind: 'keyWatch',
        connection: 77,
        tag: 5,
        revision: 6,
        compactRevision: 4,
        epoch: 3,
        request,
      },
    ])
  })

  test('status has the numbers that only the state knows', () => {
    const world = three()
    world.readBytes(etcdRead.status, new Uint8Array(0))
    const { body } = world.emitter.replies.pop()!
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
    expect(view.getFloat64(stateNumbers.position, true)).toBe(5)
    expect(view.getFloat64(stateNumbers.sizeInUseBytes, true)).toBeGreaterThan(0)
    expect(body.length).toBeGreaterThan(stateNumbers.bytes)
  })

  test('an empty store has a size all the same: clients divide by it', () => {
    const world = new EtcdWorld()
    world.readBytes(etcdRead.status, new Uint8Array(0))
    const { body } = world.emitter.replies.pop()!
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
    expect(view.getFloat64(stateNumbers.sizeBytes, true)).toBeGreaterThan(0)
  })

  test('history comes in slices of whole revisions', () => {
    const world = three()
    world.run('txn', {
      success: [
        { request_delete_range: { key: bytes('a') } },
        { request_put: { key: bytes('d') } },
      ],
    })
    const history = (first: number, most: number): KeyHistory => {
      const request = encodeHistoryRequest(first, most)
      const common = { stream: stream.etcd, connection: 0, tag: 31, request }
      etcdFace.read(world.world, { ...common, roomBytes: roomUnlimited })
      return world.emitter.emitted.pop() as KeyHistory
    }
    const slice = history(4, 2)
    expect(slice).toMatchObject({
      kind: 'keyHistory',
      id: 31,
      upTo: 5,
      revision: 7,
      compactRevision: 0,
    })
    expect(slice.changes.map(one => [one.revision, one.events.length])).toEqual([
      [4, 1],
      [5, 1],
    ])
    expect(slice.changes[1]!.events[0]!.previous.length).toBeGreaterThan(0)
    const rest = history(6, 10)
    expect(rest.upTo).toBe(7)
    expect(
      rest.changes.map(one =>
        one.events.map(event => [String(bytes(String.fromCharCode(...event.key))), event.deleted]),
      ),
    ).toEqual([
      [['a', false]],
      [
        ['a', true],
        ['d', false],
      ],
    ])
    expect(history(8, 10)).toMatchObject({ upTo: 7, changes: [] })
  })

  test('a slice of history ends where it grows large', () => {
    const world = new EtcdWorld()
    for (let index = 0; index < 5; index += 1) world.put(`k${index}`, 'x'.repeat(600_000))
    const request = encodeHistoryRequest(2, 1000)
    const common = { stream: stream.etcd, connection: 0, tag: 1, request }
    etcdFace.read(world.world, { ...common, roomBytes: roomUnlimited })
    const parts = world.emitter.emitted as KeyHistory[]
    expect(parts.map(({ upTo, more }) => [upTo, more])).toEqual([
      [0, true],
      [3, false],
    ])
    expect(parts.flatMap(({ changes }) => changes).length).toBe(2)
  })
})

interface Model {
  readonly key: string
  readonly create: number
  readonly mod: number
  readonly version: number
}

function changed(
  state: readonly Model[],
  key: string,
  deleted: boolean,
  revision: number,
): Model[] {
  const old = state.find(one => one.key === key)
  const rest = state.filter(one => one.key !== key)
  if (deleted) return rest
  const fresh = {
    key,
    create: old?.create ?? revision,
    mod: revision,
    version: (old?.version ?? 0) + 1,
  }
  return [...rest, fresh].sort((left, right) => (left.key < right.key ? -1 : 1))
}

function plainRange(
  states: readonly Model[][],
  from: string,
  to: string,
  options: {
    limit: number
    revision: number
    sort_order: number
    sort_target: number
    min_mod_revision: number
    max_mod_revision: number
  },
): { keys: string; count: number; more: boolean } {
  const state = states[options.revision || states.length - 1]!
  const found = state.filter(one => one.key >= from && one.key < to)
  const filters = options.min_mod_revision > 0 || options.max_mod_revision > 0
  let kept =
    options.sort_order === 0 && !filters && options.limit > 0
      ? found.slice(0, options.limit + 1)
      : found
  if (options.min_mod_revision > 0) kept = kept.filter(one => one.mod >= options.min_mod_revision)
  if (options.max_mod_revision > 0) kept = kept.filter(one => one.mod <= options.max_mod_revision)
  const field = (['key', 'version', 'create', 'mod'] as const)[options.sort_target]!
  const direction = options.sort_order === 2 ? -1 : 1
  kept = [...kept].sort((left, right) => {
    if (left[field] === right[field]) return 0
    return left[field] < right[field] ? -direction : direction
  })
  const more = options.limit > 0 && kept.length > options.limit
  if (options.limit > 0) kept = kept.slice(0, options.limit)
  return { keys: kept.map(one => one.key).join(''), count: found.length, more }
}

import { describe, expect, test } from 'vitest'
import type { ZnodeChanged, ZnodeWatch } from '../../../actors/watches/messages.ts'
import { ZnodeWatches } from '../../../actors/watches/znode-watches.ts'
import { encodeAcls } from '../../../transport/zookeeper/acl.ts'
import { encodeIdentities } from '../../../transport/zookeeper/identities.ts'
import { JuteReader } from '../../../transport/zookeeper/jute-reader.ts'
import { JuteWriter } from '../../../transport/zookeeper/jute-writer.ts'
import { decodeWatcherEvent } from '../../../transport/zookeeper/watcher-event.ts'

const anyone = new Uint8Array(0)
const localhost = encodeIdentities([{ scheme: 'ip', id: '127.0.0.1' }])

function scene() {
  const told: [number, number, string][] = []
  const frames: Uint8Array[] = []
  const watches = new ZnodeWatches({
    event(connection, frame) {
      const reader = new JuteReader().reset(frame, 20, frame.length)
      const { type, path, state } = decodeWatcherEvent(reader)
      expect(state).toBe(3)
      told.push([connection, type, path])
      frames.push(frame)
    },
  })
  const watch = (
    connection: number,
    path: string,
    watcher: ZnodeWatch['watcher'] = 'data',
    identities = localhost,
  ) => watches.register({ kind: 'znodeWatch', connection, path, watcher, identities })
  const change = (
    event: ZnodeChanged['event'],
    path: string,
    acl: Uint8Array = anyone,
    parentAcl: Uint8Array = anyone,
  ) => watches.changed({ kind: 'znodeChanged', event, path, zxid: 7, acl, parentAcl })
  const take = () => told.splice(0)
  return { watches, watch, change, take, frames }
}

function aclOf(scheme: string, id: string): Uint8Array {
  const writer = new JuteWriter()
  writer.begin()
  encodeAcls(writer, [{ perms: 31, scheme, id }])
  return writer.finish()
}

const [created, deleted, dataChanged, childrenChanged] = [1, 2, 3, 4] as const

describe('one-shot watches', () => {
  test('fire once', () => {
    const { watch, change, take, watches } = scene()
    watch(1, '/a')
    change(dataChanged, '/a')
    change(dataChanged, '/a')
    expect(take()).toEqual([[1, dataChanged, '/a']])
    expect([watches.count, watches.pathCount]).toEqual([0, 0])
  })

  test('twice the same registration is one', () => {
    const { watch, change, take, watches } = scene()
    watch(1, '/a')
    watch(1, '/a')
    expect(watches.count).toBe(1)
    change(dataChanged, '/a')
    expect(take()).toHaveLength(1)
  })

  test('creation tells data watchers of the node, then child watchers of its parent', () => {
    const { watch, change, take } = scene()
    watch(1, '/a', 'children')
    watch(2, '/a/b')
    change(created, '/a/b')
    expect(take()).toEqual([
      [2, created, '/a/b'],
      [1, childrenChanged, '/a'],
    ])
  })

  test('children of the root belong to the root', () => {
    const { watch, change, take } = scene()
    watch(1, '/', 'children')
    change(created, '/a')
    expect(take()).toEqual([[1, childrenChanged, '/']])
  })

  test('a data watch does not hear of children, a child watch not of data', () => {
    const { watch, change, take, watches } = scene()
    watch(1, '/a')
    watch(2, '/a', 'children')
    change(created, '/a/b')
    change(dataChanged, '/a/b')
    expect(take()).toEqual([[2, childrenChanged, '/a']])
    change(dataChanged, '/a')
    expect(take()).toEqual([[1, dataChanged, '/a']])
    expect(watches.count).toBe(0)
  })

  test('deletion is told once to a connection that watches data and children, and consumes both', () => {
    const { watch, change, take, watches } = scene()
    watch(1, '/a/b')
    watch(1, '/a/b', 'children')
    watch(2, '/a/b', 'children')
    watch(3, '/a', 'children')
    change(deleted, '/a/b')
    expect(take()).toEqual([
      [1, deleted, '/a/b'],
      [2, deleted, '/a/b'],
      [3, childrenChanged, '/a'],
    ])
    expect(watches.count).toBe(0)
  })

  test('the frame is encoded once for all and carries the zxid', () => {
    const { watch, change, frames } = scene()
    for (let connection = 1; connection <= 3; connection += 1) watch(connection, '/a')
    change(dataChanged, '/a')
    expect(frames[1]).toBe(frames[0])
    expect(frames[2]).toBe(frames[0])
    expect(Buffer.from(frames[0]!).readBigInt64BE(8)).toBe(7n)
    expect(Buffer.from(frames[0]!).readInt32BE(4)).toBe(-1)
  })
})

describe('persistent watches', () => {
  test('are not consumed, and a one-shot at the same place adds no second event', () => {
    const { watch, change, take } = scene()
    watch(1, '/a', 'persistent')
    watch(1, '/a', 'data')
    change(dataChanged, '/a')
    change(dataChanged, '/a')
    change(created, '/a/b')
    expect(take()).toEqual([
      [1, dataChanged, '/a'],
      [1, dataChanged, '/a'],
      [1, childrenChanged, '/a'],
    ])
  })

  test('recursive ones hear of everything below and of no children', () => {
    const { watch, change, take } = scene()
    watch(1, '/a', 'recursive')
    change(created, '/a/b')
    change(dataChanged, '/a/b/c')
    change(deleted, '/a')
    change(created, '/ab')
    expect(take()).toEqual([
      [1, created, '/a/b'],
      [1, dataChanged, '/a/b/c'],
      [1, deleted, '/a'],
    ])
  })

  test('a connection that watches a node and everything hears once', () => {
    const { watch, change, take } = scene()
    watch(1, '/a/b')
    watch(1, '/', 'recursive')
    watch(1, '/a', 'recursive')
    change(dataChanged, '/a/b')
    expect(take()).toEqual([[1, dataChanged, '/a/b']])
  })
})

describe('access', () => {
  test('who may not read hears nothing, and its one-shot is gone all the same', () => {
    const { watch, change, take, watches } = scene()
    const owner = encodeIdentities([{ scheme: 'digest', id: 'u:h' }])
    watch(1, '/a')
    watch(2, '/a', 'data', owner)
    change(dataChanged, '/a', aclOf('digest', 'u:h'))
    expect(take()).toEqual([[2, dataChanged, '/a']])
    expect(watches.count).toBe(0)
  })

  test('the parent’s list decides about changes of children', () => {
    const { watch, change, take } = scene()
    watch(1, '/a', 'children')
    watch(1, '/a/b')
    change(created, '/a/b', anyone, aclOf('ip', '10.0.0.0/8'))
    expect(take()).toEqual([[1, created, '/a/b']])
  })

  test('an auth packet counts for watches that are there already', () => {
    const { watches, watch, change, take } = scene()
    watch(1, '/a')
    watches.identify(1, encodeIdentities([{ scheme: 'digest', id: 'u:h' }]))
    change(dataChanged, '/a', aclOf('digest', 'u:h'))
    expect(take()).toHaveLength(1)
  })
})

test('a closed connection leaves nothing behind', () => {
  const { watches, watch, change, take } = scene()
  for (let index = 0; index < 100; index += 1) watch(1, `/n${index}`)
  watch(1, '/', 'recursive')
  watch(2, '/n5')
  watches.close(1)
  change(dataChanged, '/n5')
  change(dataChanged, '/n6')
  expect(take()).toEqual([[2, dataChanged, '/n5']])
  expect([watches.count, watches.pathCount]).toEqual([0, 0])
  watches.close(2)
  expect(watches.connectionCount).toBe(0)
})

import { describe, expect, test } from 'vitest'
import { ownOperation, replyStatus } from '../../../actors/state/zookeeper-commands.ts'
import type { ZnodeWatches } from '../../../actors/watches/messages.ts'
import { errorCode } from '../../../transport/zookeeper/errors.ts'
import { encodeIdentities } from '../../../transport/zookeeper/identities.ts'
import { JuteReader } from '../../../transport/zookeeper/jute-reader.ts'
import { operation } from '../../../transport/zookeeper/operations.ts'
import { decodeStat } from '../../../transport/zookeeper/stat.ts'
import { decodeWatcherEvent } from '../../../transport/zookeeper/watcher-event.ts'
import {
  aclRecord,
  address,
  pathRecord,
  Scene,
  setRecord,
  watchRecord,
  type Write,
} from './zookeeper-scene.ts'

function scene() {
  const made = new Scene()
  return { made, caller: made.session(1n, 11) }
}

const secret = [{ perms: 31, scheme: 'ip', id: '10.0.0.1' }]
const bytes = new Uint8Array([7, 8, 9])

describe('getData', () => {
  test('answers with data and Stat, at the zxid of the store', () => {
    const { made, caller } = scene()
    made.create(caller, '/a', 0, undefined, bytes)
    made.create(caller, '/b')
    const { body, zxid, xid, error } = made.read(caller, operation.getData, watchRecord('/a'))
    expect([zxid, xid, error]).toEqual([3, made.xid, 0])
    expect(body.buffer()).toEqual(bytes)
    expect(decodeStat(body)).toMatchObject({ czxid: 2, dataLength: 3 })
    expect(body.at).toBe(body.end)
  })

  test('tells null from empty, both of length 0', () => {
    const { made, caller } = scene()
    made.create(caller, '/a')
    const read = () => made.read(caller, operation.getData, watchRecord('/a')).body
    const empty = read()
    expect([empty.buffer(), decodeStat(empty).dataLength]).toEqual([new Uint8Array(0), 0])
    made.call(caller, operation.setData, setRecord('/a', undefined))
    const none = read()
    expect([none.buffer(), decodeStat(none).dataLength]).toEqual([undefined, 0])
  })

  test('takes the empty path for the root', () => {
    const { made, caller } = scene()
    expect(made.read(caller, operation.getData, watchRecord('')).error).toBe(0)
  })

  test('the config node is there and empty', () => {
    const { made, caller } = scene()
    const { body } = made.read(caller, operation.getData, watchRecord('/zookeeper/config'))
    expect(body.buffer()).toHaveLength(0)
    expect(made.acls(caller, '/zookeeper/config')).toEqual([
      { perms: 1, scheme: 'world', id: 'anyone' },
    ])
  })
})

describe('children', () => {
  test('are names, with the Stat of the parent behind them in getChildren2', () => {
    const { made, caller } = scene()
    for (const path of ['/a', '/a/x', '/a/y', '/a/y/z']) made.create(caller, path)
    for (const type of [operation.getChildren, operation.getChildren2]) {
      const { body } = made.read(caller, type, watchRecord('/a'))
      const names = Array.from({ length: body.int() }, () => body.string())
      expect(names.sort()).toEqual(['x', 'y'])
      if (type === operation.getChildren2) expect(decodeStat(body).numChildren).toBe(2)
      expect(body.at).toBe(body.end)
    }
  })
})

describe('permission to read', () => {
  const reads: [number, Write][] = [
    [operation.exists, watchRecord('/a', true)],
    [operation.getData, watchRecord('/a', true)],
    [operation.getChildren, watchRecord('/a', true)],
    [operation.getChildren2, watchRecord('/a', true)],
    [operation.getAcl, pathRecord('/a')],
  ]
  test.each(reads)('is needed by operation %i, and without it no watch is set', (type, write) => {
    const { made, caller } = scene()
    made.create(caller, '/a', 0, secret)
    made.takeEmitted()
    expect(made.read(caller, type, write).error).toBe(errorCode.noAuth)
    expect(made.takeEmitted()).toEqual([])
    caller.identities = encodeIdentities([{ scheme: 'ip', id: '10.0.0.1' }])
    expect(made.read(caller, type, write).error).toBe(0)
  })

  test.each(reads)('operation %i at nothing is no node', (type, write) => {
    const { made, caller } = scene()
    expect(made.read(caller, type, write).error).toBe(errorCode.noNode)
  })

  test('who may only administer may see the list; who may not sees no password', () => {
    const { made, caller } = scene()
    const list = [
      { perms: 16, scheme: 'ip', id: '127.0.0.1' },
      { perms: 31, scheme: 'digest', id: 'u:hash' },
    ]
    made.create(caller, '/a', 0, list)
    expect(made.acls(caller, '/a')).toEqual(list)
    const open = [{ perms: 1, scheme: 'world', id: 'anyone' }, list[1]!]
    made.call(caller, operation.setAcl, aclRecord('/a', open))
    expect(made.acls(caller, '/a')).toEqual([open[0], { ...list[1], id: 'u:x' }])
    caller.identities = encodeIdentities([address, { scheme: 'digest', id: 'u:hash' }])
    expect(made.acls(caller, '/a')).toEqual(open)
  })
})

describe('watches', () => {
  test.each([
    [operation.exists, 'data'],
    [operation.getData, 'data'],
    [operation.getChildren, 'children'],
    [operation.getChildren2, 'children'],
  ] as const)('operation %i registers %s before it answers', (type, watcher) => {
    const { made, caller } = scene()
    made.create(caller, '/a')
    made.takeEmitted()
    const order: string[] = []
    const { emit, reply } = made.world.emitter
    made.world.emitter.emit = message => {
      order.push(message.kind)
      emit(message)
    }
    made.world.emitter.reply = (...told) => {
      order.push('reply')
      reply(...told)
    }
    made.read(caller, type, watchRecord('/a', true))
    expect(order).toEqual(['znodeWatch', 'reply'])
    const { connection, identities } = caller
    expect(made.takeEmitted()).toEqual([
      { kind: 'znodeWatch', connection, path: '/a', watcher, identities },
    ])
  })

  test('exists watches what is not there', () => {
    const { made, caller } = scene()
    expect(made.read(caller, operation.exists, watchRecord('/no', true)).error).toBe(
      errorCode.noNode,
    )
    expect(made.takeEmitted()).toMatchObject([{ kind: 'znodeWatch', path: '/no', watcher: 'data' }])
  })

  test('exists refuses a NUL', () => {
    const { made, caller } = scene()
    const { error } = made.read(caller, operation.exists, watchRecord('/a\0', true))
    expect([error, made.takeEmitted()]).toEqual([errorCode.badArguments, []])
  })
})

describe('setWatches', () => {
  const setWatches =
    (since: number, data: string[], exist: string[], child: string[]): Write =>
    writer => {
      writer.long(since)
      for (const paths of [data, exist, child]) {
        writer.int(paths.length)
        for (const path of paths) writer.string(path)
      }
    }

  function caughtUp(made: Scene, since: number, lists: [string[], string[], string[]]) {
    const caller = made.session(2n, 12)
    made.takeEmitted()
    const collected: [number, string][] = []
    const { reply } = made.world.emitter
    made.world.emitter.reply = (...told) => {
      const [, connection, , , status, frame] = told
      if (status !== replyStatus.notification) {
        reply(...told)
        return
      }
      expect(connection).toBe(12)
      expect(Buffer.from(frame).readBigInt64BE(8)).toBe(-1n)
      const { type, path } = decodeWatcherEvent(new JuteReader().reset(frame, 20, frame.length))
      collected.push([type, path])
    }
    const { error } = made.read(caller, operation.setWatches, setWatches(since, ...lists))
    expect(error).toBe(0)
    const registered = made.takeEmitted().flatMap(message => {
      const { kind, paths, watcher } = message as ZnodeWatches
      return paths.map(path => `${kind} ${watcher} ${path}`)
    })
    return { collected, registered }
  }

  function history() {
    const { made, caller } = scene()
    made.create(caller, '/same') // zxid 2
    made.create(caller, '/changed') // 3
    made.create(caller, '/parent') // 4
    made.call(caller, operation.setData, setRecord('/changed', undefined)) // 5
    made.create(caller, '/parent/child') // 6
    return made
  }

  test('tells what changed since, and watches the rest again', () => {
    const { collected, registered } = caughtUp(history(), 4, [
      ['/same', '/changed', '/gone'],
      ['/missing', '/parent/child'],
      ['/same', '/parent', '/gone'],
    ])
    expect(collected).toEqual([
      [3, '/changed'],
      [2, '/gone'],
      [1, '/parent/child'],
      [4, '/parent'],
      [2, '/gone'],
    ])
    expect(registered).toEqual([
      'znodeWatches data /same',
      'znodeWatches data /missing',
      'znodeWatches children /same',
    ])
  })

  test('a child’s data is no change of its parent', () => {
    const { collected } = caughtUp(history(), 6, [['/parent'], [], ['/parent', '/changed']])
    expect(collected).toEqual([])
  })

  test('the empty path is the root', () => {
    const { collected, registered } = caughtUp(history(), 6, [[''], [], ['']])
    expect(collected).toEqual([])
    expect(registered).toEqual(['znodeWatches data ', 'znodeWatches children '])
  })

  test('tells nothing about what may not be read', () => {
    const { made, caller } = scene()
    made.create(caller, '/secret', 0, secret)
    const { collected, registered } = caughtUp(made, 0, [['/secret'], ['/secret'], ['/secret']])
    expect(collected).toEqual([])
    expect(registered).toHaveLength(3)
  })
})

describe('what the gateway answers by itself, in its turn', () => {
  test('sync echoes its path', () => {
    const { made, caller } = scene()
    expect(made.read(caller, operation.sync, pathRecord('/x')).body.string()).toBe('/x')
    const none = made.read(caller, operation.sync, writer => writer.int(-1))
    expect(none.body.int()).toBe(-1)
  })

  test('ping has its own xid', () => {
    const { made, caller } = scene()
    const { xid, error, zxid } = made.read(caller, operation.ping, () => {})
    expect([xid, error, zxid]).toEqual([-2, 0, 1])
  })

  test('auth has zxid 0 and tells the watches who the connection is now', () => {
    const { made, caller } = scene()
    const { zxid, error } = made.read(caller, operation.auth, () => {})
    expect([zxid, error]).toEqual([0, 0])
    const { connection, identities } = caller
    expect(made.takeEmitted()).toEqual([{ kind: 'znodeIdentities', connection, identities }])
  })

  const { unimplemented, authFailed } = errorCode
  test.each([
    [unimplemented, false, replyStatus.send, 1],
    [unimplemented, true, replyStatus.sendAndClose, -1],
    [authFailed, true, replyStatus.sendAndClose, 0],
  ])('error %i; the last one: %j; its status and zxid: %i, %i', (error, last, status, zxid) => {
    const { made, caller } = scene()
    const answer = made.read(caller, ownOperation.answer, writer => {
      writer.int(error)
      writer.boolean(last)
    })
    expect(answer).toMatchObject({ status, error, zxid, xid: made.xid })
  })
})

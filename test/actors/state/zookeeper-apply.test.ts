import { describe, expect, test } from 'vitest'
import { errorCode } from '../../../transport/zookeeper/errors.ts'
import { encodeIdentities } from '../../../transport/zookeeper/identities.ts'
import { operation } from '../../../transport/zookeeper/operations.ts'
import { decodeStat } from '../../../transport/zookeeper/stat.ts'
import {
  aclRecord,
  address,
  createRecord,
  Scene,
  setRecord,
  versionRecord,
  watchRecord,
} from './zookeeper-scene.ts'

const bytesOf = (text: string) => new TextEncoder().encode(text)

function scene() {
  const made = new Scene()
  return { made, caller: made.session(1n) }
}

describe('create', () => {
  test('answers with the path, and create2 with the Stat as well', () => {
    const { made, caller } = scene()
    expect(made.create(caller, '/a').body.string()).toBe('/a')
    const { body, zxid, xid } = made.call(caller, operation.create2, createRecord('/b'))
    expect([body.string(), zxid, xid]).toEqual(['/b', 3, 2])
    expect(decodeStat(body)).toMatchObject({ czxid: 3, mzxid: 3, pzxid: 3, version: 0 })
  })

  test('czxid, mzxid and pzxid are the zxid, both times that of the entry', () => {
    const { made, caller } = scene()
    made.create(caller, '/a', 0, undefined, bytesOf('xyz'))
    const { time } = made
    expect(made.stat(caller, '/a')).toEqual({
      czxid: 2,
      mzxid: 2,
      pzxid: 2,
      ctime: time,
      mtime: time,
      version: 0,
      cversion: 0,
      aversion: 0,
      ephemeralOwner: 0n,
      dataLength: 3,
      numChildren: 0,
    })
  })

  test('touches pzxid and cversion of the parent and nothing else of it', () => {
    const { made, caller } = scene()
    made.create(caller, '/a')
    const before = made.stat(caller, '/a')
    made.create(caller, '/a/b')
    expect(made.stat(caller, '/a')).toEqual({ ...before, pzxid: 3, cversion: 1, numChildren: 1 })
  })

  test('sequence numbers count every child ever created', () => {
    const { made, caller } = scene()
    made.create(caller, '/a')
    made.create(caller, '/a/plain')
    expect(made.create(caller, '/a/s-', 2).body.string()).toBe('/a/s-0000000001')
    made.call(caller, operation.delete, versionRecord('/a/s-0000000001'))
    expect(made.create(caller, '/a/s-', 2).body.string()).toBe('/a/s-0000000002')
    expect(made.create(caller, '/a/', 3).body.string()).toBe('/a/0000000003')
  })

  test('the first in a fresh root is number 0', () => {
    const { made, caller } = scene()
    expect(made.create(caller, '/', 2).body.string()).toBe('/0000000000')
  })

  test('an ephemeral belongs to its session', () => {
    const made = new Scene()
    const caller = made.session(0x0100_0014_ae48_000en, 5)
    made.create(caller, '/e', 1)
    expect(made.stat(caller, '/e').ephemeralOwner).toBe(0x0100_0014_ae48_000en)
  })

  test('null data stays null, empty stays empty', () => {
    const { made, caller } = scene()
    made.call(caller, operation.create, writer => {
      writer.string('/null')
      writer.buffer(undefined)
      writer.int(1)
      writer.int(31)
      writer.string('world')
      writer.string('anyone')
      writer.int(0)
    })
    expect(made.tree.dataLength(made.tree.find('/null'))).toBe(-1)
    made.create(caller, '/empty')
    expect(made.tree.dataLength(made.tree.find('/empty'))).toBe(0)
  })

  // In the order in which ZooKeeper 3.9.5 checks; each case breaks all later rules it can as well.
  test.each<[string, number, string, number]>([
    ['an unknown mode before the path', 9, '', errorCode.badArguments],
    ['a mode that comes later', 4, '', errorCode.unimplemented],
    ['a TTL mode', 5, '/x', errorCode.unimplemented],
    ['a path without a slash', 0, 'a', errorCode.badArguments],
    ['an empty path', 0, '', errorCode.badArguments],
    ['a NUL', 0, '/no/\0', errorCode.badArguments],
    ['a missing parent before an invalid last part', 0, '/no/..', errorCode.noNode],
    ['an invalid path', 0, '/..', errorCode.badArguments],
    ['a doubled slash', 0, '//', errorCode.badArguments],
    ['the root', 0, '/', errorCode.nodeExists],
    ['an existing node', 0, '/zookeeper', errorCode.nodeExists],
  ])('%s', (_name, flags, path, error) => {
    const { made, caller } = scene()
    const answer = made.create(caller, path, flags)
    expect([answer.error, answer.zxid, answer.bytes.length]).toEqual([error, 1, 20])
    expect(made.tree.nodeCount).toBe(4)
  })

  test('an unacceptable list comes before the missing parent', () => {
    const { made, caller } = scene()
    expect(made.create(caller, '/no/x', 0, []).error).toBe(errorCode.invalidAcl)
  })

  test('a list that denies comes before an invalid name, a taken one and an ephemeral parent', () => {
    const { made, caller } = scene()
    made.create(caller, '/shut', 0, [{ perms: 1, scheme: 'world', id: 'anyone' }])
    expect(made.create(caller, '/shut/..').error).toBe(errorCode.noAuth)
    made.create(caller, '/eph', 1)
    expect(made.create(caller, '/eph/x').error).toBe(errorCode.noChildrenForEphemerals)
  })
})

describe('delete', () => {
  test('counts in the parent like a creation', () => {
    const { made, caller } = scene()
    made.create(caller, '/a')
    made.create(caller, '/a/b')
    const answer = made.call(caller, operation.delete, versionRecord('/a/b'))
    expect([answer.error, answer.zxid, answer.bytes.length]).toEqual([0, 4, 20])
    expect(made.stat(caller, '/a')).toMatchObject({ pzxid: 4, cversion: 2, numChildren: 0 })
  })

  test.each<[string, string, number, number]>([
    ['the root', '/', -1, errorCode.badArguments],
    ['/zookeeper', '/zookeeper', -1, errorCode.badArguments],
    ['/zookeeper/quota', '/zookeeper/quota', -1, errorCode.badArguments],
    ['/zookeeper/config', '/zookeeper/config', -1, errorCode.badArguments],
    ['no slash', 'a', -1, errorCode.badArguments],
    ['a missing parent', '/no/x', 3, errorCode.noNode],
    ['a missing node', '/no', 3, errorCode.noNode],
    ['another version before children', '/a', 3, errorCode.badVersion],
    ['children', '/a', 0, errorCode.notEmpty],
  ])('refuses %s', (_name, path, version, error) => {
    const { made, caller } = scene()
    made.create(caller, '/a')
    made.create(caller, '/a/b')
    expect(made.call(caller, operation.delete, versionRecord(path, version)).error).toBe(error)
    expect(made.numbers.zxid).toBe(3)
  })

  test('needs the permission of the parent, before the node is looked for', () => {
    const { made, caller } = scene()
    made.create(caller, '/a', 0, [{ perms: 31 - 8, scheme: 'world', id: 'anyone' }])
    made.create(caller, '/a/b', 0, [{ perms: 0, scheme: 'world', id: 'anyone' }])
    for (const path of ['/a/b', '/a/none']) {
      expect(made.call(caller, operation.delete, versionRecord(path)).error).toBe(errorCode.noAuth)
    }
  })
})

describe('setData', () => {
  test('changes mzxid, mtime and version, and nothing of the parent', () => {
    const { made, caller } = scene()
    made.create(caller, '/a')
    made.create(caller, '/a/b')
    const [parent, before] = [made.stat(caller, '/a'), made.stat(caller, '/a/b')]
    const { body, error } = made.call(caller, operation.setData, setRecord('/a/b', bytesOf('12')))
    const expected = { ...before, mzxid: 4, mtime: made.time, version: 1, dataLength: 2 }
    expect(error).toBe(0)
    expect(decodeStat(body)).toEqual(expected)
    expect(made.stat(caller, '/a/b')).toEqual(expected)
    expect(made.stat(caller, '/a')).toEqual(parent)
  })

  test.each<[string, string, number, number]>([
    ['an invalid path', '/a/', -1, errorCode.badArguments],
    ['an empty path', '', -1, errorCode.badArguments],
    ['a missing node', '/no', -1, errorCode.noNode],
    ['no permission before the version', '/shut', 7, errorCode.noAuth],
    ['another version', '/a', 7, errorCode.badVersion],
  ])('refuses %s', (_name, path, version, error) => {
    const { made, caller } = scene()
    made.create(caller, '/a')
    made.create(caller, '/shut', 0, [{ perms: 1, scheme: 'world', id: 'anyone' }])
    const answer = made.call(caller, operation.setData, setRecord(path, undefined, version))
    expect([answer.error, answer.zxid]).toEqual([error, 3])
  })
})

describe('setACL', () => {
  test('counts aversion only', () => {
    const { made, caller } = scene()
    made.create(caller, '/a')
    const before = made.stat(caller, '/a')
    const list = [{ perms: 31, scheme: 'ip', id: '127.0.0.0/8' }]
    const { body } = made.call(caller, operation.setAcl, aclRecord('/a', list, 0))
    expect(decodeStat(body)).toEqual({ ...before, aversion: 1 })
    expect(made.acls(caller, '/a')).toEqual(list)
    expect(made.numbers.zxid).toBe(3)
  })

  test('checks path, list, node, permission and version in this order', () => {
    const { made, caller } = scene()
    const error = (path: string, list: Parameters<typeof aclRecord>[1], version: number) =>
      made.call(caller, operation.setAcl, aclRecord(path, list, version)).error
    const open = [{ perms: 31, scheme: 'world', id: 'anyone' }]
    made.create(caller, '/a')
    made.create(caller, '/shut', 0, [{ perms: 15, scheme: 'world', id: 'anyone' }])
    expect(error('/a/', [], 7)).toBe(errorCode.badArguments)
    expect(error('/no', [], 7)).toBe(errorCode.invalidAcl)
    expect(error('/no', open, 7)).toBe(errorCode.noNode)
    expect(error('/shut', open, 7)).toBe(errorCode.noAuth)
    expect(error('/a', open, 7)).toBe(errorCode.badVersion)
  })
})

describe('access lists', () => {
  const digest = { scheme: 'digest', id: 'u:hash' }
  const known = encodeIdentities([address, digest])

  test('auth becomes the caller’s own identities, and nobody’s is refused', () => {
    const { made, caller } = scene()
    const auth = [{ perms: 3, scheme: 'auth', id: '' }]
    expect(made.create(caller, '/a', 0, auth).error).toBe(errorCode.invalidAcl)
    caller.identities = known
    expect(made.create(caller, '/a', 0, auth).error).toBe(0)
    expect(made.acls(caller, '/a')).toEqual([{ perms: 3, scheme: 'digest', id: 'u:x' }])
  })

  test.each([
    ['an unknown scheme', 'foo', 'x', false],
    ['world but not anyone', 'world', 'x', false],
    ['a digest without a colon', 'digest', 'x', false],
    ['a digest with nothing behind the colon', 'digest', 'x:', false],
    ['a digest', 'digest', 'x:y', true],
    ['no address', 'ip', '300.1.1.1', false],
    ['too many bits', 'ip', '127.0.0.0/33', false],
    ['a range', 'ip', '127.0.0.0/8', true],
    ['an IPv6 address', 'ip', '::1', true],
    ['x509, which is not configured', 'x509', 'CN=a', false],
  ])('%s', (_name, scheme, id, accepted) => {
    const { made, caller } = scene()
    const { error } = made.create(caller, '/a', 0, [{ perms: 31, scheme, id }])
    expect(error).toBe(accepted ? 0 : errorCode.invalidAcl)
  })

  test('duplicates go, other permissions for the same id stay', () => {
    const { made, caller } = scene()
    const anyone = { scheme: 'world', id: 'anyone' }
    const list = [
      { perms: 31, ...anyone },
      { perms: 31, ...anyone },
      { perms: 1, ...anyone },
    ]
    made.create(caller, '/a', 0, list)
    expect(made.acls(caller, '/a')).toEqual([list[0], list[2]])
  })

  test('an identity, an address range and super each open what they should', () => {
    const { made, caller } = scene()
    made.create(caller, '/d', 0, [{ perms: 31, ...digest }])
    made.create(caller, '/i', 0, [{ perms: 31, scheme: 'ip', id: '10.0.0.0/8' }])
    const set = (path: string, identities: Uint8Array) => {
      caller.identities = identities
      return made.call(caller, operation.setData, setRecord(path, undefined)).error
    }
    expect(set('/d', encodeIdentities([address]))).toBe(errorCode.noAuth)
    expect(set('/d', known)).toBe(0)
    expect(set('/i', known)).toBe(errorCode.noAuth)
    expect(set('/i', encodeIdentities([{ scheme: 'ip', id: '10.200.0.1' }]))).toBe(0)
    expect(set('/i', encodeIdentities([address, { scheme: 'super', id: '' }]))).toBe(0)
  })
})

describe('the zxid', () => {
  test('grows by one with each change and by nothing else', () => {
    const { made, caller } = scene()
    expect(made.numbers.zxid).toBe(1)
    made.create(caller, '/a')
    made.create(caller, '/a')
    made.call(caller, operation.setData, setRecord('/a', undefined, 5))
    made.read(caller, operation.exists, watchRecord('/a', true))
    expect(made.numbers.zxid).toBe(2)
  })
})

describe('who answers', () => {
  test('only the node where the client is, with the same effect everywhere', () => {
    const { made, caller } = scene()
    made.apply(caller, operation.create, createRecord('/a'), { local: false })
    expect(made.takeAnswers()).toEqual([])
    expect(made.tree.find('/a')).not.toBe(0)
  })

  test('changes are emitted only while somebody watches', () => {
    const { made, caller } = scene()
    made.watched = false
    made.create(caller, '/a')
    expect(made.takeEmitted()).toEqual([])
    made.watched = true
    made.create(caller, '/a/b')
    expect(made.takeEmitted()).toEqual([
      {
        kind: 'znodeChanged',
        event: 1,
        path: '/a/b',
        zxid: 3,
        acl: new Uint8Array(0),
        parentAcl: new Uint8Array(0),
      },
    ])
  })

  test('a list that not everybody may read travels with the change', () => {
    const { made, caller } = scene()
    const list = [{ perms: 31, scheme: 'ip', id: '127.0.0.1' }]
    made.create(caller, '/a', 0, list)
    const [change] = made.takeEmitted()
    expect(change).toMatchObject({ kind: 'znodeChanged', parentAcl: new Uint8Array(0) })
    expect(change).toHaveProperty('acl', made.tree.acls.bytes(made.tree.acl(made.tree.find('/a'))))
  })

  test('setACL is no change that anybody watches', () => {
    const { made, caller } = scene()
    made.create(caller, '/a')
    made.takeEmitted()
    made.call(caller, operation.setAcl, aclRecord('/a', [{ perms: 31, scheme: 'ip', id: '::1' }]))
    expect(made.takeEmitted()).toEqual([])
  })
})

test.each([
  [
    'half a record',
    operation.create,
    (writer: { string(text: string): void }) => writer.string('/a'),
  ],
  [
    'a negative length',
    operation.setData,
    (writer: { int(value: number): void }) => writer.int(-9),
  ],
] as const)('%s that reached the log changes nothing and is answered', (_name, type, write) => {
  const { made, caller } = scene()
  const answer = made.call(caller, type, write)
  expect([answer.error, made.numbers.zxid]).toEqual([errorCode.marshallingError, 1])
})

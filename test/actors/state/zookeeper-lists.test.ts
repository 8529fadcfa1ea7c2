/**
 * Access lists of any length that a frame can carry: judged in one pass, and refused where they are
 * longer than a list may be. Nothing here measures time; a search that is not linear would take minutes.
 */
import { describe, expect, test } from 'vitest'
import { type Acl, encodeAcls, type Id } from '../../../transport/zookeeper/acl.ts'
import { acceptedAcls, accessList, permits } from '../../../transport/zookeeper/access.ts'
import { errorCode } from '../../../transport/zookeeper/errors.ts'
import { encodeIdentities } from '../../../transport/zookeeper/identities.ts'
import { JuteReader } from '../../../transport/zookeeper/jute-reader.ts'
import { limits } from '../../../transport/zookeeper/limits.ts'
import { operation } from '../../../transport/zookeeper/operations.ts'
import { isListAllowed } from '../../../transport/zookeeper/requests.ts'
import {
  aclRecord,
  address,
  createRecord,
  multiRecord,
  pathRecord,
  Scene,
  written,
} from './zookeeper-scene.ts'

const digest = (id: string): Acl => ({ perms: 31, scheme: 'digest', id })
const users = (count: number): Acl[] =>
  Array.from({ length: count }, (_, index) => digest(`user${index}:hash`))

function allowed(type: number, record: ReturnType<typeof createRecord>): boolean {
  const bytes = written(record)
  return isListAllowed(new JuteReader().reset(bytes, 0, bytes.length), type)
}

describe('an access list that is too long', () => {
  const lists: readonly (readonly [string, readonly Acl[]])[] = [
    ['colons and an x', [digest(`${':'.repeat(1_000_000)}x`)]],
    ['an id beyond its bound', [digest(`u:${'h'.repeat(limits.aclIdBytesMax)}`)]],
    ['a scheme beyond its bound', [{ perms: 31, scheme: 's'.repeat(65), id: '' }]],
    ['20,000 distinct entries', users(20_000)],
    ['one entry too many', users(limits.aclEntriesMax + 1)],
    [
      'more bytes than a list may have',
      users(900).map(({ id }) => digest(`${id}${'h'.repeat(80)}`)),
    ],
  ]

  test.each(lists)('%s: refused at the door, and where it applies', (_, list) => {
    const made = new Scene()
    const caller = made.session(1n)
    expect(allowed(operation.create, createRecord('/a', 0, list))).toBe(false)
    expect(made.create(caller, '/a', 0, list).error).toBe(errorCode.invalidAcl)
    expect(made.tree.find('/a')).toBe(0)
    made.create(caller, '/b')
    expect(allowed(operation.setAcl, aclRecord('/b', list))).toBe(false)
    expect(made.call(caller, operation.setAcl, aclRecord('/b', list)).error).toBe(
      errorCode.invalidAcl,
    )
    expect([made.numbers.zxid, made.tree.acls.size]).toEqual([2, 2])
  })

  test('in a multi it fails with the rest', () => {
    const made = new Scene()
    const caller = made.session(1n)
    const operations = [
      [operation.create, createRecord('/a')],
      [operation.create, createRecord('/b', 0, users(1_001))],
    ] as const
    const { body } = made.call(caller, operation.multi, multiRecord(...operations))
    const codes = [0, 1].map(() => {
      body.int()
      body.boolean()
      body.int()
      return body.int()
    })
    expect(codes).toEqual([errorCode.ok, errorCode.invalidAcl])
    expect(made.tree.find('/a')).toBe(0)
  })

  test('where `auth` stands for so many identities that it becomes too long', () => {
    const identities = users(200)
    const auth = Array.from({ length: 6 }, (_, index) => ({ perms: index, scheme: 'auth', id: '' }))
    expect(acceptedAcls(auth.slice(0, 5), () => identities)).toHaveLength(1_000)
    expect(acceptedAcls(auth, () => identities)).toBeUndefined()
  })
})

test('lists at their bounds are kept as they are', () => {
  const made = new Scene()
  const caller = made.session(1n)
  const list = users(limits.aclEntriesMax)
  expect(made.create(caller, '/a', 0, list).error).toBe(errorCode.ok)
  expect(made.read(caller, operation.getAcl, pathRecord('/a')).error).toBe(errorCode.noAuth)
  caller.identities = encodeIdentities([address, { scheme: 'digest', id: 'user999:hash' }])
  expect(made.acls(caller, '/a')).toEqual(list)
})

test.each([
  ['a:b', true],
  [':b', true],
  ['a:b:::', true],
  ['::::x', false],
  ['a:b:c', false],
  ['a:', false],
  ['a', false],
  ['', false],
  [':', false],
])('the id %j of a digest has two parts, as Java splits: %s', (id, isValid) => {
  expect(acceptedAcls([digest(id)], () => []) !== undefined).toBe(isValid)
})

test('20,000 entries, each three times, are one each, in their order', () => {
  const distinct = users(300)
  const list = [...distinct, ...distinct, ...distinct]
  expect(acceptedAcls(list, () => [])).toEqual(distinct)
})

describe('permission is found by name, and by the ranges alone where it is an address', () => {
  const bytesOf = (list: readonly Acl[]) =>
    written(writer => encodeAcls(writer, list)) as Uint8Array<ArrayBuffer>
  const list = accessList(
    bytesOf([
      { perms: 1, scheme: 'digest', id: 'a:b' },
      { perms: 2, scheme: 'digest', id: 'a:b' },
      { perms: 4, scheme: 'ip', id: '10.0.0.0/8' },
      { perms: 8, scheme: 'world', id: 'anyone' },
    ]),
  )
  const may = (id: Id, wanted: number) => permits(list, [id], wanted)

  test('two entries for one name add up', () => {
    expect([1, 2, 4, 16].map(wanted => may({ scheme: 'digest', id: 'a:b' }, wanted))).toEqual([
      true,
      true,
      false,
      false,
    ])
  })

  test('ranges, everybody, and the one who may do everything', () => {
    expect(may({ scheme: 'ip', id: '10.1.2.3' }, 4)).toBe(true)
    expect(may({ scheme: 'ip', id: '11.1.2.3' }, 4)).toBe(false)
    expect(may({ scheme: 'ip', id: 'no address' }, 8)).toBe(true)
    expect(may({ scheme: 'super', id: '' }, 16)).toBe(true)
  })
})

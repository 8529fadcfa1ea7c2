import { describe, expect, test } from 'vitest'
import { errorCode } from '../../../transport/zookeeper/errors.ts'
import type { JuteReader } from '../../../transport/zookeeper/jute-reader.ts'
import { operation } from '../../../transport/zookeeper/operations.ts'
import { decodeStat } from '../../../transport/zookeeper/stat.ts'
import {
  createRecord,
  multiRecord,
  Scene,
  setRecord,
  versionRecord,
  type Write,
} from './zookeeper-scene.ts'

type Operation = readonly [number, Write]

const create = (path: string, flags = 0): Operation => [operation.create, createRecord(path, flags)]
const create2 = (path: string): Operation => [operation.create2, createRecord(path)]
const remove = (path: string, version = -1): Operation => [
  operation.delete,
  versionRecord(path, version),
]
const set = (path: string, version = -1): Operation => [
  operation.setData,
  setRecord(path, undefined, version),
]
const check = (path: string, version = -1): Operation => [
  operation.check,
  versionRecord(path, version),
]

const container = (path: string): Operation => [operation.createContainer, createRecord(path, 4)]
const timed = (path: string): Operation => [
  operation.createTtl,
  writer => {
    createRecord(path, 5)(writer)
    writer.long(10_000)
  },
]

function scene() {
  const made = new Scene()
  const caller = made.session(1n)
  const multi = (...operations: Operation[]) =>
    made.call(caller, operation.multi, multiRecord(...operations))
  return { made, caller, multi }
}

/** Header of one result, and whether the list ends there. */
function header(body: JuteReader): [number, boolean, number] {
  return [body.int(), body.boolean(), body.int()]
}

const end = [-1, true, -1]

function failures(body: JuteReader): number[] {
  const codes: number[] = []
  for (;;) {
    const [type, done, error] = header(body)
    if (done) return codes
    expect([type, body.int()]).toEqual([-1, error])
    codes.push(error)
  }
}

describe('a multi that succeeds', () => {
  test('answers each operation with its own result', () => {
    const { multi } = scene()
    const { body, error, zxid } = multi(
      create('/a'),
      check('/a', 0),
      set('/a', 0),
      create2('/a/b'),
      remove('/a/b', 0),
    )
    expect([error, zxid]).toEqual([0, 2])
    expect(header(body)).toEqual([operation.create, false, 0])
    expect(body.string()).toBe('/a')
    expect(header(body)).toEqual([operation.check, false, 0])
    expect(header(body)).toEqual([operation.setData, false, 0])
    expect(decodeStat(body)).toMatchObject({ version: 1, czxid: 2, mzxid: 2 })
    expect(header(body)).toEqual([operation.create2, false, 0])
    expect([body.string(), decodeStat(body).czxid]).toEqual(['/a/b', 2])
    expect(header(body)).toEqual([operation.delete, false, 0])
    expect(header(body)).toEqual(end)
    expect(body.at).toBe(body.end)
  })

  test('has one zxid for all, and later operations see what earlier ones did', () => {
    const { made, multi } = scene()
    multi(create('/a'), create('/a/s-', 2), create('/a/s-', 2))
    expect(made.numbers.zxid).toBe(2)
    expect(made.tree.czxid(made.tree.find('/a/s-0000000001'))).toBe(2)
  })

  test('emits its changes in order', () => {
    const { made, multi } = scene()
    multi(create('/a'), set('/a'), remove('/a'))
    expect(made.takeEmitted()).toMatchObject([
      { event: 1, path: '/a', zxid: 2 },
      { event: 3, path: '/a', zxid: 2 },
      { event: 2, path: '/a', zxid: 2 },
    ])
  })

  test('that is empty, or only checks, changes no zxid', () => {
    const { made, multi } = scene()
    expect(header(multi().body)).toEqual(end)
    expect(header(multi(check('/', -1)).body)).toEqual([operation.check, false, 0])
    const { body, error } = multi(...Array.from({ length: 20_000 }, () => check('/', -1)))
    expect([error, header(body)]).toEqual([0, [operation.check, false, 0]])
    expect(made.numbers.zxid).toBe(1)
  })
})

describe('a multi that fails', () => {
  test('is error 0 in the header and a code for each operation', () => {
    const { multi } = scene()
    const { body, error } = multi(create('/a'), remove('/none'), set('/a'))
    expect(error).toBe(0)
    expect(failures(body)).toEqual([0, errorCode.noNode, errorCode.runtimeInconsistency])
  })

  test.each<[string, Operation, number]>([
    ['a version', check('/zookeeper', 9), errorCode.badVersion],
    ['a check of nothing', check('/none'), errorCode.noNode],
    ['a check at no path', check('/a//b'), errorCode.badArguments],
    ['a taken path', create('/zookeeper'), errorCode.nodeExists],
    ['children', remove('/p'), errorCode.notEmpty],
    ['a container', container('/c'), errorCode.unimplemented],
    ['a time to live', timed('/t'), errorCode.unimplemented],
  ])('because of %s', (_name, failing, code) => {
    const { multi } = scene()
    const { body } = multi(create('/p'), create('/p/c'), failing, failing)
    expect(failures(body)).toEqual([0, 0, code, errorCode.runtimeInconsistency])
  })

  test('leaves no trace: nodes, data, counters, versions, lists, zxid and changes', () => {
    const { made, caller, multi } = scene()
    made.create(caller, '/a', 0, undefined, new Uint8Array([1]))
    made.create(caller, '/a/gone')
    made.tree.maintain()
    const [before, listCount] = [made.stat(caller, '/a'), made.tree.acls.size]
    made.takeEmitted()
    multi(
      set('/a'),
      create('/a/b'),
      create('/a/s-', 2),
      create('/a/e', 1),
      remove('/a/gone'),
      [operation.create, createRecord('/x', 0, [{ perms: 1, scheme: 'ip', id: '::1' }])],
      check('/none'),
    )
    made.tree.maintain()
    expect(made.stat(caller, '/a')).toEqual(before)
    expect(made.tree.data(made.tree.find('/a'))).toEqual(new Uint8Array([1]))
    expect([made.tree.nodeCount, made.tree.acls.size]).toEqual([6, listCount])
    expect([made.numbers.zxid, made.takeEmitted()]).toEqual([3, []])
    expect(made.tree.owned(0, 1, [])).toBe(0)
    expect(made.create(caller, '/a/s-', 2).body.string()).toBe('/a/s-0000000001')
  })

  test('on another node answers nobody and leaves as little', () => {
    const { made, caller } = scene()
    made.apply(caller, operation.multi, multiRecord(create('/a'), check('/none')), { local: false })
    expect([made.takeAnswers(), made.tree.nodeCount]).toEqual([[], 4])
  })

  test('because it does not decode is a marshalling error and leaves as little', () => {
    const { made, caller } = scene()
    const { error } = made.call(caller, operation.multi, writer => {
      multiRecord(create('/a'))(writer)
      writer.at -= 9 // the end of the list is missing
    })
    expect([error, made.tree.nodeCount, made.numbers.zxid]).toEqual([
      errorCode.marshallingError,
      4,
      1,
    ])
  })
})

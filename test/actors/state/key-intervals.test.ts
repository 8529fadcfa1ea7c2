import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkTxn } from '../../../actors/state/etcd-checks.ts'
import { KeyIntervals } from '../../../actors/state/key-intervals.ts'
import { failure } from '../../../transport/etcd/messages/failures.ts'
import { decodeTxn } from '../../../transport/etcd/messages/txn.ts'
import { Reader } from '../../../transport/etcd/messages/reader.ts'
import { encode } from '../../transport/etcd/messages/schema.ts'

test('a union of intervals covers what one of them covers', () => {
  const key = fc.string({ unit: fc.constantFrom('a', 'b', '\0'), maxLength: 4 })
  fc.assert(
    fc.property(fc.array(fc.tuple(key, key), { maxLength: 150 }), fc.array(key), (all, probes) => {
      const intervals = new KeyIntervals()
      for (const [from, to] of all) intervals.add(from, to)
      for (const probe of [...probes, ...all.flat()]) {
        const covered = all.some(([from, to]) =>
          to === '' ? probe === from : from <= probe && probe < to,
        )
        expect([probe, intervals.covers(probe)]).toEqual([probe, covered])
      }
    }),
  )
})

const bytes = (text: string) => Buffer.from(text)
const put = (key: string) => ({ request_put: { key: bytes(key) } })
const deletion = (key: string) => ({ request_delete_range: { key: bytes(key) } })
const nested = (success: object[]) => ({ request_txn: { success } })
const check = (success: object[]) =>
  checkTxn(decodeTxn(new Reader().open(encode('TxnRequest', { success }))))

/** 90 transactions of 37 each: as many of `first` as of `second`, and none twice. */
function wide(first: (key: string) => object, second: (key: string) => object): object[] {
  return Array.from({ length: 90 }, (_, outer) =>
    nested(
      Array.from({ length: 37 }, (_, inner) => (outer < 45 ? first : second)(`k${outer}-${inner}`)),
    ),
  )
}

test('thousands of puts are held against thousands of deletions', () => {
  expect(check(wide(deletion, put))).toBeUndefined()
  const [last] = wide(deletion, put).slice(-1)
  expect(check([...wide(deletion, put), last ?? {}])).toBe(failure.duplicateKey)
  expect(check([...wide(deletion, put).slice(0, 89), nested([put('k3-4')])])).toBe(
    failure.duplicateKey,
  )
})

test('a transaction has so many parts at most, nested ones included', () => {
  const inner = Array.from({ length: 100 }, () => ({}))
  expect(check(Array.from({ length: 20 }, () => nested(inner)))).toBe(failure.keyNotFound)
  const ranges = Array.from({ length: 100 }, () => ({ request_range: { key: bytes('k') } }))
  expect(check(Array.from({ length: 28 }, () => nested(ranges)))).toBeUndefined()
  const deep = Array.from({ length: 28 }, () => nested(ranges.slice(0, 37)))
  expect(check(Array.from({ length: 28 }, () => nested(deep)))).toBe(failure.tooManyOperations)
})

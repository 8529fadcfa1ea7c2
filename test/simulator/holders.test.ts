import { expect, test } from 'vitest'
import type { Host } from '../../runtime/host.ts'
import { Holders } from './holders.ts'
import { Locks } from './zookeeper-locks.ts'

const path = '/lock'

function scene() {
  const holders = new Holders()
  const violations: string[] = []
  const due: (() => void)[] = []
  const after = (_millis: number, callback: () => void): void => void due.push(callback)
  const host = { timers: { after } } as unknown as Pick<Host, 'timers'>
  const violate = (sentence: string): void => void violations.push(sentence)
  const locksOf = (client: number): Locks => new Locks({ client, holders, host, violate })
  /** What was heard of both by the time that news takes. */
  const judged = (): string[] => {
    for (const callback of due.splice(0)) callback()
    return violations
  }
  return { first: locksOf(1), second: locksOf(2), judged }
}

const bothHold = [`${path} is held by client 1 and by client 2`]

test('two that were granted one lock hold it both', () => {
  const { first, second, judged } = scene()
  first.granted(path)
  second.granted(path)
  expect(judged()).toEqual(bothHold)
})

test('who comes back with its session holds what another was granted meanwhile', () => {
  const { first, second, judged } = scene()
  first.granted(path)
  first.disconnected()
  second.granted(path)
  expect(judged()).toEqual([])
  first.connected()
  expect(judged()).toEqual(['/lock is held by client 2 and by client 1'])
})

test('who deletes it, or closes its session, holds it no more, whether or not that is answered', () => {
  const ends = [(locks: Locks) => locks.givesUp(path), (locks: Locks) => locks.leaves()]
  for (const end of ends) {
    const { first, second, judged } = scene()
    first.granted(path)
    end(first)
    second.granted(path)
    expect(judged()).toEqual([])
  }
})

test('who asked for the end of its session is not given a lock by what it had asked for before', () => {
  const { first, second, judged } = scene()
  first.leaves()
  first.granted(path)
  second.granted(path)
  expect(judged()).toEqual([])
})

test('an end of the session that was lost with its connection gave nothing up', () => {
  const { first, second, judged } = scene()
  first.granted(path)
  first.leaves()
  first.disconnected()
  first.connected()
  second.granted(path)
  expect(judged()).toEqual(bothHold)
})

test('a session that has ended holds nothing', () => {
  const { first, second, judged } = scene()
  first.granted(path)
  first.sessionEnded()
  first.connected()
  second.granted(path)
  expect(judged()).toEqual([])
})

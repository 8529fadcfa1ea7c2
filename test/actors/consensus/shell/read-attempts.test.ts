import { expect, test } from 'vitest'
import { ReadAttempts } from '../../../../actors/consensus/shell/read-attempts.ts'

const ticks = { retryTicks: 5, timeoutTicks: 50 }

function passed(attempts: ReadAttempts, count: number): number[] {
  const late: number[] = []
  for (let tick = 0; tick < count; tick += 1) late.push(...attempts.tick().map(({ id }) => id))
  return late
}

function served(attempts: ReadAttempts, attempt: number): number[] | undefined {
  return attempts.take(attempt)?.readers.map(({ id }) => id)
}

test('the answer to an attempt that was repeated serves its readers, once, and none that came later', () => {
  const attempts = new ReadAttempts(ticks, 100)
  attempts.add('etcd', 1)
  expect(attempts.start()).toBe(100)
  passed(attempts, 5)
  attempts.add('etcd', 2)
  expect(attempts.start()).toBe(101)
  expect(served(attempts, 100)).toEqual([1])
  expect(served(attempts, 101)).toEqual([2])
  expect(served(attempts, 100)).toBeUndefined()
  expect(passed(attempts, 60)).toEqual([])
})

test('where every answer takes longer than the time of an attempt, all readers are served', () => {
  const attempts = new ReadAttempts(ticks, 100)
  attempts.add('sessions', 1)
  const asked: number[] = []
  for (let tick = 0; tick < 12; tick += 1) {
    const attempt = attempts.start()
    if (attempt !== undefined) asked.push(attempt)
    expect(passed(attempts, 1)).toEqual([])
  }
  expect(asked).toEqual([100, 101, 102])
  expect(served(attempts, 100)).toEqual([1])
  expect(attempts.start()).toBeUndefined()
})

test('a reader whose time is over is told once, and attempts do not pile up', () => {
  const attempts = new ReadAttempts(ticks, 100)
  attempts.add('control', 1)
  const late: number[] = []
  for (let tick = 0; tick < 120; tick += 1) {
    attempts.start()
    late.push(...passed(attempts, 1))
    expect(attempts.attemptCount).toBeLessThanOrEqual(ticks.timeoutTicks / ticks.retryTicks + 1)
  }
  expect(late).toEqual([1])
  expect(attempts.attemptCount).toBe(0)
})

test('with the leader all of its attempts end: a late answer of it serves nobody', () => {
  const attempts = new ReadAttempts(ticks, 100)
  attempts.add('etcd', 1)
  attempts.start()
  passed(attempts, 5)
  attempts.start()
  attempts.giveUpAll()
  expect(served(attempts, 100)).toBeUndefined()
  expect(attempts.start()).toBe(102)
  expect(served(attempts, 102)).toEqual([1])
})

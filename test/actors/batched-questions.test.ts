import { expect, test } from 'vitest'
import { BatchedQuestions } from '../../actors/batched-questions.ts'

test('an answer serves the batch that was asked for, late or not, and nobody who came later', () => {
  const asked: number[] = []
  const batches = new BatchedQuestions<string>({ ask: id => asked.push(id) })
  batches.add('a')
  batches.begin(0)
  batches.add('b')
  batches.begin(1)
  expect(batches.isLate(499, 500)).toBe(false)
  expect(batches.isLate(500, 500)).toBe(true)
  batches.askAgain(500)
  expect(asked).toEqual([1, 2])
  expect(batches.takeAnswered(3)).toEqual([])
  expect(batches.takeAnswered(1)).toEqual(['a'])
  expect(batches.takeAnswered(2)).toEqual([])
  batches.begin(501)
  expect(batches.takeAnswered(2)).toEqual([])
  expect(batches.takeAnswered(3)).toEqual(['b'])
  expect(batches.count).toBe(0)
})

test('what is put back is asked for first, and earlier answers are void for it', () => {
  const batches = new BatchedQuestions<string>({ ask: () => {} })
  for (const item of ['a', 'b']) batches.add(item)
  batches.begin(0)
  batches.add('c')
  expect(batches.isStanding(1)).toBe(true)
  batches.putBack()
  expect(batches.isStanding(1)).toBe(false)
  expect(batches.takeAnswered(1)).toEqual([])
  batches.begin(1)
  expect(batches.takeOut(item => item === 'b')).toEqual(['b'])
  expect(batches.takeAnswered(1)).toEqual([])
  expect(batches.takeAnswered(2)).toEqual(['a', 'c'])
})

test('ids may count downwards, and beyond its bound the oldest are forgotten', () => {
  const asked: number[] = []
  const ask = (id: number): unknown => asked.push(id)
  const batches = new BatchedQuestions<number>({ ask, idStep: -1, waitingMax: 2 })
  for (const item of [1, 2, 3]) batches.add(item)
  batches.begin(0)
  for (const item of [4, 5]) batches.add(item)
  batches.askAgain(1)
  expect(asked).toEqual([-1, -2])
  expect(batches.takeAnswered(-3)).toEqual([])
  expect(batches.takeAnswered(1)).toEqual([])
  batches.putBack()
  batches.begin(2)
  expect(batches.takeAnswered(-2)).toEqual([])
  expect(batches.takeAnswered(-3)).toEqual([4, 5])
})

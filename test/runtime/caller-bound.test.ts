import { expect, test } from 'vitest'
import { CallerBound } from '../../runtime/caller-bound.ts'

const bounds = { callersMax: 6, perAddressMax: 4 }

function scene() {
  const ended: string[] = []
  const bound = new CallerBound(bounds)
  return {
    ended,
    bound,
    add: (address: string, name: string) => bound.add(address, () => ended.push(name)),
  }
}

test('of an address that has its fill the oldest goes', () => {
  const { bound, ended, add } = scene()
  for (let at = 0; at < 10; at++) add('a', `a${at}`)
  expect(ended).toEqual(['a0', 'a1', 'a2', 'a3', 'a4', 'a5'])
  expect(bound.count).toBe(4)
})

test('where all are too many, the address that has most gives one up', () => {
  const { bound, ended, add } = scene()
  for (let at = 0; at < 4; at++) add('a', `a${at}`)
  add('b', 'b0')
  add('c', 'c0')
  add('node', 'node')
  add('d', 'd0')
  expect(ended).toEqual(['a0', 'a1'])
  expect(bound.count).toBe(6)
})

test('who is done needs no room, and is not ended later', () => {
  const { bound, ended, add } = scene()
  const done = add('a', 'first')
  for (let at = 0; at < 3; at++) add('a', `a${at}`)
  done()
  done()
  add('a', 'next')
  expect(ended).toEqual([])
  expect(bound.count).toBe(4)
})

test('the addresses of one IPv6 network count as one', () => {
  const { ended, add } = scene()
  for (let at = 0; at < 5; at++) add(`2001:db8::${at + 1}`, `a${at}`)
  expect(ended).toEqual(['a0'])
})

import { expect, test } from 'vitest'
import type { Membership } from '../../../actors/consensus/interface.ts'
import { OwnMembership } from '../../../actors/consensus/own-membership.ts'

function of(voters: readonly number[], outgoing: readonly number[] = []): Membership {
  const members = (nodes: readonly number[]) =>
    nodes.map(node => ({ node, store: `store${node}`, address: '' }))
  return { formation: 'f', voters: members(voters), outgoing: members(outgoing), learners: [] }
}

function memberThree(): OwnMembership {
  const own = new OwnMembership(3)
  own.changed(of([1, 2, 3]), 1)
  expect(own.committedTo(5)).toBe(false)
  return own
}

test('a node is removed once that is committed, and this shows once', () => {
  const own = memberThree()
  own.changed(of([1, 2], [1, 2, 3]), 6)
  expect(own.committedTo(6)).toBe(false)
  own.changed(of([1, 2]), 7)
  expect(own.committedTo(6)).toBe(false)
  expect(own.committedTo(7)).toBe(true)
  expect(own.committedTo(8)).toBe(false)
})

test('a removal that another leader took back was none', () => {
  const own = memberThree()
  own.changed(of([1, 2]), 6)
  own.changed(of([1, 2, 3]), 1)
  expect(own.committedTo(9)).toBe(false)
})

test('a node that waits to be added was not removed; nor one whose addition was taken back', () => {
  const own = new OwnMembership(4)
  own.changed(of([1, 2, 3]), 1)
  expect(own.committedTo(1)).toBe(false)
  own.changed(of([1, 2, 3, 4]), 6)
  own.changed(of([1, 2, 3]), 1)
  expect(own.committedTo(6)).toBe(false)
})

test('a removal shows to a node that hears of its addition and its removal together', () => {
  const own = new OwnMembership(4)
  own.changed(of([1, 2, 3, 4]), 6)
  own.changed(of([1, 2, 3]), 8)
  expect(own.committedTo(6)).toBe(false)
  expect(own.committedTo(8)).toBe(true)
})

import { expect, test } from 'vitest'
import type { Member, Membership } from '../../../../actors/consensus/interface.ts'
import { DiskSpace } from '../../../../actors/consensus/shell/disk-space.ts'

function member(node: number): Member {
  return { node, address: `127.0.0.1:${node}`, store: `s${node}` }
}

function membership(voters: number[], outgoing: number[] = []): Membership {
  return { voters: voters.map(member), outgoing: outgoing.map(member), learners: [], formation: '' }
}

function spaceOf(levels: Record<number, number>, of = membership([1, 2, 3])): DiskSpace {
  const space = new DiskSpace(1)
  space.membershipChanged(of)
  for (const [node, level] of Object.entries(levels)) {
    if (node === '1') space.journal(level)
    else space.heard(Number(node), level)
  }
  return space
}

const all = new Set([2, 3, 4])

test('one of three without space stops nobody, and says so of itself', () => {
  expect(spaceOf({ 2: 2 }).verdict(all)).toBe(0)
  expect(spaceOf({ 2: 2 }).sentence(0)).toBe('')
  const own = spaceOf({ 1: 1 })
  expect(own.verdict(all)).toBe(0)
  expect(own.sentence(0)).toMatch(/no space on the disk of this node/)
})

test('two of three without space: what a quorum still has decides', () => {
  expect(spaceOf({ 2: 1, 3: 1 }).verdict(all)).toBe(1)
  expect(spaceOf({ 2: 2, 3: 1 }).verdict(all)).toBe(1)
  expect(spaceOf({ 1: 2, 3: 2 }).verdict(all)).toBe(2)
  expect(spaceOf({ 1: 2, 3: 2 }).sentence(2)).toBe(
    'writes are refused: no space on the disks of nodes 1, 3',
  )
})

test('one that is away is not to be counted on; without a quorum space is not what is missed', () => {
  expect(spaceOf({ 2: 1 }).verdict(new Set([2]))).toBe(1)
  expect(spaceOf({}).verdict(new Set([2]))).toBe(0)
  expect(spaceOf({ 1: 2 }).verdict(new Set())).toBe(0)
})

test('a link that is down takes back what was heard by it', () => {
  const space = spaceOf({ 2: 1, 3: 1 })
  space.lost(2)
  space.lost(3)
  expect(space.verdict(all)).toBe(0)
})

test('both sets of a joint membership want a quorum with space', () => {
  expect(spaceOf({ 4: 1 }, membership([1, 2], [1, 4])).verdict(all)).toBe(1)
})

test('a leader without space hands over to the furthest voter that has some', () => {
  const peers = [
    { node: 2, match: 9 },
    { node: 3, match: 7 },
  ]
  expect(spaceOf({}).successor(all, peers)).toBe(0)
  expect(spaceOf({ 1: 1 }).successor(all, peers)).toBe(2)
  expect(spaceOf({ 1: 1, 2: 1 }).successor(all, peers)).toBe(3)
  expect(spaceOf({ 1: 1, 2: 1 }).successor(new Set([2]), peers)).toBe(0)
  expect(spaceOf({ 1: 1, 2: 1, 3: 2 }).successor(all, peers)).toBe(0)
})

test('what checkpoints lack counts as what the journal lacks', () => {
  const space = spaceOf({ 2: 1 })
  space.checkpoints(true)
  expect(space.verdict(all)).toBe(1)
  space.checkpoints(false)
  expect(space.verdict(all)).toBe(0)
})

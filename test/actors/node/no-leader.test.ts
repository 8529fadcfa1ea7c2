import { expect, test } from 'vitest'
import { whyNoLeader } from '../../../actors/node/no-leader.ts'

const voters = [1, 2, 3].map(node => ({ node }))

test('why there is no leader is said from what the node knows', () => {
  const membership = { voters }
  expect(whyNoLeader(1, { leader: 2, membership, links: [] })).toBeUndefined()
  expect(whyNoLeader(1, undefined)).toBeUndefined()
  expect(whyNoLeader(1, { leader: 0, membership, links: [] })).toBe(
    'no leader is known: 1 of 3 voters are reached, and 2 are needed',
  )
  expect(whyNoLeader(4, { leader: 0, membership, links: [2, 9] })).toBe(
    'no leader is known: 1 of 3 voters are reached, and 2 are needed',
  )
  expect(whyNoLeader(1, { leader: 0, membership, links: [3] })).toBe(
    'no leader is known: there is an election',
  )
  expect(whyNoLeader(1, { leader: 0, membership: { voters: [] }, links: [2, 3] })).toBe(
    'no leader is known: this node waits to take part',
  )
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Member, Membership } from '../../../actors/consensus/interface.ts'
import { type Reach, reachedByQuorum, voteOutcome } from '../../../actors/consensus/quorum.ts'

const member = (node: number): Member => ({ node, store: `s${node}`, address: '' })
const set = fc.uniqueArray(fc.integer({ min: 1, max: 7 }), { maxLength: 7 })
const values = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 7, maxLength: 7 })

function membership(voters: number[], outgoing: number[]): Membership {
  return {
    formation: 'f',
    voters: voters.map(member),
    outgoing: outgoing.map(member),
    learners: [],
  }
}

function reach(of: readonly number[]): Reach {
  return { of: ({ node }) => of[node - 1] ?? 0 }
}

/** By its definition: the highest value that more than half have. */
function majorityOf(nodes: number[], of: readonly number[]): number {
  if (nodes.length === 0) return Number.POSITIVE_INFINITY
  const candidates = nodes.map(node => of[node - 1]!)
  const reached = candidates.filter(
    value => nodes.filter(node => of[node - 1]! >= value).length * 2 > nodes.length,
  )
  return Math.max(...reached)
}

test('a quorum has reached what more than half of each set have', () => {
  fc.assert(
    fc.property(set, set, values, (voters, outgoing, of) => {
      const both = Math.min(majorityOf(voters, of), majorityOf(outgoing, of))
      expect(reachedByQuorum(membership(voters, outgoing), reach(of))).toBe(both)
    }),
    { numRuns: 1000 },
  )
})

test('two sets that are the same decide as one', () => {
  fc.assert(
    fc.property(set, values, (voters, of) => {
      const one = reachedByQuorum(membership(voters, []), reach(of))
      expect(reachedByQuorum(membership(voters, voters), reach(of))).toBe(one)
    }),
  )
})

test('what any quorum decided under one set meets every quorum of the joint one', () => {
  fc.assert(
    fc.property(set, set, fc.integer({ min: 0, max: 127 }), (voters, outgoing, holders) => {
      fc.pre(voters.length > 0 && outgoing.length > 0)
      const holds = [0, 1, 2, 3, 4, 5, 6].map(bit => (holders >> bit) & 1)
      const lacks = holds.map(one => 1 - one)
      const joint = reachedByQuorum(membership(voters, outgoing), reach(lacks)) >= 1
      const decided = reachedByQuorum(membership(outgoing, []), reach(holds)) >= 1
      expect(joint && decided).toBe(false)
    }),
    { numRuns: 1000 },
  )
})

test('a vote is won, lost or open as counting says', () => {
  const ballots = fc.array(fc.constantFrom(-1, 0, 1), { minLength: 7, maxLength: 7 })
  fc.assert(
    fc.property(set, ballots, (voters, of) => {
      fc.pre(voters.length > 0)
      const yes = voters.filter(node => of[node - 1] === 1).length
      const no = voters.filter(node => of[node - 1] === -1).length
      const half = voters.length / 2
      const outcome = yes > half ? 'won' : no >= half ? 'lost' : 'open'
      expect(voteOutcome(membership(voters, []), reach(of))).toBe(outcome)
    }),
    { numRuns: 1000 },
  )
})

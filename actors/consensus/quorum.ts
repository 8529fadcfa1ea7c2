/**
 * What a majority has reached; two sets together have reached the lower of both. An empty set has
 * reached everything, so a membership without outgoing voters needs no case of its own. Commit,
 * read confirmation, votes and liveness are all this one function over different numbers.
 */
import { invariant } from './invariant.ts'
import type { Member, Membership } from './interface.ts'

/** Says how far a member got: 0 for one that is unknown, or that speaks for another store. */
export interface Reach {
  of(member: Member): number
}

export type VoteOutcome = 'won' | 'lost' | 'open'

/** Voters of one set at most; sorting happens in place in a scratch array of this size. */
export const votersMax = 15

export function reachedByQuorum(membership: Membership, reach: Reach): number {
  return Math.min(
    reachedByMajority(membership.voters, reach),
    reachedByMajority(membership.outgoing, reach),
  )
}

/** `reach` is 1 for a vote granted, -1 for one refused, 0 while there is no answer. */
export function voteOutcome(membership: Membership, reach: Reach): VoteOutcome {
  if (reachedByQuorum(membership, reach) >= 1) return 'won'
  return reachedByQuorum(membership, reach) >= 0 ? 'open' : 'lost'
}

function reachedByMajority(voters: readonly Member[], reach: Reach): number {
  const count = voters.length
  if (count === 0) return Number.POSITIVE_INFINITY
  invariant(count <= votersMax, 'a set of voters is no larger than votersMax')
  for (let index = 0; index < count; index++) {
    const value = reach.of(voters[index]!)
    let at = index
    while (at > 0 && scratch[at - 1]! < value) {
      scratch[at] = scratch[at - 1]!
      at--
    }
    scratch[at] = value
  }
  return scratch[count >>> 1]!
}

/** Sorted downwards, so the element in the middle is what more than half have reached. */
const scratch = new Float64Array(votersMax)

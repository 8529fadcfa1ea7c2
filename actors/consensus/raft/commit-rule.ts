/**
 * What a leader may call committed (paper 5.4.2): an entry of its own epoch that a quorum has, and all
 * before it. Counting an older epoch's entry is not enough: a later leader could still replace it.
 */
import { reachedByQuorum } from '../quorum.ts'
import type { RaftState } from './state.ts'

export function committable(state: RaftState): number {
  const reached = reachedByQuorum(state.membership, state.matched)
  if (reached <= state.commit) return state.commit
  return state.log.epochAt(reached) === state.epoch ? reached : state.commit
}

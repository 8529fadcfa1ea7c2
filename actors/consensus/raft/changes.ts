/** Membership changes by joint entries, in force when appended, one at a time (D13). */
import type { MembershipChange, MembershipRefusal } from '../interface.ts'
import { changed } from '../membership.ts'
import { appendMembership } from './leader.ts'
import type { RaftState } from './state.ts'

export function proposeMembership(state: RaftState, change: MembershipChange, now: number): void {
  const refusal = refusalOf(state, change)
  if (refusal !== undefined) {
    state.effects.push({ kind: 'membershipRefused', reason: refusal })
    return
  }
  const result = changed(state.membership, change)
  if ('refused' in result) {
    state.effects.push({ kind: 'membershipRefused', reason: result.refused })
    return
  }
  appendMembership(state, result.membership, now)
  state.changeAsked = state.log.last
}

/**
 * The first commit of the own epoch comes before: only then is it known that the membership in force
 * overlaps with every one that an earlier leader may have committed.
 */
function refusalOf(state: RaftState, change: MembershipChange): MembershipRefusal | undefined {
  if (state.role !== 'leader') return 'notLeader'
  const ownCommit = state.log.epochAt(state.commit) === state.epoch
  const pending = state.memberships.latestPosition > state.commit
  if (!ownCommit || pending || state.transferTarget !== 0) return 'changePending'
  if (change.kind === 'promote' && !isCaughtUp(state, change.node)) return 'notCaughtUp'
  return undefined
}

function isCaughtUp(state: RaftState, node: number): boolean {
  const member = state.membership.learners.find(learner => learner.node === node)
  const peer = state.peers.get(node)
  if (member === undefined || peer === undefined) return member === undefined
  return peer.store === member.store && state.log.last - peer.match <= state.limits.promotionLagMax
}

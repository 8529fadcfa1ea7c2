/**
 * Membership changes by joint entries, in force when appended, one at a time (D13). None is begun that
 * the voters who answer could not finish: with the joint entry in the log there is no way back.
 */
import type { Member, Membership, MembershipChange, MembershipRefusal } from '../interface.ts'
import { changed } from '../membership.ts'
import { type Reach, reachedByQuorum } from '../quorum.ts'
import { appendMembership } from './leader.ts'
import type { RaftState } from './state.ts'

export function proposeMembership(state: RaftState, change: MembershipChange, now: number): void {
  const refusal = refusalOf(state, change)
  if (refusal !== undefined) {
    return refuse(state, refusal)
  }
  const result = changed(state.membership, change)
  if ('refused' in result) return refuse(state, result.refused)
  const silent = silentOf(state, result.membership)
  if (silent.length > 0) return refuse(state, 'unhealthyCluster', silent)
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

function refuse(state: RaftState, reason: MembershipRefusal, silent: readonly number[] = []): void {
  state.effects.push({ kind: 'membershipRefused', reason, silent })
}

/**
 * The voters that would be needed and have not answered for an election time-out; none where those
 * that have are a quorum of the sets that decide, and of the set that is left once they have.
 */
function silentOf(state: RaftState, wanted: Membership): readonly number[] {
  const heard = (member: Member): boolean => {
    if (member.node === state.self) return member.store === state.store
    const peer = state.peers.get(member.node)
    const { electionTicksMin } = state.limits
    return peer?.store === member.store && peer.silentTicks < electionTicksMin
  }
  const reach: Reach = { of: member => (heard(member) ? 1 : 0) }
  if (reachedByQuorum(wanted, reach) >= 1) return []
  const deciding = [...wanted.outgoing, ...wanted.voters].filter(member => !heard(member))
  return [...new Set(deciding.map(member => member.node))].sort((a, b) => a - b)
}

function isCaughtUp(state: RaftState, node: number): boolean {
  const member = state.membership.learners.find(learner => learner.node === node)
  const peer = state.peers.get(node)
  if (member === undefined || peer === undefined) return member === undefined
  return peer.store === member.store && state.log.last - peer.match <= state.limits.promotionLagMax
}

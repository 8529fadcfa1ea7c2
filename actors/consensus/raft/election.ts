/** Who leads: pre-vote, votes, the time-out, and the short way when the leader's process has gone. */
import type { Member } from '../interface.ts'
import { voteOutcome } from '../quorum.ts'
import { becomeLeader } from './leader.ts'
import type { TimeoutNowMessage, VoteReplyMessage, VoteRequestMessage } from './messages.ts'
import { becomeFollower } from './roles.ts'
import { type RaftState, voteKey } from './state.ts'

/** After this many quick campaigns a node waits as long as any other. */
const eagerCampaignsMax = 10

export function tickElection(state: RaftState): void {
  state.electionElapsed++
  if (state.campaignInTicks > 0 && --state.campaignInTicks === 0) {
    campaign(state, true, false)
    return
  }
  if (state.electionElapsed < state.electionTimeout) return
  campaign(state, true, false)
}

/** Asks for votes if this node may have any: a voter, formed, with the store it is bound to. */
export function campaign(state: RaftState, pre: boolean, transfer: boolean): void {
  state.resetElectionTimer(state.eagerCampaigns > 0)
  if (!state.mayCampaign) {
    // Nor does a leader that is not heard of keep its lease with a learner.
    state.leader = 0
    return
  }
  if (state.eagerCampaigns > 0) state.eagerCampaigns--
  state.leader = 0
  state.leaderGone = false
  state.campaignInTicks = 0
  state.votes.clear()
  if (pre) startPreVote(state)
  else startVote(state, transfer)
}

function startPreVote(state: RaftState): void {
  state.role = 'preCandidate'
  state.votes.set(voteKey(state.self, state.store), true)
  for (const voter of votersAsked(state)) {
    state.send(voter.node, voteRequest(state, voter.store, true, false))
  }
  countVotes(state)
}

/** The requests leave once the vote for ourselves is durable, and only then does it count. */
function startVote(state: RaftState, transfer: boolean): void {
  state.role = 'candidate'
  state.setEpoch(state.epoch + 1, state.self)
  for (const voter of votersAsked(state)) {
    state.persistence.say(voter.node, voteRequest(state, voter.store, false, transfer))
  }
  state.selfVotePersist = state.persistence.nextId
}

/** Our own vote is durable. */
export function selfVotePersisted(state: RaftState): void {
  state.votes.set(voteKey(state.self, state.store), true)
  countVotes(state)
}

/**
 * A voter need not know that it is one: the candidate's membership decides, and names the store that
 * it binds this node to. A node that lost its store is asked for the old one and keeps silent (D14).
 */
export function receiveVoteRequest(state: RaftState, request: VoteRequestMessage): void {
  if (state.store === '' || request.store !== state.store) return
  if (state.inLease && !request.transfer) {
    if (request.pre) state.deferredPreVote = request
    return
  }
  if (request.epoch < state.epoch) {
    state.send(request.from, voteReply(state, request, false))
    return
  }
  if (request.pre) answerPreVote(state, request)
  else answerVote(state, request)
}

export function receiveVoteReply(state: RaftState, reply: VoteReplyMessage): void {
  if (!state.isMember(reply.from)) return
  if (!reply.granted && reply.epoch > state.epoch) {
    becomeFollower(state, reply.epoch, 0)
    return
  }
  const asked = reply.pre ? 'preCandidate' : 'candidate'
  if (state.role !== asked) return
  if (reply.granted && reply.epoch !== (reply.pre ? state.epoch + 1 : state.epoch)) return
  if (!reply.granted && reply.epoch < state.epoch) return
  state.votes.set(voteKey(reply.from, reply.store), reply.granted)
  countVotes(state)
}

export function receiveTimeoutNow(state: RaftState, message: TimeoutNowMessage): void {
  if (message.epoch !== state.epoch || state.role === 'leader') return
  if (message.from !== state.leader && !state.isMember(message.from)) return
  campaign(state, false, true)
}

/**
 * The leader's process closed our link, so it is gone or will not serve us: no lease any more. Voters
 * campaign one after the other, so that they do not split the vote.
 */
export function leaderClosed(state: RaftState): void {
  state.leaderGone = true
  state.eagerCampaigns = eagerCampaignsMax
  const deferred = state.deferredPreVote
  state.deferredPreVote = undefined
  const rank = state.rankAmongVoters(state.leader)
  state.campaignInTicks = 1 + rank * state.limits.campaignStaggerTicks
  if (deferred !== undefined) receiveVoteRequest(state, deferred)
  else if (rank === 0) campaign(state, true, false)
}

function answerPreVote(state: RaftState, request: VoteRequestMessage): void {
  const granted = request.epoch > state.epoch && isUpToDate(state, request)
  state.send(request.from, voteReply(state, request, granted))
  if (granted) stepBack(state)
}

/** Whoever said yes to another leaves it the time to win. */
function stepBack(state: RaftState): void {
  if (state.campaignInTicks === 0) return
  const ticks = (1 + state.membership.voters.length) * state.limits.campaignStaggerTicks
  state.campaignInTicks = Math.max(state.campaignInTicks, ticks)
}

function answerVote(state: RaftState, request: VoteRequestMessage): void {
  if (request.epoch > state.epoch) becomeFollower(state, request.epoch, 0)
  const free = state.votedFor === 0 || state.votedFor === request.from
  if (!free || state.leader !== 0 || !isUpToDate(state, request)) {
    state.send(request.from, voteReply(state, request, false))
    return
  }
  state.setEpoch(request.epoch, request.from)
  state.resetElectionTimer(state.eagerCampaigns > 0)
  state.persistence.say(request.from, voteReply(state, request, true))
}

/** Election restriction: a leader has everything that is committed, as its log is no older than a quorum's. */
function isUpToDate(state: RaftState, request: VoteRequestMessage): boolean {
  const lastEpoch = state.log.lastEpoch
  if (request.lastEpoch !== lastEpoch) return request.lastEpoch > lastEpoch
  return request.last >= state.log.last
}

function countVotes(state: RaftState): void {
  const outcome = voteOutcome(state.membership, state.granted)
  if (outcome === 'open') return
  if (outcome === 'lost') becomeFollower(state, state.epoch, 0)
  else if (state.role === 'preCandidate') campaign(state, false, false)
  else becomeLeader(state)
}

/** Each node once; where both sets have it, with the store of the new one. */
function votersAsked(state: RaftState): Iterable<Member> {
  const voters = new Map<number, Member>()
  for (const voter of state.membership.outgoing) voters.set(voter.node, voter)
  for (const voter of state.membership.voters) voters.set(voter.node, voter)
  voters.delete(state.self)
  return voters.values()
}

function voteRequest(
  state: RaftState,
  store: string,
  pre: boolean,
  transfer: boolean,
): VoteRequestMessage {
  return {
    kind: 'voteRequest',
    from: state.self,
    epoch: pre ? state.epoch + 1 : state.epoch,
    pre,
    store,
    transfer,
    last: state.log.last,
    lastEpoch: state.log.lastEpoch,
  }
}

function voteReply(
  state: RaftState,
  request: VoteRequestMessage,
  granted: boolean,
): VoteReplyMessage {
  return {
    kind: 'voteReply',
    from: state.self,
    epoch: granted ? request.epoch : state.epoch,
    store: state.store,
    pre: request.pre,
    granted,
  }
}

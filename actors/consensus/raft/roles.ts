/** Changes of role and epoch that every rule may cause. */
import { Progress } from '../progress.ts'
import { nodesOf } from '../membership.ts'
import type { RaftState } from './state.ts'

/** Follows `leader` (0: not known yet) in `epoch`, which is this one or a later one. */
export function becomeFollower(state: RaftState, epoch: number, leader: number): void {
  if (epoch > state.epoch) state.setEpoch(epoch, 0)
  if (state.role === 'leader') resign(state)
  state.role = 'follower'
  state.leader = leader
  state.leaderGone = false
  state.campaignInTicks = 0
  state.deferredPreVote = undefined
  state.verified = state.commit
  state.replyDue = false
  state.replyWhenDurable = false
  state.confirmSeen = 0
  state.confirmReplied = 0
  state.repliedTo = 0
  state.votes.clear()
  state.resetElectionTimer(leader === 0 && state.eagerCampaigns > 0)
  if (leader !== 0) state.eagerCampaigns = 0
}

/** Keeps the peers' progress in step with the membership; those that left are told about it first. */
export function updatePeers(state: RaftState): void {
  const nodes = nodesOf(state.membership)
  for (const node of nodes) {
    if (node === state.self) continue
    const peer = state.peers.get(node)
    if (peer === undefined) state.peers.set(node, newProgress(state, node))
    else peer.departsInTicks = Number.POSITIVE_INFINITY
  }
  for (const peer of state.peers.values()) {
    if (!nodes.includes(peer.node) && peer.departsInTicks === Number.POSITIVE_INFINITY) {
      peer.departsInTicks = state.limits.electionTicksMin
    }
  }
}

function newProgress(state: RaftState, node: number): Progress {
  const { inflightMessagesMax, inflightBytesMax } = state.limits
  return new Progress(node, state.log.last + 1, inflightMessagesMax, inflightBytesMax)
}

function resign(state: RaftState): void {
  state.reads.failAll(id => state.effects.push({ kind: 'readFailed', id }))
  if (state.transferTarget !== 0) {
    state.effects.push({ kind: 'transferEnded', target: state.transferTarget, done: true })
  }
  state.transferTarget = 0
  if (state.changeAsked !== 0) {
    state.effects.push({ kind: 'membershipRefused', reason: 'leadershipLost', silent: [] })
    state.changeAsked = 0
  }
  state.peers.clear()
  state.heartbeatDue = false
}

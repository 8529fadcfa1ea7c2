/** What a leader does: appends proposals, keeps its peers supplied, counts, confirms reads. */
import { entryHeaderBytes, entryKind, entryFormat, offset } from '../entry.ts'
import type { Membership, ProposedBatch, RefusalReason } from '../interface.ts'
import { invariant } from '../invariant.ts'
import { encodeMembership, isJoint, withoutOutgoing } from '../membership.ts'
import type { Progress } from '../progress.ts'
import { reachedByQuorum } from '../quorum.ts'
import type { AppendReplyMessage } from './messages.ts'
import { committable } from './commit-rule.ts'
import { becomeFollower, updatePeers } from './roles.ts'
import type { RaftState } from './state.ts'
import { checkTransfer, handOver, tickTransfer } from './transfer.ts'

/** An own persist that takes this part of an election time-out is a reason to hand over (D15). */
const stalledPersistFraction = 0.5

export function becomeLeader(state: RaftState): void {
  state.role = 'leader'
  state.leader = state.self
  state.leaderGone = false
  state.campaignInTicks = 0
  state.eagerCampaigns = 0
  state.votes.clear()
  state.peers.clear()
  updatePeers(state)
  state.electionElapsed = 0
  state.heartbeatElapsed = 0
  state.heartbeatDue = true
  appendOwn(state, entryKind.empty, noBytes, state.log.lastTime)
}

export function propose(state: RaftState, batches: readonly ProposedBatch[], now: number): void {
  const refusal = refusalOf(state)
  for (const batch of batches) {
    if (refusal !== undefined) {
      state.effects.push({ kind: 'proposalsRefused', count: batch.count, reason: refusal })
    } else {
      state.log.propose(batch.entries, batch.count, state.epoch, now)
    }
  }
}

/** Appends an entry that consensus itself has to make. */
export function appendOwn(state: RaftState, kind: number, body: Uint8Array, now: number): void {
  state.log.propose(ownEntry(kind, body), 1, state.epoch, now)
}

export function appendMembership(state: RaftState, membership: Membership, now: number): void {
  appendOwn(state, entryKind.membership, encodeMembership(membership), now)
  state.memberships.append(state.log.last, membership)
  state.membershipChanged()
  updatePeers(state)
  // Whoever is new hears of it at once.
  state.heartbeatDue = true
}

export function receiveAppendReply(state: RaftState, reply: AppendReplyMessage): void {
  if (!state.isMember(reply.from)) return
  if (reply.epoch > state.epoch) {
    becomeFollower(state, reply.epoch, 0)
    return
  }
  const peer = state.peers.get(reply.from)
  if (reply.epoch < state.epoch || state.role !== 'leader' || peer === undefined) return
  if (peer.store !== reply.store) meetStore(state, peer, reply.store)
  peer.active = true
  peer.silentTicks = 0
  if (reply.confirm > peer.confirmed) peer.confirmed = reply.confirm
  if (reply.accepted) accepted(state, peer, reply.position)
  else
    peer.refused(reply.position, state.log.lastPositionWithEpochAtMost(reply.hint, reply.hintEpoch))
}

export function tickLeader(state: RaftState): void {
  state.heartbeatElapsed++
  state.electionElapsed++
  if (state.heartbeatElapsed >= state.limits.heartbeatTicks) {
    state.heartbeatElapsed = 0
    state.heartbeatDue = true
  }
  for (const peer of state.peers.values()) tickPeer(state, peer)
  if (state.electionElapsed >= state.limits.electionTicksMin) checkQuorum(state)
  if (state.role !== 'leader') return
  tickTransfer(state)
  const stalled = state.limits.electionTicksMin * stalledPersistFraction
  if (state.persistence.ticksOutstanding >= stalled) handOver(state)
}

/** At the end of a round: what was counted takes effect, and what is due leaves, one frame a peer. */
export function flushLeader(state: RaftState): void {
  advanceCommit(state)
  if (state.role !== 'leader') return
  checkTransfer(state)
  const confirming = state.reads.startRound()
  for (const peer of state.peers.values()) supply(state, peer, confirming || state.heartbeatDue)
  state.heartbeatDue = false
  if (state.reads.count === 0) return
  state.reads.confirmed(state.membership, state.confirmed, (id, position) => {
    state.effects.push({ kind: 'readReady', id, position })
  })
}

function advanceCommit(state: RaftState): void {
  const before = state.commit
  state.commitTo(committable(state))
  if (state.commit === before) return
  state.reads.releaseHeld(state.commit)
  const at = state.memberships.latestPosition
  if (at > before && at <= state.commit) membershipCommitted(state)
  else if (isJoint(state.membership) && at <= state.commit) leaveJoint(state)
}

/** Both sets have agreed: on to the new one alone; a leader outside of it goes once that is committed. */
function membershipCommitted(state: RaftState): void {
  if (isJoint(state.membership)) {
    leaveJoint(state)
    return
  }
  if (state.changeAsked !== 0) {
    state.effects.push({ kind: 'membershipDone', membership: state.membership })
    state.changeAsked = 0
  }
  if (!state.isVoter) {
    handOver(state)
    for (const peer of state.peers.values()) supply(state, peer, true)
    becomeFollower(state, state.epoch, 0)
  }
}

function leaveJoint(state: RaftState): void {
  appendMembership(state, withoutOutgoing(state.membership), state.log.lastTime)
}

function supply(state: RaftState, peer: Progress, due: boolean): void {
  if (state.heartbeatDue) peer.probing = false
  let sent = false
  while (peer.mayReceiveEntries() && peer.next <= state.log.last) {
    if (peer.next <= state.log.base) {
      askForCheckpoint(state, peer)
      break
    }
    sendEntries(state, peer)
    sent = true
  }
  const news = peer.state === 'replicate' && peer.commitTold < state.commit
  if (!sent && (due || news)) sendAppend(state, peer, previousOf(state, peer), 0, noBytes)
}

function sendEntries(state: RaftState, peer: Progress): void {
  const batch = state.log.batch(peer.next, state.log.last, state.limits.appendBytesMax)
  sendAppend(state, peer, peer.next - 1, batch.count, batch.bytes)
  peer.sent(peer.next + batch.count - 1, batch.bytes.length)
}

function sendAppend(
  state: RaftState,
  peer: Progress,
  previous: number,
  count: number,
  entries: Uint8Array,
): void {
  invariant(previous === 0 || previous >= state.log.base, 'the entry before is known')
  peer.commitTold = state.commit
  state.send(peer.node, {
    kind: 'append',
    from: state.self,
    epoch: state.epoch,
    previous,
    previousEpoch: previous === 0 ? 0 : state.log.epochAt(previous),
    commit: state.commit,
    confirm: state.reads.counter,
    count,
    entries,
  })
}

/** A heartbeat also finds out about lost frames, so it stands at the end of what was sent. */
function previousOf(state: RaftState, peer: Progress): number {
  const previous = peer.state === 'checkpoint' ? peer.match : peer.next - 1
  return previous >= state.log.base ? previous : 0
}

function askForCheckpoint(state: RaftState, peer: Progress): void {
  peer.becomeCheckpoint(state.checkpoint)
  state.effects.push({ kind: 'snapshotNeeded', node: peer.node, next: peer.next })
}

function accepted(state: RaftState, peer: Progress, position: number): void {
  invariant(
    position <= state.log.last,
    'a follower agrees with nothing that the leader does not have',
  )
  if (peer.state === 'checkpoint') {
    if (position < state.log.base) return
    peer.becomeProbe()
  }
  peer.acknowledged(position)
}

/** Another store speaks for this node: what the last one held says nothing. */
function meetStore(state: RaftState, peer: Progress, store: string): void {
  const known = peer.store !== '' || peer.match > 0
  peer.store = store
  if (!known) return
  peer.match = 0
  peer.confirmed = 0
  peer.restart(state.log.last)
}

function tickPeer(state: RaftState, peer: Progress): void {
  if (peer.state === 'checkpoint' && --peer.checkpointInTicks <= 0) peer.restart(state.log.last)
  peer.silentTicks++
  peer.departsInTicks--
  const left = state.memberships.latestPosition
  const told = peer.match >= left && peer.commitTold >= left
  if (peer.departsInTicks <= 0 || (peer.departsInTicks < Number.POSITIVE_INFINITY && told)) {
    state.peers.delete(peer.node)
  }
}

/** A leader that a quorum has not answered for an election time-out does not know that it leads. */
function checkQuorum(state: RaftState): void {
  state.electionElapsed = 0
  const active = reachedByQuorum(state.membership, state.active) >= 1
  for (const peer of state.peers.values()) peer.active = false
  if (!active) becomeFollower(state, state.epoch, 0)
}

function refusalOf(state: RaftState): RefusalReason | undefined {
  if (state.role !== 'leader') return 'notLeader'
  if (state.transferTarget !== 0) return 'transferring'
  const { uncommittedBytesMax, logBytesMax } = state.limits
  if (state.log.bytes > logBytesMax) return 'overloaded'
  return state.log.bytesAbove(state.commit) > uncommittedBytesMax ? 'overloaded' : undefined
}

function ownEntry(kind: number, body: Uint8Array): Uint8Array {
  const entry = new Uint8Array(entryHeaderBytes + body.length)
  new DataView(entry.buffer).setUint32(offset.length, entry.length, true)
  entry[offset.format] = entryFormat
  entry[offset.kind] = kind
  entry.set(body, entryHeaderBytes)
  return entry
}

const noBytes = new Uint8Array(0)

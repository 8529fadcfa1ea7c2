/** Raft as a step machine (interface.ts): takes an event to the rule for it, and gathers the effects. */
import type {
  Batch,
  CheckpointMark,
  Effect,
  Event,
  MachineStatus,
  Membership,
  PeerStatus,
  StepMachine,
  WaitingReason,
} from '../interface.ts'
import { invariant } from '../invariant.ts'
import { Log } from '../log.ts'
import { decodeMembership, MembershipHistory } from '../membership.ts'
import { proposeMembership } from './changes.ts'
import {
  leaderClosed,
  receiveTimeoutNow,
  receiveVoteReply,
  receiveVoteRequest,
  selfVotePersisted,
  tickElection,
} from './election.ts'
import { flushReply, receiveAppend, replyOncePersisted } from './follower.ts'
import { formationPersisted, receiveFormation, startFormation, tickFormation } from './forming.ts'
import { flushLeader, propose, receiveAppendReply, tickLeader } from './leader.ts'
import type { RaftMessage } from './messages.ts'
import { becomeFollower } from './roles.ts'
import { type RaftRole, type RaftSetup, RaftState } from './state.ts'
import { requestTransfer } from './transfer.ts'

export class Raft implements StepMachine<RaftMessage> {
  readonly #state: RaftState
  #told: Told = {
    role: 'follower',
    epoch: 0,
    leader: 0,
    formed: false,
    membersDiffer: false,
    membership: undefined,
  }
  #shown = ''

  constructor(setup: RaftSetup) {
    this.#state = new RaftState(setup)
    if (this.#state.membership.voters.length > 0) this.#state.membershipChanged()
    startFormation(this.#state)
  }

  step(event: Event<RaftMessage>): readonly Effect<RaftMessage>[] {
    const state = this.#state
    apply(state, event)
    this.#tellRole()
    tellCommit(state)
    if (event.kind === 'roundEnded') flushPersist(state)
    const { effects } = state
    if (effects.length === 0) return none
    state.effects = []
    return effects
  }

  committedEntries(first: number, bytesMax: number): Batch {
    return this.#state.log.batch(first, this.#state.committedTold, bytesMax)
  }

  status(): MachineStatus {
    const { epoch, leader, log, persistence, commit, membership, peers } = this.#state
    return {
      role: this.#state.shownRole,
      epoch,
      leader,
      first: log.base + 1,
      last: log.last,
      durable: persistence.durable,
      commit,
      lastTime: log.lastTime,
      logBytes: log.bytes,
      membership,
      waiting: waitingReason(this.#state),
      peers: [...peers.values()].map(peerStatus),
    }
  }

  #tellRole(): void {
    const told = this.#told
    const { role, epoch, leader, formed, membersDiffer, membership } = this.#state
    const same = role === told.role && epoch === told.epoch && leader === told.leader
    const sameMembers = formed === told.formed && membership === told.membership
    if (same && sameMembers && membersDiffer === told.membersDiffer) return
    this.#told = { role, epoch, leader, formed, membersDiffer, membership }
    const shown = `${this.#state.shownRole} ${epoch} ${leader}`
    if (shown !== this.#shown) {
      this.#shown = shown
      this.#state.effects.push({ kind: 'roleChanged', role: this.#state.shownRole, epoch, leader })
    }
    tellWaiting(this.#state)
  }
}

/** What the role that is shown depends on. */
interface Told {
  readonly role: RaftRole
  readonly epoch: number
  readonly leader: number
  readonly formed: boolean
  readonly membersDiffer: boolean
  readonly membership: Membership | undefined
}

function apply(state: RaftState, event: Event<RaftMessage>): void {
  switch (event.kind) {
    case 'received':
      return receive(state, event.message)
    case 'roundEnded':
      return endRound(state)
    case 'proposed':
      return propose(state, event.batches, event.now)
    case 'persisted':
      return persisted(state, event.id)
    case 'tick':
      return tick(state)
    case 'readRequested':
      return requestRead(state, event.id)
    case 'linkUp':
      return linkUp(state, event.node)
    case 'linkDown':
      return linkDown(state, event.node, event.closed)
    case 'checkpointed':
      return checkpointed(state, event.position)
    case 'snapshotInstalled':
      return snapshotInstalled(state, event.checkpoint)
    case 'snapshotSent':
      return snapshotSent(state, event.node, event.sent)
    case 'membershipProposed':
      return proposeMembership(state, event.change, event.now)
    case 'transferRequested':
      return requestTransfer(state, event.target)
  }
}

function receive(state: RaftState, message: RaftMessage): void {
  switch (message.kind) {
    case 'append':
      return receiveAppend(state, message)
    case 'appendReply':
      return receiveAppendReply(state, message)
    case 'voteRequest':
      return receiveVoteRequest(state, message)
    case 'voteReply':
      return receiveVoteReply(state, message)
    case 'timeoutNow':
      return receiveTimeoutNow(state, message)
    case 'formation':
      return receiveFormation(state, message)
  }
}

function tick(state: RaftState): void {
  state.persistence.tick()
  tickFormation(state)
  if (state.role === 'leader') tickLeader(state)
  else tickElection(state)
}

function endRound(state: RaftState): void {
  if (state.role === 'leader') flushLeader(state)
  else flushReply(state)
}

function persisted(state: RaftState, id: number): void {
  state.persistence.completed(id)
  formationPersisted(state)
  if (state.role === 'candidate' && id === state.selfVotePersist) selfVotePersisted(state)
  else if (state.role === 'follower') replyOncePersisted(state)
}

function requestRead(state: RaftState, id: number): void {
  if (state.role !== 'leader') state.effects.push({ kind: 'readFailed', id })
  else if (state.log.epochAt(state.commit) === state.epoch) state.reads.add(id, state.commit)
  else state.reads.hold(id)
}

function linkUp(state: RaftState, node: number): void {
  if (!state.formed) startFormation(state)
  state.peers.get(node)?.restart(state.log.last)
}

function linkDown(state: RaftState, node: number, closed: boolean): void {
  if (!state.formed) state.formation.forget(node)
  const peer = state.peers.get(node)
  if (peer !== undefined) {
    peer.restart(state.log.last)
    peer.silentTicks = Number.POSITIVE_INFINITY
  }
  if (closed && node === state.leader && node !== state.self) leaderClosed(state)
}

/**
 * What is kept below the checkpoint serves followers that are a little behind, or receive this very one.
 * The journal reaches back to the checkpoint before: that is what a start uses if this one is damaged.
 */
function checkpointed(state: RaftState, position: number): void {
  invariant(position <= state.committedTold, 'only what was committed is in a checkpoint')
  const before = state.checkpoint
  state.checkpoint = Math.max(before, position)
  // What is under way to the journal lies in the log's memory, which is used again.
  const written = Math.min(position, state.persistence.durable)
  let point = state.log.compactionPoint(written, state.limits.retentionBytes)
  if (state.log.bytes < state.limits.logBytesMax / 2) {
    for (const peer of state.peers.values()) {
      if (peer.state === 'checkpoint') point = Math.min(point, peer.checkpointAt)
    }
  }
  if (point <= state.log.base) return
  state.log.compact(point)
  state.memberships.compact(point)
  state.effects.push({ kind: 'compactJournal', position: Math.min(point, before) })
}

/**
 * A log that agrees with the checkpoint stays: what it has above may be acknowledged, and must not be
 * forgotten. One that ends before or differs starts anew.
 */
function snapshotInstalled(state: RaftState, mark: CheckpointMark): void {
  // Of what is committed the state machine may stand above what this journal has so far.
  if (mark.position <= state.commit) return standOn(state, mark.position)
  // Whoever led before that epoch has nothing to say about the log any more.
  if (mark.epoch > state.epoch) becomeFollower(state, mark.epoch, 0)
  const { log } = state
  if (mark.position <= log.last && log.epochAt(mark.position) === mark.epoch) {
    state.commitTo(mark.position)
    state.verified = Math.max(state.verified, mark.position)
  } else startAnew(state, mark)
  standOn(state, mark.position)
  state.replyDue = state.leader !== 0
}

function standOn(state: RaftState, position: number): void {
  state.committedTold = Math.max(state.committedTold, position)
  state.checkpoint = Math.max(state.checkpoint, position)
}

function startAnew(state: RaftState, mark: CheckpointMark): void {
  // A leader has all that is committed, so one that lacks it has been followed by another.
  if (state.role === 'leader') becomeFollower(state, state.epoch, 0)
  state.log = new Log(mark.position, mark.epoch, mark.time)
  state.memberships = new MembershipHistory(decodeMembership(mark.membership), mark.position)
  state.persistence.reset(mark.position)
  state.commit = mark.position
  state.verified = mark.position
  state.effects.push({ kind: 'reset', position: mark.position, epoch: mark.epoch })
  state.hardStateChanged()
  state.membershipChanged()
}

/** How long a checkpoint that arrived may take until it shows, in election time-outs. */
const installElections = 10

/** A transfer that failed is tried again with the next heartbeat; one that came too late as well. */
function snapshotSent(state: RaftState, node: number, sent: boolean): void {
  const peer = state.peers.get(node)
  if (peer === undefined || peer.state !== 'checkpoint') return
  if (sent && peer.checkpointAt >= state.log.base) {
    peer.checkpointInTicks = installElections * state.limits.electionTicksMin
    return
  }
  peer.becomeProbe()
  peer.probing = true
}

function tellCommit(state: RaftState): void {
  const position = Math.min(state.commit, state.persistence.durable)
  if (position <= state.committedTold) return
  state.committedTold = position
  state.effects.push({ kind: 'committedTo', position })
}

function flushPersist(state: RaftState): void {
  const persist = state.persistence.flush(state.log)
  if (persist !== undefined) state.effects.push(persist)
}

function tellWaiting(state: RaftState): void {
  const reason = waitingReason(state)
  if (reason !== '' && reason !== state.waitingTold) state.effects.push({ kind: 'waiting', reason })
  state.waitingTold = reason
}

function waitingReason(state: RaftState): WaitingReason | '' {
  if (!state.formed) return state.membersDiffer ? 'membersDiffer' : 'notFormed'
  return state.isBound ? '' : 'storeNotBound'
}

function peerStatus(peer: {
  node: number
  match: number
  state: PeerStatus['state']
  active: boolean
}): PeerStatus {
  return { node: peer.node, match: peer.match, state: peer.state, active: peer.active }
}

const none: readonly Effect<RaftMessage>[] = []

/** All that a Raft node knows, and the effects it gathers; the other files here are its rules. */
import { offset, readUint64 } from '../entry.ts'
import { Formation, type InitialMember } from '../formation.ts'
import type {
  Batch,
  CheckpointMark,
  Effect,
  Member,
  Membership,
  Role,
  WaitingReason,
} from '../interface.ts'
import { invariant } from '../invariant.ts'
import type { ConsensusLimits } from '../limits.ts'
import { Log } from '../log.ts'
import { decodeMembership, isBound, isVoter, MembershipHistory } from '../membership.ts'
import { Persistence } from '../persistence.ts'
import type { Progress } from '../progress.ts'
import type { Reach } from '../quorum.ts'
import { SeededRandom } from '../random.ts'
import { ReadConfirmation } from '../read-confirmation.ts'
import { decodeHardState, encodeHardState } from './hard-state.ts'
import type { RaftMessage, VoteRequestMessage } from './messages.ts'

export interface RaftSetup {
  readonly self: number
  /** Identity of the data directory. */
  readonly store: string
  /** False after a recovery that dropped anything not provably torn: neither votes nor counts (D14). */
  readonly canVote: boolean
  readonly seed: number
  readonly limits: ConsensusLimits
  /** False for a store that saw its cluster formed, or took the place of a lost one. */
  readonly mayForm: boolean
  /** Empty for a node that joins a cluster which exists. */
  readonly initialMembers: readonly InitialMember[]
  readonly recovered: RecoveredState
}

export interface RecoveredState {
  readonly hardState: Uint8Array
  /** Position 0: there is none. */
  readonly checkpoint: CheckpointMark
  /** What the journal holds; may begin below the checkpoint. */
  readonly entries: readonly Batch[]
}

/** The raw role; what is shown outside also says whether the node is bound and formed. */
export type RaftRole = 'follower' | 'preCandidate' | 'candidate' | 'leader'

export class RaftState {
  readonly self: number
  readonly store: string
  readonly limits: ConsensusLimits
  readonly random: SeededRandom
  readonly formation: Formation
  readonly reads = new ReadConfirmation()
  log: Log
  memberships: MembershipHistory
  readonly persistence: Persistence<RaftMessage>
  effects: Effect<RaftMessage>[] = []

  role: RaftRole = 'follower'
  epoch: number
  votedFor: number
  formed: boolean
  leader = 0
  commit: number
  committedTold = 0
  /** Position of our newest checkpoint. */
  checkpoint: number

  electionElapsed = 0
  electionTimeout = 0
  /** Counts down to a campaign because the leader's process has gone; 0: none planned. */
  campaignInTicks = 0
  /** The leader closed its link to us: it does not protect itself any more (D16). */
  leaderGone = false
  /** Campaigns since the leader went that may follow each other quickly. */
  eagerCampaigns = 0
  /** A pre-vote refused because of a leader whose end may be about to show here too. */
  deferredPreVote: VoteRequestMessage | undefined
  readonly votes = new Map<string, boolean>()
  /** The persist that makes the vote for ourselves durable. */
  selfVotePersist = 0

  /** As a follower: the log is the leader's up to here. */
  verified: number
  replyDue = false
  /** An acknowledgement waits for persists that are under way. */
  replyWhenDurable = false
  confirmSeen = 0
  confirmReplied = 0
  /** What the leader was told, or will be once it is durable, that we have. */
  repliedTo = 0

  /** As a leader. */
  readonly peers = new Map<number, Progress>()
  heartbeatElapsed = 0
  heartbeatDue = false
  transferTarget = 0
  transferElapsed = 0
  /** The target has been told to campaign. */
  transferAsked = false
  /** Position of the membership entry whose change was asked for here; 0: none. */
  changeAsked = 0

  formationElapsed = 0
  waitingTold: WaitingReason | '' = ''
  membersDiffer = false

  constructor(setup: RaftSetup) {
    const { checkpoint, entries, hardState } = setup.recovered
    this.self = setup.self
    this.store = setup.canVote ? setup.store : ''
    this.limits = setup.limits
    this.random = new SeededRandom(setup.seed)
    this.formation = new Formation(setup.self, this.store, setup.initialMembers)
    const hard = decodeHardState(hardState)
    const { log, fits } = recoveredLog(checkpoint, entries)
    this.log = log
    this.epoch = Math.max(hard.epoch, this.log.lastEpoch)
    this.votedFor = hard.epoch === this.epoch ? hard.votedFor : 0
    this.formed = hard.formed || !setup.mayForm || checkpoint.position > 0 || this.log.last > 1
    this.memberships = new MembershipHistory(
      decodeMembership(checkpoint.membership),
      checkpoint.position,
    )
    this.takeMemberships()
    this.persistence = new Persistence(this.log.last)
    if (!fits) this.#resetJournal()
    this.commit = checkpoint.position
    this.verified = checkpoint.position
    this.committedTold = checkpoint.position
    this.checkpoint = checkpoint.position
    this.resetElectionTimer(true)
  }

  #resetJournal(): void {
    this.effects.push({ kind: 'reset', position: this.log.base, epoch: this.log.lastEpoch })
    this.hardStateChanged()
  }

  get membership(): Membership {
    return this.memberships.latest
  }

  get isVoter(): boolean {
    return isVoter(this.membership, this.self, this.store)
  }

  /**
   * A voter that the latest entry removes is needed until that is committed: the others may not know
   * the entry, and refuse to vote for anybody whose log is shorter (dissertation, 4.2.2).
   */
  get mayCampaign(): boolean {
    if (!this.formed) return false
    if (this.isVoter) return true
    const open = this.memberships.latestPosition > this.commit
    return open && isVoter(this.memberships.previous, this.self, this.store)
  }

  get isBound(): boolean {
    return this.formed && isBound(this.membership, this.self, this.store)
  }

  get shownRole(): Role {
    if (this.role === 'leader') return 'leader'
    if (!this.formed) return 'forming'
    if (!this.isBound) return 'waiting'
    if (!this.isVoter) return 'learner'
    return this.role === 'follower' ? 'follower' : 'candidate'
  }

  /** Links may bring messages of nodes that left, or are no members yet: those have no say. */
  isMember(node: number): boolean {
    const { voters, outgoing, learners } = this.membership
    const isIt = (member: Member): boolean => member.node === node
    return voters.some(isIt) || outgoing.some(isIt) || learners.some(isIt) || this.peers.has(node)
  }

  /** A leader that was heard of lately protects itself against votes. */
  get inLease(): boolean {
    if (this.leader === 0 || this.leaderGone) return false
    return this.role === 'leader' || this.electionElapsed < this.limits.electionTicksMin
  }

  send(to: number, message: RaftMessage): void {
    this.effects.push({ kind: 'send', to, message })
  }

  /** Drawn anew with each change of role, so that two candidates do not stay in step. */
  resetElectionTimer(eager: boolean): void {
    const ticks = eager ? this.limits.eagerElectionTicksMin : this.limits.electionTicksMin
    this.electionElapsed = 0
    this.electionTimeout = ticks + this.random.below(ticks)
  }

  setEpoch(epoch: number, votedFor: number): void {
    invariant(epoch >= this.epoch, 'epochs never go back')
    invariant(
      epoch > this.epoch || this.votedFor === 0 || this.votedFor === votedFor,
      'one vote an epoch',
    )
    if (epoch === this.epoch && votedFor === this.votedFor) return
    this.epoch = epoch
    this.votedFor = votedFor
    this.hardStateChanged()
  }

  hardStateChanged(): void {
    const { epoch, votedFor, formed } = this
    this.persistence.setHardState(encodeHardState({ epoch, votedFor, formed }))
  }

  commitTo(position: number): void {
    if (position <= this.commit) return
    invariant(position <= this.log.last, 'only what is in the log is committed')
    this.commit = position
  }

  truncate(from: number): void {
    invariant(from > this.commit, 'what is committed is never truncated')
    this.log.truncate(from)
    this.persistence.truncated(from)
    if (this.memberships.truncate(from)) this.membershipChanged()
  }

  /** Brings membership entries that arrived with the log into force. */
  takeMemberships(): boolean {
    let taken = false
    for (const position of this.log.takeMembershipsSeen()) {
      if (position <= this.memberships.latestPosition) continue
      this.memberships.append(position, decodeMembership(this.log.bodyAt(position)))
      taken = true
    }
    return taken
  }

  membershipChanged(): void {
    const position = this.memberships.latestPosition
    this.effects.push({ kind: 'membershipChanged', membership: this.membership, position })
  }

  /** Quorum views of this node and its peers, each the number that its name says. */
  readonly matched: Reach = {
    of: member => this.#peerValue(member, this.persistence.durable, 'match'),
  }
  readonly confirmed: Reach = {
    of: member => this.#peerValue(member, Number.POSITIVE_INFINITY, 'confirmed'),
  }
  readonly active: Reach = {
    of: member => {
      if (member.node === this.self) return member.store === this.store ? 1 : 0
      const peer = this.peers.get(member.node)
      return peer?.active === true && peer.store === member.store ? 1 : 0
    },
  }
  readonly granted: Reach = {
    of: member => {
      const vote = this.votes.get(voteKey(member.node, member.store))
      return vote === undefined ? 0 : vote ? 1 : -1
    },
  }

  #peerValue(member: Member, own: number, name: 'match' | 'confirmed'): number {
    if (member.node === this.self) return member.store === this.store ? own : 0
    const peer = this.peers.get(member.node)
    return peer !== undefined && peer.store === member.store ? peer[name] : 0
  }

  /** How many voters come before this one when several could campaign at once. */
  rankAmongVoters(without: number): number {
    let rank = 0
    for (const voter of this.membership.voters) {
      if (voter.node < this.self && voter.node !== without) rank++
    }
    return rank
  }
}

export function voteKey(node: number, store: string): string {
  return `${node} ${store}`
}

/**
 * The journal's entry at the checkpoint, or the first one above, shows whether the two fit. They do not
 * where a crash came between a checkpoint that a peer sent and the reset of the journal: then it has
 * nothing to add, and starts anew. So it does where it ends below the checkpoint.
 */
function recoveredLog(checkpoint: CheckpointMark, entries: readonly Batch[]): Recovery {
  const { position, epoch, time } = checkpoint
  const anew = new Log(position, epoch, time)
  const first = entries[0]
  const end = entries.length === 0 ? 0 : lastOf(entries[entries.length - 1]!)
  if (first === undefined || end < position) return { log: anew, fits: end === position }
  invariant(first.first <= position + 1, 'the journal reaches back to the checkpoint')
  if (first.first > position) {
    if (firstEpochOf(first) < epoch) return { log: anew, fits: false }
    appendAll(anew, entries)
    return { log: anew, fits: true }
  }
  const log = new Log(first.first - 1, 0, 0)
  appendAll(log, entries)
  const fits = log.epochAt(position) === epoch
  if (fits) log.compact(first.first)
  return fits ? { log, fits } : { log: anew, fits }
}

interface Recovery {
  readonly log: Log
  /** What is on disk is this log, and goes on from there. */
  readonly fits: boolean
}

function appendAll(log: Log, entries: readonly Batch[]): void {
  for (const batch of entries) log.append(batch.bytes, batch.count)
}

function firstEpochOf({ bytes }: Batch): number {
  return readUint64(new DataView(bytes.buffer, bytes.byteOffset), offset.epoch)
}

function lastOf(batch: Batch): number {
  return batch.first + batch.count - 1
}

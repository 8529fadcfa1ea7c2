/**
 * The one interface behind which Raft, Zab and Multi-Paxos stand (DESIGN.md D11). A machine is
 * driven by events and answers with effects; it has no clock, no I/O and no randomness but the seed
 * of its setup. The README says what each protocol puts into which event and effect.
 */

/** What machines of one protocol say to each other; a union of that protocol's own. */
export interface PeerMessage {
  readonly kind: string
  /** The node that says it. */
  readonly from: number
}

export interface StepMachine<M extends PeerMessage> {
  /** Effects are to be carried out in order. The array is the caller's until the next step. */
  step(event: Event<M>): readonly Effect<M>[]
  /** At most `bytesMax` of what is committed and durable here (at least one entry if there is one). */
  committedEntries(first: number, bytesMax: number): Batch
  status(): MachineStatus
}

/** Entries (entry.ts), concatenated. A view that stays as it is, since logs never write a byte twice. */
export interface Batch {
  readonly first: number
  readonly count: number
  readonly bytes: Uint8Array
}

export type Event<M extends PeerMessage> =
  | { readonly kind: 'tick' }
  /** All input of a round is in: what was gathered leaves, one frame a peer and one persist. */
  | { readonly kind: 'roundEnded' }
  | { readonly kind: 'received'; readonly message: M }
  /** Entries without position, epoch and time; an entry that has a time keeps it. `now` is wall time. */
  | { readonly kind: 'proposed'; readonly batches: readonly ProposedBatch[]; readonly now: number }
  /** Every attempt has an id of its own, never used before by this process. */
  | { readonly kind: 'readRequested'; readonly id: number }
  | { readonly kind: 'persisted'; readonly id: number }
  | { readonly kind: 'linkUp'; readonly node: number }
  /** `closed`: the other process closed it, so it is gone; otherwise silence or an error. */
  | { readonly kind: 'linkDown'; readonly node: number; readonly closed: boolean }
  /** A durable checkpoint of our own state: what it covers may leave the log. */
  | { readonly kind: 'checkpointed'; readonly position: number }
  /** The state machine stands on a checkpoint that a peer sent. */
  | { readonly kind: 'snapshotInstalled'; readonly checkpoint: CheckpointMark }
  /** The transfer that `snapshotNeeded` asked for ended; what it brought shows in the peer's replies. */
  | { readonly kind: 'snapshotSent'; readonly node: number; readonly sent: boolean }
  | { readonly kind: 'membershipProposed'; readonly change: MembershipChange; readonly now: number }
  | { readonly kind: 'transferRequested'; readonly target: number }

export type Effect<M extends PeerMessage> =
  | PersistEffect<M>
  | { readonly kind: 'send'; readonly to: number; readonly message: M }
  /** Entries up to here may be pulled by the state machine. Only grows. */
  | { readonly kind: 'committedTo'; readonly position: number }
  /** The read waits until the state machine has applied `position`. */
  | { readonly kind: 'readReady'; readonly id: number; readonly position: number }
  /** Ask again, with another id, when a leader is known. */
  | { readonly kind: 'readFailed'; readonly id: number }
  | {
      readonly kind: 'roleChanged'
      readonly role: Role
      readonly epoch: number
      readonly leader: number
    }
  /** The log no longer reaches back to `next`: send this node the newest checkpoint. */
  | { readonly kind: 'snapshotNeeded'; readonly node: number; readonly next: number }
  /** The log starts anew above this checkpoint: the journal forgets what it has. */
  | { readonly kind: 'reset'; readonly position: number; readonly epoch: number }
  /** Nothing at or below this position is needed any more by this node or a slow follower. */
  | { readonly kind: 'compactJournal'; readonly position: number }
  | { readonly kind: 'proposalsRefused'; readonly count: number; readonly reason: RefusalReason }
  /** In force from now on (not necessarily committed). */
  | {
      readonly kind: 'membershipChanged'
      readonly membership: Membership
      readonly position: number
    }
  /** The change asked for is committed and no outgoing voters are left. */
  | { readonly kind: 'membershipDone'; readonly membership: Membership }
  | {
      readonly kind: 'membershipRefused'
      readonly reason: MembershipRefusal
      /** Whose silence is the reason; empty for any other. */
      readonly silent: readonly number[]
    }
  | { readonly kind: 'transferEnded'; readonly target: number; readonly done: boolean }
  /** Why a node neither votes nor counts, for its log. */
  | { readonly kind: 'waiting'; readonly reason: WaitingReason }

/** One write to the journal. `thenSend` leaves when it is durable, and never before. */
export interface PersistEffect<M extends PeerMessage> {
  readonly kind: 'persist'
  /** Grows by one with each persist of this process; journals complete them in this order. */
  readonly id: number
  /** Everything from this position on is dropped first; 0: nothing. */
  readonly truncateFrom: number
  readonly entries: readonly Batch[]
  /** The protocol's own bytes, opaque to all others; empty: unchanged. */
  readonly hardState: Uint8Array
  readonly thenSend: readonly Addressed<M>[]
}

export interface Addressed<M extends PeerMessage> {
  readonly to: number
  readonly message: M
}

export interface ProposedBatch {
  readonly entries: Uint8Array
  readonly count: number
}

/** What a checkpoint says about the log it replaces. */
export interface CheckpointMark {
  readonly position: number
  readonly epoch: number
  /** Time stamp of the entry at `position`. */
  readonly time: number
  /** Body of the last membership entry at or below `position` (membership.ts); empty: none yet. */
  readonly membership: Uint8Array
}

/** `learner`: receives the log and does not count; `waiting`: neither votes nor counts (D14). */
export type Role = 'forming' | 'waiting' | 'learner' | 'follower' | 'candidate' | 'leader'

export type RefusalReason = 'notLeader' | 'transferring' | 'overloaded'
export type MembershipRefusal =
  | 'notLeader'
  | 'changePending'
  /** It may or may not come about: look at the membership. */
  | 'leadershipLost'
  | 'unknownNode'
  | 'alreadyMember'
  | 'notLearner'
  | 'notCaughtUp'
  | 'lastVoter'
  | 'tooManyVoters'
  /** Too few of the voters that there are, or would be, have answered lately. */
  | 'unhealthyCluster'
export type WaitingReason = 'notFormed' | 'storeNotBound' | 'membersDiffer'

/** A member is a node with one store (a data directory): the same node with another store is another member. */
export interface Member {
  readonly node: number
  readonly store: string
  /** Where its peers reach it; opaque here. */
  readonly address: string
  /** Where etcd's clients reach it; absent: as each node has it configured. */
  readonly etcd?: string
}

/** `outgoing` is empty unless two sets decide together (D13). */
export interface Membership {
  /**
   * Which cluster this is, whatever its name: the store that recorded its first membership, which forms
   * none again. Nodes of two formations never talk. Empty: none has been formed yet.
   */
  readonly formation: string
  readonly voters: readonly Member[]
  readonly outgoing: readonly Member[]
  readonly learners: readonly Member[]
}

export type MembershipChange =
  | { readonly kind: 'addLearner'; readonly member: Member }
  | { readonly kind: 'promote'; readonly node: number }
  | { readonly kind: 'remove'; readonly node: number }
  /** Binds a node to a new, empty store; decided without it. */
  | { readonly kind: 'replace'; readonly member: Member }
  /** Where it is reached; empty: as before. */
  | {
      readonly kind: 'update'
      readonly node: number
      readonly address: string
      readonly etcd: string
    }

export interface MachineStatus {
  readonly role: Role
  readonly epoch: number
  /** 0: none known. */
  readonly leader: number
  readonly first: number
  readonly last: number
  readonly durable: number
  readonly commit: number
  /** Time stamp of the last entry. */
  readonly lastTime: number
  readonly logBytes: number
  readonly membership: Membership
  /** Why it neither votes nor counts; empty: it does. */
  readonly waiting: WaitingReason | ''
  /** Only on a leader. */
  readonly peers: readonly PeerStatus[]
}

export interface PeerStatus {
  readonly node: number
  readonly match: number
  readonly state: 'probe' | 'replicate' | 'checkpoint'
  readonly active: boolean
}

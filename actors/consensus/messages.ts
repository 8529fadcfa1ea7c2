import type { JournalNotice } from '../journal/messages.ts'
import type { PeersNotice } from '../peers/messages.ts'
import type { RaftMessage } from './raft/messages.ts'

/** All that the consensus actor accepts: from its own node, the journal, the links, and its peers. */
export type ConsensusMessage =
  | ConsensusRequest
  | JournalNotice
  | PeersNotice
  | RaftMessage
  | ConsensusForward

/** What it accepts from actors of its own node. */
export type ConsensusRequest =
  /** Entries without position, epoch and time (entry.ts), in the order of their stream. */
  | { readonly kind: 'propose'; readonly entries: Uint8Array; readonly count: number }
  /** Answered to the named actor by `readReady` (or `readFailed`), in one message for the whole batch. */
  | { readonly kind: 'readRequest'; readonly replyTo: string; readonly id: number }
  /** The state machine has applied up to here: room for more `committed` bytes. */
  | { readonly kind: 'applied'; readonly position: number }
  /** A durable checkpoint exists: the log up to it may go. */
  | { readonly kind: 'checkpointed'; readonly position: number; readonly epoch: number }
  /**
   * The state machine stands on a checkpoint: its own at the start (position 0 if there is none), or
   * later one that a peer sent. `membership` is the body of the last membership entry in it.
   */
  | {
      readonly kind: 'checkpointInstalled'
      readonly position: number
      readonly epoch: number
      readonly time: number
      readonly membership: Uint8Array
    }
  /** From the state machine, as it changes: there is no space for a checkpoint. */
  | { readonly kind: 'checkpointSpace'; readonly lacking: boolean }
  | { readonly kind: 'tick' }
  /** To itself: proposals that waited for earlier ones have waited long enough. */
  | { readonly kind: 'proposeNow' }
  /** Answered by `done` to the named actor. */
  | {
      readonly kind: 'transfer'
      readonly replyTo: string
      readonly id: number
      readonly target: number
    }
  /** `change` is a MembershipChange (interface.ts) as JSON; answered by `done` once it is committed. */
  | {
      readonly kind: 'changeMembership'
      readonly replyTo: string
      readonly id: number
      readonly change: Uint8Array
    }
  /** Answered to the named actor by `leader`: it started late and missed the last one. */
  | { readonly kind: 'leaderQuestion'; readonly replyTo: string }
  | { readonly kind: 'status'; readonly replyTo: string; readonly id: number }

/** What consensus actors say to each other whatever the protocol: work that only a leader can do. */
export type ConsensusForward =
  | {
      readonly kind: 'forward'
      readonly from: number
      readonly entries: Uint8Array
      readonly count: number
    }
  /** How much room the disk of node `from` has: as it changes, and now and then while there is little. */
  | { readonly kind: 'spaceTold'; readonly from: number; readonly level: number }
  /** Some of what was forwarded could not be taken: its streams are to hand in again. */
  | { readonly kind: 'forwardRefused'; readonly from: number }
  /** Every attempt has an id of its own. */
  | { readonly kind: 'readIndex'; readonly from: number; readonly id: number }
  /** `position` -1: the leader could not say. */
  | {
      readonly kind: 'readIndexReply'
      readonly from: number
      readonly id: number
      readonly position: number
    }

/**
 * For the doors: the least `spaceLevel` (shell/disk-space.ts) that a quorum of the nodes has. 1: what
 * grows is to be refused, 2: all that writes.
 */
export interface SpaceNotice {
  readonly kind: 'space'
  readonly level: number
}

/** What consensus tells the actors of its node (state, sessions, gateways). */
export type ConsensusNotice =
  /** Entries `first` … `first + count - 1`, stamped; concatenated. */
  | {
      readonly kind: 'committed'
      readonly first: number
      readonly count: number
      readonly entries: Uint8Array
    }
  /** `leader` 0: none known. Streams send again what they have not seen applied. */
  | {
      readonly kind: 'leader'
      readonly epoch: number
      readonly leader: number
      readonly self: boolean
    }
  /** Proposals were dropped on their way: streams hand in again soon, lest what follows them waits. */
  | { readonly kind: 'handInAgain' }
  /** What a linearizable read with this id has to wait for. */
  | { readonly kind: 'readReady'; readonly id: number; readonly position: number }
  | { readonly kind: 'readFailed'; readonly id: number }

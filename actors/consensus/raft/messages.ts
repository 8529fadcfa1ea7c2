/** What Raft nodes say to each other. `epoch` is the sender's term except in a pre-vote. */
import type { FormationMessage } from '../formation.ts'

export type RaftMessage =
  | AppendMessage
  | AppendReplyMessage
  | VoteRequestMessage
  | VoteReplyMessage
  | TimeoutNowMessage
  | FormationMessage

/** Entries, news of the commit position, heartbeat and read confirmation in one. */
export interface AppendMessage {
  readonly kind: 'append'
  readonly from: number
  readonly epoch: number
  /** The entry before the first one sent; 0 with epoch 0 fits every log. */
  readonly previous: number
  readonly previousEpoch: number
  readonly commit: number
  /** To be returned by a node that still follows (read-confirmation.ts). */
  readonly confirm: number
  readonly count: number
  readonly entries: Uint8Array
}

export interface AppendReplyMessage {
  readonly kind: 'appendReply'
  readonly from: number
  readonly epoch: number
  /** The store that this reply counts for; '' counts for none (D14). */
  readonly store: string
  readonly accepted: boolean
  /** Accepted: durable and the same as the leader's up to here. Otherwise the `previous` refused. */
  readonly position: number
  /** Refused: the logs may meet at `hint`, the last position here whose epoch is not above. */
  readonly hint: number
  readonly hintEpoch: number
  readonly confirm: number
}

export interface VoteRequestMessage {
  readonly kind: 'voteRequest'
  readonly from: number
  /** The epoch the candidate would have, or has. */
  readonly epoch: number
  /** Asked before anything is changed. */
  readonly pre: boolean
  /** The store that the candidate's membership knows of the node asked: no other one may answer. */
  readonly store: string
  /** The leader wishes it: nobody protects that leader. */
  readonly transfer: boolean
  readonly last: number
  readonly lastEpoch: number
}

export interface VoteReplyMessage {
  readonly kind: 'voteReply'
  readonly from: number
  /** Granted: that of the request. Refused: the voter's. */
  readonly epoch: number
  readonly store: string
  readonly pre: boolean
  readonly granted: boolean
}

/** Campaign at once: the leader hands over. */
export interface TimeoutNowMessage {
  readonly kind: 'timeoutNow'
  readonly from: number
  readonly epoch: number
}

/** What the consensus actor accepts from actors of its own node. Peer messages are in protocol.ts. */
export type ConsensusMessage =
  /** Entries without position, epoch and time (entry.ts), in the order of their stream. */
  | { readonly kind: 'propose'; readonly entries: Uint8Array; readonly count: number }
  /** Answered to the named actor by `readReady` (or `readFailed`), in one message for the whole batch. */
  | { readonly kind: 'readRequest'; readonly replyTo: string; readonly id: number }
  /** The state machine has applied up to here: room for more `committed` bytes. */
  | { readonly kind: 'applied'; readonly position: number }
  /** A durable checkpoint exists: the log up to it may go. */
  | { readonly kind: 'checkpointed'; readonly position: number; readonly epoch: number }
  /** A checkpoint that a peer sent is in place and the state machine stands on it. */
  | { readonly kind: 'checkpointInstalled'; readonly position: number; readonly epoch: number }
  | { readonly kind: 'tick' }
  | {
      readonly kind: 'transfer'
      readonly replyTo: string
      readonly id: number
      readonly target: number
    }
  | {
      readonly kind: 'changeMembership'
      readonly replyTo: string
      readonly id: number
      readonly change: Uint8Array
    }
  | { readonly kind: 'status'; readonly replyTo: string; readonly id: number }

/** What consensus tells the actors that registered for it (state, sessions, gateways, node). */
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
  /** What a linearizable read with this id has to wait for. */
  | { readonly kind: 'readReady'; readonly id: number; readonly position: number }
  | { readonly kind: 'readFailed'; readonly id: number }

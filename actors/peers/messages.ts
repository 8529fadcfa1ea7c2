/** What the peers actor accepts; all of it comes from actors of its own node. */
export type PeersMessage =
  /**
   * All nodes of the cluster, learners and this one included; replaces what was known. The first one
   * comes once the log is in memory, empty where nothing was formed: then the configuration counts on.
   */
  | {
      readonly kind: 'members'
      readonly members: readonly PeerMember[]
      /** Which cluster this is (interface.ts); empty: none yet. */
      readonly formation: string
      /** Of the newest membership that is known to be committed, and whose store is which in it. */
      readonly position: number
      readonly bound: readonly BoundStore[]
    }
  /** Send the newest checkpoint to this node; answered to consensus by `checkpointSent`. */
  | { readonly kind: 'sendCheckpoint'; readonly node: number }
  /** Something was written to a link in this round: its end flushes. Told by the links themselves. */
  | { readonly kind: 'flush' }
  /** To itself: time to say who we are to nodes that do not dial us. */
  | { readonly kind: 'introduce' }
  | { readonly kind: 'listening'; readonly error: string }
  | { readonly kind: 'status'; readonly replyTo: string; readonly id: number }

export interface BoundStore {
  readonly node: number
  readonly store: string
}

export interface PeerMember {
  readonly node: number
  readonly host: string
  readonly port: number
}

/** What it tells consensus. */
export type PeersNotice =
  | {
      readonly kind: 'linkUp'
      readonly node: number
      /** 32 hexadecimal digits. */
      readonly storeId: string
      readonly incarnation: number
    }
  /** `closed`: the other process ended, or closed the link on purpose; otherwise silence or loss. */
  | { readonly kind: 'linkDown'; readonly node: number; readonly closed: boolean }
  | { readonly kind: 'checkpointSent'; readonly node: number; readonly sent: boolean }

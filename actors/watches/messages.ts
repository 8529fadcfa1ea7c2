/**
 * The ordered stream that the state machine emits (DESIGN.md D8). The watch actor alone sends to
 * the gateways, events first, so an event precedes the reply that shows its change.
 */
export type WatchesMessage =
  | ReplyMessage
  | ZnodeChanged
  | ZnodeWatch
  | ZnodeWatches
  | ZnodeIdentities
  | KeysChanged
  | KeyWatch
  | KeyHistory
  | KeyStream
  | Cause
  /** What etcd's clients have taken of what was sent to them, by connection. */
  | {
      readonly kind: 'eventsTaken'
      readonly connections: readonly number[]
      readonly bytes: readonly number[]
    }
  | { readonly kind: 'connectionClosed'; readonly stream: number; readonly connection: number }
  /** The gateway of this stream is new: nobody listens any more to what its predecessor registered. */
  | { readonly kind: 'gatewayStarted'; readonly stream: number }
  | { readonly kind: 'status'; readonly replyTo: string; readonly id: number }
  | { readonly kind: 'tick' }
  /** To itself, between two slices of a fan-out. */
  | { readonly kind: 'goOn' }

/** Changes from here on belong to this span: 16 bytes of trace id, 8 of span id. Empty: to none. */
export interface Cause {
  readonly kind: 'cause'
  readonly trace: Uint8Array
}

/** Passed on to the gateway as it is. `sequence` is that of the command answered, 0 for a read. */
export interface ReplyMessage {
  readonly kind: 'reply'
  readonly stream: number
  readonly connection: number
  readonly tag: number
  readonly sequence: number
  /** 0, or what the gateway has to do beyond sending: its own closed list (gateways/…). */
  readonly status: number
  readonly body: Uint8Array
}

export interface ZnodeChanged {
  readonly kind: 'znodeChanged'
  /** ZooKeeper's event type: 1 created, 2 deleted, 3 data changed. Child events are derived from 1 and 2. */
  readonly event: 1 | 2 | 3
  readonly path: string
  readonly zxid: number
  /** ACL of the node, and of its parent for the child event: encoded ACL vectors, empty = world may read. */
  readonly acl: Uint8Array
  readonly parentAcl: Uint8Array
}

export interface ZnodeWatch {
  readonly kind: 'znodeWatch'
  readonly connection: number
  readonly path: string
  /** data (also exists) and children are one-shot. */
  readonly watcher: 'data' | 'children' | 'persistent' | 'recursive'
  /** Who the connection is (transport/zookeeper/identities.ts): decides which events it may see. */
  readonly identities: Uint8Array
}

/** The same for many paths, as a client names them that comes back. */
export interface ZnodeWatches extends Omit<ZnodeWatch, 'kind' | 'path'> {
  readonly kind: 'znodeWatches'
  readonly paths: readonly string[]
}

/** An auth packet added to what the connection is. */
export interface ZnodeIdentities {
  readonly kind: 'znodeIdentities'
  readonly connection: number
  readonly identities: Uint8Array
}

/** All changes of one revision, in order; sent only while `keyWatches` are registered. */
export interface KeysChanged extends RevisionChanges {
  readonly kind: 'keysChanged'
  /** The next message goes on with the same revision. */
  readonly more: boolean
}

export interface RevisionChanges {
  readonly revision: number
  /** For the raft_term of what is sent from now on. */
  readonly epoch: number
  readonly events: readonly KeyEvent[]
}

export interface KeyEvent {
  readonly deleted: boolean
  readonly key: Uint8Array
  /** mvccpb.KeyValue after the change (key and mod_revision only for a delete). */
  readonly current: Uint8Array
  /** mvccpb.KeyValue before it; empty: there was none, or nobody asked. */
  readonly previous: Uint8Array
}

/** Registration of an etcd watch, in order with the changes. */
export interface KeyWatch {
  readonly kind: 'keyWatch'
  readonly connection: number
  readonly tag: number
  readonly revision: number
  readonly compactRevision: number
  readonly epoch: number
  /** etcdserverpb.WatchRequest. */
  readonly request: Uint8Array
}

/** A slice of history for watches that start in the past; `upTo` is the last revision it covers. */
export interface KeyHistory {
  readonly kind: 'keyHistory'
  readonly id: number
  readonly upTo: number
  readonly revision: number
  readonly compactRevision: number
  readonly changes: readonly RevisionChanges[]
  /** The next message goes on with this slice, maybe within a revision; only the last one has `upTo`. */
  readonly more: boolean
}

/**
 * About all key watches of one call. `held` and `drained` come from the gateway: its client is slow,
 * or takes more again. `closed` comes by way of the state machine, so that it follows registrations.
 */
export interface KeyStream {
  readonly kind: 'keyStream'
  readonly connection: number
  readonly tag: number
  readonly change: 'held' | 'drained' | 'closed'
}

import type { ConsensusNotice } from '../consensus/messages.ts'

/** Lifetimes are sessions and leases (DESIGN.md D7): `lifetime` is one of these. */
export const lifetime = { session: 1, lease: 2 } as const

/**
 * What the sessions actor accepts. Ids are 8 bytes, big-endian, as on the wire; lists of them are
 * concatenated. It keeps the deadlines while this node leads; otherwise it passes touches on.
 */
export type SessionsMessage =
  | Extract<ConsensusNotice, { kind: 'leader' | 'handInAgain' | 'readReady' | 'readFailed' }>
  /** From the state machine, in apply order, and for all that a checkpoint holds. */
  | {
      readonly kind: 'opened'
      readonly lifetime: number
      readonly id: Uint8Array
      /** Position in the log; with the id it names this one among all of that id. */
      readonly openedAt: number
      readonly ttlMillis: number
      /** To which a session is attached; a new one makes an end that was decided before void. */
      readonly node: number
      readonly connection: number
    }
  | { readonly kind: 'closed'; readonly lifetime: number; readonly id: Uint8Array }
  /** All members know this level of the state machine: to be proposed, this node leads. */
  | { readonly kind: 'raiseLevel'; readonly level: number }
  /** The state machine's own (actors/state/leader-duties.ts): to be proposed, this node leads. */
  | { readonly kind: 'stateCommand'; readonly entryKind: number; readonly body: Uint8Array }
  /** All that was opened before is void: a checkpoint has been installed. */
  | { readonly kind: 'forgetAll' }
  /** Own commands of stream 3 up to here have applied. */
  | { readonly kind: 'appliedOwn'; readonly sequence: number }
  /** From a gateway: these sessions sent something; batched, coalesced. */
  | { readonly kind: 'touched'; readonly ids: Uint8Array }
  /** From another node's sessions actor: the same for its clients (own-touches.ts), to the leader. */
  | {
      readonly kind: 'touchedRemotely'
      readonly node: number
      readonly batch: number
      readonly touches: Uint8Array
    }
  /**
   * From the leader: these touches count, and it was still followed by a quorum after they had come; `lost`
   * are the ids of sessions that it does not know, or that are about to end.
   */
  | { readonly kind: 'touchesConfirmed'; readonly batch: number; readonly lost: Uint8Array }
  /** etcd keep-alives (`renew`) or times to live; answered to the etcd gateway by `leaseAnswers`. */
  | {
      readonly kind: 'leaseQuestions'
      readonly tag: number
      readonly ids: Uint8Array
      readonly renew: boolean
    }
  | {
      readonly kind: 'leaseQuestionsRemote'
      readonly node: number
      readonly tag: number
      readonly ids: Uint8Array
      readonly renew: boolean
    }
  | LeaseAnswers
  /** The state machine has applied the position that a `barrier` named; its notices came before. */
  | { readonly kind: 'barrierReached'; readonly id: number }
  | { readonly kind: 'tick' }

/**
 * For the ZooKeeper gateway: a leader that a quorum follows has confirmed these sessions of its clients. `heard`:
 * for each i64 id and f64 when its client was heard, big-endian, by the monotonic clock that all threads of
 * the process have in common; from then on it lives for its time-out. `askedMillis`: the leader led after that.
 */
export interface SessionsConfirmed {
  readonly kind: 'sessionsConfirmed'
  readonly askedMillis: number
  readonly heard: Uint8Array
}

/** Bytes of one session in it. */
export const heardBytes = 16

/**
 * `times`: for each id f64 remaining and f64 granted milliseconds, little-endian; remaining −1: no such
 * lease. `failed`: no leader could confirm it, ask again or time out. The leader has confirmed its
 * leadership after it received the questions and before it answered.
 */
export interface LeaseAnswers {
  readonly kind: 'leaseAnswers'
  readonly tag: number
  readonly ids: Uint8Array
  readonly times: Uint8Array
  readonly failed: boolean
}

/**
 * Body of a `lifetime` entry: a session or lease ends. u8 lifetime, i64 id, f64 epoch in which the
 * leader decided it, u32 node and f64 connection to which a session was attached then, f64 position at
 * which it was opened: a lease that was granted anew under its id is another one.
 */
export const lifetimeEnd = {
  lifetime: 0,
  id: 1,
  epoch: 9,
  node: 17,
  connection: 21,
  openedAt: 29,
  bytes: 37,
} as const

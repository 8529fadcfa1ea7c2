import type { ConsensusNotice, SpaceNotice } from '../consensus/messages.ts'
import type { ReplyMessage } from '../watches/messages.ts'

/** What both gateways accept. Socket input reaches their handler as messages of their own, in their files. */
export type GatewayMessage =
  | ReplyMessage
  | Extract<ConsensusNotice, { kind: 'leader' | 'handInAgain' | 'readReady' | 'readFailed' }>
  | SpaceNotice
  /** Bytes for one connection that answer nothing: a watch event. `tag` as the watch was registered with. */
  | {
      readonly kind: 'event'
      readonly connection: number
      readonly tag: number
      readonly body: Uint8Array
    }
  /**
   * Own commands of this stream up to this sequence have applied, but as part of a checkpoint that a peer sent:
   * no answer to those still open will come. Drop them from the stream and close what waits for them.
   */
  | { readonly kind: 'unanswered'; readonly stream: number; readonly through: number }
  /**
   * The answer to this read (of ZooKeeper's: to the first read of the connection that is not answered) would
   * have so many bytes, and is made once the state machine hears `room`.
   */
  | {
      readonly kind: 'needsRoom'
      readonly stream: number
      readonly connection: number
      readonly tag: number
      readonly bytes: number
    }
  /** What time it is in the log, about; the first one says that this process is known to the cluster. */
  | { readonly kind: 'logTime'; readonly time: number }
  /** There are events, or none any more, for which clients leave no room; for etcd's gateway. */
  | { readonly kind: 'eventsWait'; readonly waiting: boolean }
  /** The session of this connection is gone or moved: close it. */
  | { readonly kind: 'closeConnection'; readonly connection: number }
  /** The node stops: nothing more is taken; answered to control by `done` once all is answered that was. */
  | { readonly kind: 'drain'; readonly id: number }
  | { readonly kind: 'status'; readonly replyTo: string; readonly id: number }
  /** The states of nodes differ, and nobody can tell which is right: refuse all requests, or no more. */
  | { readonly kind: 'statesDiffer'; readonly differ: boolean }
  | { readonly kind: 'tick' }

/** Prometheus text, for a `metricsQuestion` of the etcd gateway. */
export interface MetricsText {
  readonly kind: 'metricsText'
  readonly id: number
  readonly text: string
}

import type { ConsensusNotice, ConsensusRequest } from '../consensus/messages.ts'

/** Who proposes: each is an ordered stream of commands of this node (DESIGN.md D6). */
export const stream = { zookeeper: 1, etcd: 2, sessions: 3 } as const

const doorsMax = 8

/**
 * A gateway that was started again counts from 1 in a stream of its own: what its predecessor
 * proposed may still apply, and is remembered in all checkpoints.
 */
export function streamOf(door: number, generation: number): number {
  return door + doorsMax * generation
}

/** Which of the three a stream belongs to, in whatever generation. */
export function doorOf(ofStream: number): number {
  return ofStream % doorsMax
}

/** One number for a connection of a door; in whatever generation: their numbers are not used again soon. */
export function connectionKey(ofStream: number, connection: number): number {
  return connection * doorsMax + doorOf(ofStream)
}

/** `roomBytes` of a read whose answer goes to nobody who could leave it lying; it crosses threads. */
export const roomUnlimited = 2 ** 52

/**
 * What the state machine accepts. Requests are the protocol's own bytes, checked by the gateway:
 * ZooKeeper: actors/state/zookeeper-commands.ts; etcd: actors/state/etcd-commands.ts.
 */
export type StateMessage =
  | Exclude<ConsensusNotice, { kind: 'handInAgain' }>
  /**
   * A read for `connection` of the gateway with this stream; answered in order by way of the watch actor.
   *
   * It brings the room that its answer may take (`roomBytes`, a guess of the gateway's). A longer answer
   * is not made: the read is parked (with all later reads of its connection where it is ZooKeeper's), and
   * the gateway hears `needsRoom` with the bytes; it grants them with `room` once what its clients have
   * left untaken allows it, or says `connectionGone`. So no memory is spent on what nobody takes.
   */
  | {
      readonly kind: 'read'
      readonly stream: number
      readonly connection: number
      /** The gateway's own mark for the answer (an HTTP/2 stream, a xid). */
      readonly tag: number
      /** Not before the command with this sequence of the same stream has applied here; 0: at once. */
      readonly after: number
      /** Not before this log position has applied here; 0: at once. */
      readonly position: number
      readonly roomBytes: number
      readonly request: Uint8Array
    }
  /** So many bytes are set aside for the answer that `needsRoom` named; should it have grown, it asks again. */
  | {
      readonly kind: 'room'
      readonly stream: number
      readonly connection: number
      readonly tag: number
      readonly bytes: number
    }
  /** Nobody waits any more for the answer that waits for room: it is dropped. */
  | {
      readonly kind: 'readCancelled'
      readonly stream: number
      readonly connection: number
      readonly tag: number
    }
  /**
   * So many bytes more may be spent on reads that wait for room while a later write of their own connection is
   * about to apply: what a client asked before it wrote must not show what it wrote, and a write never waits.
   * Where too little is lent, the connection is closed. Answers made so say it (`replyStatus.sendLent`).
   * The etcd port lends for the answers to its writes (write-room.ts).
   */
  | { readonly kind: 'roomLent'; readonly stream: number; readonly bytes: number }
  /**
   * Nobody listens any more: reads of this connection that have not run are dropped without an answer.
   * It is the last message about this connection, and ends its watches behind what may yet register one.
   */
  | { readonly kind: 'connectionGone'; readonly stream: number; readonly connection: number }
  /**
   * Passed on to consensus as it is. Writes of ZooKeeper's door come this way, behind the reads that
   * were sent before them: by another, from thread to thread, they could be here first.
   */
  | Extract<ConsensusRequest, { kind: 'propose' }>
  | {
      readonly kind: 'checkpointArrived'
      readonly directory: string
      readonly position: number
      readonly epoch: number
    }
  /** From itself: the next slice of what takes long. */
  | { readonly kind: 'goOn' }
  /** From this actor's own checkpoint driver: time for a slice; the pool has finished. */
  | { readonly kind: 'checkpointSlice' }
  | { readonly kind: 'checkpointWritten' }
  /** Answered to the named actor by `barrierReached` once this position has applied. */
  | {
      readonly kind: 'barrier'
      readonly replyTo: string
      readonly id: number
      readonly position: number
    }
  /** Another node's state hash after this position. */
  | {
      readonly kind: 'hash'
      readonly node: number
      readonly position: number
      readonly low: number
      readonly high: number
    }
  /** The highest level that another node knows (levels.ts). */
  | { readonly kind: 'level'; readonly node: number; readonly level: number }
  /** The gateway of this stream has taken the place of one that is gone with all its connections. */
  | { readonly kind: 'gatewayStarted'; readonly stream: number }
  /** The watch actor has handled this many registrations and holds none of this kind any more. */
  | { readonly kind: 'unwatched'; readonly keys: boolean; readonly registrations: number }
  | { readonly kind: 'status'; readonly replyTo: string; readonly id: number }
  | { readonly kind: 'tick' }

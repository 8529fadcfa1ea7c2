/**
 * What applying and reading may touch. The two faces (zookeeper-*.ts, etcd-*.ts) get it from the
 * state actor; nothing else reaches them: no clock, no randomness, no node-dependent value decides
 * what changes.
 */
import type { Keyspace } from '../../storage/keyspace.ts'
import type { Tree } from '../../storage/tree.ts'
import type { WatchesMessage } from '../watches/messages.ts'
import type { EtcdTally } from './etcd-tally.ts'
import type { Lifetime, Lifetimes } from './lifetimes.ts'
import type { Space } from './space.ts'
import type { Slice, Steps } from './slices.ts'

export interface World {
  readonly keyspace: Keyspace
  readonly tree: Tree
  readonly lifetimes: Lifetimes
  /** Whether what grows the state may apply. */
  readonly space: Space
  /** Replicated counters and the feature level (DESIGN.md D7, D20). */
  readonly numbers: Numbers
  /** Not replicated: who this node is; only for what goes into answers. */
  readonly identity: Identity
  readonly emitter: Emitter
  /** The log position of the last entry applied, and the last membership; for answers about them. */
  readonly applied: { readonly position: number; readonly membership?: Uint8Array }
  /** For metrics. */
  readonly tally?: EtcdTally
  /** Without it nothing goes in slices. */
  readonly slices?: Slices
}

/** What long work needs to know (slices.ts, long-reads.ts). */
export interface Slices {
  readonly slice: Pick<Slice, 'spent'>
  readonly room: ReadRoom
  /** What looks at more keys goes in slices. */
  readonly unslicedKeysMax: number
}

/** What long reads share. Who is refused yields and asks again. */
export interface ReadRoom {
  takeBytes(bytes: number): boolean
  giveBytes(bytes: number): void
  /** Nothing is applied until this read has ended, once it is true. */
  standStill(read: object): boolean
}

export interface Numbers {
  /** Last zxid; the face that changes the tree or the sessions adds one. The revision is in `keyspace`. */
  zxid: number
  level: number
}

export interface Identity {
  readonly node: number
  /** etcd's header fields, 8 bytes each, big-endian. */
  readonly clusterId: Uint8Array
  readonly memberId: Uint8Array
  /** Changes with leadership; for raft_term in answers to reads. */
  epoch: number
  leader: number
}

/** The entry that is being applied; one object, filled anew for each. */
export interface Command {
  position: number
  epoch: number
  /** Milliseconds since 1970, stamped by the leader; never goes back along the log. */
  time: number
  kind: number
  node: number
  stream: number
  sequence: number
  /** This node's gateway waits for the answer: produce the reply. Must not influence what changes. */
  local: boolean
  /** The body is bytes[start … end); valid during the call only: copy what is kept. */
  bytes: Uint8Array
  view: DataView
  start: number
  end: number
}

/** A read as it stands in StateMessage `read`. */
export interface Read {
  readonly stream: number
  readonly connection: number
  readonly tag: number
  /** A longer answer is not made: `Emitter.needsRoom` instead, before anything is emitted. */
  readonly roomBytes: number
  readonly request: Uint8Array
}

/** The ordered stream to the watch actor (DESIGN.md D8) and notices about lifetimes. */
export interface Emitter {
  /** Whether anybody could be interested in changes; if not, do not build them. */
  readonly znodesWatched: boolean
  readonly keysWatched: boolean
  /** Changes and registrations, in order. */
  emit(message: WatchesMessage): void
  /** `body` may be a view into the arena: it is not written again. */
  reply(
    stream: number,
    connection: number,
    tag: number,
    sequence: number,
    status: number,
    body: Uint8Array,
  ): void
  /** How long the answer to a write of this stream may be now; a longer one is not made. */
  answerBytesMax(stream: number): number
  /** Room for building replies; use from `start`, then `take` exactly what was written. */
  reserve(bytesMax: number): Arena
  take(bytes: number): Uint8Array
  /**
   * The answer to this read would have so many bytes, at most, and is not made: the read is run again
   * once there is room for them.
   */
  needsRoom(read: Read, bytes: number): void
  lifetimeOpened(opened: Lifetime): void
  lifetimeClosed(closed: Lifetime): void
}

export interface Arena {
  bytes: Uint8Array
  view: DataView
  start: number
}

/**
 * What the state actor calls. Both faces have this shape. What is returned has still to be done, in
 * slices, and has not begun: of a command before anything else is applied or read (`command` stays as
 * it is until then), of a read while other reads and applies pass.
 */
export interface Face {
  apply(world: World, command: Command): Steps | undefined
  /** Its deadline is past: nothing changes, and who waits is told. Only the head of its body may be there. */
  refuse(world: World, command: Command): void
  read(world: World, read: Read): Steps | undefined
  /** The leader found that this lifetime ended (a `lifetime` entry): remove what it holds, then it. */
  expire(world: World, command: Command, ended: Lifetime): Steps | undefined
}

/** The state machine's one ordered stream to the watch actor, and the arena its answers are built in. */
import type { Ref } from '../../runtime/actor.ts'
import type { TraceContext } from '../../runtime/tracing.ts'
import { failure } from '../../transport/etcd/messages/failures.ts'
import type { SessionsMessage } from '../sessions/messages.ts'
import type { ReplyMessage, WatchesMessage } from '../watches/messages.ts'
import type { Lifetime } from './lifetimes.ts'
import { limits } from './limits.ts'
import { doorOf, stream as streams } from './messages.ts'
import { WriteRoom } from './write-room.ts'
import type { Arena, Emitter, Read } from './world.ts'
import { replyStatus } from './zookeeper-commands.ts'

const arenaBytes = 128 * 1024
const nothing = new Uint8Array(0)
const replyTooLarge = { status: replyStatus.close }

export class StreamEmitter implements Emitter {
  znodesWatched = false
  keysWatched = false
  #registrations = 0
  #hasCause = false
  /** Replies that are longer than this are made from what is lent. */
  #lentAboveBytes = Number.POSITIVE_INFINITY
  #lentBytes = 0
  readonly #writeRoom = new WriteRoom()
  readonly #watches: Ref<WatchesMessage>
  readonly #sessions: Ref<SessionsMessage>
  readonly #arena: Arena
  readonly #needsRoom: (read: Read, bytes: number) => void

  constructor(
    watches: Ref<WatchesMessage>,
    sessions: Ref<SessionsMessage>,
    needsRoom: (read: Read, bytes: number) => void,
  ) {
    this.#watches = watches
    this.#sessions = sessions
    this.#needsRoom = needsRoom
    const bytes = new Uint8Array(arenaBytes)
    this.#arena = { bytes, view: new DataView(bytes.buffer), start: 0 }
  }

  emit(message: WatchesMessage): void {
    if (message.kind === 'znodeWatch' || message.kind === 'znodeWatches') {
      this.znodesWatched = true
      this.#registrations += 1
    } else if (message.kind === 'keyWatch') {
      this.keysWatched = true
      this.#registrations += 1
    }
    this.#watches.tell(message)
  }

  /** The changes from here on belong to this span; undefined: to none. */
  cause(span: TraceContext | undefined): void {
    if (span === undefined) {
      if (this.#hasCause) this.#watches.tell({ kind: 'cause', trace: nothing })
      this.#hasCause = false
    } else if (this.znodesWatched || this.keysWatched) {
      const trace = new Uint8Array([...span.traceId, ...span.spanId])
      this.#watches.tell({ kind: 'cause', trace })
      this.#hasCause = true
    }
  }

  reply(
    stream: number,
    connection: number,
    tag: number,
    sequence: number,
    status: number,
    body: Uint8Array,
  ): void {
    const reply = { kind: 'reply', stream, connection, tag, sequence, status, body } as const
    if (body.length > this.#lentAboveBytes) return this.#replyLent(reply)
    if (body.length <= limits.replyBytesMax) {
      if (sequence > 0) this.#writeRoom.spend(stream, body.length)
      return this.#watches.tell(reply)
    }
    // The caller hears of it; ZooKeeper's has no word for it, and loses its connection.
    const refusal = doorOf(stream) === streams.etcd ? failure.responseTooLarge : replyTooLarge
    this.#watches.tell({ ...reply, status: refusal.status, body: nothing })
  }

  answerBytesMax(stream: number): number {
    return this.#writeRoom.bytesMax(stream)
  }

  /** The etcd gateway of this stream has room for so many more bytes of answers to writes. */
  lentForWrites(stream: number, bytes: number): void {
    this.#writeRoom.lent(stream, bytes)
  }

  /** Whatever `make` answers with more than `aboveBytes` is lent; returns how many bytes that was. */
  lend(aboveBytes: number, make: () => void): number {
    this.#lentBytes = 0
    this.#lentAboveBytes = aboveBytes
    make()
    this.#lentAboveBytes = Number.POSITIVE_INFINITY
    return this.#lentBytes
  }

  #replyLent(reply: ReplyMessage): void {
    this.#lentBytes += reply.body.length
    this.#watches.tell({ ...reply, status: replyStatus.sendLent })
  }

  reserve(bytesMax: number): Arena {
    const arena = this.#arena
    if (arena.bytes.length - arena.start < bytesMax) {
      // Views into the old one live on in answers under way.
      arena.bytes = new Uint8Array(Math.max(arenaBytes, bytesMax))
      arena.view = new DataView(arena.bytes.buffer)
      arena.start = 0
    }
    return arena
  }

  take(bytes: number): Uint8Array {
    const arena = this.#arena
    const taken = arena.bytes.subarray(arena.start, arena.start + bytes)
    arena.start += bytes
    // A long answer takes its memory with it.
    if (arena.bytes.length > arenaBytes) arena.start = arena.bytes.length
    return taken
  }

  needsRoom(read: Read, bytes: number): void {
    this.#needsRoom(read, bytes)
  }

  lifetimeOpened(opened: Lifetime): void {
    const { kind, openedAt, ttlMillis, node, connection } = opened
    const id = idBytes(opened.id)
    this.#sessions.tell({
      kind: 'opened',
      lifetime: kind,
      id,
      openedAt,
      ttlMillis,
      node,
      connection,
    })
  }

  lifetimeClosed(closed: Lifetime): void {
    this.#sessions.tell({ kind: 'closed', lifetime: closed.kind, id: idBytes(closed.id) })
  }

  /** Watches that registered while this notice was under way are not in it: it is void then. */
  unwatched(keys: boolean, registrations: number): void {
    if (registrations !== this.#registrations) return
    if (keys) this.keysWatched = false
    else this.znodesWatched = false
  }
}

function idBytes(id: bigint): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigInt64(0, id)
  return bytes
}

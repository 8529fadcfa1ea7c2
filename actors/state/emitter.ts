/** The state machine's one ordered stream to the watch actor, and the arena its answers are built in. */
import type { Ref } from '../../runtime/actor.ts'
import { CodecError } from '../../runtime/codec.ts'
import type { TraceContext } from '../../runtime/tracing.ts'
import { failure } from '../../transport/etcd/messages/failures.ts'
import type { SessionsMessage } from '../sessions/messages.ts'
import type { WatchesMessage } from '../watches/messages.ts'
import type { Lifetime } from './lifetimes.ts'
import { doorOf, stream as streams } from './messages.ts'
import type { Arena, Emitter } from './world.ts'

const arenaBytes = 128 * 1024
const nothing = new Uint8Array(0)

export class StreamEmitter implements Emitter {
  znodesWatched = false
  keysWatched = false
  #registrations = 0
  #hasCause = false
  readonly #watches: Ref<WatchesMessage>
  readonly #sessions: Ref<SessionsMessage>
  readonly #arena: Arena

  constructor(watches: Ref<WatchesMessage>, sessions: Ref<SessionsMessage>) {
    this.#watches = watches
    this.#sessions = sessions
    const bytes = new Uint8Array(arenaBytes)
    this.#arena = { bytes, view: new DataView(bytes.buffer), start: 0 }
  }

  emit(message: WatchesMessage): void {
    if (message.kind === 'znodeWatch') {
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
    try {
      this.#watches.tell(reply)
    } catch (error) {
      // Between threads an envelope has a limit; the caller hears of it instead of the node ending.
      if (!(error instanceof CodecError) || doorOf(stream) !== streams.etcd) throw error
      this.#watches.tell({ ...reply, status: failure.responseTooLarge.status, body: nothing })
    }
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
    return taken
  }

  lifetimeOpened(opened: Lifetime): void {
    const { kind, ttlMillis, node, connection } = opened
    const id = idBytes(opened.id)
    this.#sessions.tell({ kind: 'opened', lifetime: kind, id, ttlMillis, node, connection })
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

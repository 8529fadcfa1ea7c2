/**
 * Reads on their way to the state machine. Those of clients are named by connection and tag; the
 * gateway's own have no connection, and their tag finds what to do with the answer.
 */
import type { Ref } from '../../runtime/actor.ts'
import type { Failure } from '../../transport/etcd/messages/failures.ts'
import type { Rooms } from '../../transport/etcd/messages/writer.ts'
import { roomUnlimited, type StateMessage } from '../state/messages.ts'

export const ownConnection = 0

export type OwnAnswer = (body: Uint8Array, failed: Failure | undefined) => void

const nothing = new Uint8Array(0)

export class StateReads {
  readonly #state: Ref<StateMessage>
  readonly #rooms: Rooms
  readonly #stream: number
  readonly #hasRoom: () => boolean
  readonly #own = new Map<number, OwnAnswer>()
  #ownCount = 0

  /** `hasRoom`: the state machine's mailbox, or the way to it, is not half full. */
  constructor(state: Ref<StateMessage>, rooms: Rooms, stream: number, hasRoom: () => boolean) {
    this.#state = state
    this.#stream = stream
    this.#rooms = rooms
    this.#hasRoom = hasRoom
  }

  get hasRoom(): boolean {
    return this.#hasRoom()
  }

  /** `roomBytes`: for what a client may leave lying; without it there is no answer, or it is ours. */
  tell(
    connection: number,
    tag: number,
    position: number,
    request: Uint8Array,
    roomBytes = roomUnlimited,
  ): void {
    const about = { stream: this.#stream, connection, tag, after: 0, position }
    this.#state.tell({ kind: 'read', ...about, roomBytes, request })
  }

  grant(connection: number, tag: number, bytes: number): void {
    this.#state.tell({ kind: 'room', stream: this.#stream, connection, tag, bytes })
  }

  cancel(connection: number, tag: number): void {
    this.#state.tell({ kind: 'readCancelled', stream: this.#stream, connection, tag })
  }

  connectionGone(connection: number): void {
    this.#state.tell({ kind: 'connectionGone', stream: this.#stream, connection })
  }

  /** `which` (etcdRead) and, behind it, a copy of the client's message. */
  request(which: number, message: Uint8Array = nothing): Uint8Array {
    const { bytes, start } = this.#rooms.reserve(1 + message.length)
    bytes[start] = which
    bytes.set(message, start + 1)
    return this.#rooms.take(1 + message.length)
  }

  own(which: number, then: OwnAnswer): void {
    this.ownAt(which, 0, this.expect(then))
  }

  /** A tag for a read of the gateway's own that is told, or fails, later. */
  expect(then: OwnAnswer): number {
    this.#ownCount += 1
    this.#own.set(this.#ownCount, then)
    return this.#ownCount
  }

  ownAt(which: number, position: number, tag: number): void {
    this.tell(ownConnection, tag, position, this.request(which))
  }

  answered(tag: number, body: Uint8Array, failed: Failure | undefined): void {
    const then = this.#own.get(tag)
    this.#own.delete(tag)
    then?.(body, failed)
  }
}

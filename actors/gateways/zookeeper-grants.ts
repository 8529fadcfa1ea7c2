/**
 * Answers that are longer than the room their reads brought wait unmade in the state machine
 * (state/messages.ts, `needsRoom`) until their connection and the door have room for them. Who came
 * first is granted first, but what does not fit lets smaller ones pass. Some room is lent to the state
 * machine in advance, for reads that must be made before a later write of their own connection applies.
 */
import type { Ref } from '../../runtime/actor.ts'
import type { StateMessage } from '../state/messages.ts'
import type { AnswerRoom } from './answer-room.ts'
import type { Connection } from './zookeeper-connection.ts'

export interface GrantsSetup {
  readonly state: Ref<StateMessage>
  readonly stream: number
  readonly door: AnswerRoom
}

/** Part of the door's room that is lent. */
const lentPart = 1 / 8

interface Wanted {
  /** Which of the connection's reads. */
  readonly tag: number
  readonly bytes: number
  readonly sinceMillis: number
}

export class Grants {
  readonly #setup: GrantsSetup
  readonly #wanted = new Map<Connection, Wanted>()
  /** Of what was lent, what was spent and is not yet lent again. */
  #owedBytes = 0
  #hasBegun = false

  constructor(setup: GrantsSetup) {
    this.#setup = setup
  }

  /** The first session is there, so the state machine is. */
  begin(): void {
    if (this.#hasBegun) return
    this.#hasBegun = true
    this.#lend(Math.floor(this.#setup.door.limits.bytesMax * lentPart))
  }

  get waitingCount(): number {
    return this.#wanted.size
  }

  /** False: no connection may ever have so much. */
  wants(connection: Connection, tag: number, bytes: number, nowMillis: number): boolean {
    if (bytes > this.#setup.door.limits.bytesMax / 2) return false
    // It has grown since it was granted.
    if (connection.grantedRead === tag) connection.releaseGrant()
    this.#wanted.set(connection, { tag, bytes, sinceMillis: nowMillis })
    this.#setup.door.hasFreed = true
    return true
  }

  /** Its reads up to this one are answered: one that waited for room was made without it. */
  answered(connection: Connection, read: number): void {
    const wanted = this.#wanted.get(connection)
    if (wanted !== undefined && wanted.tag <= read) this.#wanted.delete(connection)
  }

  forget(connection: Connection): void {
    this.#wanted.delete(connection)
  }

  /** An answer of so many bytes was made from what is lent. */
  spent(bytes: number): void {
    this.#owedBytes += bytes
    this.#setup.door.usedBytes -= bytes
    this.#setup.door.hasFreed = true
  }

  /** Since when somebody waits for whom the door has no room; undefined: nobody does. */
  get shortSinceMillis(): number | undefined {
    const { freeBytes } = this.#setup.door
    for (const { bytes, sinceMillis } of this.#wanted.values()) {
      if (bytes > freeBytes) return sinceMillis
    }
    return undefined
  }

  /** At the end of a round: whom there is room for now. */
  grant(): void {
    const { door, state, stream } = this.#setup
    if (!door.hasFreed) return
    door.hasFreed = false
    if (this.#owedBytes > 0 && this.#owedBytes <= door.freeBytes) {
      this.#lend(this.#owedBytes)
      this.#owedBytes = 0
    }
    for (const [connection, { tag, bytes }] of this.#wanted) {
      if (!connection.room.mayHave(bytes)) continue
      this.#wanted.delete(connection)
      connection.takeGrant(tag, bytes)
      state.tell({ kind: 'room', stream, connection: connection.number, tag, bytes })
    }
  }

  #lend(bytes: number): void {
    const { door, state, stream } = this.#setup
    door.usedBytes += bytes
    state.tell({ kind: 'roomLent', stream, bytes })
  }
}

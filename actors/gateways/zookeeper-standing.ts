/**
 * Which connections may go on. A node that is cut off cannot know whether the others have ended the sessions of
 * its clients, and given their locks away; so a connection lives no longer than its session is known to live: for the
 * session's time-out, less what clocks may differ, from when its client was heard the last time that the leader
 * confirmed. Whoever comes anew is refused once no leader has been confirmed for longer than an election takes.
 * Clients of a follower keep their connections through a short election. Pure: time is given.
 */
import { heardBytes, type SessionsConfirmed } from '../sessions/messages.ts'
import type { Connection } from './zookeeper-connection.ts'

/** How much faster the leader's clock may run than this node's, as a share of the time measured. */
export const clockDriftShareMax = 0.03

export class Standing {
  readonly #refuseAfterMillis: number
  readonly #bySession = new Map<bigint, Connection>()
  #contactMillis: number
  /** Connections closed because their sessions may have ended. */
  suspended = 0

  constructor(refuseAfterMillis: number, nowMillis: number) {
    this.#refuseAfterMillis = refuseAfterMillis
    this.#contactMillis = nowMillis
  }

  /** Clients that have no session yet are served here. */
  isInContact(nowMillis: number): boolean {
    return nowMillis - this.#contactMillis <= this.#refuseAfterMillis
  }

  /** Its session has been opened or attached by what was proposed at this time. */
  established(connection: Connection, proposedMillis: number): void {
    this.#bySession.set(connection.session, connection)
    connection.aliveUntilMillis = aliveUntil(connection, proposedMillis)
  }

  forget(connection: Connection): void {
    const { session } = connection
    if (this.#bySession.get(session) === connection) this.#bySession.delete(session)
  }

  confirmed({ askedMillis, heard }: SessionsConfirmed): void {
    this.#contactMillis = Math.max(this.#contactMillis, askedMillis)
    const view = new DataView(heard.buffer, heard.byteOffset, heard.byteLength)
    for (let at = 0; at + heardBytes <= heard.length; at += heardBytes) {
      const connection = this.#bySession.get(view.getBigInt64(at))
      if (connection === undefined) continue
      const untilMillis = aliveUntil(connection, view.getFloat64(at + 8))
      connection.aliveUntilMillis = Math.max(connection.aliveUntilMillis, untilMillis)
    }
  }

  /** False for one whose session may have ended elsewhere: nothing more is taken from it or sent to it. */
  isKnownToLive(connection: Connection, nowMillis: number): boolean {
    if (connection.state === 'handshake') return this.isInContact(nowMillis)
    return !connection.hasSession || nowMillis < connection.aliveUntilMillis
  }
}

function aliveUntil({ timeoutMillis }: Connection, heardMillis: number): number {
  return heardMillis + timeoutMillis * (1 - clockDriftShareMax)
}

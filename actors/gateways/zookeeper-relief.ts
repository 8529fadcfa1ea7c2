/**
 * Memory comes back from clients that take nothing: sooner or later in any case, soon where others
 * wait for it.
 */
import { limits } from '../../transport/zookeeper/limits.ts'
import type { AnswerRoom } from './answer-room.ts'
import type { Connection } from './zookeeper-connection.ts'
import type { Grants } from './zookeeper-grants.ts'

/** Whoever waits for room longer than this waits because of others. */
const shortMillisMin = 1_000

export class Relief {
  readonly #door: AnswerRoom
  readonly #grants: Grants
  #relievedMillis = 0

  constructor(door: AnswerRoom, grants: Grants) {
    this.#door = door
    this.#grants = grants
  }

  /** Those to be dropped now. */
  tick(connections: Iterable<Connection>, nowMillis: number): Connection[] {
    const shortMillis = nowMillis - (this.#grants.shortSinceMillis ?? nowMillis)
    const isOver = this.#door.freeBytes < 0
    const isShort = isOver || shortMillis >= shortMillisMin
    const dropped: Connection[] = []
    /** Those that take something. */
    const holders: Connection[] = []
    for (const connection of connections) {
      const { room } = connection
      if (room.heldBytes === 0) continue
      const untakenMillis = connection.outgoing.untakenMillis(nowMillis)
      if (untakenMillis >= limits.untakenMillisMax) dropped.push(connection)
      else if (!isShort) continue
      else if (untakenMillis < limits.untakenMillisMaxShort) holders.push(connection)
      // What a little would free is not worth a connection.
      else if (isOver || room.heldBytes >= limits.connectionAnswerBytesMin) dropped.push(connection)
    }
    if (dropped.length === 0 && (isOver || shortMillis >= limits.untakenMillisMaxShort)) {
      dropped.push(...this.#largest(holders, nowMillis))
    }
    return dropped
  }

  /** One a second: it may be that they are only slow. */
  #largest(holders: Connection[], nowMillis: number): Connection[] {
    if (nowMillis - this.#relievedMillis < shortMillisMin) return []
    this.#relievedMillis = nowMillis
    return holders.sort(byHeldBytes).slice(0, 1)
  }
}

function byHeldBytes(one: Connection, other: Connection): number {
  return other.room.heldBytes - one.room.heldBytes
}

/**
 * The memory that requests take which are not whole yet, or not taken, over all connections. Beyond it
 * no more is read from those that have sent much of a long one, and the largest of those that began
 * long ago are dropped. Short requests are never kept waiting.
 */
import { limits } from '../../transport/zookeeper/limits.ts'
import type { Connection } from './zookeeper-connection.ts'

/** Down to this part of what there may be. */
const relievedPart = 3 / 4

export class InputRoom {
  #usedBytes = 0
  #arrivingBytes = 0
  readonly #paused = new Set<Connection>()

  get usedBytes(): number {
    return this.#usedBytes
  }

  get #isOver(): boolean {
    return this.#usedBytes + this.#arrivingBytes > limits.inputBytesMax
  }

  /** Outside of a turn: a socket may have very much to give before the next one. */
  arrived(connection: Connection, bytes: number): void {
    this.#arrivingBytes += bytes
    if (this.#isOver && connection.splitter.waitingBytes > limits.inputBytesMin) connection.pause()
  }

  /** What has arrived is about to be taken. */
  beginTurn(): void {
    this.#arrivingBytes = 0
  }

  /** All that could be taken of what it has sent has been. */
  taken(connection: Connection, nowMillis: number): void {
    const { heldBytes } = connection.splitter
    if (heldBytes === connection.inputBytes) return
    if (connection.inputBytes === 0 || connection.received !== connection.receivedBefore) {
      connection.receivedBefore = connection.received
      connection.inputSinceMillis = nowMillis
    }
    this.#count(connection, heldBytes)
    if (this.#isOver && heldBytes > limits.inputBytesMin) {
      connection.pause()
      this.#paused.add(connection)
    }
  }

  left(connection: Connection): void {
    this.#paused.delete(connection)
    this.#count(connection, 0)
  }

  /** May be read from again. */
  resumed(): readonly Connection[] {
    if (this.#paused.size === 0 || this.#isOver) return none
    const resumed = [...this.#paused]
    this.#paused.clear()
    return resumed
  }

  /** Those to be dropped now. */
  tick(connections: Iterable<Connection>, nowMillis: number): Connection[] {
    if (!this.#isOver) return []
    const late: Connection[] = []
    for (const connection of connections) {
      const isLarge = connection.inputBytes > limits.inputBytesMin
      const isStalled = connection.stalledMillis > 0
      const ageMillis = nowMillis - connection.inputSinceMillis
      if (isLarge && !isStalled && ageMillis >= limits.inputMillisMaxShort) late.push(connection)
    }
    let left = this.#usedBytes - relievedPart * limits.inputBytesMax
    return late
      .sort((one, other) => other.inputBytes - one.inputBytes)
      .filter(({ inputBytes }) => {
        const isDropped = left > 0
        left -= inputBytes
        return isDropped
      })
  }

  #count(connection: Connection, bytes: number): void {
    this.#usedBytes += bytes - connection.inputBytes
    connection.inputBytes = bytes
  }
}

const none: readonly Connection[] = []

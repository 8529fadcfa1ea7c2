/**
 * Tells the watch actor which of the events that it sent clients have taken: it sends no more than
 * what may lie untaken, and leaves the rest in history.
 */
export interface Taken {
  readonly connections: number[]
  readonly bytes: number[]
}

/** So many bytes are worth a message by themselves; less waits for the tick. */
const worthBytes = 2 * 1024 * 1024

export class EventAcks {
  /** Sent to these connections and not acknowledged. */
  readonly #open = new Map<number, number>()
  #newBytes = 0

  arrived(connection: number, bytes: number): void {
    this.#open.set(connection, (this.#open.get(connection) ?? 0) + bytes)
    this.#newBytes += bytes
  }

  get isWorth(): boolean {
    return this.#newBytes >= worthBytes
  }

  get isWaiting(): boolean {
    return this.#open.size > 0
  }

  /** What does not lie at the port any more, as nothing of a closed connection does. Undefined: nothing of it was taken. */
  take(heldBytes: (connection: number) => number): Taken | undefined {
    this.#newBytes = 0
    const taken: Taken = { connections: [], bytes: [] }
    for (const [connection, open] of this.#open) {
      const left = Math.min(open, heldBytes(connection))
      if (left < open) {
        taken.connections.push(connection)
        taken.bytes.push(open - left)
      }
      if (left === 0) this.#open.delete(connection)
      else this.#open.set(connection, left)
    }
    return taken.connections.length === 0 ? undefined : taken
  }
}

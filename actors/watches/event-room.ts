/**
 * How much of what was sent may lie untaken at clients, or on its way there: for each connection and
 * for all. A watch that has no room stays in history until there is some.
 */
export interface EventRoomLimits {
  readonly bytesMax: number
  /** A quarter of it, or less. */
  readonly connectionBytesMax: number
}

export class EventRoom {
  readonly #limits: EventRoomLimits
  readonly #connections = new Map<number, number>()
  #bytes = 0

  constructor(limits: EventRoomLimits) {
    this.#limits = limits
  }

  get bytes(): number {
    return this.#bytes
  }

  sent(connection: number, bytes: number): void {
    this.#connections.set(connection, (this.#connections.get(connection) ?? 0) + bytes)
    this.#bytes += bytes
  }

  taken(connection: number, bytes: number): void {
    const own = this.#connections.get(connection)
    // The connection was closed here, with all that lay there.
    if (own === undefined) return
    const left = Math.max(0, own - bytes)
    this.#bytes -= own - left
    if (left === 0) this.#connections.delete(connection)
    else this.#connections.set(connection, left)
  }

  closed(connection: number): void {
    this.#bytes -= this.#connections.get(connection) ?? 0
    this.#connections.delete(connection)
  }

  clear(): void {
    this.#connections.clear()
    this.#bytes = 0
  }

  /** So much lies untaken, of more than one connection, that they get in each other's way. */
  get isShort(): boolean {
    return this.#bytes > this.#limits.bytesMax * 0.375
  }

  /** A response of any size goes to who has nothing lying, as long as not too much lies elsewhere. */
  allows(connection: number, bytes: number): boolean {
    const { bytesMax, connectionBytesMax } = this.#limits
    const own = this.#connections.get(connection) ?? 0
    if (own > 0 && own + bytes > connectionBytesMax) return false
    // Those who take what they get come before those who have much lying.
    const share = own > 0 ? bytesMax / 2 : bytesMax
    return this.#bytes === 0 || this.#bytes + bytes <= share
  }

  /** Whether to let it try again: not for every few bytes that are taken. */
  isEased(connection: number): boolean {
    const { bytesMax, connectionBytesMax } = this.#limits
    const own = this.#connections.get(connection) ?? 0
    if (own * 2 > connectionBytesMax) return false
    return this.#bytes <= bytesMax * (own === 0 ? 0.75 : 0.5)
  }
}

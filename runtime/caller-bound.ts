/**
 * Bounds callers that have not yet shown who they are, all together and of one address. Where there is
 * no room the oldest goes, not the one that comes: an honest caller needs milliseconds, so who has waited
 * longest is the one that does not mean it.
 */
import { clientOf } from './addresses.ts'

export interface CallerBounds {
  readonly callersMax: number
  readonly perAddressMax: number
}

interface Caller {
  readonly client: string
  readonly end: () => void
}

export class CallerBound {
  readonly #bounds: CallerBounds
  /** Oldest first. */
  readonly #callers = new Set<Caller>()

  constructor(bounds: CallerBounds) {
    this.#bounds = bounds
  }

  get count(): number {
    return this.#callers.size
  }

  /** `end` is called when another one needs the room. Returns what to call when it is no caller any more. */
  add(address: string, end: () => void): () => void {
    const client = clientOf(address)
    this.#makeRoom(client)
    const caller: Caller = { client, end }
    this.#callers.add(caller)
    return () => this.#callers.delete(caller)
  }

  #makeRoom(client: string): void {
    const counts = new Map<string, number>([[client, 0]])
    for (const one of this.#callers) counts.set(one.client, (counts.get(one.client) ?? 0) + 1)
    if (counts.get(client)! >= this.#bounds.perAddressMax) this.#endOldest(client)
    else if (this.#callers.size >= this.#bounds.callersMax) {
      const [busiest] = [...counts].toSorted((one, other) => other[1] - one[1])
      this.#endOldest(busiest![0])
    }
  }

  #endOldest(client: string): void {
    for (const caller of this.#callers) {
      if (caller.client !== client) continue
      this.#callers.delete(caller)
      caller.end()
      return
    }
  }
}

/** Which connections are let in: so many in all, and so many from one address (ZooKeeper's maxClientCnxns). */
import { Addresses, clientOf } from '../../runtime/addresses.ts'

export class Arrivals {
  readonly #connectionsMax: number
  /** 0: no limit. */
  readonly #perAddressMax: number
  readonly #addresses = new Addresses()
  #count = 0

  constructor(connectionsMax: number, perAddressMax: number) {
    this.#connectionsMax = connectionsMax
    this.#perAddressMax = perAddressMax
  }

  /** Sockets that are not closed yet. */
  get count(): number {
    return this.#count
  }

  /** Why it is closed at once; undefined: it counts until it has `left`. */
  came(address: string): string | undefined {
    const client = clientOf(address)
    if (this.#count >= this.#connectionsMax) return 'there are as many as there may be in all'
    if (this.#perAddressMax > 0 && this.#addresses.count(client) >= this.#perAddressMax) {
      return 'there are as many as there may be from one address'
    }
    this.#count += 1
    this.#addresses.came(client)
    return undefined
  }

  left(address: string): void {
    this.#count -= 1
    this.#addresses.left(clientOf(address))
  }
}

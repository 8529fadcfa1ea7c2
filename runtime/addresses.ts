/** How many connections each client address has. */

/** An IPv6 client has a network of 64 bits to itself: its addresses count as one. */
export function clientOf(address: string): string {
  const isMapped = address.startsWith('::ffff:') && address.includes('.')
  if (isMapped) return address.slice('::ffff:'.length)
  if (!address.includes(':')) return address
  const [head = '', tail] = address.split('::')
  const first = head === '' ? [] : head.split(':')
  const last = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - first.length - last.length
  const groups = [...first, ...new Array<string>(Math.max(0, zeros)).fill('0'), ...last]
  return groups.slice(0, 4).join(':')
}

export class Addresses {
  readonly #counts = new Map<string, number>()

  count(client: string): number {
    return this.#counts.get(client) ?? 0
  }

  came(client: string): void {
    this.#counts.set(client, this.count(client) + 1)
  }

  left(client: string): void {
    const rest = this.count(client) - 1
    if (rest > 0) this.#counts.set(client, rest)
    else this.#counts.delete(client)
  }
}

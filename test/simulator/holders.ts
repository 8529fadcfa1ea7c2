/**
 * Who holds the locks of a simulated world, as the holders see it: a client holds an ephemeral znode from when
 * its creation was answered, as long as its connection stands or comes back with the same session, until it asks
 * for its end itself: by deleting it, or by closing the session. Whoever does that has given it up, whether or not
 * it ever hears that this was done. Two that hold one at the same time for longer than news takes are what a lock must prevent.
 * Also what `sync` promises: a write that was acknowledged before a sync was sent shows behind it.
 */
import type { Host } from '../../runtime/host.ts'

/** The end of a connection is news to its client after the slowest way of the network, twice. */
export const newsMillisMax = 450

export class Holders {
  readonly #holders = new Map<string, Set<number>>()
  readonly #versions = new Map<string, number>()

  gained(
    path: string,
    client: number,
    host: Pick<Host, 'timers'>,
    violate: (s: string) => void,
  ): void {
    let holders = this.#holders.get(path)
    if (holders === undefined) this.#holders.set(path, (holders = new Set()))
    holders.add(client)
    const before = [...holders].filter(other => other !== client)
    if (before.length === 0) return
    host.timers.after(newsMillisMax, () => {
      const both = before.find(other => holders.has(other) && holders.has(client))
      if (both !== undefined) violate(`${path} is held by client ${both} and by client ${client}`)
    })
  }

  lost(path: string, client: number): void {
    this.#holders.get(path)?.delete(client)
  }

  acknowledged(path: string, version: number): void {
    this.#versions.set(path, Math.max(version, this.#versions.get(path) ?? 0))
  }

  /** What whoever syncs now will see at least. */
  floor(): ReadonlyMap<string, number> {
    return new Map(this.#versions)
  }
}

/**
 * Where other machines are, remembered for a while: a name server that is slow or away holds up no
 * node that links to another again. Who cannot connect forgets, and asks anew the next time.
 */
import dns from 'node:dns'
import type { LookupFunction } from 'node:net'
import { createCache } from './cache.ts'
import { limits } from './limits.ts'

export interface NameLookup {
  /** For `net.connect`. */
  readonly lookup: LookupFunction
  forget(host: string): void
}

type Answer = [address: string | dns.LookupAddress[], family: number | undefined]

export function rememberedNames(ask: LookupFunction = dns.lookup): NameLookup {
  const { nameCacheMillis, namesMax } = limits
  const answers = createCache<Answer>({ timeToLiveMillis: nameCacheMillis, keysMax: namesMax })
  return {
    lookup(host, options, callback) {
      // A dial asks for one address or for all, always the same for one host.
      const known = answers.get(host)
      if (known !== undefined) return process.nextTick(callback, null, ...known)
      ask(host, options, (error, address, family) => {
        if (error === null) answers.set(host, [address, family])
        callback(error, address, family)
      })
    },
    forget: host => answers.delete(host),
  }
}

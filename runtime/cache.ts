/**
 * A bounded cache with a time to live, for what may be stale or missing at any time: resolved peer
 * addresses, status answers, verified credentials. Never for replicated state: it reads the wall
 * clock. The only importer of node-cache, and around its traps: values are not cloned, keys carry a
 * prefix (they live in a plain object), nothing sweeps in the background, a full cache makes room.
 */
import NodeCache from 'node-cache'

export interface CacheOptions {
  readonly timeToLiveMillis: number
  readonly keysMax: number
}

export interface Cache<Value> {
  get(key: string): Value | undefined
  set(key: string, value: Value): void
  delete(key: string): void
  clear(): void
  readonly size: number
}

export function createCache<Value>({ timeToLiveMillis, keysMax }: CacheOptions): Cache<Value> {
  const store = new NodeCache({
    stdTTL: timeToLiveMillis / 1000,
    useClones: false,
    checkperiod: 0,
    deleteOnExpire: true,
  })
  return {
    get: key => store.get<Value>(prefix + key),
    set(key, value) {
      const name = prefix + key
      if (!store.has(name) && store.keys().length >= keysMax) makeRoom(store)
      store.set(name, value)
    },
    delete: key => void store.del(prefix + key),
    clear: () => store.flushAll(),
    get size() {
      return store.keys().length
    },
  }
}

const prefix = 'key:'

/** What has expired goes; if nothing has, the oldest. */
function makeRoom(store: NodeCache): void {
  const keys = store.keys()
  const live = keys.filter(key => store.has(key))
  if (live.length === keys.length && live[0] !== undefined) store.del(live[0])
}

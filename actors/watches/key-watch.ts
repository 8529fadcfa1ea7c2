/** One etcd watch, and the stream of watches that one call of a client holds. */
import { keyText } from '../../transport/etcd/messages/key-text.ts'
import type { WatchCreate, WatchId } from '../../transport/etcd/messages/watch.ts'
import type { Watched } from './key-index.ts'

/**
 * live: gets changes as they come. behind: gets history until it has caught up. held: its client is
 * slow, it gets nothing and will be behind. Whatever it is, all below `next` has been delivered.
 */
export type WatchState = 'live' | 'behind' | 'held'

export class KeyWatchOf implements Watched {
  readonly stream: WatchStream
  readonly id: WatchId
  readonly from: string
  readonly to: string | null | undefined
  readonly noPut: boolean
  readonly noDelete: boolean
  readonly prevKv: boolean
  readonly progressNotify: boolean
  readonly fragment: boolean
  place = 0
  /** As the client asked; 0: from now on. Nothing, not even progress, is told before it. */
  readonly start: number
  state: WatchState = 'live'
  /** The first revision that it still has to get; while it is live, or one in the future. */
  next: number
  /** Encoded events, ready to be sent with the header at `pendingRevision`. */
  pending: Uint8Array[] = []
  pendingBytes = 0
  pendingFirst = 0
  pendingRevision = 0
  /** Something was sent since the last notice of progress. */
  active = false

  constructor(stream: WatchStream, id: WatchId, create: WatchCreate, next: number) {
    this.stream = stream
    this.id = id
    this.from = startOf(create.key)
    this.to = endOf(create.rangeEnd)
    this.noPut = create.noPut
    this.noDelete = create.noDelete
    this.prevKv = create.prevKv
    this.progressNotify = create.progressNotify
    this.fragment = create.fragment
    this.start = create.startRevision
    this.next = next
  }
}

export class WatchStream {
  readonly connection: number
  readonly tag: number
  readonly watches = new Map<WatchId, KeyWatchOf>()
  /** Those with something to send: what one stream gets leaves together. */
  dirty: KeyWatchOf[] = []
  /** Its client is slow. */
  held = false
  /** Sent in the tick with this number; beyond a limit it pauses until the next. */
  sentBytes = 0
  sentTick = 0
  paused = false
  /** Its connection, or all together, have too much lying: it pauses until some is taken. */
  starved = false
  notifiedMillis: number
  #nextId = 0

  constructor(connection: number, tag: number, nowMillis: number) {
    this.connection = connection
    this.tag = tag
    this.notifiedMillis = nowMillis
  }

  /** Undefined: that id is taken. */
  chooseId(wanted: WatchId): WatchId | undefined {
    if (wanted !== 0) return this.watches.has(wanted) ? undefined : wanted
    while (this.watches.has(this.#nextId)) this.#nextId += 1
    this.#nextId += 1
    return this.#nextId - 1
  }
}

/** Nothing can lie between its ends. */
export function isEmptyRange(create: WatchCreate): boolean {
  const to = endOf(create.rangeEnd)
  return typeof to === 'string' && to <= startOf(create.key)
}

/** The smallest key stands for none. */
function startOf(key: Uint8Array): string {
  return key.length === 0 ? '\0' : keyText(key)
}

function endOf(rangeEnd: Uint8Array): string | null | undefined {
  if (rangeEnd.length === 0) return undefined
  return rangeEnd.length === 1 && rangeEnd[0] === 0 ? null : keyText(rangeEnd)
}

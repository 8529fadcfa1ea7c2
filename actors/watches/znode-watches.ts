/**
 * Who waits for changes of which znode (facts 1.14). Pure: told of registrations and changes in
 * their order, it hands finished event frames to its sink. One-shot registrations go when their
 * event comes; a change costs what its own watchers cost, however many others there are.
 */
import { accessList, permits } from '../../transport/zookeeper/access.ts'
import { decodeIdentities } from '../../transport/zookeeper/identities.ts'
import { JuteWriter } from '../../transport/zookeeper/jute-writer.ts'
import { eventType, permission } from '../../transport/zookeeper/operations.ts'
import { parentOf } from '../../transport/zookeeper/paths.ts'
import { eventFrame } from '../../transport/zookeeper/watcher-event.ts'
import type { ZnodeChanged, ZnodeWatch } from './messages.ts'

export interface EventSink {
  /** The frame is shared by all connections that get it. */
  event(connection: number, frame: Uint8Array): void
}

export class ZnodeWatches {
  /** By path, then by connection: what it watches there, as bits of `watching`. */
  readonly #byPath = new Map<string, Map<number, number>>()
  readonly #byConnection = new Map<number, Watcher>()
  readonly #sink: EventSink
  readonly #writer = new JuteWriter()
  #recursiveCount = 0
  /** Registrations there are, counted once per connection and path. */
  count = 0

  constructor(sink: EventSink) {
    this.#sink = sink
  }

  get connectionCount(): number {
    return this.#byConnection.size
  }

  get pathCount(): number {
    return this.#byPath.size
  }

  /** What is registered already stays one registration. */
  register(watch: ZnodeWatch): void {
    const { connection, path } = watch
    this.identify(connection, watch.identities)
    this.#watcher(connection).paths.add(path)
    let watchers = this.#byPath.get(path)
    if (watchers === undefined) {
      watchers = new Map()
      this.#byPath.set(path, watchers)
    }
    const before = watchers.get(connection)
    const after = (before ?? 0) | watching[watch.watcher]
    if (before === undefined) this.count += 1
    if (((before ?? 0) ^ after) & watching.recursive) this.#recursiveCount += 1
    watchers.set(connection, after)
  }

  /** Who the connection is from now on: decides which events it may see. */
  identify(connection: number, identities: Uint8Array): void {
    this.#watcher(connection).identities = identities
  }

  /** Sends and consumes what this change sets off, in ZooKeeper's order. */
  changed(change: ZnodeChanged): void {
    if (this.#byPath.size === 0) return
    const { path, event } = change
    const own = this.#byPath.get(path)
    if (own !== undefined || this.#recursiveCount > 0) this.#tellOwn(change, own)
    if (event === eventType.dataChanged || path === '/') return
    const parent = parentOf(path)
    const watchers = this.#byPath.get(parent)
    if (watchers === undefined) return
    const childEvent = this.#event(eventType.childrenChanged, parent, change.zxid, change.parentAcl)
    for (const [connection, bits] of watchers) {
      if ((bits & childBits) === 0) continue
      this.#consume(parent, watchers, connection, bits, watching.children)
      this.#deliver(childEvent, connection)
    }
  }

  close(connection: number): void {
    const watcher = this.#byConnection.get(connection)
    if (watcher === undefined) return
    this.#byConnection.delete(connection)
    for (const path of watcher.paths) {
      const watchers = this.#byPath.get(path)
      const bits = watchers?.get(connection)
      if (watchers === undefined || bits === undefined) continue
      if ((bits & watching.recursive) !== 0) this.#recursiveCount -= 1
      this.#remove(path, watchers, connection)
    }
  }

  /** A connection that watches data and children of a deleted node hears of it once. */
  #tellOwn(change: ZnodeChanged, own: Map<number, number> | undefined): void {
    const { event, path } = change
    const told = this.#event(event, path, change.zxid, change.acl)
    const deleted = event === eventType.deleted
    const wanted = deleted ? dataBits | childBits : dataBits
    const consumed = deleted ? watching.data | watching.children : watching.data
    const already = this.#recursiveCount > 0 ? new Set<number>() : undefined
    for (const [connection, bits] of own ?? none) {
      if ((bits & wanted) === 0) continue
      already?.add(connection)
      this.#consume(path, own!, connection, bits, consumed)
      this.#deliver(told, connection)
    }
    if (already !== undefined) this.#tellAncestors(told, path, already)
  }

  #tellAncestors(told: Event, path: string, already: Set<number>): void {
    for (let at = path; at !== '/'; ) {
      at = parentOf(at)
      for (const [connection, bits] of this.#byPath.get(at) ?? none) {
        if ((bits & watching.recursive) === 0 || already.has(connection)) continue
        already.add(connection)
        this.#deliver(told, connection)
      }
    }
  }

  #event(type: number, path: string, zxid: number, acl: Uint8Array): Event {
    return { type, path, zxid, acl, frame: undefined }
  }

  #deliver(event: Event, connection: number): void {
    if (event.acl.length > 0 && !this.#mayRead(event.acl, connection)) return
    event.frame ??= eventFrame(this.#writer, event.type, event.path, event.zxid)
    this.#sink.event(connection, event.frame)
  }

  #mayRead(acl: Uint8Array, connection: number): boolean {
    const { identities } = this.#watcher(connection)
    const known = decodeIdentities(identities, 0, identities.length)
    return permits(accessList(acl), known, permission.read)
  }

  #consume(
    path: string,
    watchers: Map<number, number>,
    connection: number,
    bits: number,
    consumed: number,
  ): void {
    const left = bits & ~consumed
    if (left !== 0) {
      watchers.set(connection, left)
      return
    }
    this.#byConnection.get(connection)?.paths.delete(path)
    this.#remove(path, watchers, connection)
  }

  #remove(path: string, watchers: Map<number, number>, connection: number): void {
    watchers.delete(connection)
    this.count -= 1
    if (watchers.size === 0) this.#byPath.delete(path)
  }

  #watcher(connection: number): Watcher {
    let watcher = this.#byConnection.get(connection)
    if (watcher === undefined) {
      watcher = { paths: new Set(), identities: nobody }
      this.#byConnection.set(connection, watcher)
    }
    return watcher
  }
}

interface Watcher {
  readonly paths: Set<string>
  identities: Uint8Array
}

interface Event {
  readonly type: number
  readonly path: string
  readonly zxid: number
  /** Empty: everybody may read. */
  readonly acl: Uint8Array
  /** Made when somebody is to get it. */
  frame: Uint8Array | undefined
}

const watching = { data: 1, children: 2, persistent: 4, recursive: 8 } as const
const dataBits = watching.data | watching.persistent | watching.recursive
const childBits = watching.children | watching.persistent
const nobody = new Uint8Array(0)
const none = new Map<number, number>()

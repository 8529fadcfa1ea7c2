/**
 * Who waits for changes of which znode (facts 1.14). Pure: told of registrations and changes in
 * their order, it hands finished event frames to its sink. One-shot registrations go when their
 * event comes; a change costs what its own watchers cost, however many others there are.
 */
import { type AccessList, accessList, permits } from '../../transport/zookeeper/access.ts'
import { decodeIdentities } from '../../transport/zookeeper/identities.ts'
import { JuteWriter } from '../../transport/zookeeper/jute-writer.ts'
import { eventType, permission } from '../../transport/zookeeper/operations.ts'
import { parentOf } from '../../transport/zookeeper/paths.ts'
import { eventFrame } from '../../transport/zookeeper/watcher-event.ts'
import { done, type Steps } from '../state/slices.ts'
import type { FanOutSlices } from './fan-out.ts'
import type { ZnodeChanged, ZnodeWatch, ZnodeWatches as ManyWatches } from './messages.ts'

export interface EventSink {
  /** The frame is shared by all connections that get it. */
  event(connection: number, frame: Uint8Array): void
}

export class ZnodeWatches {
  /**
   * A place stays for a while when its watches are gone, and a connection keeps the places that it
   * watched: clients watch the same paths again and again, and a map out of which one key is taken
   * and put back all the time gets slow, the slower the larger it is.
   */
  readonly #places = new Map<string, Place>()
  readonly #watchers = new Map<number, Watcher>()
  readonly #sink: EventSink
  readonly #slices: FanOutSlices | undefined
  readonly #writer = new JuteWriter()
  #idlePlaces = 0
  /** Where idle places are being taken out. */
  #sweep: Iterator<Place> | undefined
  #recursiveCount = 0
  /** Registrations there are, counted once per connection and path. */
  count = 0

  /** Without slices everybody is told at once. */
  constructor(sink: EventSink, slices?: FanOutSlices) {
    this.#sink = sink
    this.#slices = slices
  }

  get connectionCount(): number {
    return this.#watchers.size
  }

  /** Paths that somebody watches. */
  get pathCount(): number {
    return this.#places.size - this.#idlePlaces
  }

  /** What is registered already stays one registration. */
  register({ connection, path, watcher, identities }: ZnodeWatch): void {
    this.identify(connection, identities)
    this.#register(connection, path, watching[watcher])
  }

  registerAll({ connection, paths, watcher, identities }: ManyWatches): void {
    this.identify(connection, identities)
    for (const path of paths) this.#register(connection, path, watching[watcher])
  }

  #register(connection: number, path: string, bits: number): void {
    const watcher = this.#watcher(connection)
    const place = this.#place(path)
    const { watchers } = place
    const before = watchers.get(connection) ?? 0
    const after = before | bits
    if (before === 0) {
      if (watchers.size === 0) this.#idlePlaces -= 1
      this.count += 1
      watcher.count += 1
      watcher.places.add(place)
      if (watcher.places.size > 2 * watcher.count + idleMin) dropIdle(watcher, connection)
    }
    if (((before ^ after) & watching.recursive) !== 0) this.#recursiveCount += 1
    watchers.set(connection, after)
  }

  /** Who the connection is from now on: decides which events it may see. */
  identify(connection: number, identities: Uint8Array): void {
    this.#watcher(connection).identities = identities
  }

  /**
   * Sends and consumes what this change sets off, in ZooKeeper's order. What it returns is the rest,
   * where many watch: to be run to its end before anything else is told to this object.
   */
  changed(change: ZnodeChanged): Steps | undefined {
    if (this.count === 0) return undefined
    const { path, event } = change
    const own = this.#places.get(path)
    const isOwnOnly = event === eventType.dataChanged || path === '/'
    const parent = isOwnOnly ? undefined : this.#places.get(parentOf(path))
    if (this.#slices !== undefined) {
      const watcherCount = (own?.watchers.size ?? 0) + (parent?.watchers.size ?? 0)
      if (watcherCount > this.#slices.unslicedMax) return this.#tellMany(change, own, parent)
    }
    if (own !== undefined || this.#recursiveCount > 0) this.#tellOwn(change, own)
    if (parent !== undefined) this.#tellParent(change, parent)
    return undefined
  }

  /** What it returns is the rest, as in `changed`. */
  close(connection: number): Steps | undefined {
    const watcher = this.#watchers.get(connection)
    if (watcher === undefined) return undefined
    const steps = this.#closeInSlices(connection, watcher)
    if (watcher.places.size > (this.#slices?.unslicedMax ?? Number.POSITIVE_INFINITY)) return steps
    done(steps)
    return undefined
  }

  *#closeInSlices(connection: number, { places }: Watcher): Steps {
    this.#watchers.delete(connection)
    for (const place of places) {
      if (this.#slices?.slice.spent(1) === true) yield
      const bits = place.watchers.get(connection)
      if (bits === undefined) continue
      if ((bits & watching.recursive) !== 0) this.#recursiveCount -= 1
      place.watchers.delete(connection)
      this.#removed(place)
    }
  }

  *closeAll(): Steps {
    for (const connection of [...this.#watchers.keys()]) {
      if (this.#slices?.slice.spent(1) === true) yield
      yield* this.close(connection) ?? []
    }
  }

  /** A connection that watches data and children of a deleted node hears of it once. */
  #tellOwn(change: ZnodeChanged, own: Place | undefined): void {
    const { event, path } = change
    const told = newEvent(event, path, change.zxid, change.acl)
    const already = this.#recursiveCount > 0 ? new Set<number>() : undefined
    if (own !== undefined) this.#tell(told, own, ownBits(event), already)
    if (already !== undefined) this.#tellAncestors(told, path, already)
  }

  #tellParent({ zxid, parentAcl }: ZnodeChanged, parent: Place): void {
    const told = newEvent(eventType.childrenChanged, parent.path, zxid, parentAcl)
    this.#tell(told, parent, parentBits, undefined)
  }

  #tell(event: Event, place: Place, bits: ToldBits, told: Set<number> | undefined): void {
    for (const [connection, watched] of place.watchers)
      this.#tellOne(event, place, bits, connection, watched, told)
  }

  /** The same as `changed`, a slice at a time. */
  *#tellMany(change: ZnodeChanged, own: Place | undefined, parent: Place | undefined): Steps {
    const { event, path, zxid, acl, parentAcl } = change
    const already = this.#recursiveCount > 0 ? new Set<number>() : undefined
    const told = newEvent(event, path, zxid, acl)
    if (own !== undefined) yield* this.#tellInSlices(told, own, ownBits(event), already)
    if (already !== undefined) this.#tellAncestors(told, path, already)
    if (parent === undefined) return
    const toldParent = newEvent(eventType.childrenChanged, parent.path, zxid, parentAcl)
    yield* this.#tellInSlices(toldParent, parent, parentBits, undefined)
  }

  *#tellInSlices(event: Event, place: Place, bits: ToldBits, told: Set<number> | undefined): Steps {
    for (const [connection, watched] of place.watchers) {
      this.#tellOne(event, place, bits, connection, watched, told)
      if (this.#slices?.slice.spent(1) === true) yield
    }
  }

  #tellOne(
    event: Event,
    place: Place,
    { wanted, consumed }: ToldBits,
    connection: number,
    watched: number,
    told: Set<number> | undefined,
  ): void {
    if ((watched & wanted) === 0) return
    told?.add(connection)
    this.#consume(place, connection, watched, consumed)
    this.#deliver(event, connection)
  }

  #tellAncestors(told: Event, path: string, already: Set<number>): void {
    for (let at = path; at !== '/'; ) {
      at = parentOf(at)
      const place = this.#places.get(at)
      if (place === undefined) continue
      for (const [connection, bits] of place.watchers) {
        if ((bits & watching.recursive) === 0 || already.has(connection)) continue
        already.add(connection)
        this.#deliver(told, connection)
      }
    }
  }

  #deliver(event: Event, connection: number): void {
    if (event.acl.length > 0 && !this.#mayRead(event, connection)) return
    event.frame ??= eventFrame(this.#writer, event.type, event.path, event.zxid)
    this.#sink.event(connection, event.frame)
  }

  #mayRead(event: Event, connection: number): boolean {
    const { identities } = this.#watcher(connection)
    const known = decodeIdentities(identities, 0, identities.length)
    event.list ??= accessList(event.acl)
    return permits(event.list, known, permission.read)
  }

  #consume(place: Place, connection: number, bits: number, consumed: number): void {
    const left = bits & ~consumed
    if (left !== 0) {
      place.watchers.set(connection, left)
      return
    }
    // The last one leaves nothing behind in the map, dead or alive.
    if (place.watchers.size === 1) place.watchers.clear()
    else place.watchers.delete(connection)
    this.#watcher(connection).count -= 1
    this.#removed(place)
  }

  #removed(place: Place): void {
    this.count -= 1
    if (place.watchers.size > 0) return
    this.#idlePlaces += 1
    if (this.#idlePlaces > this.#places.size / 2 + idleMin) this.#sweep ??= this.#places.values()
    this.#sweepOn()
  }

  /** A few places each time: all of them at once would take long. */
  #sweepOn(): void {
    for (let left = placesASweep; left > 0 && this.#sweep !== undefined; left -= 1) {
      const { done, value } = this.#sweep.next()
      if (done === true) {
        this.#sweep = undefined
      } else if (value.watchers.size === 0) {
        this.#places.delete(value.path)
        this.#idlePlaces -= 1
      }
    }
  }

  #place(path: string): Place {
    let place = this.#places.get(path)
    if (place === undefined) {
      place = { path, watchers: new Map() }
      this.#places.set(path, place)
      this.#idlePlaces += 1
    }
    return place
  }

  #watcher(connection: number): Watcher {
    let watcher = this.#watchers.get(connection)
    if (watcher === undefined) {
      watcher = { places: new Set(), count: 0, identities: nobody }
      this.#watchers.set(connection, watcher)
    }
    return watcher
  }
}

/** One path. */
interface Place {
  readonly path: string
  /** By connection: what it watches here, as bits of `watching`. */
  readonly watchers: Map<number, number>
}

/** One connection. */
interface Watcher {
  /** All places that it watches, and some that it watched. */
  places: Set<Place>
  /** How many it watches. */
  count: number
  identities: Uint8Array
}

interface Event {
  readonly type: number
  readonly path: string
  readonly zxid: number
  /** Empty: everybody may read. */
  readonly acl: Uint8Array
  /** Decoded when somebody may get it; once, however many there are. */
  list: AccessList | undefined
  /** Made when somebody is to get it. */
  frame: Uint8Array | undefined
}

const watching = { data: 1, children: 2, persistent: 4, recursive: 8 } as const
const dataBits = watching.data | watching.persistent | watching.recursive
const childBits = watching.children | watching.persistent
/** Which registrations an event is for, and which of them end with it. */
interface ToldBits {
  readonly wanted: number
  readonly consumed: number
}

const changedBits: ToldBits = { wanted: dataBits, consumed: watching.data }
const deletedBits: ToldBits = {
  wanted: dataBits | childBits,
  consumed: watching.data | watching.children,
}
const parentBits: ToldBits = { wanted: childBits, consumed: watching.children }

function ownBits(event: ZnodeChanged['event']): ToldBits {
  return event === eventType.deleted ? deletedBits : changedBits
}

const nobody = new Uint8Array(0)
/** So many idle places are kept in any case. */
const idleMin = 64
/** How many places are looked at for each one that becomes idle. */
const placesASweep = 8

function newEvent(type: number, path: string, zxid: number, acl: Uint8Array): Event {
  return { type, path, zxid, acl, list: undefined, frame: undefined }
}

function dropIdle(watcher: Watcher, connection: number): void {
  const kept = new Set<Place>()
  for (const place of watcher.places) if (place.watchers.has(connection)) kept.add(place)
  watcher.places = kept
}

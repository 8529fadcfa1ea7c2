/**
 * etcd's watches, as a pure core: what the state machine emits comes in, in order; WatchResponses
 * and requests for history go out. A watch gets every change of its keys once, in order, whole
 * revisions at a time. One that starts in the past, or whose client is slow, walks through history
 * until it has caught up: nothing is buffered for it.
 */
import { keyText } from '../../transport/etcd/messages/key-text.ts'
import { Reader } from '../../transport/etcd/messages/reader.ts'
import { decodeWatch, type WatchCreate, type WatchId } from '../../transport/etcd/messages/watch.ts'
import { done, left, type Steps, unitsOfBytes } from '../state/slices.ts'
import { EventRoom, type EventRoomLimits } from './event-room.ts'
import type { FanOutSlices } from './fan-out.ts'
import { EventEncoder } from './key-events.ts'
import { KeyIndex } from './key-index.ts'
import { isEmptyRange, KeyWatchOf, WatchStream } from './key-watch.ts'
import { WatchResponses, type WatchResponsesSetup } from './watch-responses.ts'
import type { KeyEvent, KeyHistory, KeysChanged, KeyWatch, RevisionChanges } from './messages.ts'

export interface KeyWatchesSetup extends WatchResponsesSetup {
  /** A watch that asked for it and had no events hears of progress this often. */
  readonly progressMillis: number
  /** What all watches together may gather before it is sent; beyond it one that is not alone waits. */
  readonly gatheredBytesMax?: number
  /** What may lie untaken at clients. */
  readonly room?: EventRoomLimits
  /** To be answered, in order with the changes, by `keyHistory` with this id. */
  readonly askHistory: (id: number, firstRevision: number, revisionsMax: number) => void
  /** Without it everything is done at once. */
  readonly slices?: FanOutSlices
}

const historyRevisionsMax = 1000
/** One watch does not gather more than this before it is sent. */
const pendingBytesMax = 1024 * 1024
const roomDefault = { bytesMax: 32 * 1024 * 1024, connectionBytesMax: 8 * 1024 * 1024 }
const gatheredBytesMaxDefault = 256 * 1024 * 1024
/** One stream does not get more than about this in one tick, whatever its client takes. */
const streamTickBytesMax = 8 * 1024 * 1024

/** Watches of all clients of this node. */
const watchesMax = 2_000_000

export class KeyWatches {
  readonly #setup: KeyWatchesSetup
  readonly #responses: WatchResponses
  readonly #gatheredBytesMax: number
  readonly #unslicedMax: number
  readonly #events = new EventEncoder()
  readonly #reader = new Reader()
  readonly #streams = new Map<number, Map<number, WatchStream>>()
  readonly #live = new KeyIndex<KeyWatchOf>()
  readonly #behindIndex = new KeyIndex<KeyWatchOf>()
  readonly #behind = new Set<KeyWatchOf>()
  readonly #notified = new Set<WatchStream>()
  readonly #paused = new Set<WatchStream>()
  readonly #starved = new Set<WatchStream>()
  readonly #room: EventRoom
  /** Those for which there was no room: they go on with the next tick. */
  readonly #deferred = new Set<KeyWatchOf>()
  readonly #matched: KeyWatchOf[] = []
  #dirty: WatchStream[] = []
  /** Watches in `#dirty`. */
  #dirtyCount = 0
  /** Events given to watches so far. */
  eventCount = 0
  #count = 0
  #liveCount = 0
  /** All changes up to here have been seen. */
  #revision = 0
  #nowMillis = 0
  /** The slice of history that was asked for: its id (0: none) and first revision. */
  #walkId = 0
  #walkFrom = 0
  #walkIds = 0
  /** What all watches have gathered and not sent. */
  #gatheredBytes = 0
  /** A revision, or a slice of history, has come in part: until the rest nothing is sent, nobody joins. */
  #partial = false

  constructor(setup: KeyWatchesSetup) {
    this.#setup = setup
    this.#unslicedMax = setup.slices?.unslicedMax ?? Number.POSITIVE_INFINITY
    this.#room = new EventRoom(setup.room ?? roomDefault)
    this.#responses = new WatchResponses({
      ...setup,
      send: (connection, tag, body) => {
        this.#room.sent(connection, body.length)
        setup.send(connection, tag, body)
      },
    })
    this.#gatheredBytesMax = setup.gatheredBytesMax ?? gatheredBytesMaxDefault
  }

  /** Watches of all streams; the state machine need not tell of changes while there are none. */
  get count(): number {
    return this.#count
  }

  /** Those that do not have all changes yet. */
  get slowCount(): number {
    return this.#count - this.#liveCount
  }

  get streamCount(): number {
    let count = 0
    for (const ofConnection of this.#streams.values()) count += ofConnection.size
    return count
  }

  /**
   * A WatchRequest, already checked by the gateway, at this point of the ordered stream. What this and
   * the next three return is the rest of long work, to be run to its end before anything else is called.
   */
  register(message: KeyWatch): Steps | undefined {
    this.#responses.setEpoch(message.epoch)
    this.#reach(message.revision)
    const request = decodeWatch(this.#reader.open(message.request))
    const { connection, tag } = message
    if (request.kind === 'create') {
      this.#create(this.#openStream(connection, tag), request, message)
      return undefined
    }
    const stream = this.#streams.get(connection)?.get(tag)
    if (stream === undefined) return undefined
    if (request.kind === 'progress') return left(this.#setup, this.#answerProgress(stream))
    if (request.kind === 'cancel') this.#cancel(stream, request.watchId)
    return undefined
  }

  /** Changes of the next revision: all, or the next part of them. */
  changed(change: KeysChanged): Steps | undefined {
    const { revision, epoch, more } = change
    this.#responses.setEpoch(epoch)
    if (revision <= this.#revision) return undefined
    this.#reach(revision - 1)
    const { length } = change.events
    const delivered = this.#liveCount > 0 ? this.#deliver(this.#live, change) : length
    if (delivered < length) return this.#changedInSlices(change, delivered)
    this.#changeDelivered(revision, more)
    return undefined
  }

  *#changedInSlices(change: KeysChanged, from: number): Steps {
    yield* this.#deliverInSlices(this.#live, change, from)
    this.#changeDelivered(change.revision, change.more)
  }

  #changeDelivered(revision: number, more: boolean): void {
    this.#partial = more
    // Only now: a stream that stops half-way gets the whole revision again.
    if (!more) this.#revision = revision
  }

  history(slice: KeyHistory): Steps | undefined {
    this.#reach(slice.revision)
    if (slice.id !== this.#walkId) return undefined
    this.#dropCompacted(slice.compactRevision)
    return left(this.#setup, this.#historyInSlices(slice))
  }

  *#historyInSlices(slice: KeyHistory): Steps {
    for (const changes of slice.changes) {
      yield* this.#deliverInSlices(this.#behindIndex, changes, 0)
    }
    this.#partial = slice.more
    if (slice.more) return
    this.#walkId = 0
    yield* this.#advance(slice.upTo)
    this.#walk()
  }

  /** The client of this stream is slow, or takes more again. */
  setHeld(connection: number, tag: number, held: boolean): void {
    const stream = this.#streams.get(connection)?.get(tag)
    if (stream === undefined || stream.held === held) return
    stream.held = held
    if (held) this.#stop(stream)
    else this.#resume(stream)
  }

  /** Clients have taken so much of what was sent. */
  taken(connections: readonly number[], bytes: readonly number[]): void {
    for (const [at, connection] of connections.entries()) {
      this.#room.taken(connection, bytes[at] ?? 0)
    }
    for (const stream of [...this.#starved]) {
      if (!this.#room.isEased(stream.connection)) continue
      this.#starved.delete(stream)
      stream.starved = false
      this.#resume(stream)
    }
  }

  /** Events wait because others leave theirs lying. */
  get isStarved(): boolean {
    return this.#starved.size > 0 && this.#room.isShort
  }

  /** What this and the next two return is the rest of long work, as in `register`. */
  streamClosed(connection: number, tag: number): Steps | undefined {
    const ofConnection = this.#streams.get(connection)
    const stream = ofConnection?.get(tag)
    if (stream === undefined) return undefined
    ofConnection?.delete(tag)
    if (ofConnection?.size === 0) this.#streams.delete(connection)
    return this.#forget([stream])
  }

  connectionClosed(connection: number): Steps | undefined {
    const ofConnection = this.#streams.get(connection)
    this.#streams.delete(connection)
    this.#room.closed(connection)
    return ofConnection === undefined ? undefined : this.#forget([...ofConnection.values()])
  }

  closeAll(): Steps | undefined {
    const streams = [...this.#streams.values()].flatMap(ofConnection => [...ofConnection.values()])
    this.#streams.clear()
    this.#room.clear()
    return this.#forget(streams)
  }

  /** Sends what gathered; to be called before anything that must not overtake events. */
  flush(): Steps | undefined {
    if (this.#dirty.length === 0 || this.#partial) return undefined
    if (this.#dirtyCount + unitsOfBytes(this.#gatheredBytes) > this.#unslicedMax)
      return this.#flushInSlices()
    for (const stream of this.#takeDirty()) {
      for (const watch of takeDirtyOf(stream)) this.#sendPending(watch)
    }
    return undefined
  }

  *#flushInSlices(): Steps {
    for (const stream of this.#takeDirty()) {
      for (const watch of takeDirtyOf(stream)) {
        const units = unitsOfBytes(watch.pendingBytes)
        this.#sendPending(watch)
        if (this.#isSpent(units)) yield
      }
    }
  }

  #takeDirty(): readonly WatchStream[] {
    const dirty = this.#dirty
    this.#dirty = []
    this.#dirtyCount = 0
    return dirty
  }

  #isSpent(units: number): boolean {
    return this.#setup.slices?.slice.spent(units) === true
  }

  /** Whether an answer to this connection could overtake events of its own watches. */
  hasStreams(connection: number): boolean {
    return this.#streams.has(connection)
  }

  /** About ten times a second. */
  tick(nowMillis: number): void {
    this.#nowMillis = nowMillis
    this.#responses.tick()
    if (!this.#partial) this.#resumeAll()
    for (const stream of this.#notified) {
      if (nowMillis - stream.notifiedMillis >= this.#setup.progressMillis) this.#notify(stream)
    }
  }

  #resumeAll(): void {
    const paused = [...this.#paused]
    this.#paused.clear()
    for (const stream of paused) {
      stream.paused = false
      this.#resume(stream)
    }
    const deferred = [...this.#deferred]
    this.#deferred.clear()
    for (const watch of deferred) if (watch.state === 'held') this.#enter(watch)
    this.#walk()
  }

  #openStream(connection: number, tag: number): WatchStream {
    let ofConnection = this.#streams.get(connection)
    if (ofConnection === undefined) {
      ofConnection = new Map()
      this.#streams.set(connection, ofConnection)
    }
    let stream = ofConnection.get(tag)
    if (stream === undefined) {
      stream = new WatchStream(connection, tag, this.#nowMillis)
      ofConnection.set(tag, stream)
    }
    return stream
  }

  #create(stream: WatchStream, create: WatchCreate, { revision, compactRevision }: KeyWatch): void {
    if (create.startRevision < 0) return this.#responses.refused(stream, revision, 'compacted')
    if (isEmptyRange(create)) return this.#responses.refused(stream, revision, 'emptyRange')
    if (this.#count >= watchesMax) return this.#responses.refused(stream, revision, 'tooMany')
    const id = stream.chooseId(create.watchId)
    if (id === undefined) return this.#responses.refused(stream, revision, 'duplicateId')
    const watch = new KeyWatchOf(stream, id, create, create.startRevision || revision + 1)
    this.#responses.created(stream, revision, id)
    if (watch.next < compactRevision) return this.#responses.compacted(stream, id, compactRevision)
    stream.watches.set(id, watch)
    this.#count += 1
    if (watch.progressNotify) this.#notified.add(stream)
    this.#enter(watch)
    this.#walk()
  }

  #cancel(stream: WatchStream, id: WatchId): void {
    const watch = stream.watches.get(id)
    if (watch === undefined) return
    this.#remove(watch)
    this.#responses.canceled(stream, this.#revision, id)
  }

  /** Only where every watch of the stream has all up to this revision. */
  *#answerProgress(stream: WatchStream): Steps {
    if (stream.watches.size === 0) return
    for (const watch of stream.watches.values()) if (!this.#isSynced(watch)) return
    yield* this.flush() ?? []
    // A stream that just got too much is not synced any more.
    for (const watch of stream.watches.values()) if (!this.#isSynced(watch)) return
    this.#responses.progress(stream, this.#revision, -1)
  }

  #notify(stream: WatchStream): void {
    stream.notifiedMillis = this.#nowMillis
    let wanted = false
    for (const watch of stream.watches.values()) {
      if (!watch.progressNotify) continue
      wanted = true
      const quiet = !watch.active && watch.pending.length === 0
      if (quiet && this.#isSynced(watch)) {
        this.#responses.progress(stream, this.#revision, watch.id)
      }
      watch.active = false
    }
    if (!wanted) this.#notified.delete(stream)
  }

  #isSynced(watch: KeyWatchOf): boolean {
    return watch.state === 'live' && this.#revision >= watch.start
  }

  /** Changes that nobody told of (a checkpoint took the place of a stretch of log) are history. */
  #reach(revision: number): void {
    if (revision <= this.#revision) return
    const left = this.#liveCount === 0 ? [] : this.#liveUpTo(revision)
    for (const watch of left) this.#leave(watch)
    this.#revision = revision
    for (const watch of left) this.#enter(watch)
    this.#walk()
  }

  #liveUpTo(revision: number): KeyWatchOf[] {
    const found: KeyWatchOf[] = []
    for (const ofConnection of this.#streams.values()) {
      for (const { watches } of ofConnection.values()) {
        for (const watch of watches.values()) {
          if (watch.state === 'live' && watch.next <= revision) found.push(watch)
        }
      }
    }
    return found
  }

  /** Puts a watch where it belongs by its stream and its `next`. */
  #enter(watch: KeyWatchOf): void {
    if (watch.stream.held || watch.stream.paused || watch.stream.starved) {
      watch.state = 'held'
    } else if (watch.next > this.#revision) {
      watch.state = 'live'
      this.#live.add(watch)
      this.#liveCount += 1
    } else {
      watch.state = 'behind'
      this.#behind.add(watch)
      this.#behindIndex.add(watch)
    }
  }

  #leave(watch: KeyWatchOf): void {
    if (watch.state === 'live') {
      this.#live.remove(watch)
      this.#liveCount -= 1
      watch.next = Math.max(watch.next, this.#revision + 1)
    } else if (watch.state === 'behind') {
      this.#behind.delete(watch)
      this.#behindIndex.remove(watch)
    }
  }

  #remove(watch: KeyWatchOf): void {
    this.#leave(watch)
    this.#clearPending(watch)
    this.#deferred.delete(watch)
    watch.stream.watches.delete(watch.id)
    this.#count -= 1
  }

  #forget(streams: readonly WatchStream[]): Steps | undefined {
    const count = streams.reduce((sum, { watches }) => sum + watches.size, 0)
    const steps = this.#forgetInSlices(streams)
    if (count > this.#unslicedMax) return steps
    done(steps)
    return undefined
  }

  *#forgetInSlices(streams: readonly WatchStream[]): Steps {
    for (const stream of streams) {
      for (const watch of stream.watches.values()) {
        this.#remove(watch)
        if (this.#isSpent(1)) yield
      }
      this.#notified.delete(stream)
      this.#paused.delete(stream)
      this.#starved.delete(stream)
    }
  }

  /** What it would get stays in history. */
  #starve(stream: WatchStream): void {
    stream.starved = true
    this.#starved.add(stream)
    this.#stop(stream)
  }

  #stop(stream: WatchStream): void {
    for (const watch of stream.watches.values()) {
      this.#leave(watch)
      this.#forgetPending(watch)
      this.#enter(watch)
    }
  }

  /** There is no room for what it would gather: it begins again where it was. */
  #defer(watch: KeyWatchOf): void {
    this.#leave(watch)
    this.#forgetPending(watch)
    watch.state = 'held'
    this.#deferred.add(watch)
  }

  /** What was not sent yet is history again. */
  #forgetPending(watch: KeyWatchOf): void {
    if (watch.pending.length > 0) watch.next = watch.pendingFirst
    this.#clearPending(watch)
  }

  #clearPending(watch: KeyWatchOf): void {
    this.#gatheredBytes -= watch.pendingBytes
    watch.pending = []
    watch.pendingBytes = 0
  }

  #resume(stream: WatchStream): void {
    if (stream.held || stream.paused || stream.starved) return
    if (this.#partial) {
      stream.paused = true
      this.#paused.add(stream)
      return
    }
    for (const watch of stream.watches.values()) if (watch.state === 'held') this.#enter(watch)
    this.#walk()
  }

  /** As many events as need no slices; returns how many those were. */
  #deliver(index: KeyIndex<KeyWatchOf>, { revision, events }: RevisionChanges): number {
    let unitsLeft = this.#unslicedMax
    for (let at = 0; at < events.length; at += 1) {
      const event = events[at] as KeyEvent
      const matched = this.#match(index, event)
      unitsLeft -= 1 + matched.length
      if (unitsLeft < 0) return at
      for (let one = 0; one < matched.length; one += 1) {
        this.#deliverTo(matched[one] as KeyWatchOf, event, revision)
      }
    }
    return events.length
  }

  *#deliverInSlices(
    index: KeyIndex<KeyWatchOf>,
    { revision, events }: RevisionChanges,
    from: number,
  ): Steps {
    for (let at = from; at < events.length; at += 1) {
      const event = events[at] as KeyEvent
      const matched = this.#match(index, event)
      if (this.#isSpent(1)) yield
      for (let one = 0; one < matched.length; one += 1) {
        this.#deliverTo(matched[one] as KeyWatchOf, event, revision)
        if (this.#isSpent(1)) yield
      }
    }
  }

  /** Those who watch this key; good until the next call. */
  #match(index: KeyIndex<KeyWatchOf>, event: KeyEvent): readonly KeyWatchOf[] {
    const matched = this.#matched
    matched.length = 0
    index.collect(keyText(event.key), matched)
    if (matched.length > 0) this.#events.open(event)
    return matched
  }

  #deliverTo(watch: KeyWatchOf, event: KeyEvent, revision: number): void {
    const wanted = event.deleted ? !watch.noDelete : !watch.noPut
    if (wanted && revision >= watch.next && this.#takesPart(watch)) {
      this.#addPending(watch, this.#events.bytes(watch.prevKv), revision)
    }
  }

  /** A watch that is further behind than where the walk through history began waits for the next. */
  #takesPart(watch: KeyWatchOf): boolean {
    return watch.state === 'live' || (watch.state === 'behind' && watch.next >= this.#walkFrom)
  }

  #addPending(watch: KeyWatchOf, bytes: Uint8Array, revision: number): void {
    const first = watch.pending.length === 0
    if (!first && watch.pendingBytes >= pendingBytesMax && watch.pendingRevision !== revision) {
      this.#sendPending(watch)
      if (watch.state === 'held') return
    }
    if (this.#gatheredBytes > Math.max(this.#gatheredBytesMax, watch.pendingBytes))
      return this.#defer(watch)
    if (watch.pending.length === 0) {
      if (first) this.#noteDirty(watch)
      watch.pendingFirst = revision
    }
    this.eventCount += 1
    watch.pending.push(bytes)
    watch.pendingBytes += bytes.length
    this.#gatheredBytes += bytes.length
    watch.pendingRevision = revision
  }

  #noteDirty(watch: KeyWatchOf): void {
    const { stream } = watch
    if (stream.dirty.length === 0) this.#dirty.push(stream)
    stream.dirty.push(watch)
    this.#dirtyCount += 1
  }

  #sendPending(watch: KeyWatchOf): void {
    const { pending, stream } = watch
    if (pending.length === 0) return
    if (!this.#room.allows(stream.connection, watch.pendingBytes)) return this.#starve(stream)
    this.#responses.events(watch)
    this.#clearPending(watch)
    watch.next = Math.max(watch.next, watch.pendingRevision + 1)
    watch.active = true
    if (this.#responses.sentBytes(stream) > streamTickBytesMax && !stream.paused) {
      stream.paused = true
      this.#paused.add(stream)
      this.#stop(stream)
    }
  }

  /** Asks for the next slice: on from where the last one ended, then again from the furthest behind. */
  #walk(): void {
    if (this.#walkId !== 0 || this.#behind.size === 0) return
    let first = Number.POSITIVE_INFINITY
    let onward = Number.POSITIVE_INFINITY
    for (const { next } of this.#behind) {
      if (next < first) first = next
      if (next >= this.#walkFrom && next < onward) onward = next
    }
    this.#walkFrom = onward === Number.POSITIVE_INFINITY ? first : onward
    this.#walkIds += 1
    this.#walkId = this.#walkIds
    this.#setup.askHistory(this.#walkId, this.#walkFrom, historyRevisionsMax)
  }

  /** History up to `upTo` has been delivered to all that took part. */
  *#advance(upTo: number): Steps {
    for (const watch of [...this.#behind]) {
      if (this.#isSpent(1)) yield
      if (watch.next < this.#walkFrom) continue
      if (watch.next <= upTo) watch.next = upTo + 1
      if (watch.next <= this.#revision) continue
      this.#leave(watch)
      this.#enter(watch)
    }
    this.#walkFrom = upTo + 1
  }

  #dropCompacted(compactRevision: number): void {
    for (const watch of [...this.#behind]) {
      if (watch.next >= compactRevision) continue
      this.#remove(watch)
      this.#responses.compacted(watch.stream, watch.id, compactRevision)
    }
  }
}

function takeDirtyOf(stream: WatchStream): readonly KeyWatchOf[] {
  const watches = stream.dirty
  stream.dirty = []
  return watches
}

/**
 * Reads whose answers would be longer than the room that they came with (`roomBytes`): they are not
 * made, and wait here for their gateway to grant more. All that is kept of one is its request. With
 * ZooKeeper's, all later reads of the connection wait too, so that its answers keep their order;
 * etcd's wait each by itself.
 */
import { connectionKey, doorOf, stream } from './messages.ts'
import type { WaitingRead } from './waiting-reads.ts'

interface Queue {
  reads: WaitingRead[]
  /** Those before it have left. */
  head: number
  /** The first one waits for room. */
  isBlocked: boolean
}

export class ParkedReads {
  readonly #ordered = new Map<number, Queue>()
  /** By connection, then by tag. */
  readonly #single = new Map<number, Map<number, WaitingRead>>()
  #count = 0

  get count(): number {
    return this.#count
  }

  /** True: it waits now behind an earlier read of its connection. */
  joined(read: WaitingRead): boolean {
    if (this.#ordered.size === 0 || doorOf(read.stream) !== stream.zookeeper) return false
    const queue = this.#ordered.get(connectionKey(read.stream, read.connection))
    if (queue === undefined) return false
    queue.reads.push(read)
    this.#count += 1
    return true
  }

  /** Before all other reads of its connection: it was the first of them, or is so again. */
  park(read: WaitingRead): void {
    this.#count += 1
    const key = connectionKey(read.stream, read.connection)
    if (doorOf(read.stream) !== stream.zookeeper) return this.#parkSingle(key, read)
    const queue = this.#ordered.get(key)
    if (queue === undefined) {
      this.#ordered.set(key, { reads: [read], head: 0, isBlocked: true })
    } else {
      queue.isBlocked = true
      if (queue.head > 0) queue.reads[--queue.head] = read
      else queue.reads.unshift(read)
    }
  }

  /** The first read of an ordered connection, to be run again or dropped. */
  first(ofStream: number, connection: number): WaitingRead | undefined {
    const key = connectionKey(ofStream, connection)
    const queue = this.#ordered.get(key)
    return queue === undefined ? undefined : this.#shift(key, queue)
  }

  /** The read that was promised room, to be run again; undefined: it is gone, or was made otherwise. */
  take(ofStream: number, connection: number, tag: number): WaitingRead | undefined {
    const key = connectionKey(ofStream, connection)
    if (doorOf(ofStream) === stream.zookeeper) {
      const queue = this.#ordered.get(key)
      if (queue?.reads[queue.head]?.tag !== tag) return undefined
      queue.isBlocked = false
      return this.#shift(key, queue)
    }
    const tags = this.#single.get(key)
    const read = tags?.get(tag)
    if (tags === undefined || read === undefined) return undefined
    tags.delete(tag)
    if (tags.size === 0) this.#single.delete(key)
    this.#count -= 1
    return read
  }

  /** The next of this connection that may run, now that those before it have. */
  next(ofStream: number, connection: number): WaitingRead | undefined {
    const key = connectionKey(ofStream, connection)
    const queue = this.#ordered.get(key)
    if (queue === undefined || queue.isBlocked) return undefined
    return this.#shift(key, queue)
  }

  /** Whether a read of this ordered connection waits. */
  hasOrdered(ofStream: number, connection: number): boolean {
    return this.#ordered.size > 0 && this.#ordered.has(connectionKey(ofStream, connection))
  }

  forgetConnection(key: number): void {
    const queue = this.#ordered.get(key)
    if (queue !== undefined) this.#count -= queue.reads.length - queue.head
    this.#ordered.delete(key)
    this.#count -= this.#single.get(key)?.size ?? 0
    this.#single.delete(key)
  }

  /** Reads of the same door in other generations: who asked is gone. */
  forgetOthers(ofStream: number): void {
    const isOther = (read: WaitingRead | undefined): boolean =>
      read !== undefined && read.stream !== ofStream && doorOf(read.stream) === doorOf(ofStream)
    for (const [key, queue] of this.#ordered) {
      if (isOther(queue.reads.at(-1))) this.forgetConnection(key)
    }
    for (const [key, tags] of this.#single) {
      if (isOther(tags.values().next().value)) this.forgetConnection(key)
    }
  }

  #parkSingle(key: number, read: WaitingRead): void {
    let tags = this.#single.get(key)
    if (tags === undefined) {
      tags = new Map()
      this.#single.set(key, tags)
    }
    tags.set(read.tag, read)
  }

  /** A queue stays while its last read runs: what comes meanwhile comes behind it. */
  #shift(key: number, queue: Queue): WaitingRead | undefined {
    const read = queue.reads[queue.head]
    if (read === undefined) {
      this.#ordered.delete(key)
      return undefined
    }
    queue.head += 1
    this.#count -= 1
    return read
  }
}

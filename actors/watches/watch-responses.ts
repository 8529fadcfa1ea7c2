/** Encodes WatchResponses and sends them, counting what each stream gets in one tick. */
import { HeaderEncoder, headerBytesMax } from '../../transport/etcd/messages/header.ts'
import { type WatchId, watchResponseTag } from '../../transport/etcd/messages/watch.ts'
import { OwnRooms, Writer } from '../../transport/etcd/messages/writer.ts'
import type { KeyWatchOf, WatchStream } from './key-watch.ts'

export interface WatchResponsesSetup {
  /** 8 bytes each, big-endian. */
  readonly clusterId: Uint8Array
  readonly memberId: Uint8Array
  /** A WatchResponse for one stream of a connection. */
  readonly send: (connection: number, tag: number, body: Uint8Array) => void
}

/** A response this long is sent in fragments where the client allows it. */
const fragmentBytesMax = 1_572_864 + 524_288
/** No response is longer than this: nobody could send it, nor take it. */
const responseBytesMax = 256 * 1024 * 1024

const reasons = {
  duplicateId: 'mvcc: duplicate watch ID provided on the WatchStream',
  emptyRange: 'mvcc: watcher range is empty',
  compacted: 'etcdserver: mvcc: required revision has been compacted',
  tooMany: 'etcdserver: too many requests',
} as const

export class WatchResponses {
  readonly #send: WatchResponsesSetup['send']
  readonly #header: HeaderEncoder
  readonly #writer = new Writer(new OwnRooms())
  /** raft_term of what is sent; never goes back. */
  #epoch = 0
  #tick = 0

  constructor({ clusterId, memberId, send }: WatchResponsesSetup) {
    this.#send = send
    this.#header = new HeaderEncoder(clusterId, memberId)
  }

  setEpoch(epoch: number): void {
    this.#epoch = Math.max(this.#epoch, epoch)
  }

  /** A new tick: what was sent before does not count any more. */
  tick(): void {
    this.#tick += 1
  }

  /** In this tick. */
  sentBytes(stream: WatchStream): number {
    return stream.sentTick === this.#tick ? stream.sentBytes : 0
  }

  created(stream: WatchStream, revision: number, id: WatchId): void {
    this.#begin(revision, id).flag(watchResponseTag.created, true)
    this.#finish(stream)
  }

  refused(stream: WatchStream, revision: number, reason: keyof typeof reasons): void {
    const writer = this.#begin(revision, -1)
    writer.flag(watchResponseTag.created, true)
    writer.flag(watchResponseTag.canceled, true)
    writer.text(watchResponseTag.cancelReason, reasons[reason])
    this.#finish(stream)
  }

  canceled(stream: WatchStream, revision: number, id: WatchId): void {
    this.#begin(revision, id).flag(watchResponseTag.canceled, true)
    this.#finish(stream)
  }

  compacted(stream: WatchStream, id: WatchId, compactRevision: number): void {
    const writer = this.#begin(0, id)
    writer.flag(watchResponseTag.canceled, true)
    writer.number(watchResponseTag.compactRevision, compactRevision)
    this.#finish(stream)
  }

  /** All up to `revision` has been delivered: to one watch, or (−1) to all of the stream. */
  progress(stream: WatchStream, revision: number, id: WatchId): void {
    this.#begin(revision, id)
    this.#finish(stream)
  }

  /** What gathered for a watch. */
  events(watch: KeyWatchOf): void {
    const { pending } = watch
    const bytesMax = watch.fragment ? fragmentBytesMax : responseBytesMax
    const split = watch.pendingBytes >= bytesMax
    let from = 0
    // Fragments follow each other with nothing in between: clients put them together again.
    while (from < pending.length) {
      const to = split ? fragmentEnd(pending, from, bytesMax) : pending.length
      this.#sendEvents(watch, from, to)
      from = to
    }
  }

  #sendEvents(watch: KeyWatchOf, from: number, to: number): void {
    const { pending, stream } = watch
    let bytes = 0
    for (let at = from; at < to; at += 1) bytes += (pending[at] as Uint8Array).length
    const writer = this.#begin(watch.pendingRevision, watch.id, bytes)
    writer.flag(watchResponseTag.fragment, watch.fragment && to < pending.length)
    for (let at = from; at < to; at += 1) writer.raw(pending[at] as Uint8Array)
    this.#finish(stream)
  }

  #begin(revision: number, id: WatchId, moreBytes = 128): Writer {
    const writer = this.#writer.begin(headerBytesMax + 32 + moreBytes)
    this.#header.write(writer, revision, this.#epoch)
    writer.integer(watchResponseTag.watchId, id)
    return writer
  }

  #finish(stream: WatchStream): void {
    const body = this.#writer.finish()
    stream.sentBytes = this.sentBytes(stream) + body.length
    stream.sentTick = this.#tick
    this.#send(stream.connection, stream.tag, body)
  }
}

function fragmentEnd(pending: readonly Uint8Array[], from: number, bytesMax: number): number {
  let bytes = headerBytesMax + (pending[from] as Uint8Array).length
  let to = from + 1
  for (; to < pending.length; to += 1) {
    bytes += (pending[to] as Uint8Array).length
    if (bytes >= bytesMax) break
  }
  return to
}

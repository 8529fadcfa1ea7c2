/** Calls that stay open: watches, whose events the watch actor sends, and keep-alives. */
import type { Ref } from '../../runtime/actor.ts'
import type { CallHead } from '../../transport/etcd/api.ts'
import { defaultLimits } from '../../transport/etcd/limits.ts'
import { failure } from '../../transport/etcd/messages/failures.ts'
import { decodeLease, writeLeaseTimes } from '../../transport/etcd/messages/lease.ts'
import { MalformedMessage } from '../../transport/etcd/messages/reader.ts'
import { decodeWatch } from '../../transport/etcd/messages/watch.ts'
import { etcdRead } from '../state/etcd-commands.ts'
import type { WatchesMessage } from '../watches/messages.ts'
import type { EtcdDoor } from './etcd-door.ts'
import type { KeepAlive, Leases } from './etcd-leases.ts'
import { limits } from './etcd-limits.ts'
import { method } from './etcd-methods.ts'
import type { StateReads } from './etcd-state-reads.ts'
import { type OpenStream, OpenStreams } from './etcd-streams.ts'

export interface StreamParts {
  readonly watches: Ref<WatchesMessage>
  readonly reads: StateReads
  readonly leases: Leases
}

export class StreamCalls {
  readonly #door: EtcdDoor
  readonly #parts: StreamParts
  readonly #streams = new OpenStreams()
  readonly #bufferedBytesLow: number

  constructor(door: EtcdDoor, parts: StreamParts) {
    this.#door = door
    this.#parts = parts
    const { serverLimits } = door.setup
    this.#bufferedBytesLow = { ...defaultLimits, ...serverLimits }.streamBufferedBytesLow
  }

  get count(): number {
    return this.#streams.count
  }

  opened(connection: number, call: number, head: CallHead): void {
    if (head.hasLeader && this.#door.lacksLeader) {
      this.#door.fail(connection, call, failure.noLeader)
    } else this.#streams.open(connection, call, head)
  }

  message(connection: number, call: number, message: Uint8Array): void {
    const opened = this.#streams.get(connection, call)
    if (opened === undefined) return
    try {
      if (opened.head.method.id === method.watch) this.#watch(opened, message)
      else this.#keepAlive(opened, message)
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error
      const text = `grpc: failed to unmarshal the received message: ${error.message}`
      this.#door.server.fail(connection, call, failure.malformed.code, text)
      this.#forget(opened)
    }
  }

  /** A watch goes on; keep-alives end once they are answered. */
  halfClosed(connection: number, call: number): void {
    const opened = this.#streams.get(connection, call)
    if (opened === undefined || opened.head.method.id === method.watch) return
    opened.halfClosed = true
    this.#finishIfAnswered(opened)
  }

  cancelled(connection: number, call: number): void {
    const opened = this.#streams.get(connection, call)
    if (opened !== undefined) this.#forget(opened)
  }

  /** True: something of it was watching. */
  connectionClosed(connection: number): boolean {
    return this.#streams.deleteConnection(connection)
  }

  /** From the watch actor. Where the client does not keep up, it is told to stop. */
  event(connection: number, call: number, body: Uint8Array): void {
    const opened = this.#streams.get(connection, call)
    if (opened === undefined) return
    const waitingBytes = this.#door.server.send(connection, call, body)
    if (opened.held || waitingBytes <= this.#bufferedBytesLow) return
    opened.held = true
    this.#parts.watches.tell({ kind: 'keyStream', connection, tag: call, change: 'held' })
  }

  drained(connection: number, call: number): void {
    const opened = this.#streams.get(connection, call)
    if (opened === undefined || !opened.held) return
    opened.held = false
    this.#parts.watches.tell({ kind: 'keyStream', connection, tag: call, change: 'drained' })
  }

  answerKeepAlive(
    { connection, call, id }: KeepAlive,
    header: Uint8Array,
    ttlSeconds: number,
  ): void {
    const opened = this.#streams.get(connection, call)
    if (opened === undefined) return
    const writer = this.#door.writer.begin(header.length + 32)
    writer.raw(header)
    writeLeaseTimes(writer, id, ttlSeconds)
    this.#door.server.send(connection, call, writer.finish())
    opened.questions -= 1
    if (opened.halfClosed) this.#finishIfAnswered(opened)
  }

  /** Those whose clients asked to be told that there is no leader. */
  endThoseRequiringLeader(): void {
    for (const opened of this.#streams.requiringLeader()) {
      this.#door.fail(opened.connection, opened.call, failure.noLeader)
      this.#forget(opened)
    }
  }

  #watch(opened: OpenStream, message: Uint8Array): void {
    if (decodeWatch(this.#door.reader.open(message)).kind === 'none') return
    opened.watching = true
    const { reads } = this.#parts
    reads.tell(opened.connection, opened.call, 0, reads.request(etcdRead.watch, message))
  }

  #keepAlive(opened: OpenStream, message: Uint8Array): void {
    const { connection, call } = opened
    const { leases } = this.#parts
    const { id } = decodeLease(this.#door.reader.open(message))
    if (leases.count >= limits.leaseQuestionsMax) {
      this.#door.fail(connection, call, failure.tooManyRequests)
      this.#forget(opened)
      return
    }
    opened.questions += 1
    leases.keepAlive({ kind: 'keepAlive', connection, call, id })
  }

  #finishIfAnswered(opened: OpenStream): void {
    if (opened.questions > 0) return
    this.#door.server.finish(opened.connection, opened.call)
    this.#forget(opened)
  }

  #forget(opened: OpenStream): void {
    this.#streams.delete(opened)
    if (!opened.watching) return
    const { reads } = this.#parts
    reads.tell(opened.connection, opened.call, 0, reads.request(etcdRead.streamClosed))
  }
}

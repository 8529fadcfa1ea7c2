/**
 * Answers etcd's reads from the state as it stands. Reads wait for nothing here: the state actor
 * runs each when the position that it needs has applied.
 */
import type { Keyspace, Pointer } from '../../storage/keyspace.ts'
import { slabBytes } from '../../storage/slabs.ts'
import { type Failure, failure } from '../../transport/etcd/messages/failures.ts'
import { HeaderEncoder, headerBytesMax } from '../../transport/etcd/messages/header.ts'
import { keyValueBytes, writeKeyValueFields } from '../../transport/etcd/messages/key-value.ts'
import {
  decodeLease,
  writeGrantedTtl,
  writeLeaseKey,
  writeLeaseStatus,
  writeLeaseTimes,
} from '../../transport/etcd/messages/lease.ts'
import { writeNoSpaceAlarm } from '../../transport/etcd/messages/maintenance.ts'
import { decodeRange, type RangeRequest } from '../../transport/etcd/messages/range.ts'
import { MalformedMessage, Reader } from '../../transport/etcd/messages/reader.ts'
import { decodeTxn, type TxnRequest } from '../../transport/etcd/messages/txn.ts'
import { OwnRooms, Writer } from '../../transport/etcd/messages/writer.ts'
import type { KeyEvent, KeyHistory, RevisionChanges } from '../watches/messages.ts'
import { eventBytes, isCreation, leasedCount, leasedKeys } from './etcd-change.ts'
import { checkRange, checkTxn } from './etcd-checks.ts'
import { etcdRead, stateNumbers, timesBytes } from './etcd-commands.ts'
import {
  bytesInSlices,
  collectInSlices,
  collectRange,
  rangeBytesMax,
  rangeCost,
  rangeFailure,
  RangeResult,
  writeInSlices,
  writeRange,
} from './etcd-range.ts'
import { EtcdTally } from './etcd-tally.ts'
import { chooseTxn, chosenFailure, isFailure, TxnRun, txnCost } from './etcd-txn.ts'
import { limits } from './limits.ts'
import { done, endlessSlice, type Slice, type Steps } from './slices.ts'
import type { Read, Slices, World } from './world.ts'

const nothing = new Uint8Array(0)
const writerSlackBytes = 16

export class EtcdReads {
  readonly #world: World
  readonly #keyspace: Keyspace
  readonly #reader = new Reader()
  readonly #writer: Writer
  readonly #header: HeaderEncoder
  readonly #result = new RangeResult()
  readonly #tally: EtcdTally
  /** The rest of the read in hand. */
  #steps: Steps | undefined

  constructor(world: World) {
    this.#world = world
    this.#keyspace = world.keyspace
    this.#tally = world.tally ?? new EtcdTally()
    this.#writer = new Writer(world.emitter, limits.replyBytesMax)
    this.#header = new HeaderEncoder(world.identity.clusterId, world.identity.memberId)
  }

  read(read: Read): Steps | undefined {
    const failed = this.#dispatch(read)
    if (failed !== undefined) this.#reply(read, failed.status, nothing)
    const steps = this.#steps
    this.#steps = undefined
    return steps
  }

  #later(steps: Steps): undefined {
    this.#steps = steps
  }

  #dispatch(read: Read): Failure | undefined {
    const { request } = read
    const which = request[0]
    this.#reader.open(request, 1)
    try {
      switch (which) {
        case etcdRead.range:
          return this.#range(read)
        case etcdRead.txn:
          return this.#txn(read)
        case etcdRead.timeToLive:
          return this.#timeToLive(read)
        case etcdRead.leases:
          return this.#leases(read)
        case etcdRead.watch:
          return this.#watch(read)
        case etcdRead.header:
          return this.#headerOnly(read)
        case etcdRead.status:
          return this.#status(read)
        case etcdRead.history:
          return this.#history(read)
        case etcdRead.streamClosed:
          return this.#streamClosed(read)
        case etcdRead.connectionClosed:
          return this.#connectionClosed(read)
        case etcdRead.members:
          return this.#members(read)
        case etcdRead.alarms:
          return this.#alarms(read)
        default:
          return failure.malformed
      }
    } catch (error) {
      if (error instanceof MalformedMessage) return failure.malformed
      throw error
    }
  }

  #range(read: Read): Failure | undefined {
    const range = decodeRange(this.#reader)
    const keyspace = this.#keyspace
    const failed = checkRange(range) ?? rangeFailure(keyspace, range)
    if (failed !== undefined) return failed
    this.#tally.ranges += 1
    const { slices } = this.#world
    if (slices !== undefined && rangeCost(keyspace, range) > slices.unslicedKeysMax)
      return this.#later(this.#rangeInSlices(read, range, slices))
    const result = this.#result
    collectRange(keyspace, range, result)
    const bytesMax = rangeBytesMax(keyspace, range, result)
    if (!this.#fits(read, headerBytesMax + bytesMax)) return undefined
    const isLong = bytesMax > limits.unslicedBytesMax && result.pointers.length > 1
    if (isLong && slices !== undefined) return this.#later(this.#rangeInSlices(read, range, slices))
    const writer = this.#begin(bytesMax)
    writeRange(writer, keyspace, range, result)
    return this.#finish(read)
  }

  /** All of one revision, which is pinned: changes pass between the slices. */
  *#rangeInSlices(read: Read, range: RangeRequest, { slice, room }: Slices): Steps {
    const keyspace = this.#keyspace
    const failed = rangeFailure(keyspace, range)
    if (failed !== undefined) return this.#reply(read, failed.status, nothing)
    const { revision } = keyspace
    const { epoch } = this.#world.identity
    const result = new RangeResult()
    let bytes = 0
    keyspace.pin()
    try {
      yield* collectInSlices(
        keyspace,
        range,
        Math.max(0, range.revision) || revision,
        slice,
        result,
      )
      const wanted = headerBytesMax + (yield* bytesInSlices(keyspace, range, result, slice))
      if (!this.#fits(read, wanted)) return
      if (wanted > limits.replyBytesMax) {
        this.#reply(read, failure.responseTooLarge.status, nothing)
        return
      }
      while (!room.takeBytes(wanted)) yield
      bytes = wanted
      const writer = new Writer(new OwnRooms(wanted), limits.replyBytesMax).begin(wanted)
      this.#header.write(writer, revision, epoch)
      yield* writeInSlices(writer, keyspace, range, result, slice)
      this.#reply(read, 0, writer.finish())
    } finally {
      keyspace.unpin()
      room.giveBytes(bytes)
    }
  }

  #txn(read: Read): Failure | undefined {
    const txn = decodeTxn(this.#reader)
    const failed = checkTxn(txn)
    if (failed !== undefined) return failed
    const { slices } = this.#world
    if (slices !== undefined && txnCost(this.#keyspace, txn) > slices.unslicedKeysMax)
      return this.#later(this.#txnInSlices(read, txn, slices))
    const chosen = done(chooseTxn(this.#keyspace, txn))
    if (isFailure(chosen)) return chosen
    const impossible = chosenFailure(this.#world, chosen)
    if (impossible !== undefined) return impossible
    const run = new TxnRun(this.#keyspace, undefined, this.#begin(512, read), this.#tally)
    done(run.run(chosen))
    return this.#finish(read)
  }

  *#txnInSlices(read: Read, txn: TxnRequest, { slice, room }: Slices): Steps {
    const keyspace = this.#keyspace
    const { revision } = keyspace
    const view = { slice, revision }
    const wanted = Math.min(read.roomBytes, limits.replyBytesMax)
    let bytes = 0
    keyspace.pin()
    try {
      while (!room.takeBytes(wanted)) yield
      bytes = wanted
      const chosen = yield* chooseTxn(keyspace, txn, view)
      const failed = isFailure(chosen) ? chosen : chosenFailure(this.#world, chosen)
      if (failed !== undefined || isFailure(chosen))
        return this.#reply(read, failed?.status ?? 0, nothing)
      const writer = new Writer(new OwnRooms(), limits.replyBytesMax)
      this.#beginOn(writer, 512, read, revision)
      yield* new TxnRun(keyspace, undefined, writer, this.#tally, view).run(chosen)
      this.#finish(read, writer)
    } finally {
      keyspace.unpin()
      room.giveBytes(bytes)
    }
  }

  #timeToLive(read: Read): undefined {
    const { request } = read
    const view = new DataView(request.buffer, request.byteOffset, request.byteLength)
    const remainingMillis = view.getFloat64(1, true)
    const ttlMillis = view.getFloat64(9, true)
    const { id, keys } = decodeLease(this.#reader.open(request, 1 + timesBytes))
    const lease = this.#world.lifetimes.lease(id)
    const alive = remainingMillis >= 0 && lease !== undefined
    const times = {
      id,
      remainingSeconds: alive ? Math.floor(remainingMillis / 1000) : -1,
      ttlSeconds: alive ? Math.floor(ttlMillis / 1000) : 0,
      keys: alive && keys,
    }
    const { slices } = this.#world
    const keyCount = times.keys ? leasedCount(this.#keyspace, id) : 0
    if (slices !== undefined && keyCount > slices.unslicedKeysMax)
      return this.#later(this.#timesInSlices(read, times, slices))
    done(this.#writeTimes(this.#begin(64, read), times, endlessSlice))
    return this.#finish(read)
  }

  /** The keys as they are now: what they are attached to has no history. */
  *#timesInSlices(read: Read, times: LeaseTimes, { slice, room }: Slices): Steps {
    const { revision } = this.#keyspace
    const bytes = Math.min(read.roomBytes, limits.replyBytesMax)
    while (!room.takeBytes(bytes)) yield
    this.#keyspace.pin()
    try {
      const writer = new Writer(new OwnRooms(), limits.replyBytesMax)
      this.#beginOn(writer, 512, read, revision)
      yield* this.#writeTimes(writer, times, slice)
      this.#finish(read, writer)
    } finally {
      this.#keyspace.unpin()
      room.giveBytes(bytes)
    }
  }

  *#writeTimes(writer: Writer, times: LeaseTimes, slice: Pick<Slice, 'spent'>): Steps {
    writeLeaseTimes(writer, times.id, times.remainingSeconds)
    if (times.remainingSeconds >= 0) writeGrantedTtl(writer, times.ttlSeconds)
    if (!times.keys) return
    for (const pointer of yield* leasedKeys(this.#keyspace, times.id, slice)) {
      writeLeaseKey(writer, this.#keyspace.key(pointer))
      if (slice.spent(1)) yield
    }
  }

  #leases(read: Read): undefined {
    const { slices, lifetimes } = this.#world
    if (slices !== undefined && lifetimes.leaseCount > slices.unslicedKeysMax)
      return this.#later(this.#leasesInSlices(read, slices))
    const writer = this.#begin(64, read)
    for (const lease of lifetimes.leases()) writeLeaseStatus(writer, lease.id)
    return this.#finish(read)
  }

  /** All that live from the beginning to the end of it; of those that come or go meanwhile some. */
  *#leasesInSlices(read: Read, { slice, room }: Slices): Steps {
    const { revision } = this.#keyspace
    const bytes = Math.min(read.roomBytes, limits.replyBytesMax)
    while (!room.takeBytes(bytes)) yield
    try {
      const writer = new Writer(new OwnRooms(), limits.replyBytesMax)
      this.#beginOn(writer, 512, read, revision)
      for (const lease of this.#world.lifetimes.leases()) {
        writeLeaseStatus(writer, lease.id)
        if (slice.spent(1)) yield
      }
      this.#finish(read, writer)
    } finally {
      room.giveBytes(bytes)
    }
  }

  /** In order with the changes, so that the watch begins exactly behind this revision. */
  #watch({ connection, tag, request }: Read): undefined {
    const { revision, compactRevision } = this.#keyspace
    this.#world.emitter.emit({
      kind: 'keyWatch',
      connection,
      tag,
      revision,
      compactRevision,
      epoch: this.#world.identity.epoch,
      request: request.subarray(1),
    })
  }

  #streamClosed({ connection, tag }: Read): undefined {
    this.#world.emitter.emit({ kind: 'keyStream', connection, tag, change: 'closed' })
  }

  #connectionClosed({ stream, connection }: Read): undefined {
    this.#world.emitter.emit({ kind: 'connectionClosed', stream, connection })
  }

  #members(read: Read): undefined {
    this.#reply(read, 0, this.#world.applied.membership ?? nothing)
  }

  #alarms(read: Read): undefined {
    const { space, identity } = this.#world
    const writer = this.#begin(32)
    if (space.isFull) writeNoSpaceAlarm(writer, identity.memberId)
    return this.#finish(read)
  }

  #headerOnly(read: Read): undefined {
    this.#begin(0)
    return this.#finish(read)
  }

  #status(read: Read): undefined {
    const numbers = new Uint8Array(stateNumbers.bytes)
    const view = new DataView(numbers.buffer)
    view.setFloat64(stateNumbers.position, this.#world.applied.position, true)
    const { space } = this.#world
    // Never nothing, as in etcd: etcdctl divides by it.
    view.setFloat64(stateNumbers.sizeBytes, Math.max(space.reservedBytes, slabBytes), true)
    view.setFloat64(stateNumbers.sizeInUseBytes, space.heldBytes, true)
    view.setFloat64(stateNumbers.quotaBytes, space.quotaBytes, true)
    view.setFloat64(stateNumbers.full, space.isFull ? 1 : 0, true)
    const { membership = nothing } = this.#world.applied
    view.setFloat64(stateNumbers.membershipBytes, membership.length, true)
    const writer = this.#writer.begin(stateNumbers.bytes + membership.length + headerBytesMax)
    writer.raw(numbers)
    writer.raw(membership)
    this.#header.write(writer, this.#keyspace.revision, this.#world.identity.epoch)
    return this.#finish(read)
  }

  /** Whole revisions; what is compacted already is for the watch actor to notice. */
  #history(read: Read): undefined {
    const { request, tag } = read
    const view = new DataView(request.buffer, request.byteOffset, request.byteLength)
    const { revision, compactRevision } = this.#keyspace
    const first = Math.max(1, compactRevision, view.getFloat64(1, true))
    const pointers: Pointer[] = []
    const next = this.#keyspace.changes(first, view.getUint32(9, true), pointers)
    const about = { kind: 'keyHistory', id: tag, revision, compactRevision } as const
    const { slices } = this.#world
    if (slices !== undefined && pointers.length > slices.unslicedKeysMax)
      return this.#later(this.#tellHistory(about, pointers, next - 1, slices.slice))
    done(this.#tellHistory(about, pointers, next - 1, endlessSlice))
  }

  *#tellHistory(
    about: Pick<KeyHistory, 'kind' | 'id' | 'revision' | 'compactRevision'>,
    pointers: readonly Pointer[],
    last: number,
    slice: Pick<Slice, 'spent'>,
  ): Steps {
    const { emitter } = this.#world
    const part = (changes: RevisionChanges[]): void =>
      emitter.emit({ ...about, upTo: 0, changes, more: true })
    const rest = yield* this.#encodeChanges(pointers, last, part, slice)
    emitter.emit({ ...about, ...rest, more: false })
  }

  /** Hands out parts as they get long; the rest ends with a whole revision, which may be before `last`. */
  *#encodeChanges(
    pointers: readonly Pointer[],
    last: number,
    part: (changes: RevisionChanges[]) => void,
    slice: Pick<Slice, 'spent'>,
  ): Generator<void, { readonly changes: RevisionChanges[]; readonly upTo: number }, void> {
    const { epoch } = this.#world.identity
    let changes: RevisionChanges[] = []
    let events: KeyEvent[] = []
    let revision = 0
    let bytes = 0
    let partBytes = 0
    for (const pointer of pointers) {
      const mod = this.#keyspace.modRevision(pointer)
      const isNext = mod !== revision
      if (isNext && bytes > limits.historyBytesMax) return { changes, upTo: revision }
      if (partBytes >= limits.changeBytesMax) {
        part(changes)
        changes = []
        partBytes = 0
      }
      if (isNext || changes.length === 0) {
        events = []
        revision = mod
        changes.push({ revision, epoch, events })
      }
      const event = this.#event(pointer)
      bytes += eventBytes(event)
      partBytes += eventBytes(event)
      events.push(event)
      if (slice.spent(2)) yield
    }
    return { changes, upTo: last }
  }

  #event(pointer: Pointer): KeyEvent {
    const keyspace = this.#keyspace
    const key = keyspace.key(pointer)
    const before = this.#before(pointer, key)
    return {
      deleted: keyspace.deleted(pointer),
      key,
      current: this.#encode(pointer),
      previous: before === 0 ? nothing : this.#encode(before),
    }
  }

  /** What the key was at the revision before, unless that is compacted; nothing for one that was created. */
  #before(pointer: Pointer, key: Uint8Array): Pointer {
    const keyspace = this.#keyspace
    if (!keyspace.deleted(pointer) && isCreation(keyspace, pointer)) return 0
    const revision = keyspace.modRevision(pointer) - 1
    if (revision < keyspace.compactRevision) return 0
    return keyspace.sub(pointer) === 0 ? keyspace.previous(pointer) : keyspace.get(key, revision)
  }

  #encode(pointer: Pointer): Uint8Array {
    const writer = this.#writer.begin(keyValueBytes(this.#keyspace, pointer) + 64)
    writeKeyValueFields(writer, this.#keyspace, pointer)
    return writer.finish()
  }

  /** Longer answers than there may be are refused, not waited for. */
  #fits(read: Read, bytes: number): boolean {
    if (bytes <= read.roomBytes || bytes > limits.replyBytesMax) return true
    this.#world.emitter.needsRoom(read, bytes)
    return false
  }

  /** Where its size is known only once it is written, it is written as far as the room of the read goes. */
  #begin(bytesGuess: number, read?: Read): Writer {
    return this.#beginOn(this.#writer, bytesGuess, read, this.#keyspace.revision)
  }

  #beginOn(writer: Writer, bytesGuess: number, read: Read | undefined, revision: number): Writer {
    const bytesMax = Math.max(headerBytesMax, read?.roomBytes ?? limits.replyBytesMax)
    writer.begin(headerBytesMax + bytesGuess, bytesMax)
    this.#header.write(writer, revision, this.#world.identity.epoch)
    return writer
  }

  #finish(read: Read, writer: Writer = this.#writer): undefined {
    // A writer keeps some room for what it writes next.
    const bytes = Math.max(read.roomBytes, writer.sizeMax) + writerSlackBytes
    if (writer.overflowed && !this.#fits(read, bytes)) return
    if (writer.overflowed) this.#reply(read, failure.responseTooLarge.status, nothing)
    else this.#reply(read, 0, writer.finish())
  }

  #reply({ stream, connection, tag }: Read, status: number, body: Uint8Array): void {
    this.#world.emitter.reply(stream, connection, tag, 0, status, body)
  }
}

interface LeaseTimes {
  readonly id: bigint
  /** −1: there is no such lease. */
  readonly remainingSeconds: number
  readonly ttlSeconds: number
  readonly keys: boolean
}

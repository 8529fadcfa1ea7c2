/**
 * Applies etcd's commands. What changes depends on the entry and the state alone; where this node's
 * gateway waits, the whole protobuf response is built as well, straight from the slabs.
 */
import type { Keyspace, Pointer } from '../../storage/keyspace.ts'
import { decodeCompaction } from '../../transport/etcd/messages/compaction.ts'
import {
  type DeleteRangeRequest,
  decodeDeleteRange,
} from '../../transport/etcd/messages/delete-range.ts'
import { type Failure, failure } from '../../transport/etcd/messages/failures.ts'
import { HeaderEncoder, headerBytesMax } from '../../transport/etcd/messages/header.ts'
import { keyValueBytes, writeKeyValue } from '../../transport/etcd/messages/key-value.ts'
import {
  decodeLease,
  decodeLeaseGrant,
  writeLeaseTimes,
} from '../../transport/etcd/messages/lease.ts'
import {
  alarmType,
  decodeAlarm,
  writeNoSpaceAlarm,
} from '../../transport/etcd/messages/maintenance.ts'
import { decodePut, putResponseTag } from '../../transport/etcd/messages/put.ts'
import { Reader } from '../../transport/etcd/messages/reader.ts'
import { decodeTxn, type TxnRequest } from '../../transport/etcd/messages/txn.ts'
import { Writer } from '../../transport/etcd/messages/writer.ts'
import { lifetime } from '../sessions/messages.ts'
import { Change, leasedCount } from './etcd-change.ts'
import { checkDeleteRange, checkPut, checkTxn, leaseTtlSecondsMax } from './etcd-checks.ts'
import { callBytes, etcdOperation } from './etcd-commands.ts'
import {
  type ChosenTxn,
  chooseTxn,
  chosenBytes,
  chosenFailure,
  deleteCost,
  deleteRange,
  isFailure,
  putBytes,
  putFailure,
  TxnRun,
  txnCost,
} from './etcd-txn.ts'
import { type Lifetime, lifetimeBytes } from './lifetimes.ts'
import { limits } from './limits.ts'
import { stream as streams } from './messages.ts'
import { done, endlessSlice, type Slice, type Steps } from './slices.ts'
import type { Command, World } from './world.ts'

const nothing = new Uint8Array(0)

interface Caller {
  readonly stream: number
  readonly connection: number
  readonly tag: number
  readonly sequence: number
}

/** One for each world: readers, writers and the header's constant bytes. */
export class EtcdApply {
  readonly #world: World
  readonly #keyspace: Keyspace
  readonly #reader = new Reader()
  readonly #writer: Writer
  readonly #header: HeaderEncoder
  readonly #change: Change
  /** Callers that wait until nothing compacted is left in memory. */
  readonly #compactions: Caller[] = []
  #epoch = 0
  /** Of the command in hand. */
  #answerBytesMax = 0
  /** The rest of the command in hand. */
  #steps: Steps | undefined

  constructor(world: World) {
    this.#world = world
    this.#keyspace = world.keyspace
    this.#writer = new Writer(world.emitter, limits.replyBytesMax)
    this.#header = new HeaderEncoder(world.identity.clusterId, world.identity.memberId)
    this.#change = new Change(world)
  }

  apply(command: Command): Steps | undefined {
    const { view, start } = command
    const failed = this.#dispatch(view.getUint8(start), command)
    if (failed !== undefined && command.local) this.#reply(command, failed.status, nothing)
    const steps = this.#steps
    this.#steps = undefined
    return steps
  }

  /** At once, unless it is long. */
  #run(cost: number, steps: (slice: Pick<Slice, 'spent'>) => Steps): undefined {
    const { slices } = this.#world
    if (slices === undefined || cost <= slices.unslicedKeysMax) done(steps(endlessSlice))
    else this.#steps = steps(slices.slice)
  }

  refuse(command: Command): void {
    if (command.local) this.#reply(command, failure.timedOut.status, nothing)
  }

  expire(ended: Lifetime): Steps | undefined {
    this.#revoke(ended, () => {})
    const steps = this.#steps
    this.#steps = undefined
    return steps
  }

  #revoke(ended: Lifetime, then: () => void): void {
    const change = this.#change
    this.#run(leasedCount(this.#keyspace, ended.id), function* (slice) {
      change.begin()
      yield* change.revoke(ended, slice)
      change.end()
      then()
    })
  }

  get compactionAwaited(): boolean {
    return this.#compactions.length > 0
  }

  /** Nothing compacted is left: those that asked for it get their answer. */
  compacted(): void {
    for (const { stream, connection, tag, sequence } of this.#compactions) {
      const body = this.#headerOnly()
      this.#world.emitter.reply(stream, connection, tag, sequence, 0, body)
    }
    this.#compactions.length = 0
  }

  #dispatch(operation: number, command: Command): Failure | undefined {
    this.#reader.open(command.bytes, command.start + callBytes, command.end)
    // Never behind what an answer to a read has shown.
    this.#epoch = Math.max(command.epoch, this.#world.identity.epoch)
    switch (operation) {
      case etcdOperation.put:
        return this.#put(command)
      case etcdOperation.deleteRange:
        return this.#deleteRange(command)
      case etcdOperation.txn:
        return this.#txn(command)
      case etcdOperation.compact:
        return this.#compact(command)
      case etcdOperation.leaseGrant:
        return this.#leaseGrant(command)
      case etcdOperation.leaseRevoke:
        return this.#leaseRevoke(command)
      case etcdOperation.alarm:
        return this.#endAlarm(command)
      default:
        throw new Error(`etcd command ${command.position} has the unknown operation ${operation}`)
    }
  }

  #put(command: Command): Failure | undefined {
    const put = decodePut(this.#reader)
    const failed = checkPut(put) ?? putFailure(this.#world, put)
    if (failed !== undefined) return failed
    if (!this.#world.space.admits(putBytes(this.#keyspace, put))) return failure.noSpace
    this.#change.begin()
    const previous = this.#change.put(put)
    const revision = this.#change.end()
    if (command.local) this.#answerPut(command, revision, put.prevKv ? previous : 0)
    return undefined
  }

  #answerPut(command: Command, revision: number, previous: Pointer): void {
    const keyspace = this.#keyspace
    const previousBytes = previous === 0 ? 0 : 16 + keyValueBytes(keyspace, previous)
    const writer = this.#begin(command, headerBytesMax + previousBytes)
    this.#header.write(writer, revision, this.#epoch)
    if (previous !== 0) writeKeyValue(writer, putResponseTag.prevKv, keyspace, previous)
    this.#answer(command, writer)
  }

  #deleteRange(command: Command): Failure | undefined {
    const request = decodeDeleteRange(this.#reader)
    const failed = checkDeleteRange(request)
    if (failed !== undefined) return failed
    const cost = deleteCost(this.#keyspace, request)
    return this.#run(cost, slice => this.#deleteSteps(command, request, slice))
  }

  *#deleteSteps(command: Command, request: DeleteRangeRequest, slice: Pick<Slice, 'spent'>): Steps {
    const writer = command.local ? this.#begin(command, headerBytesMax + 16) : undefined
    const header = (revision: number): void => {
      if (writer !== undefined) this.#header.write(writer, revision, this.#epoch)
    }
    this.#change.begin()
    yield* deleteRange(this.#keyspace, this.#change, request, writer, header, slice)
    this.#change.end()
    if (writer !== undefined) this.#answer(command, writer)
  }

  #txn(command: Command): Failure | undefined {
    const txn = decodeTxn(this.#reader)
    const failed = checkTxn(txn)
    if (failed !== undefined) return failed
    const cost = txnCost(this.#keyspace, txn)
    return this.#run(cost, slice => this.#txnSteps(command, txn, slice))
  }

  *#txnSteps(command: Command, txn: TxnRequest, slice: Pick<Slice, 'spent'>): Steps {
    const view = { slice, revision: 0 }
    const chosen = yield* chooseTxn(this.#keyspace, txn, view)
    const failed = isFailure(chosen) ? chosen : this.#chosenFailure(chosen)
    if (failed !== undefined || isFailure(chosen)) {
      if (command.local) this.#reply(command, failed?.status ?? 0, nothing)
      return
    }
    const writer = command.local ? this.#begin(command, 512) : undefined
    this.#change.begin()
    // The header comes first but shows the revision after: its room is filled in at the end.
    yield* new TxnRun(this.#keyspace, this.#change, writer, this.#change.tally, view).run(chosen)
    const revision = this.#change.end()
    if (writer === undefined) return
    this.#prependHeader(writer, revision)
    this.#answer(command, writer)
  }

  #chosenFailure(chosen: ChosenTxn): Failure | undefined {
    const impossible = chosenFailure(this.#world, chosen)
    if (impossible !== undefined) return impossible
    const admitted = this.#world.space.admits(chosenBytes(this.#keyspace, chosen))
    return admitted ? undefined : failure.noSpace
  }

  #prependHeader(writer: Writer, revision: number): void {
    const bodySize = writer.size
    this.#header.write(writer, revision, this.#epoch)
    if (!writer.overflowed) writer.rotate(bodySize)
  }

  #compact(command: Command): Failure | undefined {
    const { revision, physical } = decodeCompaction(this.#reader)
    const keyspace = this.#keyspace
    if (revision > keyspace.revision) return failure.futureRevision
    // Nothing was ever compacted: zero, as in etcd, is accepted and does nothing.
    const idle = revision === 0 && keyspace.compactRevision === 0
    if (revision <= keyspace.compactRevision && !idle) return failure.compacted
    if (!idle) keyspace.compact(revision)
    if (!command.local) return undefined
    if (physical && !idle) this.#compactions.push(callerOf(command))
    else this.#reply(command, 0, this.#headerOnly())
    return undefined
  }

  #leaseGrant(command: Command): Failure | undefined {
    const { id, ttlSeconds } = decodeLeaseGrant(this.#reader)
    const { lifetimes, emitter } = this.#world
    if (ttlSeconds > leaseTtlSecondsMax) return failure.leaseTtlTooLarge
    if (lifetimes.lease(id) !== undefined) return failure.leaseExists
    if (!this.#world.space.admits(lifetimeBytes)) return failure.noSpace
    this.#change.tally.leasesGranted += 1
    const { position } = command
    emitter.lifetimeOpened(lifetimes.open(lifetime.lease, id, position, ttlSeconds * 1000, nothing))
    if (!command.local) return undefined
    const writer = this.#writer.begin(headerBytesMax + 32)
    this.#header.write(writer, this.#keyspace.revision, this.#epoch)
    writeLeaseTimes(writer, id, ttlSeconds)
    this.#reply(command, 0, writer.finish())
    return undefined
  }

  #leaseRevoke(command: Command): Failure | undefined {
    const lease = this.#world.lifetimes.lease(decodeLease(this.#reader).id)
    if (lease === undefined) return failure.leaseNotFound
    this.#revoke(lease, () => {
      if (command.local) this.#reply(command, 0, this.#headerOnly())
    })
    return undefined
  }

  /** What is refused next raises it again. */
  #endAlarm(command: Command): undefined {
    const { space, identity } = this.#world
    const { alarm } = decodeAlarm(this.#reader)
    const ended = space.isFull && (alarm === alarmType.noSpace || alarm === alarmType.none)
    if (ended) space.alarmBytes = 0
    if (!command.local) return undefined
    const writer = this.#writer.begin(headerBytesMax + 32)
    this.#header.write(writer, this.#keyspace.revision, this.#epoch)
    if (ended) writeNoSpaceAlarm(writer, identity.memberId)
    this.#reply(command, 0, writer.finish())
    return undefined
  }

  #headerOnly(): Uint8Array {
    const writer = this.#writer.begin(headerBytesMax)
    this.#header.write(
      writer,
      this.#keyspace.revision,
      Math.max(this.#epoch, this.#world.identity.epoch),
    )
    return writer.finish()
  }

  /** The answer to a command, which may be long. */
  #begin({ stream }: Command, bytesGuess: number): Writer {
    this.#answerBytesMax = this.#world.emitter.answerBytesMax(stream)
    return this.#writer.begin(bytesGuess, this.#answerBytesMax)
  }

  /** The command has applied, whether its answer can be sent or not. */
  #answer(command: Command, writer: Writer): void {
    if (!writer.overflowed) return this.#reply(command, 0, writer.finish())
    // Its client cannot know how it ended, and may try again: there is no room only now.
    const isNow = this.#answerBytesMax < limits.replyBytesMax
    const { status } = isNow ? failure.timedOut : failure.responseTooLarge
    this.#reply(command, status, nothing)
  }

  #reply(command: Command, status: number, body: Uint8Array): void {
    const { view, start, stream, sequence } = command
    // The leader's own: no client asked for it.
    if (stream === streams.sessions) return
    const connection = view.getUint32(start + 1, true)
    const tag = view.getUint32(start + 5, true)
    this.#world.emitter.reply(stream, connection, tag, sequence, status, body)
  }
}

function callerOf(command: Command): Caller {
  const { view, start, stream, sequence } = command
  const connection = view.getUint32(start + 1, true)
  return { stream, connection, tag: view.getUint32(start + 5, true), sequence }
}

/**
 * Transactions: all comparisons, nested ones too, are made against the state before; what runs is
 * checked as a whole before anything changes, so that a transaction that fails leaves no trace.
 */
import { type Keyspace, type Pointer, versionBytes } from '../../storage/keyspace.ts'
import {
  type DeleteRangeRequest,
  deleteRangeResponseTag,
} from '../../transport/etcd/messages/delete-range.ts'
import { type Failure, failure } from '../../transport/etcd/messages/failures.ts'
import { headerBytesMax, writeInnerHeader } from '../../transport/etcd/messages/header.ts'
import { writeKeyValue } from '../../transport/etcd/messages/key-value.ts'
import { type PutRequest, putResponseTag } from '../../transport/etcd/messages/put.ts'
import type { RangeRequest } from '../../transport/etcd/messages/range.ts'
import {
  type Compare,
  compareResult,
  compareTarget,
  type RequestOp,
  responseOpTag,
  type TxnRequest,
  txnResponseTag,
} from '../../transport/etcd/messages/txn.ts'
import type { Writer } from '../../transport/etcd/messages/writer.ts'
import { type Change, leaseOf } from './etcd-change.ts'
import {
  collectRange,
  intervalEnd,
  isInterval,
  rangeBytesMax,
  rangeFailure,
  RangeResult,
  valueView,
  writeRange,
} from './etcd-range.ts'
import type { EtcdTally } from './etcd-tally.ts'
import type { World } from './world.ts'

/** A transaction of which one branch has been chosen. */
export interface ChosenTxn {
  readonly succeeded: boolean
  readonly operations: readonly RequestOp[]
  /** Of the operations that are transactions, in their order. */
  readonly nested: readonly ChosenTxn[]
}

export function chooseTxn(keyspace: Keyspace, txn: TxnRequest): ChosenTxn {
  const succeeded = txn.compare.every(compare => holds(keyspace, compare))
  const operations = succeeded ? txn.success : txn.failure
  const nested: ChosenTxn[] = []
  for (const operation of operations) {
    if (operation.kind === 'txn') nested.push(chooseTxn(keyspace, operation.txn))
  }
  return { succeeded, operations, nested }
}

/** The first, in order of the operations. */
export function chosenFailure(world: World, chosen: ChosenTxn): Failure | undefined {
  let nested = 0
  for (const operation of chosen.operations) {
    let found: Failure | undefined
    if (operation.kind === 'range') found = innerRangeFailure(world.keyspace, operation.range)
    else if (operation.kind === 'put') found = innerPutFailure(world, operation.put)
    else if (operation.kind === 'txn')
      found = chosenFailure(world, chosen.nested[nested++] as ChosenTxn)
    if (found !== undefined) return found
  }
  return undefined
}

/** How much larger all puts of what was chosen make the state; what it deletes becomes history. */
export function chosenBytes(keyspace: Keyspace, chosen: ChosenTxn): number {
  let bytes = 0
  for (const operation of chosen.operations) {
    if (operation.kind === 'put') bytes += putBytes(keyspace, operation.put)
  }
  for (const nested of chosen.nested) bytes += chosenBytes(keyspace, nested)
  return bytes
}

/** How much larger this put makes the state: the version that it replaces stays as history. */
export function putBytes(keyspace: Keyspace, { key, value, ignoreValue }: PutRequest): number {
  const current = ignoreValue ? keyspace.get(key) : 0
  const valueBytes = current === 0 ? value.length : keyspace.valueLength(current)
  return versionBytes(key.length, valueBytes)
}

export function putFailure(world: World, put: PutRequest): Failure | undefined {
  return putLeaseFailure(world, put) ?? putKeyFailure(world.keyspace, put)
}

/** Runs what was chosen; where `writer` is given it gets everything that follows the header. */
export class TxnRun {
  readonly #keyspace: Keyspace
  readonly #change: Change | undefined
  readonly #writer: Writer | undefined
  readonly #tally: EtcdTally
  readonly #result = new RangeResult()

  /** Without `change` there are only ranges to run. */
  constructor(
    keyspace: Keyspace,
    change: Change | undefined,
    writer: Writer | undefined,
    tally: EtcdTally,
  ) {
    this.#keyspace = keyspace
    this.#change = change
    this.#writer = writer
    this.#tally = tally
    tally.transactions += 1
  }

  run(chosen: ChosenTxn): void {
    this.#writer?.flag(txnResponseTag.succeeded, chosen.succeeded)
    let nested = 0
    for (const operation of chosen.operations) {
      const mark = this.#writer?.open(txnResponseTag.responses)
      if (operation.kind === 'range') this.#range(operation.range)
      else if (operation.kind === 'put') this.#put(operation.put)
      else if (operation.kind === 'deleteRange') this.#deleteRange(operation.deleteRange)
      else if (operation.kind === 'txn') {
        this.#nested(chosen.nested[nested] as ChosenTxn)
        nested += 1
      }
      if (mark !== undefined) this.#writer?.close(mark)
    }
  }

  #nested(chosen: ChosenTxn): void {
    const mark = this.#writer?.open(responseOpTag.txn)
    // etcd sends this header empty.
    if (this.#writer !== undefined) writeInnerHeader(this.#writer, 0)
    this.run(chosen)
    if (mark !== undefined) this.#writer?.close(mark)
  }

  #range(range: RangeRequest): void {
    this.#tally.ranges += 1
    const writer = this.#writer
    if (writer === undefined) return
    if (writer.overflowed) return this.#measure(writer, range)
    const mark = writer.open(responseOpTag.range)
    writeInnerHeader(writer, this.#keyspace.revision)
    collectRange(this.#keyspace, range, this.#result)
    writeRange(writer, this.#keyspace, range, this.#result)
    writer.close(mark)
  }

  /** How long it will be, for the room that a read asks for; nobody asks for more after a change. */
  #measure(writer: Writer, range: RangeRequest): void {
    if (this.#change !== undefined) return
    collectRange(this.#keyspace, range, this.#result)
    writer.discard(headerBytesMax + rangeBytesMax(this.#keyspace, range, this.#result))
  }

  #put(put: PutRequest): void {
    const previous = this.#change?.put(put) ?? 0
    const writer = this.#writer
    if (writer === undefined) return
    const mark = writer.open(responseOpTag.put)
    writeInnerHeader(writer, this.#keyspace.revision)
    if (put.prevKv && previous !== 0)
      writeKeyValue(writer, putResponseTag.prevKv, this.#keyspace, previous)
    writer.close(mark)
  }

  #deleteRange(request: DeleteRangeRequest): void {
    const change = this.#change
    if (change === undefined) return
    const writer = this.#writer
    const mark = writer?.open(responseOpTag.deleteRange)
    deleteRange(this.#keyspace, change, request, writer, revision => {
      if (writer !== undefined) writeInnerHeader(writer, revision)
    })
    if (mark !== undefined) writer?.close(mark)
  }
}

/** Deletes, and writes the response; `header` is told the revision that it shows. */
export function deleteRange(
  keyspace: Keyspace,
  change: Change,
  request: DeleteRangeRequest,
  writer: Writer | undefined,
  header: (revision: number) => void,
): void {
  change.tally.deletes += 1
  const found = change.found(request)
  // The first of them sets the revision that the header, which comes first, shows.
  const [first] = found
  if (first !== undefined) change.remove(first)
  header(keyspace.revision)
  writer?.number(deleteRangeResponseTag.deleted, found.length)
  for (let index = 0; index < found.length; index += 1) {
    const pointer = found[index] as Pointer
    if (index > 0) change.remove(pointer)
    if (request.prevKv && writer !== undefined) {
      writeKeyValue(writer, deleteRangeResponseTag.prevKvs, keyspace, pointer)
    }
  }
}

function holds(keyspace: Keyspace, compare: Compare): boolean {
  if (compare.rangeEnd.length === 0) return holdsFor(keyspace, compare, keyspace.get(compare.key))
  if (!isInterval(compare.key, compare.rangeEnd)) return holdsFor(keyspace, compare, 0)
  const found: Pointer[] = []
  keyspace.range(compare.key, intervalEnd(compare.rangeEnd), 0, 0, found)
  if (found.length === 0) return holdsFor(keyspace, compare, 0)
  return found.every(pointer => holdsFor(keyspace, compare, pointer))
}

/** A key that is not there (0) has zero for every number, and no value that could compare. */
function holdsFor(keyspace: Keyspace, compare: Compare, pointer: Pointer): boolean {
  if (pointer === 0 && compare.target === compareTarget.value) return false
  const order = compareWith(keyspace, compare, pointer)
  switch (compare.result) {
    case compareResult.equal:
      return order === 0
    case compareResult.greater:
      return order > 0
    case compareResult.less:
      return order < 0
    case compareResult.notEqual:
      return order !== 0
    default:
      return true
  }
}

function compareWith(keyspace: Keyspace, compare: Compare, pointer: Pointer): number {
  // A value that was given for another target counts as absent: zero or empty.
  const given = compare.given === compare.target
  const number = given ? compare.number : 0
  switch (compare.target) {
    case compareTarget.version:
      return (pointer === 0 ? 0 : keyspace.version(pointer)) - number
    case compareTarget.create:
      return (pointer === 0 ? 0 : keyspace.createRevision(pointer)) - number
    case compareTarget.mod:
      return (pointer === 0 ? 0 : keyspace.modRevision(pointer)) - number
    case compareTarget.value:
      return Buffer.compare(valueView(keyspace, pointer), given ? compare.value : nothing)
    case compareTarget.lease:
      return compareLease(keyspace, pointer, given ? compare.lease : 0n)
    default:
      return 0
  }
}

function compareLease(keyspace: Keyspace, pointer: Pointer, lease: bigint): number {
  const high = pointer === 0 ? 0 : keyspace.leaseHigh(pointer)
  const low = pointer === 0 ? 0 : keyspace.leaseLow(pointer)
  const own = BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low))
  return own < lease ? -1 : own > lease ? 1 : 0
}

/** Alone the lease comes before the key, here the key before the lease. */
function innerPutFailure(world: World, put: PutRequest): Failure | undefined {
  return putKeyFailure(world.keyspace, put) ?? putLeaseFailure(world, put)
}

function putKeyFailure(keyspace: Keyspace, put: PutRequest): Failure | undefined {
  if (!put.ignoreValue && !put.ignoreLease) return undefined
  return keyspace.get(put.key) === 0 ? failure.keyNotFound : undefined
}

function putLeaseFailure(world: World, { leaseHigh, leaseLow }: PutRequest): Failure | undefined {
  if (leaseHigh === 0 && leaseLow === 0) return undefined
  return leaseOf(world, leaseHigh, leaseLow) === undefined ? failure.leaseNotFound : undefined
}

/** Unlike alone, a revision below zero is not the newest here: it is before the first that is kept. */
function innerRangeFailure(keyspace: Keyspace, range: RangeRequest): Failure | undefined {
  const first = keyspace.compactRevision === 0 ? -1 : keyspace.compactRevision
  return range.revision < first && range.revision !== 0
    ? failure.compacted
    : rangeFailure(keyspace, range)
}

const nothing = new Uint8Array(0)

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
  bytesInSlices,
  collectInSlices,
  collectRange,
  intervalEnd,
  isInterval,
  rangeBytesMax,
  rangeCost,
  rangeFailure,
  RangeResult,
  valueView,
  writeInSlices,
} from './etcd-range.ts'
import type { EtcdTally } from './etcd-tally.ts'
import { limits } from './limits.ts'
import { endlessSlice, type Slice, type Steps } from './slices.ts'
import type { World } from './world.ts'

/** A transaction of which one branch has been chosen. */
export interface ChosenTxn {
  readonly succeeded: boolean
  readonly operations: readonly RequestOp[]
  /** Of the operations that are transactions, in their order. */
  readonly nested: readonly ChosenTxn[]
}

/** What a transaction looks at: the state as of a revision (0: as it stands), in slices. */
export interface TxnView {
  readonly slice: Pick<Slice, 'spent'>
  readonly revision: number
}

const asItStands: TxnView = { slice: endlessSlice, revision: 0 }

/** Compares of one transaction, nested ones included. */
interface Compares {
  /** Keys that they may still look at. */
  keysLeft: number
}

/** A failure when its compares look at more keys than they may: the same on all nodes. */
export function* chooseTxn(
  keyspace: Keyspace,
  txn: TxnRequest,
  view: TxnView = asItStands,
  compares: Compares = { keysLeft: limits.compareKeysMax },
): Generator<void, ChosenTxn | Failure, void> {
  const succeeded = yield* allHold(keyspace, txn.compare, view, compares)
  if (compares.keysLeft < 0) return failure.tooManyOperations
  const operations = succeeded ? txn.success : txn.failure
  const nested: ChosenTxn[] = []
  for (const operation of operations) {
    if (operation.kind !== 'txn') continue
    const chosen = yield* chooseTxn(keyspace, operation.txn, view, compares)
    if (isFailure(chosen)) return chosen
    nested.push(chosen)
  }
  return { succeeded, operations, nested }
}

export function isFailure(chosen: ChosenTxn | Failure): chosen is Failure {
  return 'status' in chosen
}

/** How many keys a transaction may look at, about; no more is counted once it is found to be long. */
export function txnCost(keyspace: Keyspace, txn: TxnRequest, before = 0): number {
  let cost = before
  for (const { key, rangeEnd } of txn.compare) {
    cost += intervalCost(keyspace, key, rangeEnd)
    if (cost > limits.unslicedKeysMax) return cost
  }
  for (const operations of [txn.success, txn.failure]) {
    for (const operation of operations) {
      if (operation.kind === 'range')
        cost += limits.answeredKeyUnits * rangeCost(keyspace, operation.range)
      else if (operation.kind === 'deleteRange') cost += deleteCost(keyspace, operation.deleteRange)
      else if (operation.kind === 'txn') cost = txnCost(keyspace, operation.txn, cost)
      if (cost > limits.unslicedKeysMax) return cost
    }
  }
  return cost
}

export function deleteCost(keyspace: Keyspace, request: DeleteRangeRequest): number {
  const { key, rangeEnd, prevKv } = request
  return intervalCost(keyspace, key, rangeEnd) * (prevKv ? limits.answeredKeyUnits : 1)
}

function intervalCost(keyspace: Keyspace, key: Uint8Array, rangeEnd: Uint8Array): number {
  if (rangeEnd.length === 0 || !isInterval(key, rangeEnd)) return 1
  return keyspace.indexedCount(key, intervalEnd(rangeEnd))
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
  readonly #view: TxnView
  readonly #result = new RangeResult()

  /** Without `change` there are only ranges to run. */
  constructor(
    keyspace: Keyspace,
    change: Change | undefined,
    writer: Writer | undefined,
    tally: EtcdTally,
    view: TxnView = asItStands,
  ) {
    this.#view = view
    this.#keyspace = keyspace
    this.#change = change
    this.#writer = writer
    this.#tally = tally
    tally.transactions += 1
  }

  *run(chosen: ChosenTxn): Steps {
    this.#writer?.flag(txnResponseTag.succeeded, chosen.succeeded)
    let nested = 0
    for (const operation of chosen.operations) {
      const mark = this.#writer?.open(txnResponseTag.responses)
      if (operation.kind === 'range') yield* this.#range(operation.range)
      else if (operation.kind === 'put') this.#put(operation.put)
      else if (operation.kind === 'deleteRange') yield* this.#deleteRange(operation.deleteRange)
      else if (operation.kind === 'txn') {
        yield* this.#nested(chosen.nested[nested] as ChosenTxn)
        nested += 1
      }
      if (mark !== undefined) this.#writer?.close(mark)
      if (this.#view.slice.spent(2)) yield
    }
  }

  *#nested(chosen: ChosenTxn): Steps {
    const mark = this.#writer?.open(responseOpTag.txn)
    // etcd sends this header empty.
    if (this.#writer !== undefined) writeInnerHeader(this.#writer, 0)
    yield* this.run(chosen)
    if (mark !== undefined) this.#writer?.close(mark)
  }

  *#range(range: RangeRequest): Steps {
    this.#tally.ranges += 1
    const writer = this.#writer
    // What is too long already is only measured, for a read's room; nobody asks for more after a change.
    if (writer === undefined || (writer.overflowed && this.#change !== undefined)) return
    const keyspace = this.#keyspace
    const result = this.#result
    yield* this.#collect(range)
    if (this.#change !== undefined) {
      const bytes = yield* bytesInSlices(keyspace, range, result, this.#view.slice)
      if (!writer.prepare(headerBytesMax + bytes)) return
    } else if (writer.overflowed) {
      writer.discard(headerBytesMax + rangeBytesMax(keyspace, range, result))
      return
    }
    const mark = writer.open(responseOpTag.range)
    writeInnerHeader(writer, this.#view.revision || keyspace.revision)
    yield* writeInSlices(writer, keyspace, range, result, this.#view.slice)
    writer.close(mark)
  }

  *#collect(range: RangeRequest): Steps {
    const { slice, revision } = this.#view
    const asOf = Math.max(0, range.revision) || revision
    if (slice === endlessSlice) collectRange(this.#keyspace, range, this.#result)
    else yield* collectInSlices(this.#keyspace, range, asOf, slice, this.#result)
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

  *#deleteRange(request: DeleteRangeRequest): Steps {
    const change = this.#change
    if (change === undefined) return
    const writer = this.#writer
    const mark = writer?.open(responseOpTag.deleteRange)
    const header = (revision: number): void => {
      if (writer !== undefined) writeInnerHeader(writer, revision)
    }
    yield* deleteRange(this.#keyspace, change, request, writer, header, this.#view.slice)
    if (mark !== undefined) writer?.close(mark)
  }
}

/** Deletes, and writes the response; `header` is told the revision that it shows. */
export function* deleteRange(
  keyspace: Keyspace,
  change: Change,
  request: DeleteRangeRequest,
  writer: Writer | undefined,
  header: (revision: number) => void,
  slice: Pick<Slice, 'spent'>,
): Steps {
  change.tally.deletes += 1
  const found = yield* change.found(request, slice)
  // The first of them sets the revision that the header, which comes first, shows.
  const [first] = found
  if (first !== undefined) change.remove(first)
  header(keyspace.revision)
  writer?.number(deleteRangeResponseTag.deleted, found.length)
  let prevKvs = request.prevKv ? writer : undefined
  if (prevKvs !== undefined) {
    const bytes = yield* bytesInSlices(keyspace, { keysOnly: false }, { pointers: found }, slice)
    if (!prevKvs.prepare(bytes)) prevKvs = undefined
  }
  for (let index = 0; index < found.length; index += 1) {
    const pointer = found[index] as Pointer
    if (index > 0) change.remove(pointer)
    if (prevKvs !== undefined) {
      writeKeyValue(prevKvs, deleteRangeResponseTag.prevKvs, keyspace, pointer)
    }
    if (slice.spent(2 + (keyspace.valueLength(pointer) >>> 10))) yield
  }
}

/** Up to the first that does not hold. */
function* allHold(
  keyspace: Keyspace,
  compares: readonly Compare[],
  view: TxnView,
  counted: Compares,
): Generator<void, boolean, void> {
  for (const compare of compares) {
    const isOne = compare.rangeEnd.length === 0
    if (isOne || !isInterval(compare.key, compare.rangeEnd)) {
      const pointer = isOne ? keyspace.get(compare.key, view.revision) : 0
      if (!holdsFor(keyspace, compare, pointer)) return false
    } else if (!(yield* holdsInRange(keyspace, compare, view, counted))) return false
  }
  return true
}

/** For every key there is, or, where there is none, for one that is not there. */
function* holdsInRange(
  keyspace: Keyspace,
  compare: Compare,
  { slice, revision }: TxnView,
  counted: Compares,
): Generator<void, boolean, void> {
  const walk = keyspace.walk(compare.key, intervalEnd(compare.rangeEnd))
  let isEmpty = true
  walk.resume()
  for (let id = walk.next(); id !== 0; id = walk.next()) {
    const pointer = keyspace.existingAt(id, revision)
    if (pointer !== 0) {
      isEmpty = false
      // What is only a tombstone is not counted: when it goes, each node decides for itself.
      counted.keysLeft -= 1
      if (counted.keysLeft < 0 || !holdsFor(keyspace, compare, pointer)) return false
    }
    if (!slice.spent(1)) continue
    walk.pause()
    yield
    walk.resume()
  }
  return !isEmpty || holdsFor(keyspace, compare, 0)
}

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

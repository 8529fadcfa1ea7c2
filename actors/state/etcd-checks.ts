/**
 * What can be said about a request without looking at the store. The gateway asks before it
 * proposes; apply asks again, so that no entry depends on which gateway wrote it.
 */
import type { DeleteRangeRequest } from '../../transport/etcd/messages/delete-range.ts'
import { type Failure, failure } from '../../transport/etcd/messages/failures.ts'
import { keyText } from '../../transport/etcd/messages/key-text.ts'
import type { PutRequest } from '../../transport/etcd/messages/put.ts'
import { type RangeRequest, sortOrder, sortTarget } from '../../transport/etcd/messages/range.ts'
import type { RequestOp, TxnRequest } from '../../transport/etcd/messages/txn.ts'
import { KeyIntervals } from './key-intervals.ts'

export const txnOperationsMax = 128
/** Compares and operations of one transaction with all that is nested in it; etcd bounds each level alone. */
export const txnPartsMax = 8_192
export const leaseTtlSecondsMax = 9_000_000_000

export function checkPut(put: PutRequest): Failure | undefined {
  if (put.key.length === 0) return failure.keyNotProvided
  if (put.ignoreValue && put.value.length !== 0) return failure.valueProvided
  if (put.ignoreLease && (put.leaseHigh !== 0 || put.leaseLow !== 0)) return failure.leaseProvided
  return undefined
}

export function checkRange(range: RangeRequest): Failure | undefined {
  if (range.key.length === 0) return failure.keyNotProvided
  if (range.sortOrder < sortOrder.none || range.sortOrder > sortOrder.descend) {
    return failure.invalidSortOption
  }
  if (range.sortTarget < sortTarget.key || range.sortTarget > sortTarget.value) {
    return failure.invalidSortOption
  }
  return undefined
}

export function checkDeleteRange(request: DeleteRangeRequest): Failure | undefined {
  return request.key.length === 0 ? failure.keyNotProvided : undefined
}

export function checkTxn(txn: TxnRequest): Failure | undefined {
  return (
    checkTxnOperations(txn, txnOperationsMax) ??
    (partsOf(txn) > txnPartsMax ? failure.tooManyOperations : undefined) ??
    collectChanges(txn.success).failure ??
    collectChanges(txn.failure).failure
  )
}

/** No put and no delete, as far as etcd looks: a nested transaction counts as a write. */
export function isReadOnly(txn: TxnRequest): boolean {
  return txn.success.every(isRange) && txn.failure.every(isRange)
}

/** It has a put, in whatever branch. */
export function mayGrow(txn: TxnRequest): boolean {
  const isGrowing = (operation: RequestOp): boolean =>
    operation.kind === 'put' || (operation.kind === 'txn' && mayGrow(operation.txn))
  return txn.success.some(isGrowing) || txn.failure.some(isGrowing)
}

/** All its ranges ask for it; so does a transaction without any. */
export function isSerializable(txn: TxnRequest): boolean {
  return txn.success.every(isSerializableRange) && txn.failure.every(isSerializableRange)
}

function isRange(operation: RequestOp): boolean {
  return operation.kind === 'range'
}

function isSerializableRange(operation: RequestOp): boolean {
  return operation.kind === 'range' && operation.range.serializable
}

/** What a transaction uses up is not there for those inside it. */
function checkTxnOperations(txn: TxnRequest, operationsMax: number): Failure | undefined {
  const size = Math.max(txn.compare.length, txn.success.length, txn.failure.length)
  if (size > operationsMax) return failure.tooManyOperations
  for (const compare of txn.compare) if (compare.key.length === 0) return failure.keyNotProvided
  for (const operation of txn.success) {
    const found = checkOperation(operation, operationsMax - size)
    if (found !== undefined) return found
  }
  for (const operation of txn.failure) {
    const found = checkOperation(operation, operationsMax - size)
    if (found !== undefined) return found
  }
  return undefined
}

function checkOperation(operation: RequestOp, operationsMax: number): Failure | undefined {
  switch (operation.kind) {
    case 'range':
      return checkRange(operation.range)
    case 'put':
      return checkPut(operation.put)
    case 'deleteRange':
      return checkDeleteRange(operation.deleteRange)
    case 'txn':
      return checkTxnOperations(operation.txn, operationsMax)
    case 'none':
      return failure.keyNotFound
  }
}

function partsOf({ compare, success, failure: otherwise }: TxnRequest): number {
  let parts = compare.length + success.length + otherwise.length
  for (const operation of success) if (operation.kind === 'txn') parts += partsOf(operation.txn)
  for (const operation of otherwise) if (operation.kind === 'txn') parts += partsOf(operation.txn)
  return parts
}

interface Changes {
  puts: Set<string>
  deletes: KeyIntervals
  failure: Failure | undefined
}

/**
 * Within one branch a key is put once at most, and not where the branch deletes; both branches of a
 * nested transaction may put the same key, since one of them runs. A `range_end` of one zero byte
 * is compared as it stands, so that, as in etcd, deleting everything and putting goes together.
 */
function collectChanges(operations: readonly RequestOp[]): Changes {
  const changes: Changes = { puts: new Set(), deletes: new KeyIntervals(), failure: undefined }
  for (const operation of operations) {
    if (operation.kind !== 'deleteRange') continue
    const { key, rangeEnd } = operation.deleteRange
    changes.deletes.add(keyText(key), keyText(rangeEnd))
  }
  for (const operation of operations) {
    if (operation.kind === 'txn') addNested(changes, operation.txn)
  }
  for (const operation of operations) {
    if (operation.kind === 'put') addPut(changes, keyText(operation.put.key), undefined)
  }
  return changes
}

function addNested(changes: Changes, txn: TxnRequest): void {
  const success = collectChanges(txn.success)
  const otherwise = collectChanges(txn.failure)
  changes.failure ??= success.failure ?? otherwise.failure
  const isFirst = changes.puts.size === 0 && changes.deletes.isEmpty
  // Nothing that they could contradict: so a chain of transactions does not copy them at every level.
  if (isFirst) changes.puts = otherwise.puts.size === 0 ? success.puts : new Set(success.puts)
  else for (const key of success.puts) addPut(changes, key, undefined)
  for (const key of otherwise.puts) addPut(changes, key, success.puts)
  changes.deletes.addAll(success.deletes)
  changes.deletes.addAll(otherwise.deletes)
}

function addPut(changes: Changes, key: string, alternative: ReadonlySet<string> | undefined): void {
  const twice = changes.puts.has(key) && alternative?.has(key) !== true
  if (twice || changes.deletes.covers(key)) changes.failure ??= failure.duplicateKey
  changes.puts.add(key)
}

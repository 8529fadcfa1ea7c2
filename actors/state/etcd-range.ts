/**
 * Finds what a range asks for: a scan by key, then filters, order and limit, in etcd's order of
 * steps (facts: `count` is what the scan found, before everything else).
 */
import type { Keyspace, Pointer } from '../../storage/keyspace.ts'
import { type Failure, failure } from '../../transport/etcd/messages/failures.ts'
import { keyValueBytes, writeKeyValue } from '../../transport/etcd/messages/key-value.ts'
import {
  type RangeRequest,
  rangeResponseTag,
  sortOrder,
  sortTarget,
} from '../../transport/etcd/messages/range.ts'
import type { Writer } from '../../transport/etcd/messages/writer.ts'
import { limits } from './limits.ts'
import { type Slice, type Steps, unitsOfBytes } from './slices.ts'
import { sortInSlices } from './sort-slices.ts'

export class RangeResult {
  pointers: Pointer[] = []
  count = 0
  more = false
}

export function rangeFailure(keyspace: Keyspace, range: RangeRequest): Failure | undefined {
  if (range.revision <= 0) return undefined
  if (range.revision > keyspace.revision) return failure.futureRevision
  return range.revision < keyspace.compactRevision ? failure.compacted : undefined
}

/** Fills `result`; its pointers are good until the next change. */
export function collectRange(keyspace: Keyspace, range: RangeRequest, result: RangeResult): void {
  result.pointers.length = 0
  result.more = false
  const revision = Math.max(0, range.revision)
  if (range.rangeEnd.length === 0) return collectKey(keyspace, range, revision, result)
  if (!isInterval(range.key, range.rangeEnd)) {
    result.count = 0
    return
  }
  const to = intervalEnd(range.rangeEnd)
  if (range.countOnly) {
    result.count = keyspace.count(range.key, to, revision)
    return
  }
  const limit = Math.max(0, range.limit)
  const scanMax = limit === 0 || needsAll(range) ? 0 : limit + 1
  const found = keyspace.range(range.key, to, revision, scanMax, result.pointers)
  result.count = found === scanMax ? keyspace.count(range.key, to, revision) : found
  refine(keyspace, range, result)
  if (limit > 0 && result.pointers.length > limit) {
    result.pointers.length = limit
    result.more = true
  }
}

/** How many keys `collectRange` looks at, about. */
export function rangeCost(keyspace: Keyspace, range: RangeRequest): number {
  if (range.rangeEnd.length === 0 || !isInterval(range.key, range.rangeEnd)) return 1
  const isCurrent = keyspace.isCurrent(Math.max(0, range.revision))
  if (isCurrent && range.countOnly) return 1
  const to = intervalEnd(range.rangeEnd)
  const indexed = keyspace.indexedCount(range.key, to)
  if (indexed <= limits.unslicedKeysMax || range.limit <= 0) return indexed
  if (!isCurrent || needsAll(range)) return indexed
  return Math.min(indexed, range.limit + 1 + keyspace.deadCount(range.key, to))
}

/**
 * The same as `collectRange` in slices, as of `revision` (0: now), which is pinned if changes pass
 * meanwhile.
 */
export function* collectInSlices(
  keyspace: Keyspace,
  range: RangeRequest,
  revision: number,
  slice: Pick<Slice, 'spent'>,
  result: RangeResult,
): Steps {
  result.pointers = []
  result.more = false
  if (range.rangeEnd.length === 0 || !isInterval(range.key, range.rangeEnd)) {
    collectRange(keyspace, { ...range, revision }, result)
    return
  }
  const limit = Math.max(0, range.limit)
  const kept = limit === 0 || needsAll(range) ? Number.POSITIVE_INFINITY : limit + 1
  yield* walkInSlices(keyspace, range, revision, kept, slice, result)
  const descending = range.sortOrder === sortOrder.descend
  if (range.sortTarget !== sortTarget.key) {
    const compare = comparator(keyspace, range.sortTarget)
    const ordered: typeof compare = descending ? (left, right) => compare(right, left) : compare
    result.pointers = yield* sortInSlices(result.pointers, ordered, slice)
  } else if (descending) result.pointers.reverse()
  if (limit === 0 || result.pointers.length <= limit) return
  result.pointers.length = limit
  result.more = true
}

function* walkInSlices(
  keyspace: Keyspace,
  range: RangeRequest,
  revision: number,
  kept: number,
  slice: Pick<Slice, 'spent'>,
  result: RangeResult,
): Steps {
  const to = intervalEnd(range.rangeEnd)
  const counted = keyspace.isCurrent(revision) ? keyspace.count(range.key, to, 0) : -1
  const passes = filterOf(keyspace, range)
  const { pointers } = result
  const walk = keyspace.walk(range.key, to)
  let count = 0
  walk.resume()
  for (let id = walk.next(); id !== 0; id = walk.next()) {
    const pointer = keyspace.existingAt(id, revision)
    if (pointer !== 0) {
      count += 1
      if (!range.countOnly && pointers.length < kept && passes(pointer)) pointers.push(pointer)
      if (counted >= 0 && pointers.length >= kept) break
    }
    if (!slice.spent(1)) continue
    walk.pause()
    yield
    walk.resume()
  }
  result.count = counted >= 0 ? counted : count
}

/** `rangeBytesMax` in slices. */
export function* bytesInSlices(
  keyspace: Keyspace,
  range: Pick<RangeRequest, 'keysOnly'>,
  result: { readonly pointers: readonly Pointer[] },
  slice: Pick<Slice, 'spent'>,
): Generator<void, number, void> {
  let bytes = 32
  for (const pointer of result.pointers) {
    bytes += 11 + keyValueBytes(keyspace, pointer, range.keysOnly)
    if (slice.spent(1)) yield
  }
  return bytes
}

/** `writeRange` in slices. */
export function* writeInSlices(
  writer: Writer,
  keyspace: Keyspace,
  range: RangeRequest,
  result: RangeResult,
  slice: Pick<Slice, 'spent'>,
): Steps {
  for (const pointer of result.pointers) {
    const before = writer.size
    writeKeyValue(writer, rangeResponseTag.kvs, keyspace, pointer, range.keysOnly)
    if (slice.spent(unitsOfBytes(Math.max(0, writer.size - before)))) yield
  }
  writer.flag(rangeResponseTag.more, result.more)
  writer.number(rangeResponseTag.count, result.count)
}

/** kvs, more and count: what follows the header. */
export function writeRange(
  writer: Writer,
  keyspace: Keyspace,
  range: RangeRequest,
  result: RangeResult,
): void {
  const { pointers } = result
  for (let index = 0; index < pointers.length; index += 1) {
    writeKeyValue(
      writer,
      rangeResponseTag.kvs,
      keyspace,
      pointers[index] as Pointer,
      range.keysOnly,
    )
  }
  writer.flag(rangeResponseTag.more, result.more)
  writer.number(rangeResponseTag.count, result.count)
}

/** At least as many bytes as `writeRange` writes. */
export function rangeBytesMax(
  keyspace: Keyspace,
  range: RangeRequest,
  result: RangeResult,
): number {
  const { pointers } = result
  let bytes = 32
  for (let index = 0; index < pointers.length; index += 1) {
    bytes += 11 + keyValueBytes(keyspace, pointers[index] as Pointer, range.keysOnly)
  }
  return bytes
}

/** Whether [key, rangeEnd) can hold anything; a single zero byte stands for the end of all keys. */
export function isInterval(key: Uint8Array, rangeEnd: Uint8Array): boolean {
  return intervalEnd(rangeEnd) === null || Buffer.compare(key, rangeEnd) < 0
}

export function intervalEnd(rangeEnd: Uint8Array): Uint8Array | null {
  return rangeEnd.length === 1 && rangeEnd[0] === 0 ? null : rangeEnd
}

function collectKey(
  keyspace: Keyspace,
  range: RangeRequest,
  revision: number,
  result: RangeResult,
): void {
  const pointer = keyspace.get(range.key, revision)
  result.count = pointer === 0 ? 0 : 1
  if (pointer === 0 || range.countOnly) return
  result.pointers.push(pointer)
  filter(keyspace, range, result)
}

function hasFilter(range: RangeRequest): boolean {
  return (
    range.minModRevision !== 0 ||
    range.maxModRevision !== 0 ||
    range.minCreateRevision !== 0 ||
    range.maxCreateRevision !== 0
  )
}

/** etcd looks at the order alone: another target without an order is sorted after the limit. */
function needsAll(range: RangeRequest): boolean {
  return range.sortOrder !== sortOrder.none || hasFilter(range)
}

function refine(keyspace: Keyspace, range: RangeRequest, result: RangeResult): void {
  filter(keyspace, range, result)
  const descending = range.sortOrder === sortOrder.descend
  if (range.sortTarget === sortTarget.key) {
    if (descending) result.pointers.reverse()
    return
  }
  const compare = comparator(keyspace, range.sortTarget)
  result.pointers.sort(descending ? (left, right) => compare(right, left) : compare)
}

function filter(keyspace: Keyspace, range: RangeRequest, result: RangeResult): void {
  if (hasFilter(range)) result.pointers = result.pointers.filter(filterOf(keyspace, range))
}

function filterOf(keyspace: Keyspace, range: RangeRequest): (pointer: Pointer) => boolean {
  if (!hasFilter(range)) return () => true
  const minMod = range.minModRevision || Number.NEGATIVE_INFINITY
  const maxMod = range.maxModRevision || Number.POSITIVE_INFINITY
  const minCreate = range.minCreateRevision || Number.NEGATIVE_INFINITY
  const maxCreate = range.maxCreateRevision || Number.POSITIVE_INFINITY
  return pointer => {
    const mod = keyspace.modRevision(pointer)
    const create = keyspace.createRevision(pointer)
    return mod >= minMod && mod <= maxMod && create >= minCreate && create <= maxCreate
  }
}

function comparator(keyspace: Keyspace, target: number): (left: Pointer, right: Pointer) => number {
  switch (target) {
    case sortTarget.version:
      return (left, right) => keyspace.version(left) - keyspace.version(right)
    case sortTarget.create:
      return (left, right) => keyspace.createRevision(left) - keyspace.createRevision(right)
    case sortTarget.mod:
      return (left, right) => keyspace.modRevision(left) - keyspace.modRevision(right)
    default:
      return (left, right) => Buffer.compare(valueView(keyspace, left), valueView(keyspace, right))
  }
}

/** A view. */
export function valueView(keyspace: Keyspace, pointer: Pointer): Uint8Array {
  const start = keyspace.valueOffset(pointer)
  return keyspace.bytes(pointer).subarray(start, start + keyspace.valueLength(pointer))
}

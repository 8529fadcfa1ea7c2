/**
 * multi: all of its operations, or none and no trace. Each sees what the earlier ones did; all have
 * one zxid. A failed one is still answered with error 0 in the header and a code for each operation.
 */
import { errorCode, MalformedRecord } from '../../transport/zookeeper/errors.ts'
import type { JuteReader } from '../../transport/zookeeper/jute-reader.ts'
import {
  decodeMultiHeader,
  encodeMultiEnd,
  encodeMultiFailure,
  encodeMultiResult,
} from '../../transport/zookeeper/multi.ts'
import { operation } from '../../transport/zookeeper/operations.ts'
import { checkRequest } from '../../transport/zookeeper/requests.ts'
import type { Slice, Steps } from './slices.ts'
import { writeStat } from './zookeeper-answers.ts'
import { settle, type Work } from './zookeeper-work.ts'

export function* applyMulti(work: Work, slice: Pick<Slice, 'spent'>): Steps {
  const { world, answer, writes, results } = work
  const { tree } = world
  const outcome: Outcome = { count: 0, failedAt: -1, error: errorCode.ok, writes: 0 }
  tree.begin()
  results.begin()
  try {
    yield* runAll(work, outcome, slice)
  } catch (error) {
    tree.rollback()
    results.abandon()
    writes.changes = []
    if (!(error instanceof MalformedRecord)) throw error
    answer.error(errorCode.marshallingError)
    return
  }
  if (outcome.failedAt >= 0) {
    tree.rollback()
    results.abandon()
    writes.changes = []
    answerFailure(work, outcome)
    return
  }
  tree.commit()
  if (outcome.writes > 0) settle(work)
  const body = results.finish()
  if (!answer.wanted) return
  answer.begin().raw(body, 0, body.length)
  encodeMultiEnd(answer.writer)
  answer.finish()
}

interface Outcome {
  count: number
  failedAt: number
  error: number
  /** Operations that changed something: a multi of checks leaves the zxid as it is. */
  writes: number
}

function* runAll(work: Work, outcome: Outcome, slice: Pick<Slice, 'spent'>): Steps {
  const { reader } = work
  for (;;) {
    const type = decodeMultiHeader(reader)
    if (type === undefined) return
    const error = runOne(work, type)
    if (error !== errorCode.ok) {
      outcome.failedAt = outcome.count
      outcome.error = error
      outcome.count += 1 + countRest(work.reader)
      return
    }
    outcome.count += 1
    if (type !== operation.check) outcome.writes += 1
    if (work.answer.wanted) encodeResult(work, type)
    if (slice.spent(2)) yield
  }
}

function runOne({ reader, writes }: Work, type: number): number {
  switch (type) {
    case operation.create:
    case operation.create2:
      return writes.create(reader)
    case operation.delete:
      return writes.delete(reader)
    case operation.setData:
      return writes.setData(reader)
    case operation.check:
      return writes.check(reader)
    case operation.createContainer:
    case operation.createTtl:
      // Not served yet: what it was to be fails, and the rest with it.
      checkRequest(reader, type)
      return errorCode.unimplemented
    default:
      throw new MalformedRecord(`operation ${type} in a multi`)
  }
}

function encodeResult({ writes, world, results }: Work, type: number): void {
  encodeMultiResult(results, type)
  if (type === operation.create || type === operation.create2) results.string(writes.path)
  if (type === operation.create2 || type === operation.setData) {
    writeStat(results, world.tree, writes.node)
  }
}

/** Those behind the one that failed are answered too. */
function countRest(reader: JuteReader): number {
  for (let count = 0; ; count += 1) {
    const type = decodeMultiHeader(reader)
    if (type === undefined) return count
    checkRequest(reader, type)
  }
}

function answerFailure({ answer }: Work, { count, failedAt, error }: Outcome): void {
  if (!answer.wanted) return
  encodeMultiFailure(answer.begin(), count, failedAt, error)
  answer.finish()
}

/**
 * Applies ZooKeeper's commands: deterministic, one at a time. The zxid grows by one exactly when
 * the tree or the sessions changed (DESIGN.md D7). Changes are emitted in order before the reply,
 * and only the node where the client is answers.
 */
import { errorCode, MalformedRecord } from '../../transport/zookeeper/errors.ts'
import { operation } from '../../transport/zookeeper/operations.ts'
import { limits } from './limits.ts'
import type { Steps } from './slices.ts'
import type { Command } from './world.ts'
import { writeStat } from './zookeeper-answers.ts'
import { ownOperation, replyStatus } from './zookeeper-commands.ts'
import { applyMulti } from './zookeeper-multi.ts'
import { attachSession, closeSession, createSession, suspendSession } from './zookeeper-sessions.ts'
import { settle, unlessLong, type Work } from './zookeeper-work.ts'

export function applyCommand(work: Work, command: Command): Steps | undefined {
  begin(work, command)
  const { header, world, answer } = work
  if (header.operation === ownOperation.createSession) {
    createSession(work, command)
    return undefined
  }
  const session = world.lifetimes.session(header.session)
  if (header.operation === ownOperation.attach) {
    attachSession(work, command, session)
    return undefined
  }
  if (session === undefined) answer.error(errorCode.sessionExpired)
  else if (session.node !== command.node || session.connection !== header.connection) {
    answer.notice(replyStatus.close, nothing)
  } else if (header.operation === operation.closeSession) return closeSession(work, session)
  else if (header.operation === operation.multi) {
    const { unslicedKeysMax } = world.slices ?? limits
    const isLong = command.end - command.start > unslicedKeysMax * operationBytes
    return unlessLong(work, isLong, slice => applyMulti(work, slice))
  } else applyWrite(work)
  return undefined
}

/**
 * Too late for its client, whose connection is closed. Nothing that it sent behind this may apply
 * either: its session is attached to no connection until the client comes back.
 */
export function refuseCommand(work: Work, command: Command): void {
  begin(work, command)
  const { header, world, answer } = work
  const session = world.lifetimes.session(header.session)
  const isAttached = session?.node === command.node && session.connection === header.connection
  if (session !== undefined && isAttached) suspendSession(world, session)
  answer.notice(replyStatus.close, nothing)
}

function begin(work: Work, command: Command): void {
  const { world, header, reader, answer, writes } = work
  header.read(command.view, command.start)
  reader.reset(command.bytes, header.body, command.end)
  answer.emitter = world.emitter
  answer.stream = command.stream
  answer.connection = header.connection
  answer.xid = header.xid
  answer.sequence = command.sequence
  answer.zxid = world.numbers.zxid
  answer.wanted = command.local
  writes.zxid = world.numbers.zxid + 1
  writes.time = command.time
  writes.ownerHigh = header.sessionHigh
  writes.ownerLow = header.sessionLow
  writes.watched = world.emitter.znodesWatched
  writes.access.callerIs(header, command.bytes)
}

function applyWrite(work: Work): void {
  const { header, answer } = work
  const error = writeOnce(work)
  if (error !== errorCode.ok) {
    answer.error(error)
    return
  }
  settle(work)
  if (!answer.wanted) return
  if (header.operation === operation.delete) answer.error(errorCode.ok)
  else answerWrite(work)
}

/** Records are read whole before anything changes, so one that does not decode changes nothing. */
function writeOnce({ header, reader, writes }: Work): number {
  try {
    switch (header.operation) {
      case operation.create:
      case operation.create2:
        return writes.create(reader)
      case operation.delete:
        return writes.delete(reader)
      case operation.setData:
        return writes.setData(reader)
      case operation.setAcl:
        return writes.setAcl(reader)
      default:
        return errorCode.unimplemented
    }
  } catch (error) {
    if (error instanceof MalformedRecord) return errorCode.marshallingError
    throw error
  }
}

function answerWrite({ header, answer, writes, world }: Work): void {
  const writer = answer.begin()
  const { operation: type } = header
  if (type === operation.create || type === operation.create2) writer.string(writes.path)
  if (type !== operation.create) writeStat(writer, world.tree, writes.node)
  answer.finish()
}

/** Of an operation in a multi, about. */
const operationBytes = 64
const nothing = new Uint8Array(0)

/**
 * Calls with one request and one answer. Their form is checked here; what needs the store is checked
 * where they apply. The answers of writes come in the order of their sequences, those of linearizable
 * reads, and of others, in the order in which they were given to the state machine.
 */
import type { Random } from '../../runtime/host.ts'
import type { CallHead } from '../../transport/etcd/api.ts'
import { decodeCompaction } from '../../transport/etcd/messages/compaction.ts'
import { decodeDeleteRange } from '../../transport/etcd/messages/delete-range.ts'
import { type Failure, failure, failureOf } from '../../transport/etcd/messages/failures.ts'
import {
  decodeLease,
  decodeLeaseGrant,
  writeLeaseGrant,
} from '../../transport/etcd/messages/lease.ts'
import { alarmAction, alarmType, decodeAlarm } from '../../transport/etcd/messages/maintenance.ts'
import { decodePut } from '../../transport/etcd/messages/put.ts'
import { decodeRange } from '../../transport/etcd/messages/range.ts'
import { MalformedMessage, NestedTooDeep } from '../../transport/etcd/messages/reader.ts'
import { decodeTxn } from '../../transport/etcd/messages/txn.ts'
import { entryKind } from '../consensus/entry.ts'
import {
  checkDeleteRange,
  checkPut,
  checkRange,
  checkTxn,
  isReadOnly,
  mayGrow,
  isSerializable,
  leaseTtlSecondsMax,
} from '../state/etcd-checks.ts'
import { callBytes, etcdOperation, etcdRead, writeCall } from '../state/etcd-commands.ts'
import type { Proposals } from '../state/proposals.ts'
import type { ReplyMessage } from '../watches/messages.ts'
import type { About } from './etcd-about.ts'
import { type AnswerRoom, readRoomBytes } from './etcd-answer-room.ts'
import { Deadlines } from './etcd-deadlines.ts'
import type { EtcdDoor } from './etcd-door.ts'
import type { Leases } from './etcd-leases.ts'
import { limits } from './etcd-limits.ts'
import type { LinearRead, LinearReads } from './etcd-linear-reads.ts'
import { method } from './etcd-methods.ts'
import { ownConnection, type StateReads } from './etcd-state-reads.ts'
import type { Served, WaitingCall, WaitingCalls } from './etcd-waiting-calls.ts'

export interface UnaryParts {
  readonly random: Random
  readonly proposals: Proposals
  readonly reads: StateReads
  readonly linear: LinearReads
  readonly leases: Leases
  readonly about: About
  readonly room: AnswerRoom
  readonly waiting: WaitingCalls
}

/** Why a call is refused, or that there is no room for it now; undefined: it is answered now or later. */
type Outcome = Failure | 'connectionFull' | 'full' | undefined

/** What keeps others alive or makes room: no load of theirs keeps these waiting. */
const urgentMethods: ReadonlySet<number> = new Set([
  method.deleteRange,
  method.compact,
  method.leaseRevoke,
  method.leaseTimeToLive,
  method.memberList,
  method.alarm,
  method.status,
  method.healthCheck,
])

const nothing = new Uint8Array(0)

export class Unary {
  readonly #door: EtcdDoor
  readonly #parts: UnaryParts
  readonly #writeDeadlines: Deadlines
  readonly #readDeadlines: Deadlines
  readonly #localDeadlines: Deadlines
  #appliedSequence = 0
  /** Of the call that is served now: how long its client waits at most, since when, and its class. */
  #timeoutMillis = 0
  #startMillis = 0
  #isUrgent = false
  #readsGiven = 0
  #readsAnswered = 0
  #localsGiven = 0
  #localsAnswered = 0

  constructor(door: EtcdDoor, parts: UnaryParts) {
    this.#door = door
    this.#parts = parts
    this.#writeDeadlines = new Deadlines(door.setup.requestTimeoutMillis)
    this.#readDeadlines = new Deadlines(door.setup.requestTimeoutMillis)
    this.#localDeadlines = new Deadlines(door.setup.requestTimeoutMillis)
  }

  call(connection: number, call: number, head: CallHead, message: Uint8Array): void {
    const door = this.#door
    if (head.hasLeader && door.lacksLeader) return door.fail(connection, call, failure.noLeader)
    const one = { connection, call, head, message, startMillis: door.nowMillis }
    const { waiting } = this.#parts
    const isBehind = waiting.has(connection) && !urgentMethods.has(head.method.id)
    if (!isBehind && this.#serveOne(one) === 'served') return
    if (!waiting.add(one)) door.fail(connection, call, failure.tooManyRequests)
  }

  /** At the end of a round: those that waited. */
  serveWaiting(): void {
    this.#parts.waiting.serve(one => this.#serveOne(one))
  }

  /** Its client has given it up. */
  cancelled(connection: number, call: number): void {
    const { waiting, room, reads } = this.#parts
    let isOver = waiting.cancelled(connection, call)
    for (const tag of [tagOf(call, false), tagOf(call, true)]) {
      if (!room.cancelled(connection, tag)) continue
      reads.cancel(connection, tag)
      isOver = true
    }
    // The port counts calls that are given up and still worked on.
    if (isOver) this.#door.fail(connection, call, failure.timedOut)
  }

  connectionClosed(connection: number): boolean {
    this.#parts.waiting.connectionClosed(connection)
    return this.#parts.room.connectionGone(connection)
  }

  /** The answer to a read is longer than what was set aside for it. */
  needsRoom(connection: number, tag: number, bytes: number): void {
    const { room } = this.#parts
    if (room.needed(connection, tag, bytes, this.#door.nowMillis)) return
    // It is answered out of its turn: its own time runs from here on.
    if (isLinear(tag)) this.#readsAnswered += 1
    else this.#localsAnswered += 1
  }

  /** A read that waited for room until its time was over. */
  roomLate(connection: number, tag: number): void {
    this.#parts.reads.cancel(connection, tag)
    this.#door.fail(connection, callOf(tag), failure.timedOut)
  }

  #serveOne({ connection, call, head, message, startMillis }: WaitingCall): Served {
    const door = this.#door
    try {
      this.#timeoutMillis = timeoutOf(head, door.setup.requestTimeoutMillis)
      this.#startMillis = startMillis
      this.#isUrgent = urgentMethods.has(head.method.id)
      const outcome = this.#serve(connection, call, head.method.id, message)
      if (outcome === 'full' || outcome === 'connectionFull') return outcome
      if (outcome !== undefined) door.fail(connection, call, outcome)
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error
      if (error instanceof NestedTooDeep) {
        door.fail(connection, call, failure.tooManyOperations)
      } else {
        const text = `grpc: error unmarshalling request: ${error.message}`
        door.server.fail(connection, call, failure.malformed.code, text)
      }
    }
    return 'served'
  }

  replied({ connection, tag, sequence, status, body }: ReplyMessage): void {
    if (sequence > 0) {
      this.#applied(sequence)
      this.#parts.room.writeAnswered(body.length)
    }
    if (connection === ownConnection) {
      this.#parts.reads.answered(tag, body, status === 0 ? undefined : failureOf(status))
      return
    }
    if (sequence === 0) this.#readAnswered(connection, tag)
    if (status === 0) this.#door.server.reply(connection, callOf(tag), body)
    else this.#door.fail(connection, callOf(tag), failureOf(status))
  }

  /** A linearizable read whose position is known now. */
  giveLinear({ connection, call, startMillis, request }: LinearRead, position: number): void {
    this.#readsGiven += 1
    this.#readDeadlines.add(this.#readsGiven, connection, call, startMillis)
    const tag = tagOf(call, true)
    this.#parts.reads.tell(connection, tag, position, request ?? nothing, readRoomBytes)
  }

  /** A linearizable read for which no position came in time. */
  late({ connection, call }: LinearRead): void {
    if (connection === ownConnection) {
      this.#parts.reads.answered(call, nothing, failure.timedOut)
      return
    }
    this.#parts.room.answered(connection, tagOf(call, true))
    this.#door.fail(connection, call, failure.timedOut)
  }

  /** These writes have applied, but how they ended nobody here can tell. */
  unanswered(through: number): void {
    this.#applied(through)
    this.#writeDeadlines.takeThrough(through, (connection, call) =>
      this.#door.fail(connection, call, failure.timedOutLeaderFailed),
    )
  }

  /** `leaderFoundMillis`: since when the leader is known that is known now. */
  tick(leaderFoundMillis: number): void {
    const door = this.#door
    const { nowMillis } = door
    // etcd blames the last leader for what began shortly before a new one was found.
    const lostMillis = leaderFoundMillis - 2 * door.setup.electionMillis
    const writeTimedOut = (connection: number, call: number, start: number): void => {
      const isLeaders = start > lostMillis && start < leaderFoundMillis
      // As in etcd, whose proposals wait where they are made while nobody leads.
      const neverLed = door.leader === 0 && door.leaderLostMillis <= start
      const waited = neverLed ? failure.deadlineExceeded : failure.timedOut
      door.fail(connection, call, isLeaders ? failure.timedOutLeaderFailed : waited)
    }
    this.#writeDeadlines.expire(this.#appliedSequence, nowMillis, writeTimedOut)
    // What can only be void in the log by now does not go there.
    const longestMillis =
      door.setup.requestTimeoutMillis -
      (door.leader === 0 ? 0 : this.#parts.proposals.expectedMillis)
    this.#parts.waiting.expire(({ connection, call, startMillis }) => {
      if (nowMillis - startMillis < longestMillis) return false
      writeTimedOut(connection, call, startMillis)
      return true
    })
    this.#parts.room.tick(nowMillis)
    const timedOut = (connection: number, call: number): void =>
      door.fail(connection, call, failure.timedOut)
    this.#readDeadlines.expire(this.#readsAnswered, nowMillis, timedOut)
    this.#localDeadlines.expire(this.#localsAnswered, nowMillis, timedOut)
  }

  #serve(connection: number, call: number, which: number, message: Uint8Array): Outcome {
    if (this.#door.statesDiffer && needsState.has(which)) return failure.corrupt
    const reader = this.#door.reader.open(message)
    switch (which) {
      case method.put:
        return (
          checkPut(decodePut(reader)) ??
          this.#roomToGrow() ??
          this.#propose(etcdOperation.put, connection, call, message)
        )
      case method.range:
        return this.#range(connection, call, message)
      case method.deleteRange:
        return (
          checkDeleteRange(decodeDeleteRange(reader)) ??
          this.#propose(etcdOperation.deleteRange, connection, call, message)
        )
      case method.txn:
        return this.#txn(connection, call, message)
      case method.compact:
        decodeCompaction(reader)
        return this.#propose(etcdOperation.compact, connection, call, message)
      case method.leaseGrant:
        return this.#leaseGrant(connection, call)
      case method.leaseRevoke:
        decodeLease(reader)
        return this.#propose(etcdOperation.leaseRevoke, connection, call, message)
      case method.leaseTimeToLive:
        return this.#timeToLive(connection, call, message)
      case method.leaseLeases:
        return this.#read(etcdRead.leases, connection, call, nothing)
      case method.alarm:
        return this.#alarm(connection, call, message)
      default:
        return this.#parts.about.serve(connection, call, which)
    }
  }

  /** As etcd refuses with its alarm: deletes, compaction and the ends of leases go on. */
  #roomToGrow(): Failure | undefined {
    return this.#door.spaceLevel > 0 ? failure.noSpace : undefined
  }

  #propose(operation: number, connection: number, call: number, message: Uint8Array): Outcome {
    const { proposals, room } = this.#parts
    if (this.#door.spaceLevel > 1) return failure.noSpace
    if (message.length > this.#door.setup.requestBytesMax) return failure.requestTooLarge
    if (this.#isUrgent ? proposals.fullForUrgent : proposals.full) return 'full'
    // Its answer would lie with those that its client does not take.
    if (room.isFull(connection)) return 'connectionFull'
    const bodyBytes = callBytes + message.length
    const { target, view, start } = proposals.reserve(bodyBytes)
    writeCall(view, start, operation, connection, tagOf(call, false))
    target.set(message, start + callBytes)
    const untilMillis = this.#startMillis + this.#timeoutMillis
    const sequence = proposals.commit(entryKind.etcd, bodyBytes, {
      untilMillis,
      headBytes: callBytes,
    })
    this.#writeDeadlines.add(sequence, connection, call, this.#startMillis)
    return undefined
  }

  #range(connection: number, call: number, message: Uint8Array): Outcome {
    const range = decodeRange(this.#door.reader)
    const failed = checkRange(range)
    if (failed !== undefined) return failed
    if (range.serializable) return this.#read(etcdRead.range, connection, call, message)
    return this.#readLinear(etcdRead.range, connection, call, message)
  }

  #txn(connection: number, call: number, message: Uint8Array): Outcome {
    const txn = decodeTxn(this.#door.reader)
    const failed = checkTxn(txn)
    if (failed !== undefined) return failed
    if (mayGrow(txn)) {
      const full = this.#roomToGrow()
      if (full !== undefined) return full
    }
    if (!isReadOnly(txn)) return this.#propose(etcdOperation.txn, connection, call, message)
    if (isSerializable(txn)) return this.#read(etcdRead.txn, connection, call, message)
    return this.#readLinear(etcdRead.txn, connection, call, message)
  }

  #leaseGrant(connection: number, call: number): Outcome {
    const full = this.#roomToGrow()
    if (full !== undefined) return full
    const grant = decodeLeaseGrant(this.#door.reader)
    if (grant.ttlSeconds > leaseTtlSecondsMax) return failure.leaseTtlTooLarge
    grant.ttlSeconds = Math.max(grant.ttlSeconds, this.#door.setup.leaseTtlSecondsMin)
    while (grant.id === 0n) grant.id = this.#randomId()
    const writer = this.#door.writer.begin(32)
    writeLeaseGrant(writer, grant)
    return this.#propose(etcdOperation.leaseGrant, connection, call, writer.finish())
  }

  /** The only alarm is that of the quota: the state machine raises it, and nobody else. */
  #alarm(connection: number, call: number, message: Uint8Array): Outcome {
    const { action, alarm } = decodeAlarm(this.#door.reader)
    if (action === alarmAction.deactivate)
      return this.#propose(etcdOperation.alarm, connection, call, message)
    if (action !== alarmAction.get) return failure.unimplemented
    const which = alarm === alarmType.corrupt ? etcdRead.header : etcdRead.alarms
    return this.#readLinear(which, connection, call, nothing)
  }

  /** Positive, 63 bits. */
  #randomId(): bigint {
    const { random } = this.#parts
    return (BigInt(random.uint32() >>> 1) << 32n) | BigInt(random.uint32())
  }

  #timeToLive(connection: number, call: number, message: Uint8Array): Outcome {
    const { leases } = this.#parts
    const { id } = decodeLease(this.#door.reader)
    if (leases.count >= limits.leaseQuestionsMax) return failure.tooManyRequests
    leases.timeToLive({ kind: 'timeToLive', connection, call, id, message: message.slice() })
    return undefined
  }

  #read(which: number, connection: number, call: number, message: Uint8Array): Outcome {
    const { reads, room } = this.#parts
    if (!reads.hasRoom) return 'full'
    const taken = room.take(connection)
    if (taken !== 'taken') return taken
    this.#localsGiven += 1
    this.#localDeadlines.add(this.#localsGiven, connection, call, this.#startMillis)
    reads.tell(connection, tagOf(call, false), 0, reads.request(which, message), readRoomBytes)
    return undefined
  }

  #readLinear(which: number, connection: number, call: number, message: Uint8Array): Outcome {
    const { linear, reads, room } = this.#parts
    if (linear.count >= limits.readsWaitingMax) return 'full'
    const taken = room.take(connection)
    if (taken !== 'taken') return taken
    const request = reads.request(which, message)
    linear.add({ connection, call, startMillis: this.#startMillis, request, ready: undefined })
    return undefined
  }

  /** What waited for room was counted when it began to wait. */
  #readAnswered(connection: number, tag: number): void {
    if (this.#parts.room.answered(connection, tag)) return
    if (isLinear(tag)) this.#readsAnswered += 1
    else this.#localsAnswered += 1
  }

  #applied(sequence: number): void {
    this.#parts.proposals.applied(sequence, this.#door.nowMillis)
    this.#appliedSequence = Math.max(this.#appliedSequence, sequence)
  }
}

/** As etcd refuses with its alarm for corruption. */
const needsState: ReadonlySet<number> = new Set([
  method.put,
  method.range,
  method.deleteRange,
  method.txn,
  method.compact,
  method.leaseGrant,
  method.leaseRevoke,
])

/** What a client waits less than the estimate of the log's time may be late would be void for nothing. */
const timeoutMillisMin = 1_000

function timeoutOf(head: CallHead, requestTimeoutMillis: number): number {
  if (head.timeoutMillis === 0) return requestTimeoutMillis
  return Math.min(requestTimeoutMillis, Math.max(timeoutMillisMin, head.timeoutMillis))
}

/** The mark of a unary call for its way through the actors: its HTTP/2 stream, and how it reads. */
function tagOf(call: number, linear: boolean): number {
  return call * 2 + (linear ? 1 : 0)
}

function callOf(tag: number): number {
  return tag >>> 1
}

function isLinear(tag: number): boolean {
  return (tag & 1) === 1
}

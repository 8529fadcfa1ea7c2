/**
 * The gateway of etcd's port. Writes become proposals once their form is checked, reads go to the
 * state machine, linearizable ones behind a confirmation of leadership; what the watch actor passes
 * on is sent. One proposal message, one question to consensus and one socket write a connection
 * belong to a round. Any member serves any request.
 */
import type { Context, Definition, Ref } from '../../runtime/actor.ts'
import { unreachable } from '../../runtime/invariant.ts'
import type { CallHead, EtcdServer } from '../../transport/etcd/api.ts'
import { defaultLimits } from '../../transport/etcd/limits.ts'
import { decodeMemberList, writeMembers } from '../../transport/etcd/messages/cluster.ts'
import { decodeCompaction } from '../../transport/etcd/messages/compaction.ts'
import { decodeDeleteRange } from '../../transport/etcd/messages/delete-range.ts'
import { type Failure, failure, failureOf } from '../../transport/etcd/messages/failures.ts'
import { HeaderEncoder } from '../../transport/etcd/messages/header.ts'
import {
  decodeHealthCheck,
  healthStatus,
  writeHealth,
  writeHealthList,
} from '../../transport/etcd/messages/health.ts'
import {
  decodeLease,
  decodeLeaseGrant,
  writeLeaseGrant,
  writeLeaseTimes,
} from '../../transport/etcd/messages/lease.ts'
import {
  alarmAction,
  decodeAlarmAction,
  writeStatus,
} from '../../transport/etcd/messages/maintenance.ts'
import { decodePut } from '../../transport/etcd/messages/put.ts'
import { decodeRange } from '../../transport/etcd/messages/range.ts'
import { MalformedMessage, NestedTooDeep, Reader } from '../../transport/etcd/messages/reader.ts'
import { decodeTxn } from '../../transport/etcd/messages/txn.ts'
import { decodeWatch } from '../../transport/etcd/messages/watch.ts'
import { OwnRooms, Writer } from '../../transport/etcd/messages/writer.ts'
import { startEtcdServer } from '../../transport/etcd/server.ts'
import { entryKind } from '../consensus/entry.ts'
import { directory } from '../directory.ts'
import type { LeaseAnswer } from '../sessions/messages.ts'
import {
  checkDeleteRange,
  checkPut,
  checkRange,
  checkTxn,
  isReadOnly,
  isSerializable,
  leaseTtlSecondsMax,
} from '../state/etcd-checks.ts'
import {
  callBytes,
  etcdOperation,
  etcdRead,
  stateNumbers,
  timesBytes,
  writeCall,
} from '../state/etcd-commands.ts'
import { type StateMessage, stream } from '../state/messages.ts'
import { Proposals } from '../state/proposals.ts'
import type { ReplyMessage, WatchesMessage } from '../watches/messages.ts'
import { Deadlines } from './etcd-deadlines.ts'
import { answerHttp } from './etcd-http.ts'
import { EtcdInputs, type Input } from './etcd-inputs.ts'
import { type KeepAlive, Leases, type TimeToLive } from './etcd-leases.ts'
import { type LinearRead, LinearReads } from './etcd-linear-reads.ts'
import { method, methods } from './etcd-methods.ts'
import type { EtcdSetup } from './etcd-setup.ts'
import { type OpenStream, OpenStreams } from './etcd-streams.ts'
import type { GatewayMessage } from './messages.ts'

export type { EtcdMember, EtcdSetup } from './etcd-setup.ts'

/** What the gateway tells itself. */
type OwnMessage =
  | { readonly kind: 'input' }
  | { readonly kind: 'listening'; readonly error: Error | null }

export type EtcdMessage = GatewayMessage | LeaseAnswer | OwnMessage

export const etcdGateway: Definition<EtcdMessage, EtcdSetup> = {
  ...directory.etcd,
  mailboxMessagesMax: 4_194_304,
  start(context, setup) {
    const gateway = new Gateway(context, setup)
    return message => gateway.handle(message)
  },
}

const tickMillis = 100
const retryMillis = 500
const closeMillis = 500
/** The gateway's own reads have no connection; their tag finds what to do with the answer. */
const ownConnection = 0
const nothing = new Uint8Array(0)

class Gateway {
  readonly #context: Context<EtcdMessage>
  readonly #setup: EtcdSetup
  readonly #state: Ref<StateMessage>
  readonly #watches: Ref<WatchesMessage>
  readonly #server: EtcdServer
  readonly #proposals: Proposals
  readonly #inputs: EtcdInputs
  readonly #linear: LinearReads
  readonly #leases: Leases
  readonly #streams = new OpenStreams()
  readonly #writeDeadlines: Deadlines
  readonly #readDeadlines: Deadlines
  readonly #ownReads = new Map<number, (body: Uint8Array, failed: Failure | undefined) => void>()
  readonly #reader = new Reader()
  readonly #rooms = new OwnRooms()
  readonly #writer = new Writer(this.#rooms)
  readonly #header: HeaderEncoder
  readonly #bufferedBytesLow: number
  #ownReadCount = 0
  #appliedSequence = 0
  /** Linearizable reads given to the state machine, which answers them in order. */
  #readsGiven = 0
  #readsAnswered = 0
  #leader = 0
  #epoch = 0
  #leaderLostMillis: number
  #leaderFoundMillis = 0
  #now: number

  constructor(context: Context<EtcdMessage>, setup: EtcdSetup) {
    this.#context = context
    this.#setup = setup
    this.#state = context.find(directory.state)
    this.#watches = context.find(directory.watches)
    this.#now = context.host.clock.monotonicMillis()
    this.#leaderLostMillis = this.#now
    this.#header = new HeaderEncoder(setup.clusterId, setup.memberId)
    this.#bufferedBytesLow =
      setup.serverLimits?.streamBufferedBytesLow ?? defaultLimits.streamBufferedBytesLow
    this.#writeDeadlines = new Deadlines(setup.requestTimeoutMillis)
    this.#readDeadlines = new Deadlines(setup.requestTimeoutMillis)
    this.#proposals = this.#openProposals()
    this.#linear = this.#openLinearReads()
    this.#leases = this.#openLeases()
    this.#inputs = new EtcdInputs(() => context.self.tell({ kind: 'input' }))
    this.#server = startEtcdServer({
      host: context.host,
      listen: setup.listen,
      methods,
      handler: this.#inputs,
      ...(setup.serverLimits === undefined ? {} : { limits: setup.serverLimits }),
      onListening: error => context.self.tell({ kind: 'listening', error: error ?? null }),
    })
    context.every(tickMillis, { kind: 'tick' })
    context.onRoundEnd(() => this.#endRound())
    context.onStop(() => this.#server.close(closeMillis, () => {}))
  }

  handle(message: EtcdMessage): void {
    switch (message.kind) {
      case 'reply':
        return this.#replied(message)
      case 'event':
        return this.#event(message.connection, message.tag, message.body)
      case 'input':
        return this.#takeInputs()
      case 'readReady':
        return this.#linear.ready(message.id, message.position)
      case 'readFailed':
        return this.#linear.failed(message.id)
      case 'leaseAnswer':
        return this.#leases.answered(message)
      case 'leader':
        return this.#leaderChanged(message.leader, message.epoch)
      case 'unanswered':
        return this.#unanswered(message.through)
      case 'tick':
        return this.#tick()
      case 'status':
        return this.#answerStatus(message.id)
      case 'listening':
        return this.#listening(message.error)
      case 'closeConnection':
        // Sessions of ZooKeeper end with their connections; leases do not.
        return
      default:
        return unreachable(message)
    }
  }

  #openProposals(): Proposals {
    const { node, incarnation, proposalsMax, proposalBytesMax, resendMillis } = this.#setup
    const consensus = this.#context.find(directory.consensus)
    return new Proposals({
      node,
      incarnation,
      stream: stream.etcd,
      entriesMax: proposalsMax,
      bytesMax: proposalBytesMax,
      resendMillis,
      tell: message => consensus.tell(message),
    })
  }

  #openLinearReads(): LinearReads {
    const consensus = this.#context.find(directory.consensus)
    return new LinearReads({
      timeoutMillis: this.#setup.requestTimeoutMillis,
      retryMillis,
      ask: id => consensus.tell({ kind: 'readRequest', replyTo: 'etcd', id }),
      read: (read, position) => this.#giveLinearRead(read, position),
      late: read => this.#lateRead(read),
    })
  }

  #openLeases(): Leases {
    const sessions = this.#context.find(directory.sessions)
    return new Leases({
      ask: question => sessions.tell(question),
      askHeader: () => this.#ownRead(etcdRead.header, 0, body => this.#leases.headerReady(body)),
      answerKeepAlive: (one, header, ttlSeconds) => this.#answerKeepAlive(one, header, ttlSeconds),
      answerTimeToLive: (one, answer) => this.#readTimeToLive(one, answer),
      fail: (connection, call) => this.#failLease(connection, call),
    })
  }

  #listening(error: Error | null): void {
    const { host, port } = this.#setup.listen
    if (error !== null) {
      throw new Error(`cannot listen for etcd clients on ${host}:${port}: ${error.message}`)
    }
    this.#context.log.info('listening for etcd clients', { host, port: this.#server.port })
  }

  #endRound(): void {
    this.#linear.flush(this.#now)
    this.#leases.flush()
    this.#proposals.flush()
    this.#server.flush()
  }

  #takeInputs(): void {
    this.#now = this.#context.host.clock.monotonicMillis()
    for (const input of this.#inputs.take()) this.#take(input)
  }

  #take(input: Input): void {
    const { connection, call } = input
    switch (input.kind) {
      case 'call':
        return this.#call(connection, call, input.head, input.message)
      case 'opened':
        return this.#opened(connection, call, input.head)
      case 'message':
        return this.#message(connection, call, input.message)
      case 'halfClosed':
        return this.#halfClosed(connection, call)
      case 'cancelled':
        return this.#cancelled(connection, call)
      case 'drained':
        return this.#drained(connection, call)
      case 'connectionClosed':
        return this.#connectionClosed(connection)
      case 'http':
        return this.#http(input)
      default:
        return unreachable(input)
    }
  }

  #call(connection: number, call: number, head: CallHead, message: Uint8Array): void {
    if (head.hasLeader && this.#leader === 0) return this.#fail(connection, call, failure.noLeader)
    try {
      const failed = this.#serve(connection, call, head.method.id, message)
      if (failed !== undefined) this.#fail(connection, call, failed)
    } catch (error) {
      if (error instanceof NestedTooDeep)
        return this.#fail(connection, call, failure.tooManyOperations)
      if (!(error instanceof MalformedMessage)) throw error
      this.#server.fail(
        connection,
        call,
        failure.malformed.code,
        `grpc: error unmarshalling request: ${error.message}`,
      )
    }
  }

  /** Returns why it is refused at once; otherwise the answer comes now or later. */
  #serve(
    connection: number,
    call: number,
    which: number,
    message: Uint8Array,
  ): Failure | undefined {
    const reader = this.#reader.open(message)
    switch (which) {
      case method.put:
        return (
          checkPut(decodePut(reader)) ?? this.#propose(etcdOperation.put, connection, call, message)
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
      case method.leaseTimeToLive: {
        const { id } = decodeLease(reader)
        this.#leases.timeToLive({
          kind: 'timeToLive',
          connection,
          call,
          id,
          message: message.slice(),
        })
        return undefined
      }
      case method.leaseLeases:
        return this.#read(etcdRead.leases, connection, call, nothing)
      case method.memberList:
        return this.#memberList(connection, call)
      case method.alarm:
        return this.#alarm(connection, call)
      case method.status:
        this.#ownRead(etcdRead.status, 0, body => this.#answerMaintenance(connection, call, body))
        return undefined
      default:
        return this.#health(connection, call, which)
    }
  }

  #propose(
    operation: number,
    connection: number,
    call: number,
    message: Uint8Array,
  ): Failure | undefined {
    if (message.length > this.#setup.requestBytesMax) return failure.requestTooLarge
    if (this.#proposals.full) return failure.tooManyRequests
    const bodyBytes = callBytes + message.length
    const { target, view, start } = this.#proposals.reserve(bodyBytes)
    writeCall(view, start, operation, connection, tagOf(call, false))
    target.set(message, start + callBytes)
    const sequence = this.#proposals.commit(entryKind.etcd, bodyBytes)
    this.#writeDeadlines.add(sequence, connection, call, this.#now)
    return undefined
  }

  #range(connection: number, call: number, message: Uint8Array): Failure | undefined {
    const range = decodeRange(this.#reader)
    const failed = checkRange(range)
    if (failed !== undefined) return failed
    if (range.serializable) return this.#read(etcdRead.range, connection, call, message)
    return this.#readLinear(etcdRead.range, connection, call, message)
  }

  #txn(connection: number, call: number, message: Uint8Array): Failure | undefined {
    const txn = decodeTxn(this.#reader)
    const failed = checkTxn(txn)
    if (failed !== undefined) return failed
    if (!isReadOnly(txn)) return this.#propose(etcdOperation.txn, connection, call, message)
    if (isSerializable(txn)) return this.#read(etcdRead.txn, connection, call, message)
    return this.#readLinear(etcdRead.txn, connection, call, message)
  }

  #leaseGrant(connection: number, call: number): Failure | undefined {
    const grant = decodeLeaseGrant(this.#reader)
    if (grant.ttlSeconds > leaseTtlSecondsMax) return failure.leaseTtlTooLarge
    grant.ttlSeconds = Math.max(grant.ttlSeconds, this.#setup.leaseTtlSecondsMin)
    while (grant.id === 0n) grant.id = this.#randomId()
    const writer = this.#writer.begin(32)
    writeLeaseGrant(writer, grant)
    return this.#propose(etcdOperation.leaseGrant, connection, call, writer.finish())
  }

  /** Positive, 63 bits. */
  #randomId(): bigint {
    const { random } = this.#context.host
    return (BigInt(random.uint32() >>> 1) << 32n) | BigInt(random.uint32())
  }

  #read(which: number, connection: number, call: number, message: Uint8Array): undefined {
    this.#tellRead(connection, tagOf(call, false), 0, this.#request(which, message))
  }

  #readLinear(which: number, connection: number, call: number, message: Uint8Array): undefined {
    const request = this.#request(which, message)
    this.#linear.add({ connection, call, startMillis: this.#now, request, ready: undefined })
  }

  #giveLinearRead(read: LinearRead, position: number): void {
    const { connection, call, startMillis, request } = read
    this.#readsGiven += 1
    this.#readDeadlines.add(this.#readsGiven, connection, call, startMillis)
    this.#tellRead(connection, tagOf(call, true), position, request ?? nothing)
  }

  #tellRead(connection: number, tag: number, position: number, request: Uint8Array): void {
    this.#state.tell({
      kind: 'read',
      stream: stream.etcd,
      connection,
      tag,
      after: 0,
      position,
      request,
    })
  }

  #request(which: number, message: Uint8Array): Uint8Array {
    const { bytes, start } = this.#rooms.reserve(1 + message.length)
    bytes[start] = which
    bytes.set(message, start + 1)
    return this.#rooms.take(1 + message.length)
  }

  /** A read of the gateway itself, at `position`; its answer goes to `then`. */
  #ownRead(
    which: number,
    position: number,
    then: (body: Uint8Array, failed: Failure | undefined) => void,
  ): void {
    this.#ownReadCount += 1
    this.#ownReads.set(this.#ownReadCount, then)
    this.#tellRead(ownConnection, this.#ownReadCount, position, this.#request(which, nothing))
  }

  #lateRead(read: LinearRead): void {
    if (read.connection !== ownConnection) this.#fail(read.connection, read.call, failure.timedOut)
    else this.#ownReplied(read.call, nothing, failure.timedOut)
  }

  #replied(message: ReplyMessage): void {
    const { connection, tag, sequence, status, body } = message
    if (sequence > 0) {
      this.#proposals.applied(sequence, this.#now)
      this.#appliedSequence = Math.max(this.#appliedSequence, sequence)
    }
    if (connection === ownConnection) {
      this.#ownReplied(tag, body, status === 0 ? undefined : failureOf(status))
      return
    }
    if ((tag & 1) === 1) this.#readsAnswered += 1
    const call = tag >>> 1
    if (status === 0) this.#server.reply(connection, call, body)
    else this.#fail(connection, call, failureOf(status))
  }

  #ownReplied(tag: number, body: Uint8Array, failed: Failure | undefined): void {
    const then = this.#ownReads.get(tag)
    this.#ownReads.delete(tag)
    then?.(body, failed)
  }

  #fail(connection: number, call: number, failed: Failure): void {
    this.#server.fail(connection, call, failed.code, failed.text)
  }

  #memberList(connection: number, call: number): undefined {
    const answer = (): void => {
      const writer = this.#writer.begin(1024)
      // The cluster's answers show no revision.
      this.#header.write(writer, 0, this.#epoch)
      writeMembers(writer, this.#setup.members)
      this.#server.reply(connection, call, writer.finish())
    }
    if (!decodeMemberList(this.#reader).linearizable) return void answer()
    this.#linear.add({
      connection,
      call,
      startMillis: this.#now,
      request: undefined,
      ready: answer,
    })
  }

  /** There are no alarms: the answer to the question is a header. */
  #alarm(connection: number, call: number): undefined {
    if (decodeAlarmAction(this.#reader) === alarmAction.get) {
      return this.#read(etcdRead.header, connection, call, nothing)
    }
    this.#fail(connection, call, failure.unimplemented)
  }

  #answerMaintenance(connection: number, call: number, body: Uint8Array): void {
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
    const position = view.getFloat64(stateNumbers.position, true)
    const leader = this.#setup.members.find(member => member.node === this.#leader)
    const own = this.#setup.members.find(member => member.node === this.#setup.node)
    const writer = this.#writer.begin(512)
    writer.raw(body, stateNumbers.bytes, body.length - stateNumbers.bytes)
    writeStatus(writer, {
      sizeBytes: view.getFloat64(stateNumbers.sizeBytes, true),
      sizeInUseBytes: view.getFloat64(stateNumbers.sizeInUseBytes, true),
      sizeQuotaBytes: 0,
      leaderId: leader?.id ?? 0n,
      position,
      appliedPosition: position,
      epoch: this.#epoch,
      errors: this.#leader === 0 ? [failure.noLeader.text] : [],
      isLearner: own?.isLearner ?? false,
    })
    this.#server.reply(connection, call, writer.finish())
  }

  #health(connection: number, call: number, which: number): Failure | undefined {
    const writer = this.#writer.begin(32)
    if (which === method.healthList) {
      writeHealthList(writer, healthStatus.serving)
      this.#server.reply(connection, call, writer.finish())
      return undefined
    }
    const known = decodeHealthCheck(this.#reader).service === ''
    if (which === method.healthCheck) {
      if (!known) return failure.unknownService
      writeHealth(writer, healthStatus.serving)
      this.#server.reply(connection, call, writer.finish())
      return undefined
    }
    // The stream stays open: there is nothing that would change the status.
    writeHealth(writer, known ? healthStatus.serving : healthStatus.serviceUnknown)
    this.#server.send(connection, call, writer.finish())
    return undefined
  }

  #opened(connection: number, call: number, head: CallHead): void {
    if (head.hasLeader && this.#leader === 0) return this.#fail(connection, call, failure.noLeader)
    this.#streams.open(connection, call, head)
  }

  #message(connection: number, call: number, message: Uint8Array): void {
    const opened = this.#streams.get(connection, call)
    if (opened === undefined) return
    try {
      if (opened.head.method.id === method.watch) this.#watch(opened, message)
      else this.#keepAlive(opened, message)
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error
      const text = `grpc: failed to unmarshal the received message: ${error.message}`
      this.#server.fail(connection, call, failure.malformed.code, text)
      this.#close(opened)
    }
  }

  #watch(opened: OpenStream, message: Uint8Array): void {
    if (decodeWatch(this.#reader.open(message)).kind === 'none') return
    opened.watching = true
    this.#tellRead(opened.connection, opened.call, 0, this.#request(etcdRead.watch, message))
  }

  #keepAlive(opened: OpenStream, message: Uint8Array): void {
    const { connection, call } = opened
    const { id } = decodeLease(this.#reader.open(message))
    opened.questions += 1
    this.#leases.keepAlive({ kind: 'keepAlive', connection, call, id })
  }

  #answerKeepAlive(one: KeepAlive, header: Uint8Array, ttlSeconds: number): void {
    const { connection, call, id } = one
    const opened = this.#streams.get(connection, call)
    if (opened === undefined) return
    const writer = this.#writer.begin(header.length + 32)
    writer.raw(header)
    writeLeaseTimes(writer, id, ttlSeconds)
    this.#server.send(connection, call, writer.finish())
    opened.questions -= 1
    if (opened.halfClosed) this.#finishIfAnswered(opened)
  }

  /** The keys are this node's to tell, once it has all that the leader's answer stands on. */
  #readTimeToLive(one: TimeToLive, answer: LeaseAnswer): void {
    const { connection, call, message } = one
    const { bytes, start } = this.#rooms.reserve(1 + timesBytes + message.length)
    const view = new DataView(bytes.buffer, bytes.byteOffset + start)
    view.setUint8(0, etcdRead.timeToLive)
    view.setFloat64(1, answer.remainingMillis, true)
    view.setFloat64(9, answer.ttlMillis, true)
    bytes.set(message, start + 1 + timesBytes)
    const request = this.#rooms.take(1 + timesBytes + message.length)
    this.#linear.add({ connection, call, startMillis: this.#now, request, ready: undefined })
  }

  #failLease(connection: number, call: number): void {
    this.#fail(connection, call, this.#leader === 0 ? failure.noLeader : failure.timedOut)
    const opened = this.#streams.get(connection, call)
    if (opened !== undefined) this.#close(opened)
  }

  #event(connection: number, call: number, body: Uint8Array): void {
    const opened = this.#streams.get(connection, call)
    if (opened === undefined) return
    const waiting = this.#server.send(connection, call, body)
    if (opened.held || waiting <= this.#bufferedBytesLow) return
    opened.held = true
    this.#watches.tell({ kind: 'keyStream', connection, tag: call, change: 'held' })
  }

  #drained(connection: number, call: number): void {
    const opened = this.#streams.get(connection, call)
    if (opened === undefined || !opened.held) return
    opened.held = false
    this.#watches.tell({ kind: 'keyStream', connection, tag: call, change: 'drained' })
  }

  /** A watch goes on; keep-alives end once they are answered. */
  #halfClosed(connection: number, call: number): void {
    const opened = this.#streams.get(connection, call)
    if (opened === undefined || opened.head.method.id === method.watch) return
    opened.halfClosed = true
    this.#finishIfAnswered(opened)
  }

  #finishIfAnswered(opened: OpenStream): void {
    if (opened.questions > 0) return
    this.#server.finish(opened.connection, opened.call)
    this.#close(opened)
  }

  #cancelled(connection: number, call: number): void {
    const opened = this.#streams.get(connection, call)
    if (opened !== undefined) this.#close(opened)
  }

  #close(opened: OpenStream): void {
    const { connection, call } = opened
    this.#streams.delete(opened)
    if (opened.watching)
      this.#tellRead(connection, call, 0, this.#request(etcdRead.streamClosed, nothing))
  }

  #connectionClosed(connection: number): void {
    if (!this.#streams.deleteConnection(connection)) return
    this.#tellRead(connection, 0, 0, this.#request(etcdRead.connectionClosed, nothing))
  }

  #http({ request, answer }: Extract<Input, { kind: 'http' }>): void {
    const setup = {
      hasLeader: () => this.#leader !== 0,
      probe: (serializable: boolean, done: (error: string) => void) =>
        this.#probe(serializable, done),
      metrics: this.#setup.metrics,
    }
    answerHttp(setup, request, answer)
  }

  #probe(serializable: boolean, done: (error: string) => void): void {
    const then = (_: Uint8Array, failed: Failure | undefined): void => done(failed?.text ?? '')
    if (serializable) return this.#ownRead(etcdRead.header, 0, then)
    this.#ownReadCount += 1
    const call = this.#ownReadCount
    this.#ownReads.set(call, then)
    const ready = (position: number): void =>
      this.#tellRead(ownConnection, call, position, this.#request(etcdRead.header, nothing))
    this.#linear.add({
      connection: ownConnection,
      call,
      startMillis: this.#now,
      request: undefined,
      ready,
    })
  }

  #leaderChanged(leader: number, epoch: number): void {
    this.#now = this.#context.host.clock.monotonicMillis()
    if (leader === 0 && this.#leader !== 0) this.#leaderLostMillis = this.#now
    if (leader !== 0 && leader !== this.#leader) this.#leaderFoundMillis = this.#now
    this.#leader = leader
    this.#epoch = Math.max(this.#epoch, epoch)
    this.#proposals.leaderChanged(leader, this.#now)
    this.#linear.leaderChanged()
  }

  /** These writes have applied, but how they ended nobody here can tell. */
  #unanswered(through: number): void {
    this.#proposals.applied(through, this.#now)
    this.#appliedSequence = Math.max(this.#appliedSequence, through)
    this.#writeDeadlines.takeThrough(through, (connection, call) =>
      this.#fail(connection, call, failure.timedOutLeaderFailed),
    )
  }

  #tick(): void {
    this.#now = this.#context.host.clock.monotonicMillis()
    this.#proposals.tick(this.#now)
    this.#linear.tick(this.#now)
    this.#writeDeadlines.expire(this.#appliedSequence, this.#now, (connection, call, startMillis) =>
      this.#fail(connection, call, this.#lateText(startMillis)),
    )
    this.#readDeadlines.expire(this.#readsAnswered, this.#now, (connection, call) =>
      this.#fail(connection, call, failure.timedOut),
    )
    const { electionMillis } = this.#setup
    if (this.#leader === 0 && this.#now - this.#leaderLostMillis >= 3 * electionMillis) {
      for (const opened of this.#streams.requiringLeader()) {
        this.#fail(opened.connection, opened.call, failure.noLeader)
        this.#close(opened)
      }
    }
  }

  /** etcd blames the last leader for what began shortly before a new one was found. */
  #lateText(startMillis: number): Failure {
    const lost = this.#leaderFoundMillis - 2 * this.#setup.electionMillis
    const isLeaders = startMillis > lost && startMillis < this.#leaderFoundMillis
    return isLeaders ? failure.timedOutLeaderFailed : failure.timedOut
  }

  #answerStatus(id: number): void {
    const json = JSON.stringify({
      port: this.#server.port,
      ...this.#server.status(),
      openStreams: this.#streams.count,
      proposalsWaiting: this.#proposals.waitingCount,
      readsWaiting: this.#linear.count,
      leaseQuestions: this.#leases.count,
    })
    this.#context.find(directory.control).tell({ kind: 'statusAnswer', from: 'etcd', id, json })
  }
}

/** The mark of a unary call for its way through the actors: its HTTP/2 stream, and how it reads. */
function tagOf(call: number, linear: boolean): number {
  return call * 2 + (linear ? 1 : 0)
}

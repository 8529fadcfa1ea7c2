/**
 * What becomes of each request of an established connection: writes go to the log as they are, with
 * a small header; reads go to the state machine of this node; the rest is answered here, but in its
 * turn, by way of the state machine, if anything is still to be answered before it.
 */
import type { Ref } from '../../runtime/actor.ts'
import { errorCode, MalformedRecord } from '../../transport/zookeeper/errors.ts'
import type { FrameSplitter } from '../../transport/zookeeper/frames.ts'
import { headerReply, requestHeaderBytes } from '../../transport/zookeeper/headers.ts'
import { JuteReader } from '../../transport/zookeeper/jute-reader.ts'
import { JuteWriter } from '../../transport/zookeeper/jute-writer.ts'
import { limits } from '../../transport/zookeeper/limits.ts'
import { operation, specialXid } from '../../transport/zookeeper/operations.ts'
import {
  checkRequest,
  decodeAuth,
  isListAllowed,
  mayGrow,
} from '../../transport/zookeeper/requests.ts'
import { entryKind } from '../consensus/entry.ts'
import type { StateMessage } from '../state/messages.ts'
import type { Proposals } from '../state/proposals.ts'
import { ownOperation, writeCommandHeader } from '../state/zookeeper-commands.ts'
import { authenticate } from './zookeeper-auth.ts'
import type { Connection } from './zookeeper-connection.ts'
import type { Syncs } from './zookeeper-syncs.ts'

export interface RequestsSetup {
  readonly proposals: Proposals
  readonly state: Ref<StateMessage>
  readonly stream: number
  readonly syncs: Syncs
  /** `user:hash` of the one who may do everything, or ''. */
  readonly superDigest: string
}

export class Requests {
  readonly #proposals: Proposals
  readonly #state: Ref<StateMessage>
  readonly #stream: number
  readonly #syncs: Syncs
  readonly #superDigest: string
  readonly #reader = new JuteReader()
  readonly #writer = new JuteWriter()
  /** Of the nodes' disks, as consensus says (consensus/shell/disk-space.ts). */
  spaceLevel = 0
  /** And nobody can tell which is right (actors/state/state-difference.ts). */
  statesDiffer = false

  constructor(setup: RequestsSetup) {
    this.#proposals = setup.proposals
    this.#state = setup.state
    this.#stream = setup.stream
    this.#syncs = setup.syncs
    this.#superDigest = setup.superDigest
  }

  /** The frame that the splitter has just found; false: not even a header, to be closed. */
  take(connection: Connection, { bytes, start, end }: FrameSplitter, nowMillis: number): boolean {
    if (end - start < requestHeaderBytes) return false
    const reader = this.#reader.reset(bytes, start, end)
    const xid = reader.int()
    const type = reader.int()
    connection.outstanding.operation = type & 0xff
    const kind = kinds.get(type)
    if (kind === undefined) this.#answer(connection, xid, errorCode.unimplemented, true, nowMillis)
    else if (this.statesDiffer && needsState.has(kind))
      this.#answer(connection, xid, errorCode.runtimeInconsistency, false, nowMillis)
    else if (kind === 'write') this.#write(connection, type, xid, nowMillis)
    else if (kind === 'read') this.#read(connection, type, xid, nowMillis)
    else if (kind === 'sync') this.#sync(connection, xid, nowMillis)
    else if (kind === 'ping') this.#ping(connection, nowMillis)
    else if (kind === 'auth') return this.#auth(connection, xid, nowMillis)
    else if (kind === 'close') this.#close(connection, xid, nowMillis)
    else this.#answer(connection, xid, errorCode.unimplemented, false, nowMillis)
    return true
  }

  /** A sync whose position is known. */
  sendSync(connection: Connection, request: Uint8Array): void {
    this.#tellState(connection, request, ownRoomBytes + request.length)
  }

  #write(connection: Connection, type: number, xid: number, nowMillis: number): void {
    const { bytes, at, end } = this.#reader
    if (!this.#decodes(connection, type, xid, nowMillis)) return
    // Apply says the same of it; here it costs no entry of the log.
    if (!isListAllowed(this.#reader.reset(bytes, at, end), type))
      return this.#answer(connection, xid, errorCode.invalidAcl, false, nowMillis)
    const { spaceLevel } = this
    if (spaceLevel > 1 || (spaceLevel === 1 && mayGrow(this.#reader.reset(bytes, at, end), type)))
      return this.#answer(connection, xid, errorCode.quotaExceeded, false, nowMillis)
    this.#propose(connection, type, xid, bytes, at, end, nowMillis)
  }

  #close(connection: Connection, xid: number, nowMillis: number): void {
    connection.state = 'leaving'
    const { bytes, end } = this.#reader
    this.#propose(connection, operation.closeSession, xid, bytes, end, end, nowMillis)
  }

  #propose(
    connection: Connection,
    type: number,
    xid: number,
    bytes: Uint8Array,
    bodyStart: number,
    bodyEnd: number,
    nowMillis: number,
  ): void {
    const { caller } = connection
    const length = 8 + caller.length + bodyEnd - bodyStart
    const { target, start } = this.#proposals.reserve(length)
    const at = writeCommandHeader(target, start, type, xid, caller)
    target.set(bytes.subarray(bodyStart, bodyEnd), at)
    // The end of a session is always in time; for what else it asks a client waits as long as it lives.
    const isEnd = type === operation.closeSession
    const untilMillis = isEnd ? Number.POSITIVE_INFINITY : nowMillis + connection.timeoutMillis
    const life = { untilMillis, headBytes: 8 + caller.length }
    const sequence = this.#proposals.commit(entryKind.zookeeper, length, life)
    const roomBytes = writeRoomBytes(type, bodyEnd - bodyStart)
    connection.outstanding.push(sequence, nowMillis, roomBytes)
    connection.room.reserve(roomBytes)
  }

  #read(connection: Connection, type: number, xid: number, nowMillis: number): void {
    const { bytes, at, end } = this.#reader
    if (!this.#decodes(connection, type, xid, nowMillis)) return
    const request = this.#request(connection, type, xid, bytes, at, end)
    this.#ask(connection, request, connection.room.guess(), nowMillis)
  }

  #sync(connection: Connection, xid: number, nowMillis: number): void {
    const { bytes, at, end } = this.#reader
    if (!this.#decodes(connection, operation.sync, xid, nowMillis)) return
    const request = this.#request(connection, operation.sync, xid, bytes, at, end)
    // The answer repeats the path.
    this.#expect(connection, ownRoomBytes + 2 * request.length, nowMillis)
    connection.syncing = true
    this.#syncs.add(connection, request)
  }

  #ping(connection: Connection, nowMillis: number): void {
    if (connection.outstanding.count === 0) {
      const { zxid } = connection
      connection.send(headerReply(this.#writer, specialXid.ping, zxid, errorCode.ok))
    } else {
      this.#readNothing(connection, operation.ping, specialXid.ping, nowMillis)
    }
  }

  /** Always by way of the state machine: watches that are there must learn the new identity too. */
  #auth(connection: Connection, xid: number, nowMillis: number): boolean {
    let added: ReturnType<typeof authenticate>
    try {
      added = authenticate(decodeAuth(this.#reader), this.#superDigest)
    } catch (error) {
      if (error instanceof MalformedRecord) return false
      throw error
    }
    if (added === undefined || !connection.addIdentities(added, limits.identitiesBytesMax)) {
      this.#answer(connection, xid, errorCode.authFailed, true, nowMillis)
    } else {
      this.#readNothing(connection, operation.auth, xid, nowMillis)
    }
    return true
  }

  #decodes(connection: Connection, type: number, xid: number, nowMillis: number): boolean {
    try {
      checkRequest(this.#reader, type)
      return true
    } catch (error) {
      if (!(error instanceof MalformedRecord)) throw error
      this.#answer(connection, xid, errorCode.marshallingError, false, nowMillis)
      return false
    }
  }

  /** An answer that the gateway knows already, in its turn. */
  #answer(
    connection: Connection,
    xid: number,
    error: number,
    last: boolean,
    nowMillis: number,
  ): void {
    if (last) connection.state = 'leaving'
    const writer = this.#writer
    writer.begin()
    writer.int(error)
    writer.boolean(last)
    const body = writer.finish()
    const type = ownOperation.answer
    const request = this.#request(connection, type, xid, body, 0, body.length)
    this.#ask(connection, request, ownRoomBytes, nowMillis)
  }

  #readNothing(connection: Connection, type: number, xid: number, nowMillis: number): void {
    const request = this.#request(connection, type, xid, nothing, 0, 0)
    this.#ask(connection, request, ownRoomBytes, nowMillis)
  }

  #request(
    connection: Connection,
    type: number,
    xid: number,
    body: Uint8Array,
    bodyStart: number,
    bodyEnd: number,
  ): Uint8Array {
    const { caller } = connection
    const writer = this.#writer
    writer.begin()
    writer.reserve(8 + caller.length + bodyEnd - bodyStart)
    writer.at = writeCommandHeader(writer.bytes, writer.at, type, xid, caller)
    writer.raw(body, bodyStart, bodyEnd - bodyStart)
    return writer.finish()
  }

  /** The request counts too: it is kept for as long as its answer has to wait. */
  #ask(connection: Connection, request: Uint8Array, roomBytes: number, nowMillis: number): void {
    this.#expect(connection, roomBytes + request.length, nowMillis)
    this.#tellState(connection, request, roomBytes)
  }

  #expect({ outstanding, room }: Connection, roomBytes: number, nowMillis: number): void {
    outstanding.push(0, nowMillis, roomBytes)
    room.reserve(roomBytes)
  }

  #tellState(connection: Connection, request: Uint8Array, roomBytes: number): void {
    const { number, position, outstanding } = connection
    connection.readCount += 1
    this.#state.tell({
      kind: 'read',
      stream: this.#stream,
      connection: number,
      tag: connection.readCount,
      after: outstanding.lastWrite,
      position,
      roomBytes,
      request,
    })
  }
}

/** For an answer that is little more than a header. */
const ownRoomBytes = 128

/** At least what the answer to a write takes: paths as they were sent, and a Stat for each. */
function writeRoomBytes(type: number, bytes: number): number {
  return ownRoomBytes + (type === operation.multi ? 4 * bytes : bytes)
}

type Kind = 'write' | 'read' | 'sync' | 'ping' | 'auth' | 'close' | 'later'

/** What is not in here closes the connection, as ZooKeeper does. */
const kinds = new Map<number, Kind>([
  [operation.create, 'write'],
  [operation.create2, 'write'],
  [operation.delete, 'write'],
  [operation.setData, 'write'],
  [operation.setAcl, 'write'],
  [operation.multi, 'write'],
  [operation.exists, 'read'],
  [operation.getData, 'read'],
  [operation.getAcl, 'read'],
  [operation.getChildren, 'read'],
  [operation.getChildren2, 'read'],
  [operation.setWatches, 'read'],
  [operation.sync, 'sync'],
  [operation.ping, 'ping'],
  [operation.auth, 'auth'],
  [operation.closeSession, 'close'],
  [operation.reconfig, 'later'],
  [operation.checkWatches, 'later'],
  [operation.removeWatches, 'later'],
  [operation.createContainer, 'later'],
  [operation.createTtl, 'later'],
  [operation.multiRead, 'later'],
  [operation.sasl, 'later'],
  [operation.getEphemerals, 'later'],
  [operation.getAllChildrenNumber, 'later'],
  [operation.setWatches2, 'later'],
  [operation.addWatch, 'later'],
  [operation.whoAmI, 'later'],
])

const needsState: ReadonlySet<Kind> = new Set(['write', 'read', 'sync'])

const nothing = new Uint8Array(0)

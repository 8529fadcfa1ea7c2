/** How a connection gets its session (facts 1.3, DESIGN.md D10). */
import type { Random } from '../../runtime/host.ts'
import {
  type ConnectRequest,
  connectResponse,
  decodeConnectRequest,
  expiredSession,
  passwordBytes,
} from '../../transport/zookeeper/connect.ts'
import { MalformedRecord } from '../../transport/zookeeper/errors.ts'
import { JuteReader } from '../../transport/zookeeper/jute-reader.ts'
import { JuteWriter } from '../../transport/zookeeper/jute-writer.ts'
import { operation } from '../../transport/zookeeper/operations.ts'
import { entryKind } from '../consensus/entry.ts'
import type { Proposals } from '../state/proposals.ts'
import {
  ownOperation,
  sessionCommandBytes,
  writeCommandHeader,
  writeSessionCommand,
} from '../state/zookeeper-commands.ts'
import type { Connection } from './zookeeper-connection.ts'

export interface HandshakesSetup {
  readonly node: number
  readonly random: Random
  readonly proposals: Proposals
  readonly sessionTimeoutMinMillis: number
  readonly sessionTimeoutMaxMillis: number
}

const handshakeRoomBytes = 64

export class Handshakes {
  readonly #setup: HandshakesSetup
  readonly #reader = new JuteReader()
  readonly #writer = new JuteWriter(4096)

  constructor(setup: HandshakesSetup) {
    this.#setup = setup
  }

  /** Reads the connect request and asks for the session; false: it is none. */
  begin(connection: Connection, nowMillis: number): boolean {
    const request = this.#decode(connection)
    if (request === undefined) return false
    const isNew = request.session === 0n
    connection.hasReadOnly = request.hasReadOnly
    connection.password = isNew
      ? this.#setup.random.bytes(passwordBytes)
      : paddedCopy(request.password)
    connection.identify(isNew ? this.#newSession() : request.session)
    connection.state = 'handshake'
    const type = isNew ? ownOperation.createSession : ownOperation.attach
    this.#propose(connection, type, request, nowMillis)
    return true
  }

  /** What the state machine granted; false: nothing, the session has expired. */
  finish(connection: Connection, granted: Uint8Array): boolean {
    const timeoutMillis = new DataView(granted.buffer, granted.byteOffset, 4).getInt32(0)
    const { hasReadOnly, session, password } = connection
    const alive = timeoutMillis > 0
    const response = alive ? { timeoutMillis, session, password } : expiredSession
    connection.send(connectResponse(this.#writer, response, hasReadOnly))
    connection.timeoutMillis = timeoutMillis
    if (alive) connection.state = 'established'
    return alive
  }

  #decode({ splitter }: Connection): ConnectRequest | undefined {
    try {
      const { bytes, start, end } = splitter
      return decodeConnectRequest(this.#reader.reset(bytes, start, end))
    } catch (error) {
      if (error instanceof MalformedRecord) return undefined
      throw error
    }
  }

  #propose(connection: Connection, type: number, request: ConnectRequest, nowMillis: number): void {
    const { proposals } = this.#setup
    const length = 8 + connection.caller.length + sessionCommandBytes
    const { target, view, start } = proposals.reserve(length)
    const at = writeCommandHeader(target, start, type, 0, connection.caller)
    writeSessionCommand(target, view, at, {
      timeoutMillis: this.#negotiated(request.timeoutMillis),
      lastZxidSeen: Math.max(0, request.lastZxidSeen),
      password: connection.password,
    })
    // A client that got no answer tries elsewhere: this one shall not take the session from there later.
    const untilMillis = nowMillis + this.#negotiated(request.timeoutMillis)
    const life = { untilMillis, headBytes: 8 + connection.caller.length }
    const sequence = proposals.commit(entryKind.zookeeper, length, life)
    connection.outstanding.operation = operation.createSession & 0xff
    connection.outstanding.push(sequence, nowMillis, handshakeRoomBytes)
    connection.room.reserve(handshakeRoomBytes)
  }

  #negotiated(wantedMillis: number): number {
    const { sessionTimeoutMinMillis, sessionTimeoutMaxMillis } = this.#setup
    return Math.min(Math.max(wantedMillis, sessionTimeoutMinMillis), sessionTimeoutMaxMillis)
  }

  /** Positive, and never 0; the rare one that is taken already is refused when it applies. */
  #newSession(): bigint {
    const { node, random } = this.#setup
    const high = ((node & 0x7f) << 24) | (random.uint32() & 0xffffff)
    return (BigInt(high) << 32n) | BigInt((random.uint32() | 1) >>> 0)
  }
}

/** A password of another length is wrong, and found out where all wrong ones are. */
function paddedCopy(password: Uint8Array): Uint8Array {
  const copy = new Uint8Array(passwordBytes)
  copy.set(password.subarray(0, passwordBytes))
  if (password.length !== passwordBytes) copy.fill(0)
  return copy
}

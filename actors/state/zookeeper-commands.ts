/**
 * The bytes between the ZooKeeper gateway and the state machine: the body of log entries of kind
 * `zookeeper`, and the requests of reads. A small header, then the client's own record untouched.
 * Big-endian, as the record is.
 *
 *   0 i16 operation     2 u16 length of identities     4 i32 xid     8 u32 connection
 *  12 8 bytes session  20 identities (transport/zookeeper/identities.ts)        then the record
 *
 * Operations beyond ZooKeeper's own:
 *   createSession, attach   i32 timeout (ms), u64 lastZxidSeen, 16 bytes password
 *   answer                  i32 error, u8 close: what the gateway itself answers, but in order
 *   auth                    i32 error: nothing more, the identities are in the header
 */
import { operation } from '../../transport/zookeeper/operations.ts'

export const commandHeaderBytes = 20
const callerStart = 8
export const sessionCommandBytes = 28

export const ownOperation = {
  createSession: operation.createSession,
  attach: -12,
  answer: -13,
} as const

/** What a reply asks of the gateway beyond sending its body (ReplyMessage `status`). */
export const replyStatus = {
  send: 0,
  sendAndClose: 1,
  /** Answers a createSession or attach; the body is the granted time-out (i32), 0: expired. */
  handshake: 2,
  /** Answers a command whose session is not attached here, or a handshake that came too early. */
  close: 3,
  /** Answers nothing: the session in the body (8 bytes) left this connection; close it. */
  detached: 4,
  /** Answers nothing: a notification to send. */
  notification: 5,
  /** As `send`: it was made from what the gateway had lent. */
  sendLent: 6,
} as const

/** One object, filled anew for each command or read. */
export class CommandHeader {
  operation = 0
  xid = 0
  connection = 0
  session = 0n
  sessionHigh = 0
  sessionLow = 0
  identitiesStart = 0
  identitiesLength = 0
  /** Where the record begins. */
  body = 0

  read(view: DataView, start: number): void {
    this.operation = view.getInt16(start)
    this.identitiesLength = view.getUint16(start + 2)
    this.xid = view.getInt32(start + 4)
    this.connection = view.getUint32(start + 8)
    this.session = view.getBigInt64(start + 12)
    this.sessionHigh = view.getUint32(start + 12)
    this.sessionLow = view.getUint32(start + 16)
    this.identitiesStart = start + commandHeaderBytes
    this.body = this.identitiesStart + this.identitiesLength
  }

  /** What a read needs of it: reads are many, and no session decides about them. */
  readOfRequest(bytes: Uint8Array): void {
    this.operation = ((bytes[0]! << 24) >> 16) | bytes[1]!
    this.identitiesLength = (bytes[2]! << 8) | bytes[3]!
    this.xid = (bytes[4]! << 24) | (bytes[5]! << 16) | (bytes[6]! << 8) | bytes[7]!
    this.identitiesStart = commandHeaderBytes
    this.body = commandHeaderBytes + this.identitiesLength
  }
}

/** Of the command that begins at `start`. */
export function commandConnection(view: DataView, start: number): number {
  return view.getUint32(start + callerStart)
}

/** Who sends commands. */
export interface Caller {
  readonly connection: number
  session: bigint
  identities: Uint8Array
}

/** What all commands of a caller have in common, from `connection` on: made once, copied into each. */
export function callerBytes({ connection, session, identities }: Caller): Uint8Array {
  const bytes = new Uint8Array(commandHeaderBytes - callerStart + identities.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, connection)
  view.setBigInt64(4, session)
  bytes.set(identities, 12)
  return bytes
}

/** Returns where the record goes. `caller` as `callerBytes` made it. */
export function writeCommandHeader(
  bytes: Uint8Array,
  start: number,
  type: number,
  xid: number,
  caller: Uint8Array,
): number {
  const identitiesLength = caller.length + callerStart - commandHeaderBytes
  bytes[start] = type >>> 8
  bytes[start + 1] = type
  bytes[start + 2] = identitiesLength >>> 8
  bytes[start + 3] = identitiesLength
  bytes[start + 4] = xid >>> 24
  bytes[start + 5] = xid >>> 16
  bytes[start + 6] = xid >>> 8
  bytes[start + 7] = xid
  const at = start + callerStart
  for (let index = 0; index < caller.length; index += 1) bytes[at + index] = caller[index]!
  return at + caller.length
}

export interface SessionCommand {
  readonly timeoutMillis: number
  readonly lastZxidSeen: number
  readonly password: Uint8Array
}

/** Returns where it ends. */
export function writeSessionCommand(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  command: SessionCommand,
): number {
  view.setInt32(start, command.timeoutMillis)
  view.setUint32(start + 4, command.lastZxidSeen / twoTo32)
  view.setUint32(start + 8, command.lastZxidSeen >>> 0)
  bytes.set(command.password, start + 12)
  return start + sessionCommandBytes
}

/** The password is a view. */
export function readSessionCommand(
  bytes: Uint8Array,
  view: DataView,
  start: number,
): SessionCommand {
  return {
    timeoutMillis: view.getInt32(start),
    lastZxidSeen: view.getUint32(start + 4) * twoTo32 + view.getUint32(start + 8),
    password: bytes.subarray(start + 12, start + sessionCommandBytes),
  }
}

const twoTo32 = 4294967296

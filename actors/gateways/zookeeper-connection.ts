/**
 * One client connection: its bytes in and out, who it is, and what it still waits for. It decides
 * nothing; the gateway does.
 */
import type { Socket } from '../../runtime/host.ts'
import type { Id } from '../../transport/zookeeper/acl.ts'
import { plainAddress } from '../../transport/zookeeper/addresses.ts'
import { passwordBytes } from '../../transport/zookeeper/connect.ts'
import { FrameSplitter } from '../../transport/zookeeper/frames.ts'
import { encodeIdentities } from '../../transport/zookeeper/identities.ts'
import { callerBytes } from '../state/zookeeper-commands.ts'
import type { ReplyMessage } from '../watches/messages.ts'
import { type AnswerRoom, ConnectionRoom } from './answer-room.ts'
import { Outstanding } from './outstanding.ts'
import type { RequestTrace } from './request-traces.ts'
import { Outgoing } from './zookeeper-outgoing.ts'

/**
 * `fresh`: no connect request yet. `handshake`: waits for its session. `leaving`: closeSession is
 * under way, nothing more is taken. `gone`: nothing more is answered, the socket is closed or about
 * to be.
 */
export type ConnectionState = 'fresh' | 'handshake' | 'established' | 'leaving' | 'gone'

export class Connection {
  readonly number: number
  readonly socket: Socket
  readonly address: string
  readonly splitter: FrameSplitter
  readonly outstanding = new Outstanding()
  readonly room: ConnectionRoom
  readonly outgoing: Outgoing
  /** Answers that came before their turn; with all actors on one thread there are none. */
  readonly early: ReplyMessage[] = []
  /** Of those outstanding, where tracing is on; undefined for one that is not sampled. */
  readonly traces: (RequestTrace | undefined)[] = []
  state: ConnectionState = 'fresh'
  session = 0n
  password: Uint8Array = new Uint8Array(passwordBytes)
  timeoutMillis = 0
  /** The client knows of read-only mode and wants the byte for it in the response. */
  hasReadOnly = false
  /** Its session and identities as each command carries them. */
  caller: Uint8Array = nothing
  heardMillis: number
  /** Until then its session cannot have ended elsewhere (zookeeper-standing.ts). */
  aliveUntilMillis = 0
  /** Reads must see at least this log position: that of the last sync. */
  position = 0
  /** Reads handed to the state machine, and those answered: the number of one is its tag. */
  readCount = 0
  readsAnswered = 0
  /** The read for whose answer room was granted, which it holds until then; 0: none. */
  grantedRead = 0
  #grantedBytes = 0
  /** Bytes of watch events that came while earlier ones had not been taken. */
  untakenEventBytes = 0
  /** In milliseconds of the clock: the socket must have closed by then. */
  closedByMillis = 0
  /** A sync waits for its position, and all behind it wait for the sync. */
  syncing = false
  /** Since when nothing is taken from it; 0: it is. */
  stalledMillis = 0
  /** Input waits in the list of connections to look at. */
  queued = false
  /** Memory of requests that are not whole or not taken, since when, and how many came before. */
  inputBytes = 0
  inputSinceMillis = 0
  receivedBefore = 0
  /** Some of it is the client's: it lives. */
  hasInput = false
  /** The socket has taken all that it had. */
  drained = false
  /** The socket is closed. */
  closed = false
  /** The client has finished writing. */
  ended = false
  /** It stands in the list of connections to write to. */
  isWriting = false
  /** Heard of since touches were last passed on. */
  touched = false
  zxid = 0
  received = 0
  sent = 0
  #identities: Id[]
  #paused = false

  constructor(
    number: number,
    socket: Socket,
    door: AnswerRoom,
    frameBytesMax: number,
    nowMillis: number,
  ) {
    this.number = number
    this.socket = socket
    this.room = new ConnectionRoom(door)
    this.outgoing = new Outgoing(socket, this.room)
    this.address = plainAddress(socket.remoteAddress)
    this.splitter = new FrameSplitter(frameBytesMax)
    this.heardMillis = nowMillis
    this.#identities = [{ scheme: 'ip', id: this.address }]
  }

  get isOpen(): boolean {
    return this.state !== 'gone'
  }

  /** It was granted one. Who leaves has it until its end is answered; who asked a word never had one. */
  get hasSession(): boolean {
    return this.state === 'established' || (this.state === 'leaving' && this.session !== 0n)
  }

  /** The session and the identities stand: commands may be made. */
  identify(session: bigint): void {
    this.session = session
    this.#encodeCaller()
  }

  /** False: that would be more than a connection may have. */
  addIdentities(added: readonly Id[], bytesMax: number): boolean {
    const all = [...this.#identities]
    for (const one of added) {
      if (!all.some(({ scheme, id }) => scheme === one.scheme && id === one.id)) all.push(one)
    }
    if (encodeIdentities(all).length > bytesMax) return false
    this.#identities = all
    this.#encodeCaller()
    return true
  }

  send(bytes: Uint8Array): void {
    this.outgoing.add(bytes)
    this.sent += 1
  }

  takeGrant(read: number, bytes: number): void {
    this.releaseGrant()
    this.grantedRead = read
    this.#grantedBytes = bytes
    this.room.reserve(bytes)
  }

  releaseGrant(): void {
    this.room.release(this.#grantedBytes)
    this.grantedRead = 0
    this.#grantedBytes = 0
  }

  pause(): void {
    if (this.#paused || !this.isOpen) return
    this.#paused = true
    this.socket.pause()
  }

  resume(): void {
    if (!this.#paused || !this.isOpen) return
    this.#paused = false
    this.socket.resume()
  }

  #encodeCaller(): void {
    const identities = encodeIdentities(this.#identities)
    this.caller = callerBytes({ connection: this.number, session: this.session, identities })
  }
}

const nothing = new Uint8Array(0)

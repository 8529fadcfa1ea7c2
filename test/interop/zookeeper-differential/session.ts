/** One connection to a server under comparison: sends what it is given and notes every packet. */
import { connect, type Socket } from 'node:net'
import { replyParts } from './replies.ts'
import type { Part, Transcript } from './transcript.ts'
import { frame, int, op, text } from './wire.ts'

export interface Request {
  readonly type: number
  readonly body: Buffer
  /** The next one of the connection where none is given. */
  readonly xid?: number
}

const patienceMillis = 4_000
/** Unimplemented, authentication failed: the connection may be closed behind them. */
const closingErrors = new Set([-6, -115])
const closingMillis = 200
/** Of its own requests between the steps, which no transcript shows. */
const syncXid = -777

export class Session {
  id = 0n
  password: Buffer = Buffer.alloc(16)
  zxid = 0n
  closed = false
  /** Which server of the cluster. */
  readonly endpoint: number
  readonly #name: string
  readonly #transcript: Transcript
  readonly #socket: Socket
  #rest: Buffer = Buffer.alloc(0)
  #handshaken = false
  readonly #pending: number[] = []
  #xid = 0
  #lastError = 0
  #syncs = 0
  #wake: () => void = () => {}

  constructor(name: string, port: number, transcript: Transcript, endpoint: number) {
    this.endpoint = endpoint
    this.#name = name
    this.#transcript = transcript
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true })
    this.#socket.on('data', chunk => this.#take(chunk))
    this.#socket.on('error', () => {})
    this.#socket.on('close', () => {
      if (!this.closed) this.#note('closed')
      this.closed = true
      this.#wake()
    })
  }

  /** Until the answer to the connect request is here. */
  async open(request: Buffer): Promise<void> {
    this.#socket.write(frame(request))
    await this.#until(() => this.#handshaken)
  }

  /** All in one write; until all are answered. */
  async send(requests: readonly Request[]): Promise<void> {
    if (this.closed) return
    const frames = requests.map(({ type, body, xid }) => {
      this.#xid += 1
      this.#pending.push(type)
      return frame(Buffer.concat([int(xid ?? this.#xid), int(type), body]))
    })
    this.#socket.write(Buffer.concat(frames))
    await this.#until(() => this.#pending.length === 0)
    if (closingErrors.has(this.#lastError)) await this.over(closingMillis)
  }

  /** Bytes as they are; until the server closes, or says nothing for a while. */
  async raw(bytes: Buffer, quietMillis: number): Promise<void> {
    this.#socket.write(bytes)
    await this.#until(() => false, quietMillis)
  }

  /** Its server is up to date afterwards, and everything that it told this connection is here. */
  async settle(): Promise<void> {
    if (this.closed || !this.#handshaken) return
    this.#syncs += 1
    this.#socket.write(frame(Buffer.concat([int(syncXid), int(op.sync), text('/')])))
    await this.#until(() => this.#syncs === 0)
  }

  /** Without a word. */
  async drop(): Promise<void> {
    if (this.closed) return
    this.closed = true
    this.#socket.destroy()
    await new Promise(resolve => this.#socket.once('close', resolve))
  }

  /** The server has closed it, or will not. */
  async over(millis: number): Promise<void> {
    await this.#until(() => false, millis)
  }

  async #until(done: () => boolean, millis = patienceMillis): Promise<void> {
    const deadline = performance.now() + millis
    while (!done() && !this.closed) {
      const left = deadline - performance.now()
      if (left <= 0) {
        if (millis === patienceMillis) {
          this.#note('NO ANSWER')
          await this.drop()
        }
        return
      }
      let timer: NodeJS.Timeout | undefined
      await new Promise<void>(resolve => {
        this.#wake = resolve
        timer = setTimeout(resolve, left)
      })
      clearTimeout(timer)
    }
  }

  #take(chunk: Buffer): void {
    if (this.closed) return
    this.#rest = Buffer.concat([this.#rest, chunk])
    while (this.#rest.length >= 4) {
      const length = this.#rest.readInt32BE(0)
      if (!this.#handshaken && (length < 0 || length > 64)) {
        this.#note(`text ${shapeOf(this.#rest.toString('latin1'))}`)
        this.#rest = Buffer.alloc(0)
        break
      }
      if (this.#rest.length < 4 + length) break
      const packet = this.#rest.subarray(4, 4 + length)
      this.#rest = this.#rest.subarray(4 + length)
      if (this.#handshaken) this.#reply(packet)
      else this.#response(packet)
    }
    this.#wake()
  }

  #response(packet: Buffer): void {
    this.#handshaken = true
    const session = packet.readBigInt64BE(8)
    const password = packet.subarray(20, 36)
    const isZero = password.every(byte => byte === 0)
    if (session !== 0n) {
      this.#transcript.nameSession(session, this.#name)
      this.id = session
      this.password = Buffer.from(password)
    }
    this.#note(
      `connected protocol=${packet.readInt32BE(0)} timeout=${packet.readInt32BE(4)}` +
        ` session=${this.#transcript.sessionName(session)} password=${packet.readInt32BE(16)}` +
        `${isZero ? ' zero' : ''} rest=${packet.subarray(36).toString('hex')}`,
    )
  }

  #reply(packet: Buffer): void {
    const xid = packet.readInt32BE(0)
    if (xid === syncXid && this.#syncs > 0) {
      this.#syncs -= 1
      return
    }
    const type = xid === -1 ? undefined : this.#pending.shift()
    const zxid = packet.readBigInt64BE(4)
    if (xid >= 0 && zxid > this.zxid) this.zxid = zxid
    this.#lastError = packet.length < 16 ? 0 : packet.readInt32BE(12)
    this.#note(...replyParts(this.#transcript, packet, type))
  }

  #note(...parts: Part[]): void {
    this.#transcript.note(this.#name, ...parts)
  }
}

/** Of a word's answer: versions, numbers and roles are each server's own. */
function shapeOf(text: string): string {
  return JSON.stringify(
    text
      .replace(/3\.9\.5-.*/g, 'VERSION')
      .replace(/Mode: .*/, 'Mode: ROLE')
      .replace(/Proposal sizes.*\n/, '')
      .replace(/[0-9][0-9a-f]*/g, '9'),
  )
}

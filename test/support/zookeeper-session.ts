/**
 * A small ZooKeeper client for tests: one session that moves to another server when its connection
 * is lost, requests pipelined, every reply checked to be the next in order. Written from the
 * protocol, not from the server's codecs, so that it can disagree with them.
 */
import { connect, type Socket } from 'node:net'

export interface Endpoint {
  readonly host: string
  readonly port: number
}

export interface ZnodeStat {
  readonly czxid: number
  readonly mzxid: number
  readonly version: number
  readonly cversion: number
  readonly ephemeralOwner: bigint
  readonly numChildren: number
}

export class ZookeeperError extends Error {
  readonly code: number

  constructor(code: number) {
    super(`ZooKeeper error ${code}`)
    this.code = code
  }
}

/** The connection went while the request was under way: it may or may not have happened. */
export class ConnectionLost extends Error {}

export interface WatchEvent {
  readonly type: number
  readonly path: string
}

interface Pending {
  readonly xid: number
  readonly resolve: (body: Buffer) => void
  readonly reject: (error: Error) => void
}

const retryMillis = 20

export class ZookeeperSession {
  readonly #endpoints: readonly Endpoint[]
  readonly #timeoutMillis: number
  readonly #pending: Pending[] = []
  #at: number
  #socket: Socket | undefined
  #rest: Buffer = Buffer.alloc(0)
  #id = 0n
  #password = Buffer.alloc(16)
  #lastZxid = 0n
  #xid = 0
  #connected = false
  #closed = false
  #waiting: (() => void)[] = []
  #ping: NodeJS.Timeout | undefined
  /** Connections that were lost so far. */
  losses = 0
  expired = false
  readonly events: WatchEvent[] = []
  onEvent: (event: WatchEvent) => void = () => {}

  /** Connects to `endpoints[first]`, and to the next ones when it cannot. */
  constructor(endpoints: readonly Endpoint[], first: number, timeoutMillis: number) {
    this.#endpoints = endpoints
    this.#at = first
    this.#timeoutMillis = timeoutMillis
    this.#dial()
  }

  /** Index of the endpoint in use, counted on at every dial. */
  get at(): number {
    return this.#at
  }

  get id(): bigint {
    return this.#id
  }

  get zxid(): bigint {
    return this.#lastZxid
  }

  async create(path: string, data: Buffer, flags = 0): Promise<string> {
    const acl = Buffer.concat([int(1), int(31), text('world'), text('anyone')])
    const body = await this.request(1, Buffer.concat([text(path), buffer(data), acl, int(flags)]))
    return body.toString('utf8', 4, 4 + body.readInt32BE(0))
  }

  async set(path: string, data: Buffer, version = -1): Promise<ZnodeStat> {
    return stat(await this.request(5, Buffer.concat([text(path), buffer(data), int(version)])), 0)
  }

  async get(path: string, watch = false): Promise<{ data: Buffer; stat: ZnodeStat }> {
    const body = await this.request(4, Buffer.concat([text(path), Buffer.from([watch ? 1 : 0])]))
    const length = Math.max(0, body.readInt32BE(0))
    return { data: body.subarray(4, 4 + length), stat: stat(body, 4 + length) }
  }

  /** Undefined where there is no such node. */
  async exists(path: string, watch = false): Promise<ZnodeStat | undefined> {
    try {
      return stat(
        await this.request(3, Buffer.concat([text(path), Buffer.from([watch ? 1 : 0])])),
        0,
      )
    } catch (error) {
      if (error instanceof ZookeeperError && error.code === -101) return undefined
      throw error
    }
  }

  async delete(path: string, version = -1): Promise<void> {
    await this.request(2, Buffer.concat([text(path), int(version)]))
  }

  async children(path: string): Promise<string[]> {
    const body = await this.request(8, Buffer.concat([text(path), Buffer.from([0])]))
    const names: string[] = []
    let at = 4
    for (let count = body.readInt32BE(0); count > 0; count -= 1) {
      const length = body.readInt32BE(at)
      names.push(body.toString('utf8', at + 4, at + 4 + length))
      at += 4 + length
    }
    return names
  }

  async sync(path: string): Promise<void> {
    await this.request(9, text(path))
  }

  /** Sent once there is a connection. @throws ZookeeperError | ConnectionLost | Error once closed */
  async request(type: number, body: Buffer): Promise<Buffer> {
    await this.connected()
    return await new Promise((resolve, reject) => {
      this.#xid += 1
      this.#pending.push({ xid: this.#xid, resolve, reject })
      this.#socket?.write(frame(Buffer.concat([int(this.#xid), int(type), body])))
    })
  }

  /** The session is there. @throws Error once closed */
  async connected(): Promise<void> {
    while (!this.#connected) {
      // Not ConnectionLost: who tries again after one would do so for ever.
      if (this.expired) throw new Error('the session expired')
      if (this.#closed) throw new Error('the session is closed')
      await new Promise<void>(resolve => this.#waiting.push(resolve))
    }
  }

  async close(): Promise<void> {
    if (this.#connected) await this.request(-11, Buffer.alloc(0)).catch(() => {})
    this.abandon()
  }

  /** Ends the connection without ending the session. */
  abandon(): void {
    this.#closed = true
    clearInterval(this.#ping)
    this.#socket?.destroy()
  }

  #dial(): void {
    const endpoint = this.#endpoints[this.#at % this.#endpoints.length]
    if (endpoint === undefined) throw new Error('no endpoints')
    const socket = connect({ ...endpoint, noDelay: true })
    this.#socket = socket
    this.#rest = Buffer.alloc(0)
    socket.on('connect', () => socket.write(frame(this.#connectRequest())))
    socket.on('data', chunk => this.#take(chunk))
    socket.on('error', () => {})
    socket.on('close', () => this.#lost())
  }

  #connectRequest(): Buffer {
    const request = Buffer.alloc(45)
    request.writeBigInt64BE(this.#lastZxid, 4)
    request.writeInt32BE(this.#timeoutMillis, 12)
    request.writeBigInt64BE(this.#id, 16)
    request.writeInt32BE(16, 24)
    this.#password.copy(request, 28)
    return request
  }

  #take(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    while (bytes.length - at >= 4) {
      const length = bytes.readInt32BE(at)
      if (bytes.length - at - 4 < length) break
      const body = bytes.subarray(at + 4, at + 4 + length)
      if (this.#connected) this.#reply(body)
      else this.#established(body)
      at += 4 + length
    }
    this.#rest = bytes.subarray(at)
  }

  #established(body: Buffer): void {
    const timeout = body.readInt32BE(4)
    if (timeout <= 0) {
      this.expired = true
      this.#closed = true
      this.#wake()
      return
    }
    this.#id = body.readBigInt64BE(8)
    this.#password = Buffer.from(body.subarray(20, 36))
    this.#connected = true
    clearInterval(this.#ping)
    this.#ping = setInterval(
      () => this.#socket?.write(frame(Buffer.concat([int(-2), int(11)]))),
      timeout / 3,
    )
    this.#wake()
  }

  #reply(body: Buffer): void {
    const xid = body.readInt32BE(0)
    const zxid = body.readBigInt64BE(4)
    if (xid === -2) return
    if (xid === -1) {
      const length = body.readInt32BE(24)
      const event = { type: body.readInt32BE(16), path: body.toString('utf8', 28, 28 + length) }
      this.events.push(event)
      return this.onEvent(event)
    }
    const pending = this.#pending.shift()
    if (pending === undefined || pending.xid !== xid) throw new Error(`reply ${xid} out of order`)
    if (zxid > 0n) {
      if (zxid < this.#lastZxid) throw new Error('the zxid went back')
      this.#lastZxid = zxid
    }
    const code = body.readInt32BE(12)
    if (code === 0) pending.resolve(body.subarray(16))
    else pending.reject(new ZookeeperError(code))
  }

  #lost(): void {
    if (this.#connected) this.losses += 1
    this.#connected = false
    clearInterval(this.#ping)
    for (const pending of this.#pending.splice(0))
      pending.reject(new ConnectionLost('connection lost'))
    if (this.#closed) return this.#wake()
    this.#at += 1
    setTimeout(() => {
      if (!this.#closed) this.#dial()
    }, retryMillis)
  }

  #wake(): void {
    for (const resume of this.#waiting.splice(0)) resume()
  }
}

function stat(body: Buffer, at: number): ZnodeStat {
  return {
    czxid: Number(body.readBigInt64BE(at)),
    mzxid: Number(body.readBigInt64BE(at + 8)),
    version: body.readInt32BE(at + 32),
    cversion: body.readInt32BE(at + 36),
    ephemeralOwner: body.readBigInt64BE(at + 44),
    numChildren: body.readInt32BE(at + 56),
  }
}

function frame(body: Buffer): Buffer {
  return Buffer.concat([int(body.length), body])
}

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function buffer(data: Buffer): Buffer {
  return Buffer.concat([int(data.length), data])
}

function text(value: string): Buffer {
  return buffer(Buffer.from(value))
}

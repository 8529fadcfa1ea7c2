/** Sockets without a network, and a client that speaks the protocol over one of them. */
import type {
  Listener,
  ListenOptions,
  Network,
  Socket,
  SocketHandlers,
} from '../../../runtime/host.ts'
import {
  type ConnectResponse,
  decodeConnectResponse,
  encodeConnectRequest,
} from '../../../transport/zookeeper/connect.ts'
import { JuteReader } from '../../../transport/zookeeper/jute-reader.ts'
import { JuteWriter } from '../../../transport/zookeeper/jute-writer.ts'
import type { Write } from '../state/zookeeper-scene.ts'

export class MemoryNetwork implements Network {
  isListening = false
  #onConnection: (socket: Socket) => void = () => {}

  listen(
    options: ListenOptions,
    onConnection: (socket: Socket) => void,
    onListening: (error?: Error) => void,
  ): Listener {
    this.#onConnection = onConnection
    this.isListening = true
    onListening(options.port === 1 ? new Error('in use') : undefined)
    return {
      port: 2181,
      close: () => {
        this.isListening = false
      },
    }
  }

  connect(): Socket {
    throw new Error('the gateway connects to nobody')
  }

  client(address?: string): ZookeeperClient {
    const client = new ZookeeperClient(address)
    this.#onConnection(client.socket)
    return client
  }
}

export interface Answer {
  readonly xid: number
  readonly zxid: number
  readonly error: number
  readonly body: JuteReader
}

export class ZookeeperClient {
  readonly socket: MemorySocket
  readonly #writer = new JuteWriter()
  #xid = 0

  constructor(address = '::ffff:127.0.0.1') {
    this.socket = new MemorySocket(address)
  }

  send(bytes: Uint8Array): void {
    this.socket.handlers.data(bytes)
  }

  connect(
    options: {
      session?: bigint
      password?: Uint8Array
      timeoutMillis?: number
      lastZxidSeen?: number
      hasReadOnly?: boolean
    } = {},
  ): void {
    this.#frame(writer =>
      encodeConnectRequest(writer, {
        protocolVersion: 0,
        lastZxidSeen: options.lastZxidSeen ?? 0,
        timeoutMillis: options.timeoutMillis ?? 10_000,
        session: options.session ?? 0n,
        password: options.password ?? new Uint8Array(16),
        readOnly: false,
        hasReadOnly: options.hasReadOnly ?? true,
      }),
    )
  }

  request(type: number, write: Write, xid = ++this.#xid): number {
    this.#frame(writer => {
      writer.int(xid)
      writer.int(type)
      write(writer)
    })
    return xid
  }

  takeResponse(): ConnectResponse & { readonly frameBytes: number } {
    const [frame, ...rest] = this.takeFrames()
    if (frame === undefined || rest.length > 0) throw new Error('not exactly one response')
    const reader = new JuteReader().reset(frame, 4, frame.length)
    const response = decodeConnectResponse(reader)
    return { ...response, password: Uint8Array.from(response.password), frameBytes: frame.length }
  }

  takeAnswers(): Answer[] {
    return this.takeFrames().map(frame => {
      const body = new JuteReader().reset(frame, 4, frame.length)
      const xid = body.int()
      const zxid = body.long()
      return { xid, zxid, error: body.int(), body }
    })
  }

  takeFrames(): Buffer[] {
    const bytes = Buffer.concat(this.socket.writes.splice(0))
    const frames: Buffer[] = []
    for (let at = 0; at < bytes.length; ) {
      const end = at + 4 + bytes.readInt32BE(at)
      frames.push(bytes.subarray(at, end))
      at = end
    }
    return frames
  }

  takeText(): string {
    return Buffer.concat(this.socket.writes.splice(0)).toString('latin1')
  }

  #frame(write: Write): void {
    this.#writer.beginFrame()
    write(this.#writer)
    this.send(this.#writer.finishFrame())
  }
}

class MemorySocket implements Socket {
  readonly remoteAddress: string
  readonly remotePort = 4711
  readonly protocol = ''
  readonly writes: Buffer[] = []
  handlers: SocketHandlers = { data() {}, closed() {} }
  bufferedBytes = 0
  /** The system takes nothing. */
  isStuck = false
  /** Its end waits for what the system has not taken. */
  lingers = false
  isPaused = false
  isClosed = false

  constructor(remoteAddress: string) {
    this.remoteAddress = remoteAddress
  }

  open(handlers: SocketHandlers): void {
    this.handlers = handlers
  }

  write(bytes: Uint8Array): void {
    if (this.isClosed) throw new Error('written to after the end')
    this.writes.push(Buffer.from(bytes))
    if (this.isStuck) this.bufferedBytes += bytes.length
  }

  /** The system takes what it was given, and from now on all at once. */
  take(): void {
    this.isStuck = false
    this.bufferedBytes = 0
    this.handlers.drained?.()
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
  }

  end(): void {
    if (!this.lingers) this.#close()
  }

  destroy(): void {
    this.#close()
  }

  /** As when the client goes away. */
  leave(): void {
    this.isClosed = true
    this.handlers.closed({ byPeer: true })
  }

  #close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.handlers.closed({ byPeer: false })
  }
}

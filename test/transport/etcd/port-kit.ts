/** The etcd port on a network and a clock that the test moves, and a client that speaks in frames. */
import type {
  ListenOptions,
  Network,
  Socket,
  SocketHandlers,
  Timers,
} from '../../../runtime/host.ts'
import { FrameReader, uint32 } from '../../../transport/etcd/http2/frame-reader.ts'
import { HpackDecoder } from '../../../transport/etcd/http2/hpack-decoder.ts'
import { HpackEncoder } from '../../../transport/etcd/http2/hpack-encoder.ts'
import { flag, frameType, preface, setting } from '../../../transport/etcd/http2/protocol.ts'
import {
  type EtcdHandler,
  type EtcdServer,
  type EtcdServerLimits,
  startEtcdServer,
} from '../../../transport/etcd/server.ts'
import { type EchoEvent, echoHandler, echoMethods } from './echo-server.ts'

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

export class FakeSocket implements Socket {
  remoteAddress = '127.0.0.1'
  readonly remotePort = 1
  protocol = ''
  bufferedBytes = 0
  paused = false
  ended = false
  destroyed = false
  writes = 0
  readonly received: Buffer[] = []
  handlers: SocketHandlers | undefined = undefined
  /** The peer does not read: what is written stays here. */
  stuck = false

  open(handlers: SocketHandlers): void {
    this.handlers = handlers
  }

  write(bytes: Uint8Array): void {
    this.writes++
    this.received.push(Buffer.from(bytes))
    if (this.stuck) this.bufferedBytes += bytes.length
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
  }

  end(): void {
    this.ended = true
  }

  destroy(): void {
    if (this.destroyed) return
    this.destroyed = true
    this.handlers?.closed({ byPeer: false })
  }

  drain(): void {
    this.bufferedBytes = 0
    this.handlers?.drained?.()
  }
}

export interface TestPort {
  readonly server: EtcdServer
  readonly events: EchoEvent[]
  connect(protocol?: string): TestClient
  /** A socket that has said nothing yet. */
  accept(protocol?: string, address?: string): FakeSocket
  advance(millis: number): void
}

export function testPort(
  limits: Partial<EtcdServerLimits> = {},
  handler: Partial<EtcdHandler> = {},
): TestPort {
  let now = 1000
  const timers: { at: number; callback: () => void }[] = []
  let onConnection: (socket: Socket) => void = () => {}
  let listening = () => {}
  const network: Network = {
    listen(_options: ListenOptions, accept: (socket: Socket) => void, onListening: () => void) {
      onConnection = accept
      listening = onListening
      return { port: 1, close() {} }
    },
    connect: () => new FakeSocket(),
  }
  const clock = { monotonicMillis: () => now, wallMillis: () => now }
  const events: EchoEvent[] = []
  const fakeTimers: Timers = {
    after(delay, callback) {
      const timer = { at: now + delay, callback }
      timers.push(timer)
      return { cancel: () => timers.splice(timers.indexOf(timer), 1) }
    },
  }
  const server: EtcdServer = startEtcdServer({
    host: { clock, timers: fakeTimers, network },
    listen: { host: '', port: 0 },
    methods: echoMethods,
    limits,
    handler: {
      ...echoHandler(
        () => server,
        event => events.push(event),
      ),
      ...handler,
    },
    onListening() {},
  })
  listening()
  function accept(protocol = '', address = '127.0.0.1'): FakeSocket {
    const socket = new FakeSocket()
    socket.remoteAddress = address
    socket.protocol = protocol
    onConnection(socket)
    return socket
  }
  return {
    server,
    events,
    accept,
    connect: protocol => new TestClient(accept(protocol)),
    advance(millis) {
      const end = now + millis
      for (;;) {
        const next = timers.filter(timer => timer.at <= end).sort((a, b) => a.at - b.at)[0]
        if (next === undefined) break
        timers.splice(timers.indexOf(next), 1)
        now = next.at
        next.callback()
      }
      now = end
    },
  }
}

export const callFields = [
  ...[':method', 'POST', ':scheme', 'http', ':path', '/test.Echo/Unary', ':authority', 'a'],
  ...['content-type', 'application/grpc', 'te', 'trailers'],
]

export function fieldsFor(path: string, more: readonly string[] = []): string[] {
  return [...callFields.map(field => (field === '/test.Echo/Unary' ? path : field)), ...more]
}

export class TestClient {
  readonly socket: FakeSocket
  readonly #encoder = new HpackEncoder()
  readonly #decoder = new HpackDecoder(4096, 1 << 20)
  readonly #reader = new FrameReader()

  constructor(socket: FakeSocket) {
    this.socket = socket
  }

  /** Preface and SETTINGS; the server's own are taken and acknowledged. */
  handshake(settings: readonly (readonly [number, number])[] = []): this {
    this.send(Buffer.concat([preface, settingsFrame(settings)]))
    this.send(frame(frameType.settings, flag.ack, 0))
    this.frames()
    return this
  }

  send(...parts: readonly Uint8Array[]): void {
    if (!this.socket.destroyed) this.socket.handlers?.data(Buffer.concat(parts))
  }

  headers(stream: number, fields: readonly string[], flags: number = flag.endHeaders): Buffer {
    return frame(frameType.headers, flags, stream, this.#encoder.encode(fields, true))
  }

  /** A unary call in two frames. */
  call(stream: number, message: string, path = '/test.Echo/Unary'): void {
    this.send(
      this.headers(stream, fieldsFor(path)),
      frame(frameType.data, flag.endStream, stream, grpcMessage(message)),
    )
  }

  /** All frames that the server has written since the last time. */
  frames(): Frame[] {
    const frames: Frame[] = []
    const bytes = Buffer.concat(this.socket.received.splice(0))
    this.#reader.read(bytes, {
      frame(type, flags, stream, source, start, end) {
        frames.push({ type, flags, stream, payload: Buffer.from(source.subarray(start, end)) })
        return true
      },
    })
    return frames
  }

  /** The frames as text: `HEADERS 1 :status=200 …`, `DATA 1 14 END`, `GOAWAY 3 11 too_many_pings`. */
  say(): string[] {
    return this.frames().map(({ type, flags, stream, payload }) => {
      const end = (flags & flag.endStream) !== 0 ? ' END' : ''
      switch (type) {
        case frameType.headers: {
          const { fields } = this.#decoder.decode(payload, 0, payload.length)
          const text = fields
            .map((field, at) => (at % 2 === 0 ? ` ${field}` : `=${field}`))
            .join('')
          return `HEADERS ${stream}${text}${end}`
        }
        case frameType.data:
          return `DATA ${stream} ${payload.length}${end}`
        case frameType.rstStream:
          return `RST_STREAM ${stream} ${uint32(payload, 0)}`
        case frameType.goaway: {
          const debug = payload.subarray(8).toString()
          return `GOAWAY ${uint32(payload, 0)} ${uint32(payload, 4)} ${debug}`
        }
        case frameType.windowUpdate:
          return `WINDOW_UPDATE ${stream} ${uint32(payload, 0)}`
        case frameType.settings:
          return (flags & flag.ack) !== 0 ? 'SETTINGS ACK' : 'SETTINGS'
        case frameType.ping:
          return (flags & flag.ack) !== 0 ? 'PING ACK' : 'PING'
        default:
          return `type ${type}`
      }
    })
  }
}

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = new Uint8Array(0),
): Buffer {
  const header = Buffer.alloc(9)
  header.writeUIntBE(payload.length, 0, 3)
  header[3] = type
  header[4] = flags
  header.writeUInt32BE(stream, 5)
  return Buffer.concat([header, payload])
}

export function settingsFrame(settings: readonly (readonly [number, number])[]): Buffer {
  const payload = Buffer.alloc(settings.length * 6)
  settings.forEach(([id, value], at) => {
    payload.writeUInt16BE(id, at * 6)
    payload.writeUInt32BE(value, at * 6 + 2)
  })
  return frame(frameType.settings, 0, 0, payload)
}

export const initialWindow = (bytes: number) => [setting.initialWindowSize, bytes] as const

export function windowUpdate(stream: number, increment: number): Buffer {
  return frame(frameType.windowUpdate, 0, stream, uint32Bytes(increment))
}

export function rstStream(stream: number, code = 8): Buffer {
  return frame(frameType.rstStream, 0, stream, uint32Bytes(code))
}

export function uint32Bytes(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export function grpcMessage(message: string | Uint8Array, flags = 0): Buffer {
  const body = Buffer.from(message)
  return Buffer.concat([Buffer.of(flags), uint32Bytes(body.length), body])
}

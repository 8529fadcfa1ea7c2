/**
 * gRPC over HTTP/2 as a client of a simulated world needs it: frames by hand, header blocks without
 * a table of our own, unary calls and streams. Small messages only: it never grants windows again.
 */
import type { Host, Socket } from '../../runtime/host.ts'
import { HpackDecoder } from '../../transport/etcd/http2/hpack-decoder.ts'

export interface CallHandlers {
  message(bytes: Uint8Array): void
  /** gRPC status, or `lostStatus`: the connection or the stream broke, and nobody knows. */
  ended(status: number): void
}

export const lostStatus = -1

const frameType = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, window: 8 }
const flag = { end: 1, acknowledged: 1, endHeaders: 4 }
const frameHeaderBytes = 9
const messagePrefixBytes = 5
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const initialWindowSetting = Buffer.from([0, 4, 0x3f, 0xff, 0xff, 0xff])
const moreWindow = Buffer.from([0x3f, 0xff, 0, 0])

interface Call extends CallHandlers {
  rest: Buffer
  status: number
}

export class GrpcConnection {
  isOpen = false
  heardMillis: number
  readonly #host: Host
  readonly #socket: Socket
  readonly #lost: () => void
  readonly #hpack = new HpackDecoder(4096, 65_536)
  readonly #calls = new Map<number, Call>()
  #nextStream = 1
  #rest: Buffer = Buffer.alloc(0)

  constructor(
    host: Host,
    address: { host: string; port: number },
    handlers: { opened(): void; lost(): void },
  ) {
    this.#host = host
    this.#lost = handlers.lost
    this.heardMillis = host.clock.monotonicMillis()
    this.#socket = host.network.connect(address)
    this.#socket.open({
      connected: () => {
        this.isOpen = true
        this.#socket.write(preface)
        this.#frame(frameType.settings, 0, 0, initialWindowSetting)
        this.#frame(frameType.window, 0, 0, moreWindow)
        handlers.opened()
      },
      data: chunk => this.#data(chunk),
      closed: () => this.#closed(),
    })
  }

  unary(path: string, message: Uint8Array, handlers: CallHandlers): void {
    const stream = this.#begin(path, handlers)
    this.#frame(frameType.data, flag.end, stream, withPrefix(message))
  }

  /** What sends one message on it. */
  stream(path: string, handlers: CallHandlers): (message: Uint8Array) => void {
    const stream = this.#begin(path, handlers)
    return message => {
      if (this.#calls.has(stream)) this.#frame(frameType.data, 0, stream, withPrefix(message))
    }
  }

  ping(): void {
    this.#frame(frameType.ping, 0, 0, Buffer.alloc(8))
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #begin(path: string, handlers: CallHandlers): number {
    const stream = this.#nextStream
    this.#nextStream += 2
    this.#calls.set(stream, { ...handlers, rest: Buffer.alloc(0), status: lostStatus })
    this.#frame(frameType.headers, flag.endHeaders, stream, headerBlock(path))
    return stream
  }

  #frame(type: number, flags: number, stream: number, payload: Uint8Array): void {
    const bytes = Buffer.alloc(frameHeaderBytes + payload.length)
    bytes.writeUIntBE(payload.length, 0, 3)
    bytes[3] = type
    bytes[4] = flags
    bytes.writeUInt32BE(stream, 5)
    bytes.set(payload, frameHeaderBytes)
    this.#socket.write(bytes)
  }

  #data(chunk: Uint8Array): void {
    this.heardMillis = this.#host.clock.monotonicMillis()
    const bytes = Buffer.concat([this.#rest, chunk])
    let at = 0
    while (bytes.length - at >= frameHeaderBytes) {
      const end = at + frameHeaderBytes + bytes.readUIntBE(at, 3)
      if (end > bytes.length) break
      const payload = bytes.subarray(at + frameHeaderBytes, end)
      this.#take(bytes[at + 3]!, bytes[at + 4]!, bytes.readUInt32BE(at + 5), payload)
      at = end
    }
    this.#rest = bytes.subarray(at)
  }

  #take(type: number, flags: number, stream: number, payload: Buffer): void {
    const isAcknowledgement = (flags & flag.acknowledged) !== 0
    if (type === frameType.settings && !isAcknowledgement)
      this.#frame(frameType.settings, flag.acknowledged, 0, Buffer.alloc(0))
    else if (type === frameType.ping && !isAcknowledgement)
      this.#frame(frameType.ping, flag.acknowledged, 0, payload)
    else if (type === frameType.goaway) this.destroy()
    // Header blocks are decoded whosever they are: the table has to keep in step.
    const headers =
      type === frameType.headers ? this.#hpack.decode(payload, 0, payload.length) : undefined
    const call = this.#calls.get(stream)
    if (call === undefined) return
    if (headers !== undefined) {
      const at = headers.fields.indexOf('grpc-status')
      if (at >= 0) call.status = Number(headers.fields[at + 1])
    } else if (type === frameType.data) takeMessages(call, payload)
    const ended = (flags & flag.end) !== 0 && (headers !== undefined || type === frameType.data)
    if (ended || type === frameType.reset) this.#end(stream, call)
  }

  #end(stream: number, call: Call): void {
    this.#calls.delete(stream)
    call.ended(call.status)
  }

  #closed(): void {
    this.isOpen = false
    this.#lost()
    for (const [stream, call] of this.#calls) {
      call.status = lostStatus
      this.#end(stream, call)
    }
  }
}

function takeMessages(call: Call, payload: Buffer): void {
  call.rest = Buffer.concat([call.rest, payload])
  while (call.rest.length >= messagePrefixBytes) {
    const end = messagePrefixBytes + call.rest.readUInt32BE(1)
    if (call.rest.length < end) return
    const message = call.rest.subarray(messagePrefixBytes, end)
    call.rest = call.rest.subarray(end)
    call.message(message)
  }
}

function withPrefix(message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(messagePrefixBytes + message.length)
  bytes.writeUInt32BE(message.length, 1)
  bytes.set(message, messagePrefixBytes)
  return bytes
}

const blocks = new Map<string, Buffer>()

/** POST, http, path, authority, content type, te: literals that enter no table. */
function headerBlock(path: string): Buffer {
  let block = blocks.get(path)
  if (block === undefined) {
    const fixed = [Buffer.from([0x83, 0x86, 0x04]), literal(path), Buffer.from([0x01])]
    const type = [literal('simulated'), Buffer.from([0x0f, 0x10]), literal('application/grpc')]
    block = Buffer.concat([...fixed, ...type, Buffer.from([0]), literal('te'), literal('trailers')])
    blocks.set(path, block)
  }
  return block
}

function literal(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text)])
}

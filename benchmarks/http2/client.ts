/** A generator of unary calls in bare frames, far cheaper than what it measures. */
import net from 'node:net'
import { FrameReader, type FrameSink } from '../../transport/etcd/http2/frame-reader.ts'
import { HpackEncoder } from '../../transport/etcd/http2/hpack-encoder.ts'
import { Output } from '../../transport/etcd/http2/output.ts'
import { flag, frameType, preface } from '../../transport/etcd/http2/protocol.ts'

const message = Buffer.from('0a0668656c6c6f31', 'hex')

export class Generator implements FrameSink {
  answered = 0
  readonly #socket: net.Socket
  readonly #reader = new FrameReader()
  readonly #output = new Output()
  readonly #block: Uint8Array
  readonly #prefixed = Buffer.concat([Buffer.of(0, 0, 0, 0, message.length), message])
  #stream = -1

  /** Keeps `inFlight` calls outstanding for ever. */
  constructor(port: number, path: string, inFlight: number) {
    this.#socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
    const encoder = new HpackEncoder()
    const fields = [
      ...[':method', 'POST', ':scheme', 'http', ':path', path, ':authority', '127.0.0.1'],
      ...['content-type', 'application/grpc', 'user-agent', 'bare-frames', 'te', 'trailers'],
    ]
    this.#socket.write(preface)
    this.#output.settings([])
    this.#output.windowUpdate(0, 0x7000_0000)
    this.#call(encoder.encode(fields, true))
    this.#block = encoder.encode(fields, true)
    for (let count = 1; count < inFlight; count++) this.#call(this.#block)
    this.#flush()
    this.#socket.on('data', chunk => {
      this.#reader.read(chunk, this)
      this.#flush()
    })
  }

  frame(type: number, flags: number): boolean {
    if (type === frameType.headers && (flags & flag.endStream) !== 0) {
      this.answered++
      this.#call(this.#block)
    } else if (type === frameType.settings && (flags & flag.ack) === 0) this.#output.settingsAck()
    else if (type === frameType.goaway) throw new Error('the server went away')
    return true
  }

  close(): void {
    this.#socket.destroy()
  }

  #call(block: Uint8Array): void {
    this.#stream += 2
    this.#output.headers(this.#stream, block, false)
    this.#output.header(this.#prefixed.length, frameType.data, flag.endStream, this.#stream)
    this.#output.bytes(this.#prefixed)
  }

  #flush(): void {
    this.#output.flushTo(bytes => this.#socket.write(Buffer.from(bytes)))
  }
}

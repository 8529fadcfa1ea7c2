/**
 * HTTP/1.1 on the etcd port: sockets that did not begin with HTTP/2's preface go to a node:http
 * server that listens nowhere, and its requests to the same callback as those of HTTP/2.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket as NativeSocket } from 'node:net'
import type { Clock, Socket } from '../../runtime/host.ts'
import type { EtcdHandler } from './api.ts'
import type { EtcdServerLimits } from './limits.ts'

interface Client {
  readonly socket: Socket
  readonly native: NativeSocket
  /** Since when it has asked nothing, or not finished the body of what it asks. */
  sinceMillis: number
  /** Since when it has been sending headers; 0: it is not. */
  headersSinceMillis: number
  /** What had come of it when its last request was whole. */
  readBytes: number
  /** The headers are complete, the body is not. */
  inBody: boolean
  /** Requests being answered. */
  busy: number
}

export class Http1 {
  readonly #handler: EtcdHandler
  readonly #clock: Clock
  readonly #limits: EtcdServerLimits
  readonly #clients = new Map<unknown, Client>()
  readonly #server = createServer((request, response) => this.#collect(request, response))

  constructor(handler: EtcdHandler, clock: Clock, limits: EtcdServerLimits) {
    this.#handler = handler
    this.#clock = clock
    this.#limits = limits
  }

  get connections(): number {
    return this.#clients.size
  }

  /**
   * Hands the platform's socket over, what was read of it, since `sinceMillis`, first. Without one
   * there is no HTTP/1.1.
   */
  take(socket: Socket, read: Uint8Array, sinceMillis: number, gone: () => void): void {
    // From here on the host calls none of our handlers for it.
    const native = socket.native as NativeSocket | undefined
    if (native === undefined) {
      socket.destroy()
      return
    }
    const since = { sinceMillis, headersSinceMillis: sinceMillis }
    const client = { socket, native, ...since, readBytes: 0, inBody: false, busy: 0 }
    this.#clients.set(native, client)
    native.once('close', () => {
      this.#clients.delete(native)
      gone()
    })
    native.unshift(read)
    this.#server.emit('connection', native)
    native.resume()
  }

  tick(now: number): void {
    for (const client of this.#clients.values()) {
      if (client.busy === 0 && this.#isTooSlow(client, now)) client.socket.destroy()
    }
  }

  /** node:http looks at the times of its own listeners' sockets only. */
  #isTooSlow(client: Client, now: number): boolean {
    const { http1IdleMillisMax, http1HeadersMillisMax } = this.#limits
    if (now - client.sinceMillis > http1IdleMillisMax) return true
    if (client.inBody) return false
    const { headersSinceMillis } = client
    if (headersSinceMillis !== 0) return now - headersSinceMillis > http1HeadersMillisMax
    if (client.native.bytesRead > client.readBytes) client.headersSinceMillis = now
    return false
  }

  close(): void {
    for (const client of this.#clients.values()) client.socket.destroy()
  }

  #collect(request: IncomingMessage, response: ServerResponse): void {
    const client = this.#clients.get(request.socket)
    if (client !== undefined) {
      client.headersSinceMillis = 0
      client.inBody = true
    }
    const { messageBytesMax } = this.#limits
    const chunks: Buffer[] = []
    let bytes = 0
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= messageBytesMax) chunks.push(chunk)
    })
    request.on('end', () => {
      if (client !== undefined) {
        client.inBody = false
        client.readBytes = client.native.bytesRead
      }
      if (bytes <= messageBytesMax) this.#serve(request, response, Buffer.concat(chunks))
      else response.writeHead(413, { connection: 'close' }).end()
    })
  }

  #serve(request: IncomingMessage, response: ServerResponse, body: Uint8Array): void {
    const client = this.#clients.get(request.socket)
    if (client !== undefined) client.busy++
    response.on('close', () => {
      if (client === undefined) return
      client.busy--
      client.sinceMillis = this.#clock.monotonicMillis()
    })
    const url = request.url ?? '/'
    const mark = url.indexOf('?')
    const headers = new Map<string, string>()
    for (const [name, value] of Object.entries(request.headers))
      headers.set(name, Array.isArray(value) ? value.join(', ') : (value ?? ''))
    const plain = {
      method: request.method ?? '',
      path: mark < 0 ? url : url.slice(0, mark),
      query: mark < 0 ? '' : url.slice(mark + 1),
      headers,
      body,
    }
    this.#handler.http(plain, ({ status, contentType, body, headers }) => {
      const length = typeof body === 'string' ? Buffer.byteLength(body) : body.length
      response.writeHead(status, {
        ...headers,
        ...(contentType === '' ? {} : { 'content-type': contentType }),
        'content-length': length,
      })
      response.end(body)
    })
  }
}

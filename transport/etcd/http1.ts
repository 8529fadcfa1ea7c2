/**
 * HTTP/1.1 on the etcd port: sockets that did not begin with HTTP/2's preface go to a node:http
 * server that listens nowhere, and its requests to the same callback as those of HTTP/2.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket as NativeSocket } from 'node:net'
import type { Clock, Socket } from '../../runtime/host.ts'
import type { EtcdHandler } from './api.ts'

interface Client {
  readonly socket: Socket
  /** Since when it has asked nothing, or not finished asking. */
  sinceMillis: number
  /** Requests being answered. */
  busy: number
}

export class Http1 {
  readonly #handler: EtcdHandler
  readonly #clock: Clock
  readonly #bodyBytesMax: number
  readonly #idleMillisMax: number
  readonly #clients = new Map<unknown, Client>()
  readonly #server = createServer((request, response) => this.#collect(request, response))

  constructor(handler: EtcdHandler, clock: Clock, bodyBytesMax: number, idleMillisMax: number) {
    this.#handler = handler
    this.#clock = clock
    this.#bodyBytesMax = bodyBytesMax
    this.#idleMillisMax = idleMillisMax
  }

  get connections(): number {
    return this.#clients.size
  }

  /** Hands the platform's socket over, what was read of it first. Without one there is no HTTP/1.1. */
  take(socket: Socket, read: Uint8Array): void {
    // From here on the host calls none of our handlers for it.
    const native = socket.native as NativeSocket | undefined
    if (native === undefined) {
      socket.destroy()
      return
    }
    this.#clients.set(native, { socket, sinceMillis: this.#clock.monotonicMillis(), busy: 0 })
    native.once('close', () => this.#clients.delete(native))
    native.unshift(read)
    this.#server.emit('connection', native)
    native.resume()
  }

  tick(now: number): void {
    for (const client of this.#clients.values())
      if (client.busy === 0 && now - client.sinceMillis > this.#idleMillisMax)
        client.socket.destroy()
  }

  close(): void {
    for (const client of this.#clients.values()) client.socket.destroy()
  }

  #collect(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = []
    let bytes = 0
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= this.#bodyBytesMax) chunks.push(chunk)
    })
    request.on('end', () => {
      if (bytes <= this.#bodyBytesMax) this.#serve(request, response, Buffer.concat(chunks))
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

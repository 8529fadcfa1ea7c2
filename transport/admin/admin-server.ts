/**
 * The admin port: plain HTTP/1.1 with small JSON or text bodies, for operators, scrapers and the
 * command line; the same on a Unix socket. What the paths mean is the caller's.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { Server as TlsServer } from 'node:tls'
import {
  boundHandshakes,
  credentialsOf,
  type OnReload,
  tlsLimits,
} from '../../runtime/network-node-tls.ts'
import type { TlsFiles } from '../../runtime/host.ts'
import type { Guard, RequestHead } from './admin-guard.ts'
import { openSocket } from './unix-socket.ts'

export interface AdminRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly body: string
}

export interface AdminResponse {
  readonly status: number
  readonly body: string
  /** Default: application/json. */
  readonly contentType?: string
}

export interface AdminServerOptions {
  readonly host: string
  readonly port: number
  readonly tls?: TlsFiles
  /** Path of a Unix socket that answers too. */
  readonly socket?: string
  /** Asked before anything else is looked at. */
  readonly guard: Guard
  readonly handle: (request: AdminRequest, answer: (response: AdminResponse) => void) => void
  readonly onCertificates?: OnReload
  /** A caller did not get through the TLS handshake. */
  readonly onHandshakeFailed?: (address: string, error: Error) => void
}

export interface AdminServer {
  close(): void
}

const bodyBytesMax = 64 * 1024
const bounds = {
  requestTimeout: 10_000,
  headersTimeout: 10_000,
  keepAliveTimeout: 10_000,
  connectionsCheckingInterval: 2000,
} as const
const connectionsMax = 512

/** @throws Error where the port or the socket cannot be opened. */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const { host, port, socket, tls } = options
  const servers: Server[] = []
  const listener = listenerFor(options, false)
  const server = tls === undefined ? createServer(bounds, listener) : secure(tls, options, listener)
  servers.push(server)
  await listening(server, done => server.listen({ host, port, exclusive: true }, done))
  if (socket !== undefined) {
    const local = createServer(bounds, listenerFor(options, true))
    servers.push(local)
    await openSocket(local, socket)
  }
  for (const one of servers) one.maxConnections = connectionsMax
  return {
    close() {
      for (const one of servers) {
        one.close()
        one.closeAllConnections()
      }
    },
  }
}

type RequestListener = (request: IncomingMessage, response: ServerResponse) => void

function listenerFor(options: AdminServerOptions, isLocal: boolean): RequestListener {
  return (request, response) => {
    const refused = options.guard(headOf(request, isLocal))
    if (refused === undefined) return take(request, response, options.handle)
    const { status, error } = refused
    // Its body is not read.
    response.setHeader('connection', 'close')
    send(response, { status, body: `${JSON.stringify({ error })}\n` })
    request.resume()
  }
}

function secure(tls: TlsFiles, options: AdminServerOptions, listener: RequestListener): Server {
  const credentials = credentialsOf(tls)
  const handshakeTimeout = tlsLimits.handshakeMillisMax
  const server = createSecureServer(
    { ...bounds, ...credentials.options, handshakeTimeout },
    listener,
  )
  server.on('tlsClientError', (error, socket) =>
    options.onHandshakeFailed?.(socket.remoteAddress ?? '', error),
  )
  boundHandshakes(server)
  credentials.follow(server as TlsServer, options.onCertificates ?? (() => {}))
  return server
}

function headOf({ method = 'GET', headers }: IncomingMessage, isLocal: boolean): RequestHead {
  const { host, origin, authorization } = headers
  return { method, host, origin, contentType: headers['content-type'], authorization, isLocal }
}

function listening(server: Server, listen: (done: () => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    listen(resolve)
  })
}

function take(
  request: IncomingMessage,
  response: ServerResponse,
  handle: AdminServerOptions['handle'],
): void {
  const parts: Buffer[] = []
  let bytes = 0
  request.on('data', (part: Buffer) => {
    bytes += part.length
    if (bytes <= bodyBytesMax) parts.push(part)
  })
  request.on('end', () => {
    if (bytes > bodyBytesMax) return send(response, { status: 413, body: tooLarge })
    const url = URL.parse(`http://admin${request.url}`)
    if (url === null) return send(response, { status: 400, body: noPath })
    const { pathname, searchParams } = url
    const body = Buffer.concat(parts).toString('utf8')
    handle({ method: request.method ?? 'GET', path: pathname, query: searchParams, body }, answer =>
      send(response, answer),
    )
  })
}

const noPath = JSON.stringify({ error: 'the path of the request is none' })
const tooLarge = JSON.stringify({ error: `a request has at most ${bodyBytesMax} bytes` })

function send(response: ServerResponse, { status, body, contentType }: AdminResponse): void {
  const type = contentType ?? 'application/json'
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) })
  response.end(body)
}

/**
 * The admin port: plain HTTP/1.1 with small JSON or text bodies, for operators, scrapers and the
 * command line. What the paths mean is the caller's.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'

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
  /** PEM. */
  readonly tls?: { readonly cert: string; readonly key: string }
  readonly handle: (request: AdminRequest, answer: (response: AdminResponse) => void) => void
}

export interface AdminServer {
  close(): void
}

const bodyBytesMax = 64 * 1024
const requestMillisMax = 10_000

export function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const requestTimeout = requestMillisMax
  const { tls } = options
  const listener = (request: IncomingMessage, response: ServerResponse): void =>
    take(request, response, options.handle)
  const server =
    tls === undefined
      ? createServer({ requestTimeout }, listener)
      : createSecureServer({ requestTimeout, ...tls }, listener)
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: options.host, port: options.port, exclusive: true }, () =>
      resolve({
        close() {
          server.close()
          server.closeAllConnections()
        },
      }),
    )
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
  response.writeHead(status, { 'content-type': contentType ?? 'application/json' })
  response.end(body)
}

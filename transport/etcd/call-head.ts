/** Makes of a request's headers what the gateway wants to know: a gRPC call, plain HTTP, or no such method. */
import type { CallHead, Method } from './api.ts'
import { parseTimeoutMillis } from './grpc.ts'
import { fieldOf, type Request } from './http2/request.ts'

export type Route =
  | { readonly kind: 'call'; readonly head: CallHead; readonly isGzip: boolean }
  | { readonly kind: 'http' }
  /** A gRPC request that no method takes. */
  | { readonly kind: 'refused'; readonly status: number; readonly message: string }

export function routeOf(request: Request, methods: ReadonlyMap<string, Method>): Route {
  const contentType = fieldOf(request.fields, 'content-type')
  if (request.method !== 'POST' || !isGrpc(contentType)) return { kind: 'http' }
  const method = methods.get(request.path)
  if (method === undefined)
    return { kind: 'refused', status: 12, message: unknownMethod(request.path, methods) }
  const timeout = fieldOf(request.fields, 'grpc-timeout')
  const timeoutMillis = timeout === '' ? 0 : parseTimeoutMillis(timeout)
  if (timeoutMillis < 0)
    return { kind: 'refused', status: 13, message: `malformed grpc-timeout: ${timeout}` }
  const encoding = fieldOf(request.fields, 'grpc-encoding') || 'identity'
  if (encoding !== 'identity' && encoding !== 'gzip')
    return { kind: 'refused', status: 12, message: unknownEncoding(encoding) }
  const head = headOf(request, method, timeoutMillis)
  return { kind: 'call', head, isGzip: encoding === 'gzip' }
}

function unknownEncoding(encoding: string): string {
  return `grpc: Decompressor is not installed for grpc-encoding ${JSON.stringify(encoding)}`
}

function headOf(request: Request, method: Method, timeoutMillis: number): CallHead {
  const fields = request.fields
  return {
    method,
    authority: request.authority,
    token: fieldOf(fields, 'token') || fieldOf(fields, 'authorization').replace(/^Bearer /, ''),
    hasLeader: fieldOf(fields, 'hasleader') === 'true',
    clientApiVersion: fieldOf(fields, 'client-api-version'),
    fromJsonGateway: fieldOf(fields, 'grpcgateway-accept') !== '',
    timeoutMillis,
    traceparent: fieldOf(fields, 'traceparent'),
    tracestate: fieldOf(fields, 'tracestate'),
  }
}

/** `application/grpc`, alone or with a suffix: `+proto`, `;charset=…`. */
function isGrpc(contentType: string): boolean {
  return /^application\/grpc($|[+;])/.test(contentType)
}

/** As grpc-go words it: clients show it to their users. */
function unknownMethod(path: string, methods: ReadonlyMap<string, Method>): string {
  const match = /^\/(.+)\/([^/]*)$/.exec(path)
  if (match === null) return `malformed method name: ${JSON.stringify(path)}`
  const service = `/${match[1]}/`
  for (const known of methods.keys())
    if (known.startsWith(service)) return `unknown method ${match[2]} for service ${match[1]}`
  return `unknown service ${match[1]}`
}

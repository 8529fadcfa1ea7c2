/**
 * gRPC's own interoperability service (grpc.testing.TestService) on the etcd port's framing, for the
 * interop client of grpc-go: `node test/interop/grpc-server.ts [--port N] [--certificate FILE --key FILE]`
 */
import '../support/help.ts'
import { parseArgs } from 'node:util'
import protobuf from 'protobufjs'
import { systemClock, systemTimers } from '../../runtime/clock.ts'
import { systemNetwork } from '../../runtime/network-node.ts'
import { type EtcdHandler, type EtcdServer, startEtcdServer } from '../../transport/etcd/server.ts'

const { root } = protobuf.parse(`
  syntax = "proto3";
  message Payload { int32 type = 1; bytes body = 2; }
  message EchoStatus { int32 code = 1; string message = 2; }
  message ResponseParameters { int32 size = 1; int32 interval_us = 2; }
  message Request {
    int32 response_type = 1; int32 response_size = 2; Payload payload = 3; EchoStatus response_status = 7;
  }
  message StreamRequest {
    int32 response_type = 1; repeated ResponseParameters response_parameters = 2; Payload payload = 3;
    EchoStatus response_status = 7;
  }
  message InputRequest { Payload payload = 1; }
  message InputResponse { int32 aggregated_payload_size = 1; }
  message Response { Payload payload = 1; }
`)

interface Status {
  readonly code: number
  readonly message: string
}
interface StreamRequest {
  readonly responseParameters: readonly { readonly size: number }[]
  readonly responseStatus: Status | null
}

const service = '/grpc.testing.TestService/'
const method = { empty: 1, unary: 2, input: 3, output: 4, duplex: 5 } as const
const names = {
  EmptyCall: method.empty,
  UnaryCall: method.unary,
  StreamingInputCall: method.input,
  StreamingOutputCall: method.output,
  FullDuplexCall: method.duplex,
} as const

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    certificate: { type: 'string' },
    key: { type: 'string' },
  },
})
const { certificate, key } = values
/** Open streams of requests: which method, and the bytes counted so far. */
const open = new Map<string, { readonly id: number; bytes: number }>()

const handler: EtcdHandler = {
  call(connection, stream, head, message) {
    if (head.method.id === method.empty) server.reply(connection, stream, new Uint8Array(0))
    else if (head.method.id === method.unary) {
      const request = decode<{ responseSize: number; responseStatus: Status | null }>(
        'Request',
        message,
      )
      if (!ended(connection, stream, request.responseStatus))
        server.reply(connection, stream, response(request.responseSize))
    } else {
      sendAll(connection, stream, decode<StreamRequest>('StreamRequest', message))
      server.finish(connection, stream)
    }
  },
  opened(connection, stream, head) {
    open.set(`${connection}/${stream}`, { id: head.method.id, bytes: 0 })
  },
  message(connection, stream, message) {
    const call = open.get(`${connection}/${stream}`)
    if (call === undefined) return
    if (call.id === method.duplex)
      sendAll(connection, stream, decode<StreamRequest>('StreamRequest', message))
    else
      call.bytes +=
        decode<{ payload: { body: Uint8Array } | null }>('InputRequest', message).payload?.body
          .length ?? 0
  },
  halfClosed(connection, stream) {
    const call = open.get(`${connection}/${stream}`)
    open.delete(`${connection}/${stream}`)
    if (call?.id !== method.input) server.finish(connection, stream)
    else
      server.reply(
        connection,
        stream,
        encode('InputResponse', { aggregatedPayloadSize: call.bytes }),
      )
  },
  cancelled: (connection, stream) => void open.delete(`${connection}/${stream}`),
  drained() {},
  eased() {},
  connectionClosed() {},
  http: (_, answer) => answer({ status: 404, contentType: 'text/plain', body: '' }),
}

const server: EtcdServer = startEtcdServer({
  host: { clock: systemClock, timers: systemTimers, network: systemNetwork },
  listen: {
    host: '127.0.0.1',
    port: Number(values.port),
    ...(certificate !== undefined && key !== undefined && { tls: { certificate, key } }),
  },
  methods: Object.entries(names).map(([name, id]) => ({
    path: `${service}${name}`,
    id,
    requests: id === method.input || id === method.duplex ? 'many' : 'one',
  })),
  limits: { messageBytesMax: 4 * 1024 * 1024 },
  handler,
  onListening(error) {
    if (error !== undefined) throw error
    process.stdout.write(`ready on port ${server.port}\n`)
  },
})
process.on('SIGTERM', () => process.exit(0))

function sendAll(connection: number, stream: number, request: StreamRequest): void {
  if (ended(connection, stream, request.responseStatus)) return
  for (const { size } of request.responseParameters) server.send(connection, stream, response(size))
}

function ended(connection: number, stream: number, status: Status | null): boolean {
  if (status === null || status.code === 0) return false
  server.fail(connection, stream, status.code, status.message)
  open.delete(`${connection}/${stream}`)
  return true
}

function response(size: number): Uint8Array {
  return encode('Response', { payload: { body: new Uint8Array(size) } })
}

function encode(type: string, value: object): Uint8Array {
  return root.lookupType(type).encode(value).finish()
}

function decode<Value>(type: string, bytes: Uint8Array): Value {
  const message = root.lookupType(type)
  return message.toObject(message.decode(bytes), { defaults: true, arrays: true }) as Value
}

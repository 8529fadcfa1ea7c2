/** The etcd port with a handler that sends back what it gets, on the real network. */
import { systemClock, systemTimers } from '../../../runtime/clock.ts'
import type { TlsFiles } from '../../../runtime/host.ts'
import { systemNetwork } from '../../../runtime/network-node.ts'
import {
  type EtcdHandler,
  type EtcdServer,
  type EtcdServerLimits,
  type Method,
  startEtcdServer,
} from '../../../transport/etcd/server.ts'

/** Method ids, by what the method does. */
export const echo = { unary: 1, stream: 2, fail: 3, silent: 4, repeat: 5 } as const

export const echoMethods: readonly Method[] = [
  { path: '/test.Echo/Unary', id: echo.unary, requests: 'one' },
  { path: '/test.Echo/Stream', id: echo.stream, requests: 'many' },
  { path: '/test.Echo/Fail', id: echo.fail, requests: 'one' },
  { path: '/test.Echo/Silent', id: echo.silent, requests: 'one' },
  { path: '/test.Echo/Repeat', id: echo.repeat, requests: 'one' },
]

export interface EchoEvent {
  readonly kind: 'opened' | 'message' | 'halfClosed' | 'cancelled' | 'drained' | 'connectionClosed'
  readonly connection: number
  readonly stream: number
}

export interface EchoOptions {
  readonly port?: number
  readonly tls?: TlsFiles
  readonly limits?: Partial<EtcdServerLimits>
  readonly onEvent?: (event: EchoEvent) => void
}

export function startEchoServer(options: EchoOptions = {}): Promise<EtcdServer> {
  return new Promise((resolve, reject) => {
    const server: EtcdServer = startEtcdServer({
      host: { clock: systemClock, timers: systemTimers, network: systemNetwork },
      listen: {
        host: '127.0.0.1',
        port: options.port ?? 0,
        ...(options.tls && { tls: options.tls }),
      },
      methods: echoMethods,
      ...(options.limits && { limits: options.limits }),
      handler: echoHandler(() => server, options.onEvent ?? (() => {})),
      onListening: error => (error === undefined ? resolve(server) : reject(error)),
    })
  })
}

/** `Fail` answers status 9 with the message as its text; `Repeat` sends it 1,000 times. */
export function echoHandler(
  server: () => EtcdServer,
  onEvent: (event: EchoEvent) => void,
): EtcdHandler {
  return {
    call(connection, stream, head, message) {
      if (head.method.id === echo.unary) server().reply(connection, stream, message)
      if (head.method.id === echo.fail)
        server().fail(connection, stream, 9, Buffer.from(message).toString())
      if (head.method.id === echo.repeat) {
        for (let count = 0; count < 1000; count++) server().send(connection, stream, message)
        server().finish(connection, stream)
      }
    },
    opened: (connection, stream) => onEvent({ kind: 'opened', connection, stream }),
    message(connection, stream, message) {
      server().send(connection, stream, message)
      onEvent({ kind: 'message', connection, stream })
    },
    halfClosed(connection, stream) {
      server().finish(connection, stream)
      onEvent({ kind: 'halfClosed', connection, stream })
    },
    cancelled: (connection, stream) => onEvent({ kind: 'cancelled', connection, stream }),
    drained: (connection, stream) => onEvent({ kind: 'drained', connection, stream }),
    eased() {},
    connectionClosed: connection => onEvent({ kind: 'connectionClosed', connection, stream: 0 }),
    http(request, answer) {
      const status = request.path === '/health' || request.path === '/' ? 200 : 404
      const body = status === 200 ? '{"health":"true","reason":""}' : '404 page not found\n'
      answer({ status, contentType: 'application/json', body })
    },
  }
}

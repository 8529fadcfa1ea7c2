/**
 * The first exchange on a connection: the dialler says hello, the other side welcomes or refuses.
 * Whichever side finds a fault says so to the other before it closes, so both logs name the reason.
 */
import type { Host, Socket } from '../../runtime/host.ts'
import { type Connection, type ConnectionEnd, openConnection } from './connection.ts'
import { frameKind } from './frame.ts'
import { decodeHello, encodeHello, type Hello, isRefusal, type Refusal } from './handshake.ts'
import { limits } from './limits.ts'

export interface Greeter {
  /** What we say of ourselves on this connection to that node. */
  hello(to: number, purpose: number): Hello
  /** The answer to a caller: its purpose says what becomes of the connection. */
  welcome(hello: Hello): Hello
  /** Why this peer cannot be talked to; nothing: it can. `from` 0: a caller, whoever it is. */
  judge(hello: Hello, from: number): Refusal | undefined
}

export type GreetingResult =
  /** Frames now go to `connection.handlers`, which the receiver sets before it returns. */
  | { readonly kind: 'greeted'; readonly connection: Connection; readonly hello: Hello }
  | { readonly kind: 'failed'; readonly from: number; readonly end: ConnectionEnd }

/** Returns a function that gives up. */
export function greet(
  host: Host,
  socket: Socket,
  greeter: Greeter,
  to: number,
  purpose: number,
  done: (result: GreetingResult) => void,
): () => void {
  const exchange = startExchange(
    host,
    socket,
    done,
    frameKind.welcome,
    to,
    (connection, welcome) => {
      const refusal = greeter.judge(welcome, to)
      if (refusal !== undefined) return refusal
      connection.allow(limits.frameBytesMax)
      return undefined
    },
  )
  exchange.connection.handlers.connected = () => {
    exchange.connection.send(frameKind.hello, encodeHello(greeter.hello(to, purpose)))
  }
  return () => exchange.connection.close('abandoned', 'the dial was given up')
}

export function awaitGreeting(
  host: Host,
  socket: Socket,
  greeter: Greeter,
  done: (result: GreetingResult) => void,
): void {
  startExchange(host, socket, done, frameKind.hello, 0, (connection, hello) => {
    const refusal = greeter.judge(hello, 0)
    if (refusal !== undefined) return refusal
    connection.allow(limits.frameBytesMax)
    connection.send(frameKind.welcome, encodeHello(greeter.welcome(hello)))
    return undefined
  })
}

function startExchange(
  host: Host,
  socket: Socket,
  done: (result: GreetingResult) => void,
  expectedKind: number,
  expectedFrom: number,
  accept: (connection: Connection, hello: Hello) => Refusal | undefined,
): { readonly connection: Connection } {
  let from = expectedFrom
  const connection = openConnection(host, socket, {
    frame(kind, body) {
      const hello = kind === expectedKind ? decodeHello(body) : unexpected(kind)
      if (isRefusal(hello)) return connection.close(hello.code, hello.text)
      if (expectedFrom === 0) from = hello.from
      const refusal = accept(connection, hello)
      if (refusal !== undefined) return connection.close(refusal.code, refusal.text)
      timeout.cancel()
      done({ kind: 'greeted', connection, hello })
    },
    closed(end) {
      timeout.cancel()
      done({ kind: 'failed', from, end })
    },
  })
  const timeout = host.timers.after(limits.greetingMillisMax, () => {
    connection.close('greetingTimeout', `no handshake within ${limits.greetingMillisMax} ms`)
  })
  return { connection }
}

function unexpected(kind: number): Refusal {
  return { code: 'badHello', text: `frame kind ${kind} before the handshake` }
}

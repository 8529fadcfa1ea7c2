/**
 * The first exchange on a connection: both sides prove that they hold the cluster's secret (proof.ts),
 * then the dialler says hello and the other side welcomes or refuses. Before the proof neither side
 * says anything of itself, and no reason but "not proven"; after it, whichever side finds a fault
 * says so to the other before it closes, so both logs name the reason.
 */
import type { Host, Socket } from '../../runtime/host.ts'
import { type Connection, type ConnectionEnd, openConnection } from './connection.ts'
import { frameKind } from './frame.ts'
import { decodeHello, encodeHello, type Hello, isRefusal, type Refusal } from './handshake.ts'
import { limits } from './limits.ts'
import {
  decodeChallenge,
  encodeChallenge,
  nonceBytes,
  sameBytes,
  seal,
  type SessionKeys,
  sessionKeys,
  unseal,
} from './proof.ts'

export interface Greeter {
  /** Of the cluster: the first is what this node proves with, each is taken as a proof. */
  readonly secrets: readonly string[]
  /** What we say of ourselves on this connection to that node. */
  hello(to: number, purpose: number): Hello
  /** The answer to a caller: its purpose says what becomes of the connection. */
  welcome(hello: Hello): Hello
  /** Why this peer cannot be talked to; nothing: it can. `from` 0: a caller, whoever it is. */
  judge(hello: Hello, from: number, socket: Socket): Refusal | undefined
}

export type GreetingResult =
  /** Frames now go to `connection.handlers`, which the receiver sets before it returns. */
  | { readonly kind: 'greeted'; readonly connection: Connection; readonly hello: Hello }
  /** `proven`: the other side had shown that it belongs to the cluster. */
  | {
      readonly kind: 'failed'
      readonly from: number
      readonly proven: boolean
      readonly end: ConnectionEnd
    }

type Done = (result: GreetingResult) => void
/** What the exchange waits for, and what takes it: returns what comes next, or why nothing does. */
interface Step {
  readonly kind: number
  readonly take: (body: Uint8Array) => Step | Refusal | Greeted
}
interface Greeted {
  readonly hello: Hello
}

/** Returns a function that gives up. */
export function greet(
  host: Host,
  socket: Socket,
  greeter: Greeter,
  to: number,
  purpose: number,
  done: Done,
): () => void {
  const nonce = host.random.bytes(nonceBytes)
  let keys: SessionKeys
  const challenge: Step = {
    kind: frameKind.challenge,
    take(body) {
      const theirs = decodeChallenge(body)
      if (typeof theirs === 'string') return badHello(theirs)
      keys = sessionKeys(greeter.secrets[0]!, nonce, theirs)
      connection.send(frameKind.proof, keys.diallerProof)
      return proof
    },
  }
  const proof: Step = {
    kind: frameKind.proof,
    take(body) {
      if (!sameBytes(body, keys.listenerProof)) return notProven
      connection.trust()
      const hello = encodeHello(greeter.hello(to, purpose))
      connection.send(frameKind.hello, seal(keys.diallerHello, hello))
      return welcome
    },
  }
  const welcome: Step = {
    kind: frameKind.welcome,
    take: body => takeHello(connection, greeter, keys.listenerHello, body, to),
  }
  const connection = startExchange(host, socket, challenge, to, done, () =>
    connection.send(frameKind.challenge, encodeChallenge(nonce)),
  )
  return () => connection.close('abandoned', 'the dial was given up')
}

/** Returns a function that gives up. */
export function awaitGreeting(
  host: Host,
  socket: Socket,
  greeter: Greeter,
  done: Done,
): () => void {
  const nonce = host.random.bytes(nonceBytes)
  let theirs: Uint8Array | string
  let keys: SessionKeys | undefined
  const challenge: Step = {
    kind: frameKind.challenge,
    take(body) {
      theirs = decodeChallenge(body)
      // Also where the format is another: the dialler then sees it too.
      connection.send(frameKind.challenge, encodeChallenge(nonce))
      return typeof theirs === 'string' ? badHello(theirs) : proof
    },
  }
  const proof: Step = {
    kind: frameKind.proof,
    take(body) {
      keys = greeter.secrets
        .map(secret => sessionKeys(secret, theirs as Uint8Array, nonce))
        .find(({ diallerProof }) => sameBytes(body, diallerProof))
      if (keys === undefined) return notProven
      connection.trust()
      connection.send(frameKind.proof, keys.listenerProof)
      return hello
    },
  }
  const hello: Step = {
    kind: frameKind.hello,
    take(body) {
      const result = takeHello(connection, greeter, keys!.diallerHello, body, 0)
      if ('code' in result) return result
      const own = encodeHello(greeter.welcome(result.hello))
      connection.send(frameKind.welcome, seal(keys!.listenerHello, own))
      return result
    },
  }
  const connection = startExchange(host, socket, challenge, 0, done, () => {})
  return () => connection.close('abandoned', 'others called, and this one had proven nothing yet')
}

function takeHello(
  connection: Connection,
  greeter: Greeter,
  key: Uint8Array,
  body: Uint8Array,
  from: number,
): Greeted | Refusal {
  const bytes = unseal(key, body)
  if (bytes === undefined) return badHello('the seal of the hello is wrong')
  const hello = decodeHello(bytes)
  if (isRefusal(hello)) return hello
  const refusal = greeter.judge(hello, from, connection.socket)
  if (refusal !== undefined) return { ...refusal, from: hello.from }
  connection.allow(limits.frameBytesMax)
  return { hello }
}

function startExchange(
  host: Host,
  socket: Socket,
  first: Step,
  expectedFrom: number,
  done: Done,
  connected: () => void,
): Connection {
  let from = expectedFrom
  let step = first
  const connection = openConnection(host, socket, {
    connected,
    frame(kind, body) {
      const next = kind === step.kind ? step.take(body) : unexpected(kind)
      if ('take' in next) step = next
      else if ('hello' in next) {
        timeout.cancel()
        done({ kind: 'greeted', connection, hello: next.hello })
      } else {
        if (expectedFrom === 0) from = next.from ?? 0
        connection.close(next.code, next.text)
      }
    },
    closed(end) {
      timeout.cancel()
      done({ kind: 'failed', from, proven: connection.trusted, end })
    },
  })
  const timeout = host.timers.after(limits.greetingMillisMax, () => {
    connection.close('greetingTimeout', `no handshake within ${limits.greetingMillisMax} ms`)
  })
  return connection
}

const notProven: Refusal = {
  code: 'notProven',
  text: 'it did not prove that it holds the secret of the cluster',
}

function badHello(text: string): Refusal {
  return { code: 'badHello', text }
}

function unexpected(kind: number): Refusal {
  return badHello(`frame kind ${kind} before the handshake`)
}

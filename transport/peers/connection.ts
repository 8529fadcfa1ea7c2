/**
 * One TCP connection between two nodes as frames: reads them, writes them, and says once why it
 * ended. Whoever holds it (the greeting first, then a link or a checkpoint flow) sets the handlers.
 */
import type { Host, Socket, SocketHandlers, Timer } from '../../runtime/host.ts'
import { createFrameReader, describeFault, encodeFrame, frameKind } from './frame.ts'
import { decodeRefusal, encodeRefusal } from './handshake.ts'
import { limits } from './limits.ts'

export interface ConnectionHandlers {
  connected?(): void
  /** The body belongs to the handler only during the call. */
  frame(kind: number, body: Uint8Array, received: number): void
  drained?(): void
  /** Exactly once; also called from within `close`. */
  closed(end: ConnectionEnd): void
}

export interface ConnectionEnd {
  /** The other process ended or closed the connection of its own will, as far as its system tells. */
  readonly byPeer: boolean
  readonly why: string
  /** The peer's farewell, or the reason given to `close`. */
  readonly code: string
}

export interface Connection {
  readonly socket: Socket
  handlers: ConnectionHandlers
  /** The other side has proven that it is of the cluster: until then it is told no reasons. */
  trust(): void
  readonly trusted: boolean
  /** Longer bodies are believed. */
  allow(bodyBytesMax: number): void
  send(kind: number, body: Uint8Array): void
  /** False as soon as either side has begun to close. */
  readonly open: boolean
  /** Tells the peer why, and closes. */
  close(code: string, text: string): void
}

export function openConnection(
  host: Host,
  socket: Socket,
  handlers: ConnectionHandlers,
): Connection {
  const connection = new FramedConnection(host, socket, handlers)
  socket.open(connection.socketHandlers())
  return connection
}

class FramedConnection implements Connection {
  readonly socket: Socket
  handlers: ConnectionHandlers
  open = true
  trusted = false
  #linger: Timer | undefined
  readonly #host: Host
  readonly #reader = createFrameReader(limits.strangerBytesMax, (kind, body, received) => {
    if (kind === frameKind.farewell) this.#takeFarewell(body)
    else this.handlers.frame(kind, body, received)
  })

  constructor(host: Host, socket: Socket, handlers: ConnectionHandlers) {
    this.#host = host
    this.socket = socket
    this.handlers = handlers
  }

  socketHandlers(): SocketHandlers {
    return {
      connected: () => this.handlers.connected?.(),
      data: chunk => this.#data(chunk),
      drained: () => this.handlers.drained?.(),
      closed: cause => {
        this.#linger?.cancel()
        this.#finish(unannounced(cause))
      },
    }
  }

  trust(): void {
    this.trusted = true
    this.allow(limits.helloBytesMax)
  }

  allow(bodyBytesMax: number): void {
    this.#reader.allow(bodyBytesMax)
  }

  send(kind: number, body: Uint8Array): void {
    if (this.open) this.socket.write(encodeFrame(kind, body))
  }

  close(code: string, text: string): void {
    if (!this.open) return
    const told = this.trusted ? { code, text } : toStrangers
    this.socket.write(encodeFrame(frameKind.farewell, encodeRefusal(told)))
    this.#hangUp()
    this.#finish({ byPeer: false, why: text, code })
  }

  #data(chunk: Uint8Array): void {
    const fault = this.#reader.push(chunk)
    if (fault !== undefined) this.close(fault.kind, describeFault(fault))
  }

  #takeFarewell(body: Uint8Array): void {
    // What a stranger says is not repeated in our log.
    const { code, text } = this.trusted ? decodeRefusal(body) : fromStrangers
    this.#hangUp()
    this.#finish({ byPeer: code === 'stopping', why: text, code })
  }

  /** A peer that stands still never answers the close: the socket is not kept for it. */
  #hangUp(): void {
    this.#reader.stop()
    this.socket.end()
    this.#linger = this.#host.timers.after(limits.lingerMillis, () => this.socket.destroy())
  }

  #finish(end: ConnectionEnd): void {
    if (!this.open) return
    this.open = false
    this.handlers.closed(end)
  }
}

const toStrangers = { code: 'notProven', text: 'not proven' }
const fromStrangers = {
  code: 'notProven',
  text: 'the other side hung up before the proof: another secret, none, or another version',
}

/** A process that is killed with unread bytes resets its connections instead of closing them. */
function unannounced(cause: { readonly byPeer: boolean; readonly error?: Error }): ConnectionEnd {
  const code = cause.error === undefined ? 'closed' : errorCode(cause.error)
  const byPeer = cause.byPeer || code === 'ECONNRESET' || code === 'EPIPE'
  return { byPeer, code, why: cause.error?.message ?? 'the other process closed the connection' }
}

function errorCode(error: Error): string {
  return 'code' in error ? String(error.code) : 'error'
}

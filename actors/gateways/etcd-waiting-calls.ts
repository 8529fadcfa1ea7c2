/**
 * Unary calls for which there is no room now: they wait, in turns by connection, until there is, or
 * until their time is over. Who has much waiting is read no further.
 */
import { FifoMap } from '../../runtime/fifo-map.ts'
import type { CallHead } from '../../transport/etcd/api.ts'

export interface WaitingCall {
  readonly connection: number
  readonly call: number
  readonly head: CallHead
  readonly message: Uint8Array
  readonly startMillis: number
}

/** `connectionFull`: calls of other connections may still be served. */
export type Served = 'served' | 'connectionFull' | 'full'

export interface WaitingCallsSetup {
  readonly bytesMax: number
  /** One connection with more is asked for no more than its window still allows. */
  readonly connectionBytesMax: number
  readonly hold: (connection: number, held: 'no' | 'window' | 'socket') => void
}

interface Connection {
  bytes: number
  held: 'no' | 'window' | 'socket'
  /** By stream, in the order in which they came. */
  readonly calls: FifoMap<number, WaitingCall>
}

/** What a call costs beside its message. */
const callBytes = 512

export class WaitingCalls {
  readonly #setup: WaitingCallsSetup
  /** In the order of their turns. */
  readonly #connections = new FifoMap<number, Connection>()
  #bytes = 0
  #count = 0

  constructor(setup: WaitingCallsSetup) {
    this.#setup = setup
  }

  get count(): number {
    return this.#count
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Whether calls of this connection would be overtaken by one that is served now. */
  has(connection: number): boolean {
    return this.#count > 0 && this.#connections.has(connection)
  }

  /** False: there is no memory for it either. */
  add(one: WaitingCall): boolean {
    if (this.#bytes + sizeOf(one) > this.#setup.bytesMax) return false
    let own = this.#connections.get(one.connection)
    if (own === undefined) {
      own = { bytes: 0, held: 'no', calls: new FifoMap() }
      this.#connections.set(one.connection, own)
    }
    own.calls.set(one.call, { ...one, message: copyOf(one.message) })
    this.#grow(own, one, 1)
    this.#hold(one.connection, own)
    return true
  }

  /** True: it waited here. */
  cancelled(connection: number, call: number): boolean {
    const own = this.#connections.get(connection)
    const one = own?.calls.get(call)
    if (own === undefined || one === undefined) return false
    this.#remove(own, one)
    return true
  }

  connectionClosed(connection: number): void {
    const own = this.#connections.get(connection)
    if (own === undefined) return
    for (const one of own.calls.values()) this.#grow(own, one, -1)
    this.#connections.delete(connection)
  }

  /** Serves what can be served: a call of each connection, again and again. */
  serve(serve: (one: WaitingCall) => Served): void {
    const full: [number, Connection][] = []
    for (;;) {
      const connection = this.#connections.oldestKey()
      const own = this.#connections.oldest()
      const next = own?.calls.oldest()
      if (connection === undefined || own === undefined || next === undefined) break
      const served = serve(next)
      if (served === 'full') break
      // Its next turn comes behind those of all others.
      this.#connections.delete(connection)
      if (served === 'connectionFull') {
        full.push([connection, own])
      } else {
        this.#connections.set(connection, own)
        this.#remove(own, next)
      }
    }
    for (const [connection, own] of full) this.#connections.set(connection, own)
  }

  /** Hands out what has waited too long, as `late` says: of each connection from the oldest on. */
  expire(late: (one: WaitingCall) => boolean): void {
    if (this.#count === 0) return
    for (const own of [...this.#connections.values()]) {
      for (let one = own.calls.oldest(); one !== undefined; one = own.calls.oldest()) {
        if (!late(one)) break
        this.#remove(own, one)
      }
    }
  }

  #remove(own: Connection, one: WaitingCall): void {
    if (!own.calls.delete(one.call)) return
    this.#grow(own, one, -1)
    this.#hold(one.connection, own)
    if (own.calls.size === 0) this.#connections.delete(one.connection)
  }

  #grow(own: Connection, one: WaitingCall, sign: 1 | -1): void {
    const bytes = sign * sizeOf(one)
    own.bytes += bytes
    this.#bytes += bytes
    this.#count += sign
  }

  #hold(connection: number, own: Connection): void {
    const { bytesMax, connectionBytesMax, hold } = this.#setup
    // The node's memory counts only for those who have some of it.
    const isShort = this.#bytes * 2 > bytesMax && own.calls.size > 0
    const isMuch = own.bytes > connectionBytesMax * (own.held === 'no' ? 1 : 0.5)
    const held = isShort ? 'socket' : isMuch ? 'window' : 'no'
    if (held === own.held) return
    own.held = held
    hold(connection, held)
  }
}

/** Of what came in a slab with others, which it must not keep; Node's pool has room for short ones. */
function copyOf(message: Uint8Array): Uint8Array {
  const copy = Buffer.from(message)
  return new Uint8Array(copy.buffer, copy.byteOffset, copy.length)
}

function sizeOf({ message }: WaitingCall): number {
  return message.length + callBytes
}

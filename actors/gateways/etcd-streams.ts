/** The open streaming calls of the etcd port: watches and keep-alives. */
import type { CallHead } from '../../transport/etcd/api.ts'

export class OpenStream {
  readonly connection: number
  readonly call: number
  readonly head: CallHead
  /** Watches of it may stand in the watch actor. */
  watching = false
  /** The watch actor was told that the client is slow. */
  held = false
  /** Questions not answered yet, and whether the client will ask no more. */
  questions = 0
  halfClosed = false

  constructor(connection: number, call: number, head: CallHead) {
    this.connection = connection
    this.call = call
    this.head = head
  }
}

export class OpenStreams {
  readonly #connections = new Map<number, Map<number, OpenStream>>()
  #count = 0

  get count(): number {
    return this.#count
  }

  open(connection: number, call: number, head: CallHead): OpenStream {
    let streams = this.#connections.get(connection)
    if (streams === undefined) {
      streams = new Map()
      this.#connections.set(connection, streams)
    }
    const opened = new OpenStream(connection, call, head)
    streams.set(call, opened)
    this.#count += 1
    return opened
  }

  get(connection: number, call: number): OpenStream | undefined {
    return this.#connections.get(connection)?.get(call)
  }

  delete(closed: OpenStream): void {
    const streams = this.#connections.get(closed.connection)
    if (streams?.delete(closed.call) !== true) return
    this.#count -= 1
    if (streams.size === 0) this.#connections.delete(closed.connection)
  }

  /** Forgets a whole connection; returns whether anything of it was watching. */
  deleteConnection(connection: number): boolean {
    const streams = this.#connections.get(connection)
    if (streams === undefined) return false
    this.#connections.delete(connection)
    this.#count -= streams.size
    return [...streams.values()].some(stream => stream.watching)
  }

  /** Those whose clients asked to be told when there is no leader. */
  requiringLeader(): OpenStream[] {
    const found: OpenStream[] = []
    for (const streams of this.#connections.values()) {
      for (const stream of streams.values()) if (stream.head.hasLeader) found.push(stream)
    }
    return found
  }
}

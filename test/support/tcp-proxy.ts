/**
 * Stands between two nodes and can be cut: a cut direction takes what is sent and passes nothing on, as a
 * network does that loses every packet. Nobody is told, unlike with a process that ends. New connections
 * are taken and hear nothing.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Endpoint } from './zookeeper-session.ts'

export class TcpProxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  /** From who has dialled to who is dialled, and back. */
  cutForth = false
  cutBack = false

  constructor(listen: Endpoint, target: Endpoint) {
    this.#server = createServer(caller => this.#join(caller, connect(target)))
    this.#server.listen(listen.port, listen.host)
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Connections that lost something cannot go on: bytes would be missing in the middle. */
  heal(): void {
    const wasCut = this.cutForth || this.cutBack
    this.cutForth = false
    this.cutBack = false
    if (wasCut) for (const socket of this.#sockets) socket.destroy()
  }

  #join(caller: Socket, target: Socket): void {
    this.#pass(caller, target, () => this.cutForth)
    this.#pass(target, caller, () => this.cutBack)
  }

  #pass(from: Socket, to: Socket, isCut: () => boolean): void {
    this.#sockets.add(from)
    from.setNoDelay(true)
    from.on('data', chunk => {
      if (!isCut()) to.write(chunk)
    })
    from.on('error', () => {})
    from.on('close', () => {
      this.#sockets.delete(from)
      // That a connection has ended is said by a packet too.
      if (!isCut()) to.destroy()
    })
  }
}

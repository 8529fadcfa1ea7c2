/** Checkpoints on their way: one at a time to each node, and one at a time from all of them. */
import type { Context } from '../../runtime/actor.ts'
import {
  type CheckpointArrival,
  type CheckpointOffer,
  type CheckpointSink,
  type CheckpointSource,
  receiveCheckpoint,
  sendCheckpoint,
} from '../../transport/peers/checkpoint-flow.ts'
import type { Connection } from '../../transport/peers/connection.ts'
import { type Greeter, greet } from '../../transport/peers/greeting.ts'
import { purpose } from '../../transport/peers/handshake.ts'
import type { PeerMember, PeersMessage } from './messages.ts'

/** The checkpoints of this node's data directory; storage/checkpoint-files.ts has them. */
export interface CheckpointStore {
  /** The newest one, or nothing when there is none. */
  openForSending(): CheckpointSource | undefined
  /** A place for one that comes, or a sentence that says why there is none. */
  openForReceiving(offer: CheckpointOffer): CheckpointSink | string
}

export class CheckpointTransfers {
  readonly #context: Context<PeersMessage>
  readonly #store: CheckpointStore
  readonly #greeter: Greeter
  /** How to break off what is being sent, by node. */
  readonly #sending = new Map<number, () => void>()
  #receiving: Connection | undefined

  constructor(context: Context<PeersMessage>, store: CheckpointStore, greeter: Greeter) {
    this.#context = context
    this.#store = store
    this.#greeter = greeter
  }

  get status(): { readonly sending: number[]; readonly receiving: boolean } {
    return { sending: [...this.#sending.keys()], receiving: this.#receiving !== undefined }
  }

  send(to: PeerMember, done: (sent: boolean) => void): void {
    if (this.#sending.has(to.node)) return
    const source = this.#store.openForSending()
    if (source === undefined) {
      this.#context.log.warn('A node needs a checkpoint, and there is none yet', { node: to.node })
      done(false)
      return
    }
    const finish = (error: Error | undefined) => {
      this.#sending.delete(to.node)
      this.#logSent(to.node, source, error)
      done(error === undefined)
    }
    this.#sending.set(to.node, this.#dial(to, source, finish))
  }

  receive(
    connection: Connection,
    from: number,
    arrived: (directory: string, offer: CheckpointOffer) => void,
  ): void {
    if (this.#receiving !== undefined) {
      connection.close('notAccepted', 'another checkpoint is on its way to this node')
      return
    }
    this.#receiving = connection
    const accept = (offer: CheckpointOffer) => this.#store.openForReceiving(offer)
    receiveCheckpoint(this.#context.host, connection, accept, arrival => {
      this.#receiving = undefined
      this.#logArrival(from, arrival)
      if (arrival.kind === 'arrived') arrived(arrival.directory, arrival.offer)
    })
  }

  stop(): void {
    for (const breakOff of [...this.#sending.values()]) breakOff()
    this.#receiving?.close('stopping', 'the node stops')
  }

  #dial(
    to: PeerMember,
    source: CheckpointSource,
    finish: (error: Error | undefined) => void,
  ): () => void {
    const { host } = this.#context
    const socket = host.network.connect({ host: to.host, port: to.port })
    return greet(host, socket, this.#greeter, to.node, purpose.checkpoint, result => {
      if (result.kind === 'greeted') {
        this.#sending.set(to.node, sendCheckpoint(host, result.connection, source, finish))
        return
      }
      source.close()
      finish(new Error(result.end.why))
    })
  }

  #logSent(node: number, source: CheckpointSource, error: Error | undefined): void {
    const { position, bytes } = source
    if (error === undefined)
      this.#context.log.info('A checkpoint was sent', { node, position, bytes })
    else
      this.#context.log.warn('A checkpoint could not be sent', {
        node,
        position,
        reason: error.message,
      })
  }

  #logArrival(from: number, arrival: CheckpointArrival): void {
    if (arrival.kind === 'failed') {
      this.#context.log.warn('A checkpoint did not arrive', { from, reason: arrival.why })
      return
    }
    const { position, bytes } = arrival.offer
    this.#context.log.info('A checkpoint has arrived', { from, position, bytes })
  }
}

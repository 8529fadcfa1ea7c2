/**
 * Checkpoints on their way: one at a time to each node, and one at a time from all of them. Consensus
 * asks again as soon as it hears of a failure, so that is told only when it may be tried again.
 */
import type { Context } from '../../runtime/actor.ts'
import type { Timer } from '../../runtime/host.ts'
import {
  type CheckpointArrival,
  type CheckpointOffer,
  type CheckpointSink,
  type CheckpointSource,
  receiveCheckpoint,
  sendCheckpoint,
} from '../../transport/peers/checkpoint-flow.ts'
import type { Connection } from '../../transport/peers/connection.ts'
import { greet } from '../../transport/peers/greeting.ts'
import { purpose } from '../../transport/peers/handshake.ts'
import { limits } from '../../transport/peers/limits.ts'
import type { Acquaintances } from './acquaintances.ts'
import type { PeersMessage } from './messages.ts'

/** The checkpoints of this node's data directory; storage/checkpoint-files.ts has them. */
export interface CheckpointStore {
  /** The newest one, or nothing when there is none. */
  openForSending(): CheckpointSource | undefined
  /** A place for one that comes, or a sentence that says why there is none. */
  openForReceiving(offer: CheckpointOffer): CheckpointSink | string
}

interface Failure {
  count: number
  /** Only another reason is news. */
  reason: string
  /** Runs until the next attempt. */
  timer: Timer | undefined
}

export class CheckpointTransfers {
  readonly #context: Context<PeersMessage>
  readonly #store: CheckpointStore
  readonly #greeter: Acquaintances
  /** How to break off what is being sent, by node. */
  readonly #sending = new Map<number, () => void>()
  readonly #failures = new Map<number, Failure>()
  #receiving: Connection | undefined

  constructor(context: Context<PeersMessage>, store: CheckpointStore, greeter: Acquaintances) {
    this.#context = context
    this.#store = store
    this.#greeter = greeter
  }

  get status(): { readonly sending: number[]; readonly receiving: boolean } {
    return { sending: [...this.#sending.keys()], receiving: this.#receiving !== undefined }
  }

  /** Without a link nobody is there who could take it. */
  send(node: number, isLinked: boolean, done: (sent: boolean) => void): void {
    if (this.#sending.has(node) || this.#failures.get(node)?.timer !== undefined) return
    if (!isLinked) return this.#failed(node, 0, '', done)
    const source = this.#store.openForSending()
    if (source === undefined) return this.#failed(node, 0, 'there is none yet', done)
    const finish = (error: Error | undefined) => {
      this.#sending.delete(node)
      if (error === undefined) this.#sent(node, source, done)
      else this.#failed(node, source.position, error.message, done)
    }
    this.#sending.set(node, this.#dial(node, source, finish))
  }

  /** That node has come back: what failed before says nothing now. */
  linked(node: number): void {
    this.#failures.get(node)?.timer?.cancel()
    this.#failures.delete(node)
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
    for (const node of [...this.#failures.keys()]) this.linked(node)
    this.#receiving?.close('stopping', 'the node stops')
  }

  #dial(
    node: number,
    source: CheckpointSource,
    finish: (error: Error | undefined) => void,
  ): () => void {
    const { host } = this.#context
    const address = this.#greeter.addressOf(node)
    if (address === undefined) {
      source.close()
      host.timers.after(0, () => finish(new Error('its address is none')))
      return () => {}
    }
    const socket = host.network.connect(address)
    return greet(host, socket, this.#greeter, node, purpose.checkpoint, result => {
      if (result.kind === 'greeted') {
        this.#sending.set(node, sendCheckpoint(host, result.connection, source, finish))
        return
      }
      source.close()
      finish(new Error(result.end.why))
    })
  }

  #sent(node: number, { position, bytes }: CheckpointSource, done: (sent: boolean) => void): void {
    this.#failures.delete(node)
    this.#context.log.info('A checkpoint has been sent', { node, position, bytes })
    done(true)
  }

  /** Doubles up to the most, less up to half of it at random. No reason: nothing was tried. */
  #failed(node: number, position: number, reason: string, done: (sent: boolean) => void): void {
    const failure = this.#failures.get(node) ?? { count: 0, reason: '', timer: undefined }
    this.#failures.set(node, failure)
    if (reason !== '' && reason !== failure.reason) {
      failure.reason = reason
      this.#context.log.warn('A checkpoint cannot be sent', { node, position, reason })
    }
    const { timers, random } = this.#context.host
    const doubled = limits.checkpointRetryMillisMin * 2 ** Math.min(failure.count++, 10)
    const capped = Math.min(doubled, limits.checkpointRetryMillisMax)
    failure.timer = timers.after(capped * (1 - random.fraction() / 2), () => {
      failure.timer = undefined
      done(false)
    })
  }

  #logArrival(from: number, arrival: CheckpointArrival): void {
    if (arrival.kind === 'failed') {
      this.#context.log.warn('A checkpoint has not arrived', { from, reason: arrival.why })
      return
    }
    const { position, bytes } = arrival.offer
    this.#context.log.info('A checkpoint has arrived', { from, position, bytes })
  }
}

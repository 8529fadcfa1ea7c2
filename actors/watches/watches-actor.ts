/**
 * The one dispatcher of events (DESIGN.md D8): takes the state machine's ordered stream, tells each
 * watching connection what changed, and passes replies on behind the events that they show. One-shot
 * znode watches and streaming key watches each have their own index.
 */
import type { Context, Definition, Ref } from '../../runtime/actor.ts'
import { directory } from '../directory.ts'
import type { GatewayMessage } from '../gateways/messages.ts'
import { stream } from '../state/messages.ts'
import { KeyWatches } from './key-watches.ts'
import type { WatchesMessage } from './messages.ts'
import { ZnodeWatches } from './znode-watches.ts'

export interface WatchesSetup {
  /** A key watch that asked for progress and had no events hears of it this often. */
  readonly progressMillis: number
}

const tickMillis = 100

export const watchesActor: Definition<WatchesMessage, WatchesSetup> = {
  ...directory.watches,
  start(context, setup) {
    const watches = new Watches(context, setup)
    return message => watches.handle(message)
  },
}

class Watches {
  readonly #context: Context<WatchesMessage>
  readonly #zookeeper: Ref<GatewayMessage>
  readonly #etcd: Ref<GatewayMessage>
  readonly #znodes: ZnodeWatches
  readonly #keys: KeyWatches
  #registrations = 0
  /** What the state machine was told last, so that it is told of changes only. */
  #znodesIdle = true
  #keysIdle = true

  constructor(context: Context<WatchesMessage>, setup: WatchesSetup) {
    this.#context = context
    this.#zookeeper = context.find(directory.zookeeper)
    this.#etcd = context.find(directory.etcd)
    this.#znodes = new ZnodeWatches({
      event: (connection, body) =>
        this.#zookeeper.tell({ kind: 'event', connection, tag: 0, body }),
    })
    this.#keys = new KeyWatches()
    void setup
    context.every(tickMillis, { kind: 'tick' })
  }

  handle(message: WatchesMessage): void {
    switch (message.kind) {
      case 'reply':
        if (message.stream === stream.zookeeper) this.#zookeeper.tell(message)
        else this.#etcd.tell(message)
        return
      case 'znodeChanged':
        this.#znodes.changed(message)
        return this.#tellIdle()
      case 'znodeWatch':
        this.#registrations += 1
        this.#znodesIdle = false
        return this.#znodes.register(message)
      case 'znodeIdentities':
        return this.#znodes.identify(message.connection, message.identities)
      default:
        return
    }
  }

  /** Nobody watches any more: the state machine need not build events. */
  #tellIdle(): void {
    if (this.#znodesIdle || this.#znodes.count > 0) return
    this.#znodesIdle = true
    const registrations = this.#registrations
    this.#context.find(directory.state).tell({ kind: 'unwatched', keys: false, registrations })
  }
}

/**
 * What an actor is: a function from its context (and a setup) to what it does with one message.
 * State lives in the closure. A handler never awaits; results of I/O come back as messages.
 */
import type { Host, Timer } from './host.ts'
import type { Logger } from './log.ts'
import type { Protocol } from './protocol.ts'

/** Every message is a member of a union told apart by `kind`. */
export interface Message {
  readonly kind: string
}

/** All that can be done with an actor from outside: tell it something, at most once, in order. */
export interface Ref<in M extends Message> {
  readonly address: Address
  tell(message: M): void
}

/** `node` 0 is this node. The name is a path: `state`, `zookeeper/listener`. */
export interface Address {
  readonly node: number
  readonly actor: string
}

export type Handler<M extends Message> = (message: M) => void

export interface Definition<M extends Message, Setup> {
  readonly name: string
  /** Needed where messages cross threads or nodes: how each kind is encoded. */
  readonly protocol?: Protocol<M>
  readonly start: (context: Context<M>, setup: Setup) => Handler<M>
  /** Most messages waiting; beyond it `tell` counts a dead letter. Default in runtime/limits.ts. */
  readonly mailboxMessagesMax?: number
}

export interface Context<M extends Message> {
  readonly self: Ref<M>
  readonly host: Host
  readonly log: Logger
  /** Starts a child, supervised by this actor's strategy for it. */
  spawn<N extends Message, Setup>(
    definition: Definition<N, Setup>,
    name: string,
    setup: Setup,
    supervision?: Supervision,
  ): Ref<N>
  /** A well-known actor by name, wherever the placement put it; `node` for one on another node. */
  find<N extends Message>(
    definition: { readonly protocol?: Protocol<N>; readonly name: string },
    node?: number,
  ): Ref<N>
  /**
   * Sends `notice` to this actor, once and ahead of other mail, when `ref` stops or fails (a restart
   * loses its state), or when its thread or node is lost; at once when it is not there.
   */
  watch(ref: Ref<never>, notice: M): void
  /** False: pause whatever produces, or messages may become dead letters (DESIGN.md D4). */
  hasRoom(ref: Ref<never>): boolean
  /**
   * Optional: this actor got `bytes` in a message, and neither it nor anybody whom it told of them
   * needs them any more. If they came as a slab of another thread, its memory is used again at once
   * instead of waiting for a collection; all other bytes are left alone.
   */
  recycle(bytes: Uint8Array): void
  after(delayMillis: number, message: M): Timer
  /** Ticks coalesce: one that is still waiting in the mailbox is not added again. */
  every(periodMillis: number, message: M): Timer
  /** Runs at the end of each round of a turn in which this actor handled something: flush here. */
  onRoundEnd(callback: () => void): void
  onStop(callback: () => void): void
  stop(child?: Ref<never>): void
}

export type Supervision =
  | {
      readonly kind: 'restart'
      readonly strategy: 'oneForOne' | 'restForOne' | 'oneForAll'
      readonly intensity: number
      readonly periodMillis: number
      readonly backoffMillis: number
    }
  /** A failure is a failure of the parent. */
  | { readonly kind: 'escalate' }

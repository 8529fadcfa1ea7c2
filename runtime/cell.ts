/**
 * One actor at its place: mailbox, life cycle, and what its context does. The cell stays the same
 * through restarts, so refs stay valid; each start is an incarnation with a context of its own.
 * A restarted actor begins with an empty mailbox: what was told to its predecessor is lost.
 */
import type { Address, Definition, Handler, Message, Ref, Supervision } from './actor.ts'
import { ActorContext } from './context.ts'
import { type Dispatcher, messagesPerLook, type Runnable } from './dispatcher.ts'
import { deepFreeze } from './freeze.ts'
import { invariant } from './invariant.ts'
import { limits } from './limits.ts'
import { Mailbox } from './mailbox.ts'
import type { System } from './system.ts'
import { Ticker } from './ticker.ts'

/**
 * `absent`: nobody started it; `awaited`: placed here and not started yet, it keeps its mail;
 * `waiting`: failed, its supervision decides or its restart is due.
 */
export type CellState = 'absent' | 'awaited' | 'starting' | 'running' | 'waiting' | 'stopped'

export class Cell implements Ref<Message>, Runnable {
  readonly address: Address
  readonly name: string
  readonly system: System
  state: CellState
  parent: Cell | undefined = undefined
  supervision: Supervision = { kind: 'escalate' }
  /** In the order of their start. */
  readonly children: Cell[] = []
  /** Times of restarts among the children within the period of their supervision. */
  restartMillis: number[] = []
  readonly #dispatcher: Dispatcher
  readonly #mailbox = new Mailbox<Message>()
  readonly #signals = new Mailbox<Message>()
  readonly #watchers: (() => void)[] = []
  #definition: Definition<Message, unknown> | undefined = undefined
  #setup: unknown = undefined
  #messagesMax: number = limits.mailboxMessagesMax
  /** Kinds that have room of their own where ordinary mail has none left. */
  #reserved: ReadonlySet<string> = new Set()
  #context: ActorContext | undefined = undefined
  #handler: Handler<Message> = ignore
  #scheduled = false
  #dirty = false
  #stopRequested = false
  readonly #freeze: boolean

  constructor(system: System, name: string, state: CellState) {
    this.system = system
    this.name = name
    this.address = { node: 0, actor: name }
    this.state = state
    this.#dispatcher = system.dispatcher
    this.#freeze = system.freezeMessages
  }

  /** Messages waiting. */
  get waiting(): number {
    return this.#mailbox.size
  }

  /** Takes mail. */
  get isAlive(): boolean {
    const { state } = this
    return state === 'running' || state === 'starting' || state === 'awaited'
  }

  get messagesMax(): number {
    return this.#messagesMax
  }

  get protocol(): Definition<Message, unknown>['protocol'] {
    return this.#definition?.protocol
  }

  tell(message: Message): void {
    const { size } = this.#mailbox
    if (size < this.#messagesMax) this.tellOwn(message)
    else if (size < 2 * this.#messagesMax && this.#reserved.has(message.kind)) this.tellOwn(message)
    else this.system.lost(this.name, message.kind, this.isAlive ? 'full' : this.state)
  }

  /** From its own timers and callbacks, which are few and must not be lost: it needs no room. */
  tellOwn(message: Message): void {
    if (!this.isAlive) {
      this.system.lost(this.name, message.kind, this.state)
      return
    }
    if (this.#freeze) deepFreeze(message)
    this.#mailbox.push(message)
    if (!this.#scheduled) this.#schedule()
  }

  /** Overtakes ordinary mail and needs no room: death notices. */
  signal(message: Message): void {
    if (!this.isAlive) return
    this.#signals.push(message)
    if (!this.#scheduled) this.#schedule()
  }

  define(definition: Definition<Message, unknown>, setup: unknown): void {
    this.#definition = definition
    this.#setup = setup
    this.#messagesMax = definition.mailboxMessagesMax ?? limits.mailboxMessagesMax
    const kinds = definition.protocol?.kinds ?? []
    this.#reserved = new Set(kinds.filter(({ reserved }) => reserved).map(({ kind }) => kind))
  }

  /** Runs the actor's start; a failure goes to supervision like any other. */
  start(): void {
    const definition = this.#definition
    invariant(definition, `actor ${this.name} has a definition before it starts`)
    this.state = 'starting'
    this.#stopRequested = false
    this.#context = new ActorContext(this)
    try {
      this.#handler = definition.start(this.#context, this.#setup)
      this.state = 'running'
    } catch (error) {
      this.#failed(error)
      return
    }
    if (this.#mailbox.size + this.#signals.size > 0 && !this.#scheduled) this.#schedule()
  }

  run(messagesMax: number): number {
    if (this.state !== 'running') {
      this.#scheduled = false
      return 0
    }
    if (!this.#dirty) {
      this.#dirty = true
      this.#dispatcher.markDirty(this)
    }
    let handled = 0
    try {
      handled = this.#handle(messagesMax)
    } catch (error) {
      this.#scheduled = false
      this.#failed(error)
      return handled + 1
    }
    if (this.#mailbox.size + this.#signals.size > 0) this.#dispatcher.schedule(this)
    else this.#scheduled = false
    return handled
  }

  endRound(): void {
    this.#dirty = false
    if (this.state !== 'running') return
    try {
      this.#context!.endRound()
    } catch (error) {
      this.#failed(error)
    }
  }

  /** Takes effect after the message at hand: never inside of a handler. */
  requestStop(): void {
    this.#stopRequested = true
    this.#dispatcher.urgent(() => this.system.supervisor.stop(this))
  }

  onDeath(callback: () => void): void {
    this.#watchers.push(callback)
  }

  /** Ends this incarnation; `waiting` when another is to follow. Its children have ended before. */
  end(next: 'waiting' | 'stopped'): void {
    const context = this.#context
    const lost = this.#mailbox.size
    this.state = next
    this.#context = undefined
    this.#handler = ignore
    if (lost > 0) this.system.lost(this.name, this.#mailbox.shift()!.kind, next, lost)
    this.#mailbox.clear()
    this.#signals.clear()
    context?.end()
    for (const callback of this.#watchers.splice(0)) callback()
  }

  /** Whether `context` is the one of the incarnation that lives now. */
  isCurrent(context: ActorContext): boolean {
    return this.#context === context
  }

  #handle(messagesMax: number): number {
    const mailbox = this.#mailbox
    const signals = this.#signals
    // What it tells itself meanwhile comes after the others' turn.
    const countMax = Math.min(messagesMax, mailbox.size + signals.size)
    let handled = 0
    let look = messagesPerLook
    while (handled < countMax && !this.#stopRequested) {
      if (handled === look) {
        if (this.#dispatcher.isOver) break
        look += messagesPerLook
      }
      const message = signals.size > 0 ? signals.shift() : mailbox.shift()
      if (message === undefined) break
      handled++
      this.#handler(message instanceof Ticker ? message.taken() : message)
    }
    return handled
  }

  #schedule(): void {
    if (this.state !== 'running') return
    this.#scheduled = true
    this.#dispatcher.schedule(this)
  }

  #failed(cause: unknown): void {
    this.state = 'waiting'
    const error = cause instanceof Error ? cause : new Error(String(cause))
    const context = this.#context
    this.#dispatcher.urgent(() => {
      // A sibling's failure may have restarted this one in the meantime.
      if (this.#context === context) this.system.supervisor.failed(this, error)
    })
  }
}

function ignore(): void {}

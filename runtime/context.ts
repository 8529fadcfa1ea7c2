/** What one incarnation of an actor may do; inert after its end, so late callbacks change nothing. */
import type { Address, Context, Definition, Message, Ref, Supervision } from './actor.ts'
import { recycle } from './buffer-pool.ts'
import type { Cell } from './cell.ts'
import type { Host, Timer } from './host.ts'
import type { Logger } from './log.ts'
import type { Protocol } from './protocol.ts'
import { Ticker } from './ticker.ts'

export class ActorContext implements Context<Message> {
  readonly self: Ref<Message>
  readonly host: Host
  readonly log: Logger
  readonly #cell: Cell
  readonly #timers = new Set<Timer>()
  readonly #roundEnds: (() => void)[] = []
  readonly #stops: (() => void)[] = []

  constructor(cell: Cell) {
    this.#cell = cell
    this.self = new OwnRef(cell)
    this.host = cell.system.host
    this.log = cell.system.log.child({ actor: cell.name })
  }

  spawn<N extends Message, Setup>(
    definition: Definition<N, Setup>,
    name: string,
    setup: Setup,
    supervision?: Supervision,
  ): Ref<N> {
    return this.#cell.system.spawnChild(this.#cell, definition, name, setup, supervision)
  }

  find<N extends Message>(
    definition: { readonly protocol?: Protocol<N>; readonly name: string },
    node?: number,
  ): Ref<N> {
    return this.#cell.system.find(definition, node)
  }

  watch(ref: Ref<never>, notice: Message): void {
    this.#cell.system.watch(ref, () => {
      if (this.#cell.isCurrent(this)) this.#cell.signal(notice)
    })
  }

  hasRoom(ref: Ref<never>): boolean {
    return this.#cell.system.hasRoom(ref)
  }

  recycle(bytes: Uint8Array): void {
    recycle(bytes, this.#cell.system.freezeMessages)
  }

  after(delayMillis: number, message: Message): Timer {
    const timer = this.host.timers.after(delayMillis, () => {
      this.#timers.delete(timer)
      if (this.#cell.isCurrent(this)) this.#cell.tellOwn(message)
    })
    return this.#keep(timer)
  }

  every(periodMillis: number, message: Message): Timer {
    const deliver = (tick: Ticker): void => {
      if (this.#cell.isCurrent(this)) this.#cell.tellOwn(tick)
    }
    return this.#keep(new Ticker(this.host, periodMillis, message, deliver))
  }

  onRoundEnd(callback: () => void): void {
    this.#roundEnds.push(callback)
  }

  onStop(callback: () => void): void {
    this.#stops.push(callback)
  }

  stop(child?: Ref<never>): void {
    if (child === undefined) this.#cell.requestStop()
    else this.#cell.system.stopChild(this.#cell, child)
  }

  /** Called by the cell. */
  endRound(): void {
    for (let index = 0; index < this.#roundEnds.length; index++) this.#roundEnds[index]!()
  }

  /** Called by the cell: timers are gone first, then what the actor wanted done. */
  end(): void {
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
    for (const callback of this.#stops.splice(0).reverse()) {
      try {
        callback()
      } catch (error) {
        this.log.error('A callback for the stop of an actor has failed', { error })
      }
    }
  }

  #keep(timer: Timer): Timer {
    this.#timers.add(timer)
    return {
      cancel: () => {
        this.#timers.delete(timer)
        timer.cancel()
      },
    }
  }
}

/** An actor to itself: completions of what it has asked for. */
class OwnRef implements Ref<Message> {
  readonly address: Address
  readonly #cell: Cell

  constructor(cell: Cell) {
    this.address = cell.address
    this.#cell = cell
  }

  tell(message: Message): void {
    this.#cell.tellOwn(message)
  }
}

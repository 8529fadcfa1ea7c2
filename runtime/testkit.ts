/** For tests of actors: runs one synchronously and collects its effects. */
import type { Context, Definition, Handler, Message, Ref, Supervision } from './actor.ts'
import { deepFreeze } from './freeze.ts'
import type { Timer } from './host.ts'
import { type Logger, silentLogger } from './log.ts'
import { type ManualHost, manualHost } from './manual-host.ts'

export { type ManualHost, type ManualHostOptions, manualHost } from './manual-host.ts'

export interface Told {
  /** Name of the actor, `name@node` on another node. */
  readonly to: string
  readonly message: Message
}

export interface Spawned {
  readonly definition: string
  readonly name: string
  readonly setup: unknown
  readonly supervision: Supervision | undefined
}

export interface TestActor<M extends Message> {
  readonly host: ManualHost
  /** Everything told since the last `takeTold`, in order; to itself too. */
  readonly told: Told[]
  readonly spawned: Spawned[]
  readonly watched: { readonly ref: string; readonly notice: M }[]
  readonly stopped: string[]
  /** Handles one message, without the end of the round. */
  handle(message: M): void
  endRound(): void
  /** Handles the messages as one round: all, then its end. */
  round(...messages: M[]): void
  /** Lets time pass; timers' messages are handled, each as a round of its own. */
  advance(millis: number): void
  /** The messages told to one actor (or to all) since the last call; forgets them. */
  takeTold<N extends Message = Message>(to?: string): N[]
  /** Ends the actor as its supervisor would. */
  stop(): void
}

export interface TestOptions {
  readonly host?: ManualHost
  readonly log?: Logger
  readonly name?: string
  /** What `hasRoom` answers; default: true. */
  readonly hasRoom?: (actor: string) => boolean
}

export function testActor<M extends Message, Setup>(
  definition: Definition<M, Setup>,
  setup: Setup,
  options: TestOptions = {},
): TestActor<M> {
  const context = new TestContext<M>(options, options.name ?? definition.name)
  context.handler = definition.start(context, setup)
  return context
}

class TestContext<M extends Message> implements Context<M>, TestActor<M> {
  readonly self: Ref<M>
  readonly host: ManualHost
  readonly log: Logger
  readonly told: Told[] = []
  readonly spawned: Spawned[] = []
  readonly watched: { readonly ref: string; readonly notice: M }[] = []
  readonly stopped: string[] = []
  handler: Handler<M> = () => {}
  readonly #name: string
  readonly #hasRoom: (actor: string) => boolean
  readonly #timers = new Set<Timer>()
  readonly #roundEnds: (() => void)[] = []
  readonly #stops: (() => void)[] = []

  constructor(options: TestOptions, name: string) {
    this.host = options.host ?? manualHost()
    this.log = options.log ?? silentLogger
    this.#name = name
    this.#hasRoom = options.hasRoom ?? (() => true)
    this.self = this.#ref(name, 0)
  }

  spawn<N extends Message, Setup>(
    definition: Definition<N, Setup>,
    name: string,
    setup: Setup,
    supervision?: Supervision,
  ): Ref<N> {
    this.spawned.push({ definition: definition.name, name, setup, supervision })
    return this.#ref(`${this.#name}/${name}`, 0)
  }

  find<N extends Message>(definition: { readonly name: string }, node = 0): Ref<N> {
    return this.#ref(definition.name, node)
  }

  watch(ref: Ref<never>, notice: M): void {
    this.watched.push({ ref: nameOf(ref), notice })
  }

  hasRoom(ref: Ref<never>): boolean {
    return this.#hasRoom(ref.address.actor)
  }

  recycle(): void {}

  after(delayMillis: number, message: M): Timer {
    const timer = this.host.timers.after(delayMillis, () => {
      this.#timers.delete(timer)
      this.round(message)
    })
    return this.#keep(timer)
  }

  every(periodMillis: number, message: M): Timer {
    let timer: Timer
    const next = (): void => {
      timer = this.host.timers.after(periodMillis, () => {
        next()
        this.round(message)
      })
    }
    next()
    return this.#keep({ cancel: () => timer.cancel() })
  }

  onRoundEnd(callback: () => void): void {
    this.#roundEnds.push(callback)
  }

  onStop(callback: () => void): void {
    this.#stops.push(callback)
  }

  stop(child?: Ref<never>): void {
    this.stopped.push(child === undefined ? this.#name : nameOf(child))
    if (child !== undefined) return
    for (const timer of this.#timers) timer.cancel()
    for (const callback of this.#stops.splice(0).reverse()) callback()
  }

  handle(message: M): void {
    deepFreeze(message)
    this.handler(message)
  }

  endRound(): void {
    for (const callback of this.#roundEnds) callback()
  }

  round(...messages: M[]): void {
    for (const message of messages) this.handle(message)
    this.endRound()
  }

  advance(millis: number): void {
    this.host.advance(millis)
  }

  takeTold<N extends Message = Message>(to?: string): N[] {
    const taken = this.told.filter(told => to === undefined || told.to === to)
    const left = this.told.filter(told => to !== undefined && told.to !== to)
    this.told.splice(0, this.told.length, ...left)
    return taken.map(told => told.message as N)
  }

  #ref<N extends Message>(actor: string, node: number): Ref<N> {
    const address = { node, actor }
    const to = nameOf({ address })
    return {
      address,
      tell: message => {
        deepFreeze(message)
        this.told.push({ to, message })
      },
    }
  }

  #keep(timer: Timer): Timer {
    this.#timers.add(timer)
    return timer
  }
}

function nameOf(ref: Pick<Ref<never>, 'address'>): string {
  const { actor, node } = ref.address
  return node === 0 ? actor : `${actor}@${node}`
}

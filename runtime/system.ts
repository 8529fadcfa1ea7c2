/**
 * The actors of one thread: spawns, finds and watches them, wherever the placement put them.
 * Knows threads and nodes only through the router that is plugged in.
 */
import type { Definition, Message, Ref, Supervision } from './actor.ts'
import { Cell } from './cell.ts'
import { Dispatcher } from './dispatcher.ts'
import type { Host } from './host.ts'
import { invariant } from './invariant.ts'
import { limits } from './limits.ts'
import type { Logger } from './log.ts'
import { nameHash, type Protocol } from './protocol.ts'
import { Supervisor } from './supervisor.ts'

/** Which thread hosts which well-known actors. */
export type Placement = Readonly<Record<string, readonly string[]>>

export interface SystemOptions {
  readonly host: Host
  readonly log: Logger
  /** Name of this thread in the placement. */
  readonly thread?: string
  readonly placement?: Placement
  /** This node's id: `find(…, node)` with it is local. */
  readonly node?: number
  /** Protocols of actors that are found by name alone (`replyTo`). */
  readonly protocols?: readonly (readonly [actor: string, protocol: Protocol<never>])[]
  /** Deep-freezes every message that is told: for tests. */
  readonly freezeMessages?: boolean
  /** An actor without a parent failed for good. Default: throws out of the event loop. */
  readonly onFailure?: (error: Error, actor: string) => void
}

/** Where actors of other threads and nodes are reached; see router.ts. */
export interface Remote {
  threadRef(thread: string, actor: string, protocol: Protocol<never> | undefined): Ref<Message>
  nodeRef(node: number, actor: string, protocol: Protocol<never> | undefined): Ref<Message>
  watch(ref: Ref<never>, callback: () => void): void
  hasRoom(ref: Ref<never>): boolean
}

export interface Placed {
  readonly thread: string
  readonly actor: string
}

interface Tally {
  count: number
  logged: number
  loggedMillis: number
}

export class System {
  readonly host: Host
  readonly log: Logger
  readonly thread: string
  readonly placement: Placement
  readonly node: number
  readonly freezeMessages: boolean
  readonly dispatcher: Dispatcher
  readonly supervisor: Supervisor
  readonly root: Cell
  deadLetters = 0
  /** From `stop` on: what is told to those who have stopped already is no news. */
  stopping = false
  remote: Remote | undefined = undefined
  readonly #cells = new Map<string, Cell>()
  readonly #cellsByHash = new Map<number, Cell>()
  readonly #placedByHash = new Map<number, Placed>()
  readonly #deadLetters = new Map<string, Tally>()
  readonly #threadOf = new Map<string, string>()
  readonly #protocols: Map<string, Protocol<never>>
  readonly #onFailure: (error: Error, actor: string) => void

  constructor(options: SystemOptions) {
    this.host = options.host
    this.thread = options.thread ?? 'main'
    this.log = options.log
    this.placement = options.placement ?? {}
    this.node = options.node ?? 0
    this.freezeMessages = options.freezeMessages ?? false
    this.#onFailure = options.onFailure ?? throwLater(options.host)
    this.#protocols = new Map(options.protocols)
    for (const thread in this.placement) {
      for (const actor of this.placement[thread]!) {
        this.#threadOf.set(actor, thread)
        this.#placedByHash.set(nameHash(actor), { thread, actor })
      }
    }
    this.dispatcher = new Dispatcher(callback => options.host.defer(callback), options.host.clock)
    this.supervisor = new Supervisor(this)
    this.root = new Cell(this, '', 'running')
  }

  /** Starts an actor without a parent; its failure beyond supervision is the system's. */
  spawn<M extends Message, Setup>(
    definition: Definition<M, Setup>,
    name: string,
    setup: Setup,
    supervision?: Supervision,
  ): Ref<M> {
    return this.spawnChild(this.root, definition, name, setup, supervision)
  }

  spawnChild<M extends Message, Setup>(
    parent: Cell,
    definition: Definition<M, Setup>,
    name: string,
    setup: Setup,
    supervision: Supervision = { kind: 'escalate' },
  ): Ref<M> {
    const cell = this.#placeFor(this.#pathOf(parent, name))
    cell.parent = parent
    cell.supervision = supervision
    parent.children.push(cell)
    cell.define(definition as unknown as Definition<Message, unknown>, setup)
    cell.start()
    return cell as Ref<M>
  }

  /** A stopped, absent or not yet started actor has a ref too. */
  find<M extends Message>(
    definition: { readonly protocol?: Protocol<M>; readonly name: string },
    node = 0,
  ): Ref<M> {
    const { name } = definition
    const protocol = definition.protocol ?? this.#protocols.get(name)
    if (node !== 0 && node !== this.node)
      return this.#remote().nodeRef(node, name, protocol) as Ref<M>
    const thread = this.#threadFor(name)
    if (thread === undefined || thread === this.thread) return this.local(name) as Ref<M>
    return this.#remote().threadRef(thread, name, protocol) as Ref<M>
  }

  /** The actor of this name on this thread. One that is placed here keeps its mail until it starts. */
  local(name: string): Cell {
    let cell = this.#cells.get(name)
    if (cell === undefined) {
      cell = new Cell(this, name, this.#threadFor(name) === this.thread ? 'awaited' : 'absent')
      this.#cells.set(name, cell)
      const hash = nameHash(name)
      invariant(!this.#cellsByHash.has(hash), `no two actors have the hash of ${name}`)
      this.#cellsByHash.set(hash, cell)
    }
    return cell
  }

  /** The actor of an envelope, if it is or may come on this thread. */
  localByHash(hash: number): Cell | undefined {
    const cell = this.#cellsByHash.get(hash)
    if (cell !== undefined) return cell
    const placed = this.#placedByHash.get(hash)
    return placed?.thread === this.thread ? this.local(placed.actor) : undefined
  }

  placedByHash(hash: number): Placed | undefined {
    return this.#placedByHash.get(hash)
  }

  threadOf(actor: string): string | undefined {
    return this.#threadOf.get(actor)
  }

  protocolOf(actor: string): Protocol<never> | undefined {
    return this.#protocols.get(actor)
  }

  /** Calls back once, when the actor stops or fails, at once when it is not there. */
  watch(ref: Ref<never>, callback: () => void): void {
    if (!(ref instanceof Cell)) this.#remote().watch(ref, callback)
    else if (ref.isAlive) ref.onDeath(callback)
    else callback()
  }

  /** False: whoever produces should pause, or what it tells may become a dead letter. */
  hasRoom(ref: Ref<never>): boolean {
    if (ref instanceof Cell) return ref.waiting < ref.messagesMax / 2
    return this.#remote().hasRoom(ref)
  }

  stopChild(parent: Cell, child: Ref<never>): void {
    invariant(
      child instanceof Cell && child.parent === parent,
      'an actor stops only its own children',
    )
    child.requestStop()
  }

  /** Stops all actors in reverse order of their start. */
  stop(): void {
    this.stopping = true
    for (const cell of [...this.root.children].reverse()) this.supervisor.stop(cell)
  }

  /** A message that reaches nobody is counted, and logged once in a while for each address. */
  lost(actor: string, kind: string, reason: string, count = 1): void {
    this.deadLetters += count
    if (this.stopping) return
    let tally = this.#deadLetters.get(actor)
    if (tally === undefined) {
      tally = { count: 0, logged: 0, loggedMillis: Number.NEGATIVE_INFINITY }
      // Names of actors that are gone do not pile up.
      if (this.#deadLetters.size >= limits.deadLetterAddressesMax) this.#deadLetters.clear()
      this.#deadLetters.set(actor, tally)
    }
    tally.count += count
    const now = this.host.clock.monotonicMillis()
    if (now - tally.loggedMillis < limits.deadLetterLogMillis) return
    tally.loggedMillis = now
    this.log.warn('Messages have been lost', {
      to: actor,
      kind,
      reason,
      lost: tally.count - tally.logged,
    })
    tally.logged = tally.count
  }

  rootFailed(actor: string, error: Error): void {
    this.#onFailure(error, actor)
  }

  /** Well-known actors keep their cell, so that refs reach the next one of that name. */
  forget(cell: Cell): void {
    if (!this.#threadOf.has(cell.name) && this.#cells.get(cell.name) === cell) {
      this.#cells.delete(cell.name)
      this.#cellsByHash.delete(nameHash(cell.name))
    }
  }

  /** A placed name is an address by itself, wherever in the tree its actor stands. */
  #pathOf(parent: Cell, name: string): string {
    if (parent === this.root || this.#threadOf.has(name)) return name
    return `${parent.name}/${name}`
  }

  #placeFor(path: string): Cell {
    const cell = this.local(path)
    const isFree = cell.state === 'awaited' || cell.state === 'absent' || cell.state === 'stopped'
    invariant(isFree, `actor ${path} is started once`)
    return cell
  }

  #threadFor(name: string): string | undefined {
    const slash = name.indexOf('/')
    return this.#threadOf.get(slash === -1 ? name : name.slice(0, slash))
  }

  #remote(): Remote {
    invariant(this.remote, 'an actor elsewhere is reached through a router')
    return this.remote
  }
}

function throwLater(host: Host): (error: Error, actor: string) => void {
  return (error, actor) =>
    host.defer(() => {
      throw new Error(`Actor ${actor} failed for good: ${error.message}`, { cause: error })
    })
}

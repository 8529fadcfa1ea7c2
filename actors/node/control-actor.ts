/**
 * The node's own actor, on the main thread: puts the questions of the admin port to the others and
 * gathers their answers.
 */
import type { Context, Definition } from '../../runtime/actor.ts'
import type { ControlMessage } from '../control.ts'
import { directory } from '../directory.ts'

type Answer = (error: string | undefined, value: unknown) => void

export type ControlSetup = { control?: Control }

const questionMillis = 5000

export const controlActor: Definition<ControlMessage, ControlSetup> = {
  ...directory.control,
  start(context, setup) {
    const control = new Control(context)
    setup.control = control
    return message => control.handle(message)
  },
}

/** Called from the admin server on the same thread. Each answer comes once, later. */
export class Control {
  readonly #context: Context<ControlMessage>
  readonly #pending = new Map<number, Answer>()
  #lastId = 0

  constructor(context: Context<ControlMessage>) {
    this.#context = context
  }

  /** JSON values by actor name; an actor that does not answer is missing. */
  status(actors: readonly StatusActor[], answer: (values: Record<string, unknown>) => void): void {
    const values: Record<string, unknown> = {}
    let missing = actors.length
    for (const actor of actors) {
      const id = this.#ask((error, value) => {
        if (error === undefined) values[actor] = value
        missing -= 1
        if (missing === 0) answer(values)
      })
      this.#context
        .find<{ kind: 'status'; replyTo: string; id: number }>(directory[actor])
        .tell({ kind: 'status', replyTo: 'control', id })
    }
  }

  /** A linearizable read of nothing: a quorum confirmed the leader, and this node has applied what it must. */
  ready(answer: (error: string | undefined) => void): void {
    const id = this.#ask((error, position) => {
      if (error !== undefined) return answer(error)
      const barrier = this.#ask(answer)
      this.#context
        .find(directory.state)
        .tell({ kind: 'barrier', replyTo: 'control', id: barrier, position: Number(position) })
    })
    this.#context.find(directory.consensus).tell({ kind: 'readRequest', replyTo: 'control', id })
  }

  /** Gives leadership to the follower that is furthest, if this node has it. */
  handOver(): Promise<void> {
    return new Promise(resolve => {
      this.status(['consensus'], ({ consensus }) => {
        const { role, peers } = consensus as {
          role: string
          peers: { node: number; match: number }[]
        }
        const [furthest] = role === 'leader' ? peers.toSorted((a, b) => b.match - a.match) : []
        if (furthest === undefined) resolve()
        else this.transfer(furthest.node, () => resolve())
      })
    })
  }

  transfer(target: number, answer: (error: string | undefined) => void): void {
    const id = this.#ask(answer)
    this.#context
      .find(directory.consensus)
      .tell({ kind: 'transfer', replyTo: 'control', id, target })
  }

  changeMembership(change: Uint8Array, answer: (error: string | undefined) => void): void {
    const id = this.#ask(answer)
    this.#context
      .find(directory.consensus)
      .tell({ kind: 'changeMembership', replyTo: 'control', id, change })
  }

  handle(message: ControlMessage): void {
    switch (message.kind) {
      case 'statusAnswer':
        return this.#answer(message.id, undefined, JSON.parse(message.json))
      case 'readReady':
        return this.#answer(message.id, undefined, message.position)
      case 'readFailed':
        return this.#answer(message.id, 'no leader could confirm the read', undefined)
      case 'barrierReached':
        return this.#answer(message.id, undefined, undefined)
      case 'done':
        return this.#answer(message.id, message.error === '' ? undefined : message.error, undefined)
      default:
        return unreachable(message)
    }
  }

  #ask(answer: Answer): number {
    this.#lastId += 1
    const id = this.#lastId
    this.#pending.set(id, answer)
    this.#context.host.timers.after(questionMillis, () =>
      this.#answer(id, 'no answer in time', undefined),
    )
    return id
  }

  #answer(id: number, error: string | undefined, value: unknown): void {
    const answer = this.#pending.get(id)
    this.#pending.delete(id)
    answer?.(error, value)
  }
}

export type StatusActor =
  | 'consensus'
  | 'journal'
  | 'peers'
  | 'state'
  | 'watches'
  | 'zookeeper'
  | 'etcd'

function unreachable(message: never): never {
  throw new Error(`unknown message ${JSON.stringify(message)}`)
}

/**
 * The node's own actor, on the main thread: puts the questions of the admin port to the others and
 * gathers their answers.
 */
import type { Context, Definition } from '../../runtime/actor.ts'
import type { MetricsSnapshot } from '../../runtime/metrics-snapshot.ts'
import type { Member } from '../consensus/interface.ts'
import type { ControlMessage } from '../control.ts'
import { directory } from '../directory.ts'
import { collectorOf } from '../metrics-collector.ts'
import type { NodeMetrics } from './node-metrics.ts'
import { type AskedChange, inWords, membershipChange } from './member-changes.ts'
import { membersOf } from './member-differences.ts'
import { whyNoLeader } from './no-leader.ts'

type Answer = (error: string | undefined, value: unknown) => void

export type ControlSetup = { readonly node: number; control?: Control }

const questionMillis = 5000

export const controlActor: Definition<ControlMessage, ControlSetup> = {
  ...directory.control,
  start(context, setup) {
    const control = new Control(context, setup.node)
    setup.control = control
    return message => control.handle(message)
  },
}

/** Called from the admin server on the same thread. Each answer comes once, later. */
export class Control {
  readonly #context: Context<ControlMessage>
  readonly #node: number
  readonly #pending = new Map<number, Answer>()
  #lastId = 0
  metrics: NodeMetrics | undefined
  /** A committed change of the membership has removed this node. */
  onRemoved = (): void => {}

  constructor(context: Context<ControlMessage>, node: number) {
    this.#context = context
    this.#node = node
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

  /** What these threads have counted; one that does not answer in time is missing. */
  collect(threads: readonly string[], answer: (snapshots: MetricsSnapshot[]) => void): void {
    const snapshots: MetricsSnapshot[] = []
    let missing = threads.length
    if (missing === 0) answer(snapshots)
    for (const thread of threads) {
      const id = this.#ask((error, value) => {
        if (error === undefined) snapshots.push(value as MetricsSnapshot)
        missing -= 1
        if (missing === 0) answer(snapshots)
      })
      this.#context.find(collectorOf(thread)).tell({ kind: 'collect', id })
    }
  }

  /**
   * A linearizable read of nothing: a quorum confirmed the leader, and this node has applied what it
   * must. Where no leader is known nobody could confirm anything, which is said at once.
   */
  ready(answer: (error: string | undefined) => void): void {
    this.status(['consensus'], ({ consensus }) => {
      const why = whyNoLeader(this.#node, consensus)
      if (why === undefined) this.#confirm(answer)
      else answer(why)
    })
  }

  #confirm(answer: (error: string | undefined) => void): void {
    const id = this.#ask((error, position) => {
      if (error !== undefined) return answer(error)
      const barrier = this.#ask(answer)
      this.#context
        .find(directory.state)
        .tell({ kind: 'barrier', replyTo: 'control', id: barrier, position: Number(position) })
    })
    this.#context.find(directory.consensus).tell({ kind: 'readRequest', replyTo: 'control', id })
  }

  /** The doors take nothing more; resolves when what they had taken is answered, or after `millis`. */
  async drain(millis: number): Promise<void> {
    const doors = [directory.zookeeper, directory.etcd]
    await Promise.all(
      doors.map(
        door =>
          new Promise<void>(resolve => {
            const id = this.#ask(() => resolve(), millis)
            this.#context.find<{ kind: 'drain'; id: number }>(door).tell({ kind: 'drain', id })
          }),
      ),
    )
  }

  /** Gives leadership to the follower that is furthest, if this node has it. */
  handOver(): Promise<void> {
    return new Promise(resolve => {
      this.status(['consensus'], ({ consensus }) => {
        const [furthest] = successors(consensus as ConsensusStatus | undefined)
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

  /** Through whatever node it was asked: the leader's control actor carries it out. */
  changeMembers(asked: AskedChange, answer: (error: string | undefined) => void): void {
    this.status(['consensus'], ({ consensus }) => {
      const { leader } = (consensus ?? { leader: 0 }) as { leader: number }
      if (leader === 0) return answer('no leader is known; try again')
      if (leader === this.#node) return this.#carryOut(asked, answer)
      const id = this.#ask(answer)
      const change = { kind: 'memberChange', from: this.#node, id, asked: JSON.stringify(asked) }
      this.#context.find(directory.control, leader).tell(change as ControlMessage)
    })
  }

  #carryOut(asked: AskedChange, answer: (error: string | undefined) => void): void {
    // With another store it would have to begin anew, and it is this one that has everything.
    if (asked.change === 'replace' && asked.node === this.#node) {
      return answer(`node ${asked.node} leads, so its data is not lost`)
    }
    if (asked.change === 'transfer') return this.transfer(asked.node, answer)
    // A node that is to be bound has said at its link which store it has.
    this.status(['peers', 'consensus'], ({ peers, consensus }) => {
      const { stores = {} } = (peers ?? {}) as { stores?: Record<string, string> }
      const change = membershipChange(asked, { stores, members: membersOf(consensus) })
      if (typeof change === 'string') return answer(change)
      const id = this.#ask(error =>
        answer(error === undefined ? undefined : inWords(String(error))),
      )
      this.#context.find(directory.consensus).tell({
        kind: 'changeMembership',
        replyTo: 'control',
        id,
        change: Buffer.from(JSON.stringify(change)),
      })
    })
  }

  /** The etcd port has them too. */
  #answerMetrics(id: number): void {
    const tell = (text: string): void =>
      this.#context.find(directory.etcd).tell({ kind: 'metricsText', id, text })
    if (this.metrics === undefined) tell('')
    else this.metrics.text(tell)
  }

  #carryOutFor(from: number, id: number, asked: string): void {
    this.#carryOut(JSON.parse(asked) as AskedChange, error => {
      const done = { kind: 'memberChangeDone', id, error: error ?? '' } as const
      this.#context.find(directory.control, from).tell(done)
    })
  }

  handle(message: ControlMessage): void {
    switch (message.kind) {
      case 'statusAnswer':
        return this.#answer(message.id, undefined, JSON.parse(message.json))
      case 'metricsQuestion':
        return this.#answerMetrics(message.id)
      case 'readReady':
        return this.#answer(message.id, undefined, message.position)
      case 'readFailed':
        return this.#answer(message.id, 'no leader could confirm the read', undefined)
      case 'barrierReached':
        return this.#answer(message.id, undefined, undefined)
      case 'memberChange':
        return this.#carryOutFor(message.from, message.id, message.asked)
      case 'removed':
        return this.onRemoved()
      case 'memberChangeDone':
      case 'done':
        return this.#answer(message.id, message.error === '' ? undefined : message.error, undefined)
      default:
        return unreachable(message)
    }
  }

  #ask(answer: Answer, millis = questionMillis): number {
    this.#lastId += 1
    const id = this.#lastId
    this.#pending.set(id, answer)
    this.#context.host.timers.after(millis, () => this.#answer(id, 'no answer in time', undefined))
    return id
  }

  #answer(id: number, error: string | undefined, value: unknown): void {
    const answer = this.#pending.get(id)
    this.#pending.delete(id)
    answer?.(error, value)
  }
}

interface ConsensusStatus {
  readonly role: string
  readonly membership?: {
    readonly voters: readonly Member[]
    readonly learners?: readonly Member[]
    readonly outgoing?: readonly Member[]
  }
  readonly peers?: readonly { readonly node: number; readonly match: number }[]
  readonly links: readonly number[]
}

/** Who could lead instead of this node, the furthest first; none where this node does not lead. */
function successors(status: ConsensusStatus | undefined): readonly { node: number }[] {
  if (status?.role !== 'leader') return []
  const { membership, peers = [], links } = status
  const voters = new Set(membership?.voters.map(voter => voter.node))
  return peers
    .filter(({ node }) => voters.has(node) && links.includes(node))
    .toSorted((one, other) => other.match - one.match)
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

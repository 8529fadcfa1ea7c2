/**
 * Linearizable reads of this node and of its followers: readers of one round share an attempt, which
 * the leader's machine confirms. Here are the messages; which attempt is whose is in read-attempts.ts.
 */
import type { Ref } from '../../../runtime/actor.ts'
import type { ConsensusMessage, ConsensusNotice } from '../messages.ts'
import { ReadAttempts, type ReadTicks } from './read-attempts.ts'

type ReadNotice = Extract<ConsensusNotice, { kind: 'readReady' | 'readFailed' }>

export interface ReadSurroundings {
  readonly node: number
  /** Asks the machine, which leads. */
  readonly ask: (attempt: number) => void
  readonly peer: (node: number) => Ref<ConsensusMessage>
  readonly tell: (actor: string, notice: ReadNotice) => void
}

export class LinearReads {
  readonly #around: ReadSurroundings
  readonly #attempts: ReadAttempts

  constructor(around: ReadSurroundings, ticks: ReadTicks, firstId: number) {
    this.#around = around
    this.#attempts = new ReadAttempts(ticks, firstId)
  }

  get attemptCount(): number {
    return this.#attempts.attemptCount
  }

  add(replyTo: string, id: number): void {
    this.#attempts.add(replyTo, id)
  }

  /** At the end of a round: an attempt for all that wait, here or where the leader is. */
  start(leader: number): void {
    if (this.#attempts.waitingCount === 0 || leader === 0) return
    const id = this.#attempts.start()
    if (id === undefined) return
    const { node, ask, peer } = this.#around
    if (leader === node) ask(id)
    else peer(leader).tell({ kind: 'readIndex', from: node, id })
  }

  /** A follower asks. */
  askFor(node: number, id: number, leads: boolean): void {
    if (leads) this.#around.ask(this.#attempts.startRemote({ node, id }))
    else this.#answerPeer(node, id, -1)
  }

  answered(id: number, position: number): void {
    if (position < 0) this.#attempts.refused(id)
    else this.ready(id, position)
  }

  ready(id: number, position: number): void {
    const attempt = this.#attempts.take(id)
    if (attempt === undefined) return
    if (attempt.remote !== undefined) {
      this.#answerPeer(attempt.remote.node, attempt.remote.id, position)
    }
    for (const { replyTo, id: reader } of attempt.readers) {
      this.#around.tell(replyTo, { kind: 'readReady', id: reader, position })
    }
  }

  failed(id: number): void {
    const remote = this.#attempts.refused(id)
    if (remote !== undefined) this.#answerPeer(remote.node, remote.id, -1)
  }

  leaderChanged(): void {
    this.#attempts.giveUpAll()
  }

  tick(): void {
    for (const { replyTo, id } of this.#attempts.tick()) {
      this.#around.tell(replyTo, { kind: 'readFailed', id })
    }
  }

  #answerPeer(node: number, id: number, position: number): void {
    const from = this.#around.node
    this.#around.peer(node).tell({ kind: 'readIndexReply', from, id, position })
  }
}

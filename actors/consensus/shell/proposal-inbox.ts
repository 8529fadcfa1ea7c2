/**
 * The proposals of one round, of this node and of followers: to the log on the leader, otherwise on
 * to it as they are. Whatever cannot go anywhere is dropped and counted: its stream keeps it, is told,
 * and proposes it again.
 */
import type { Ref } from '../../../runtime/actor.ts'
import { isProposable } from './entry-check.ts'
import type { ProposedBatch } from '../interface.ts'
import type { ConsensusMessage } from '../messages.ts'

/**
 * Of one round, to the leader: after an election that is all that waits at a door, and what was left out
 * would wait for its stream's next attempt. One batch goes however large it is.
 */
const forwardBytesMax = 24 * 1024 * 1024

interface Waiting extends ProposedBatch {
  readonly from: number
}

const none: readonly number[] = []

export class ProposalInbox {
  readonly #node: number
  readonly #hasRoom: (ref: Ref<ConsensusMessage>) => boolean
  readonly #recycle: (bytes: Uint8Array) => void
  /** Nodes whose proposals were dropped in this round, though there is a leader: they are to know. */
  readonly #dropped = new Set<number>()
  #taken: readonly Waiting[] = []
  #waiting: Waiting[] = []
  #bytes = 0
  #count = 0
  #refused = 0

  constructor(
    node: number,
    hasRoom: (ref: Ref<ConsensusMessage>) => boolean,
    recycle: (bytes: Uint8Array) => void,
  ) {
    this.#node = node
    this.#hasRoom = hasRoom
    this.#recycle = recycle
  }

  /** Entries dropped so far. */
  get refused(): number {
    return this.#refused
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Entries that wait. */
  get count(): number {
    return this.#count
  }

  /** `from`: the node of the streams. */
  add({ entries, count }: ProposedBatch, from: number): void {
    const batch = { entries, count, from }
    this.#waiting.push(batch)
    this.#bytes += batch.entries.length
    this.#count += batch.count
  }

  /** The log refuses what was taken: all of a round, or nothing. */
  refuse(count: number): void {
    this.#refused += count
    for (const { from } of this.#taken) this.#dropped.add(from)
  }

  /** Once each: nodes to be told that something of theirs was dropped. */
  takeDropped(): readonly number[] {
    if (this.#dropped.size === 0) return none
    const nodes = [...this.#dropped]
    this.#dropped.clear()
    return nodes
  }

  /** For the leader's log: what came from elsewhere may be anything. */
  takeSound(): ProposedBatch[] {
    const sound: ProposedBatch[] = []
    for (const batch of this.#take()) {
      if (isProposable(batch.entries, batch.count)) sound.push(batch)
      else this.#drop(batch)
    }
    return sound
  }

  forward(leader: Ref<ConsensusMessage>): void {
    let bytes = 0
    for (const batch of this.#take()) {
      const { entries, count } = batch
      const isTooMuch = bytes > 0 && bytes + entries.length > forwardBytesMax
      bytes += entries.length
      if (isTooMuch || !this.#hasRoom(leader)) this.#drop(batch)
      else leader.tell({ kind: 'forward', from: this.#node, entries, count })
    }
  }

  drop(): void {
    for (const batch of this.#take()) this.#drop(batch)
  }

  #drop({ count, from }: Waiting): void {
    this.#refused += count
    this.#dropped.add(from)
  }

  /** What was taken has been copied, into the log or a frame, or dropped: its memory is free again. */
  release(): void {
    for (const { entries } of this.#taken) this.#recycle(entries)
    this.#taken = []
  }

  #take(): Waiting[] {
    const taken = this.#waiting
    this.#taken = taken
    this.#waiting = []
    this.#bytes = 0
    this.#count = 0
    return taken
  }
}

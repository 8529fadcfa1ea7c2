/**
 * Reads that may not run yet: behind an earlier write of their own session (by sequence of their
 * stream), or behind a log position that makes them linearizable.
 */
import { connectionKey, doorOf, type StateMessage } from './messages.ts'

export type WaitingRead = Extract<StateMessage, { kind: 'read' }>

export class WaitingReads {
  /** By stream, then by the sequence waited for. */
  readonly #bySequence: (Map<number, WaitingRead[]> | undefined)[] = []
  /** In order of position. */
  #byPosition: WaitingRead[] = []

  get count(): number {
    let count = this.#byPosition.length
    for (const table of this.#bySequence) {
      for (const reads of table?.values() ?? []) count += reads.length
    }
    return count
  }

  /** The least position that a read waits for; Infinity: none. */
  nextPosition = Number.POSITIVE_INFINITY

  waitForSequence(read: WaitingRead): void {
    let table = this.#bySequence[read.stream]
    if (table === undefined) {
      table = new Map()
      this.#bySequence[read.stream] = table
    }
    const reads = table.get(read.after)
    if (reads === undefined) table.set(read.after, [read])
    else reads.push(read)
  }

  waitForPosition(read: WaitingRead): void {
    let at = this.#byPosition.length
    while (at > 0 && (this.#byPosition[at - 1]?.position ?? 0) > read.position) at -= 1
    this.#byPosition.splice(at, 0, read)
    this.nextPosition = this.#byPosition[0]?.position ?? Number.POSITIVE_INFINITY
  }

  /** Reads behind this very command; they run before anything else applies. */
  takeSequence(stream: number, sequence: number): readonly WaitingRead[] {
    const table = this.#bySequence[stream]
    const reads = table?.get(sequence)
    if (reads === undefined) return none
    table?.delete(sequence)
    return reads
  }

  takeThroughSequence(stream: number, sequence: number): readonly WaitingRead[] {
    const table = this.#bySequence[stream]
    if (table === undefined) return none
    const taken: WaitingRead[] = []
    for (const [after, reads] of table) {
      if (after > sequence) continue
      taken.push(...reads)
      table.delete(after)
    }
    return taken
  }

  /** Reads of the same door in other generations: who asked is gone. */
  forgetOthers(stream: number): void {
    const isOther = (other: number): boolean => other !== stream && doorOf(other) === doorOf(stream)
    this.#bySequence.forEach((_, other) => {
      if (isOther(other)) this.#bySequence[other] = undefined
    })
    this.#byPosition = this.#byPosition.filter(read => !isOther(read.stream))
    this.nextPosition = this.#byPosition[0]?.position ?? Number.POSITIVE_INFINITY
  }

  /** `keys` as `connectionKey` makes them. */
  forgetConnections(keys: ReadonlySet<number>): void {
    const stays = ({ stream, connection }: WaitingRead): boolean =>
      !keys.has(connectionKey(stream, connection))
    for (const table of this.#bySequence) {
      for (const [after, reads] of table ?? []) {
        const left = reads.filter(stays)
        if (left.length === 0) table?.delete(after)
        else if (left.length < reads.length) table?.set(after, left)
      }
    }
    this.#byPosition = this.#byPosition.filter(stays)
    this.nextPosition = this.#byPosition[0]?.position ?? Number.POSITIVE_INFINITY
  }

  takeThroughPosition(position: number): readonly WaitingRead[] {
    let count = 0
    while (count < this.#byPosition.length && (this.#byPosition[count]?.position ?? 0) <= position)
      count += 1
    const taken = this.#byPosition.splice(0, count)
    this.nextPosition = this.#byPosition[0]?.position ?? Number.POSITIVE_INFINITY
    return taken
  }
}

const none: readonly WaitingRead[] = []

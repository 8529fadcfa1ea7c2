/**
 * What an operator asks of the leader and hears the end of later: handing over, and a change of the
 * membership; one of each at a time. Elsewhere the answer is who leads.
 */
import type { Event } from '../interface.ts'
import type { RaftMessage } from '../raft/messages.ts'
import { decodeChange } from './membership-change.ts'

/** Who waits for a `done`. */
interface Asker {
  readonly replyTo: string
  readonly id: number
}

export interface RequestSurroundings {
  readonly step: (event: Event<RaftMessage>) => void
  readonly done: (asker: Asker, error: string) => void
  /** What entries are stamped with now. */
  readonly logTime: () => number
  /** '' on the leader; elsewhere a sentence that says who it is. */
  readonly elsewhere: () => string
}

export class OperatorRequests {
  readonly #around: RequestSurroundings
  #transferAsked: Asker | undefined
  #changeAsked: Asker | undefined

  constructor(around: RequestSurroundings) {
    this.#around = around
  }

  transfer(asker: Asker, target: number): void {
    const { elsewhere, done, step } = this.#around
    const refusal =
      elsewhere() || (this.#transferAsked === undefined ? '' : 'a transfer is under way')
    if (refusal !== '') return done(asker, refusal)
    this.#transferAsked = asker
    step({ kind: 'transferRequested', target })
  }

  transferEnded(error: string): void {
    const asker = this.#transferAsked
    this.#transferAsked = undefined
    if (asker !== undefined) this.#around.done(asker, error)
  }

  change(asker: Asker, bytes: Uint8Array): void {
    const { elsewhere, done, step, logTime } = this.#around
    const change = decodeChange(bytes)
    if (typeof change === 'string') return done(asker, change)
    const refusal = elsewhere() || (this.#changeAsked === undefined ? '' : 'refused: changePending')
    if (refusal !== '') return done(asker, refusal)
    this.#changeAsked = asker
    step({ kind: 'membershipProposed', change, now: logTime() })
  }

  changeEnded(error: string): void {
    const asker = this.#changeAsked
    this.#changeAsked = undefined
    if (asker !== undefined) this.#around.done(asker, error)
  }
}

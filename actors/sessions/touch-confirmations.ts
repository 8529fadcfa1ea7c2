/**
 * What a leader answers to touches: those of all nodes, its own too, are confirmed once a quorum has said after
 * their coming that it still leads, and once everything that was committed by then has applied here. So no
 * other leader gave less than the whole time-out to any of these sessions since, and none of them had ended.
 */
import { BatchedQuestions } from '../batched-questions.ts'

export interface TouchBatch {
  readonly node: number
  readonly batch: number
  /** As in own-touches.ts. */
  readonly touches: Uint8Array
}

/** Of all nodes; beyond it the oldest are forgotten, and come again. */
const batchesMax = 256
/** Ids of these confirmations are negative, those of the questions about leases positive. */
const idStep = -1

export interface TouchConfirmationsSetup {
  /** A confirmation that did not come in this time is asked for again. */
  readonly againMillis: number
  /** Answered by `confirmed` or `unconfirmed` with this id. */
  readonly confirm: (id: number) => void
  readonly answer: (batch: TouchBatch) => void
}

export class TouchConfirmations {
  readonly #setup: TouchConfirmationsSetup
  readonly #batches: BatchedQuestions<TouchBatch>

  constructor(setup: TouchConfirmationsSetup) {
    this.#setup = setup
    this.#batches = new BatchedQuestions({ ask: setup.confirm, idStep, waitingMax: batchesMax })
  }

  add(batch: TouchBatch, nowMillis: number): void {
    this.#batches.add(batch)
    this.#batches.begin(nowMillis)
  }

  /** Whatever a leader of another epoch was asked is asked again by those who want to know. */
  leaderChanged(): void {
    this.#batches.clear()
  }

  confirmed(id: number, nowMillis: number): void {
    for (const batch of this.#batches.takeAnswered(id)) this.#setup.answer(batch)
    this.#batches.begin(nowMillis)
  }

  unconfirmed(id: number): void {
    if (this.#batches.isStanding(id)) this.#batches.putBack()
  }

  tick(nowMillis: number): void {
    if (this.#batches.isLate(nowMillis, this.#setup.againMillis)) this.#batches.askAgain(nowMillis)
    else this.#batches.begin(nowMillis)
  }
}

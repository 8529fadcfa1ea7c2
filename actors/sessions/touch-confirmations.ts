/**
 * What a leader answers to touches: those of all nodes, its own too, are confirmed once a quorum has said after
 * their coming that it still leads, and once everything that was committed by then has applied here. So no
 * other leader gave less than the whole time-out to any of these sessions since, and none of them had ended.
 */
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
  #waiting: TouchBatch[] = []
  #confirming: TouchBatch[] = []
  #id = 0
  /** The first question for the batches that are asked for: a late answer to it confirms them as well. */
  #firstId = 0
  #askedMillis = 0

  constructor(setup: TouchConfirmationsSetup) {
    this.#setup = setup
  }

  add(batch: TouchBatch, nowMillis: number): void {
    this.#waiting.push(batch)
    if (this.#waiting.length > batchesMax) this.#waiting.shift()
    this.#confirm(nowMillis)
  }

  /** Whatever a leader of another epoch was asked is asked again by those who want to know. */
  leaderChanged(): void {
    this.#waiting = []
    this.#confirming = []
  }

  confirmed(id: number, nowMillis: number): void {
    if (id > this.#firstId || id < this.#id) return
    const confirmed = this.#confirming
    this.#confirming = []
    for (const batch of confirmed) this.#setup.answer(batch)
    this.#confirm(nowMillis)
  }

  unconfirmed(id: number): void {
    if (id === this.#id) this.#putBack()
  }

  tick(nowMillis: number): void {
    const isAsking = this.#confirming.length > 0
    const isLate = nowMillis - this.#askedMillis >= this.#setup.againMillis
    if (isAsking && isLate) this.#ask(nowMillis)
    else this.#confirm(nowMillis)
  }

  #confirm(nowMillis: number): void {
    if (this.#confirming.length > 0 || this.#waiting.length === 0) return
    this.#confirming = this.#waiting
    this.#waiting = []
    this.#firstId = this.#id + idStep
    this.#ask(nowMillis)
  }

  #ask(nowMillis: number): void {
    this.#id += idStep
    this.#askedMillis = nowMillis
    this.#setup.confirm(this.#id)
  }

  #putBack(): void {
    if (this.#confirming.length === 0) return
    this.#waiting = [...this.#confirming, ...this.#waiting].slice(-batchesMax)
    this.#confirming = []
  }
}

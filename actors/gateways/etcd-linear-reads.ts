/** Linearizable reads (DESIGN.md D9): each waits for an answer to a question that was asked after it came. */
import { BatchedQuestions } from '../batched-questions.ts'

export interface LinearRead {
  readonly connection: number
  readonly call: number
  readonly startMillis: number
  /** For the state machine once the position is known; undefined: only `ready` is called. */
  readonly request: Uint8Array | undefined
  readonly ready: ((position: number) => void) | undefined
}

export interface LinearReadsSetup {
  readonly timeoutMillis: number
  /** A question without an answer is asked again after this. */
  readonly retryMillis: number
  readonly ask: (id: number) => void
  /** The state machine may answer at this position. */
  readonly read: (read: LinearRead, position: number) => void
  readonly late: (read: LinearRead) => void
}

export class LinearReads {
  readonly #setup: LinearReadsSetup
  readonly #batches: BatchedQuestions<LinearRead>
  /** The last question failed: the next is for a leader's notice or a later tick. */
  #failed = false
  /** Questions that got no answer in time; questions that nobody could answer. */
  slowCount = 0
  failedCount = 0

  constructor(setup: LinearReadsSetup) {
    this.#setup = setup
    this.#batches = new BatchedQuestions({ ask: setup.ask })
  }

  get count(): number {
    return this.#batches.count
  }

  add(read: LinearRead): void {
    this.#batches.add(read)
  }

  /** At the end of a round. */
  flush(nowMillis: number): void {
    if (!this.#failed) this.#batches.begin(nowMillis)
  }

  ready(id: number, position: number): void {
    for (const read of this.#batches.takeAnswered(id)) {
      if (read.ready !== undefined) read.ready(position)
      else this.#setup.read(read, position)
    }
  }

  failed(id: number): void {
    if (!this.#batches.isStanding(id)) return
    this.#failed = true
    this.failedCount += 1
    this.#batches.putBack()
  }

  /** What was asked of the last leader is void. */
  leaderChanged(): void {
    this.#failed = false
    this.#batches.putBack()
  }

  tick(nowMillis: number): void {
    const { retryMillis, timeoutMillis, late } = this.#setup
    this.#failed = false
    if (this.#batches.isLate(nowMillis, retryMillis)) {
      this.slowCount += 1
      this.#batches.askAgain(nowMillis)
    }
    const isLate = (read: LinearRead): boolean => nowMillis - read.startMillis >= timeoutMillis
    for (const read of this.#batches.takeOut(isLate)) late(read)
  }
}

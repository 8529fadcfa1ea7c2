/**
 * Linearizable reads (DESIGN.md D9): one question to consensus at a time stands for all reads that
 * came before it was asked; those that come meanwhile are the next batch. A question that fails, or
 * gets no answer, is asked again under a new id: an old answer never serves a newer read. It serves those for
 * which it was asked, however late it comes: where all answers are late, none would come in time otherwise.
 */
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
  #waiting: LinearRead[] = []
  #asked: LinearRead[] = []
  #id = 0
  /** The first question for the reads that are asked for. */
  #firstId = 0
  #askedMillis = 0
  /** The last question failed: the next is for a leader's notice or a later tick. */
  #failed = false
  /** Questions that got no answer in time; questions that nobody could answer. */
  slowCount = 0
  failedCount = 0

  constructor(setup: LinearReadsSetup) {
    this.#setup = setup
  }

  get count(): number {
    return this.#waiting.length + this.#asked.length
  }

  add(read: LinearRead): void {
    this.#waiting.push(read)
  }

  /** At the end of a round. */
  flush(nowMillis: number): void {
    if (this.#asked.length > 0 || this.#waiting.length === 0 || this.#failed) return
    this.#asked = this.#waiting
    this.#waiting = []
    this.#firstId = this.#id + 1
    this.#ask(nowMillis)
  }

  ready(id: number, position: number): void {
    if (id < this.#firstId || id > this.#id) return
    const asked = this.#asked
    this.#asked = []
    for (const read of asked) {
      if (read.ready !== undefined) read.ready(position)
      else this.#setup.read(read, position)
    }
  }

  failed(id: number): void {
    if (id !== this.#id || this.#asked.length === 0) return
    this.#failed = true
    this.failedCount += 1
    this.#putBack()
  }

  /** What was asked of the last leader is void. */
  leaderChanged(): void {
    this.#failed = false
    this.#putBack()
  }

  tick(nowMillis: number): void {
    this.#failed = false
    if (this.#asked.length > 0 && nowMillis - this.#askedMillis >= this.#setup.retryMillis) {
      this.slowCount += 1
      this.#ask(nowMillis)
    }
    this.#asked = this.#dropLate(this.#asked, nowMillis)
    this.#waiting = this.#dropLate(this.#waiting, nowMillis)
  }

  #ask(nowMillis: number): void {
    this.#id += 1
    this.#askedMillis = nowMillis
    this.#setup.ask(this.#id)
  }

  #putBack(): void {
    if (this.#asked.length === 0) return
    this.#waiting = [...this.#asked, ...this.#waiting]
    this.#asked = []
  }

  #dropLate(reads: LinearRead[], nowMillis: number): LinearRead[] {
    const { timeoutMillis, late } = this.#setup
    const first = reads[0]
    if (first === undefined || nowMillis - first.startMillis < timeoutMillis) return reads
    return reads.filter(read => {
      const isLate = nowMillis - read.startMillis >= timeoutMillis
      if (isLate) late(read)
      return !isLate
    })
  }
}

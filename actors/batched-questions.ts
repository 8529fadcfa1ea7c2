/**
 * Questions to consensus for many who want to know the same: how far the log is committed, and that the
 * leader still leads. One question at a time stands for all that came before it was asked; those that come
 * meanwhile are the next batch. A question without an answer is asked again under a new id, and whichever
 * answer comes first serves the batch, however late it is: where all answers are late, none would come in
 * time otherwise. An answer never serves anybody who came after its question. Pure: time is given.
 */
export interface BatchedQuestionsSetup {
  /** Its answer comes back with the id. */
  readonly ask: (id: number) => void
  /** −1 counts downwards, so that two kinds of questions of one actor differ; default 1. */
  readonly idStep?: 1 | -1
  /** Beyond it the oldest that wait are forgotten; default: no bound, as whoever adds has one. */
  readonly waitingMax?: number
}

export class BatchedQuestions<Item> {
  readonly #ask: (id: number) => void
  readonly #idStep: number
  readonly #waitingMax: number
  #waiting: Item[] = []
  #asked: Item[] = []
  /** Of the batch that is asked for. */
  #firstId = 0
  #lastId = 0
  #askedMillis = 0

  constructor({ ask, idStep = 1, waitingMax = Number.POSITIVE_INFINITY }: BatchedQuestionsSetup) {
    this.#ask = ask
    this.#idStep = idStep
    this.#waitingMax = waitingMax
  }

  /** Both those that wait and those that were asked for. */
  get count(): number {
    return this.#waiting.length + this.#asked.length
  }

  get isAsking(): boolean {
    return this.#asked.length > 0
  }

  add(item: Item): void {
    this.#waiting.push(item)
    if (this.#waiting.length > this.#waitingMax) this.#waiting.shift()
  }

  /** Asks for those that wait, unless a question stands or nobody does. */
  begin(nowMillis: number): void {
    if (this.isAsking || this.#waiting.length === 0) return
    this.#asked = this.#waiting
    this.#waiting = []
    this.#firstId = this.#lastId + this.#idStep
    this.askAgain(nowMillis)
  }

  /** For the same batch, under a new id. */
  askAgain(nowMillis: number): void {
    this.#lastId += this.#idStep
    this.#askedMillis = nowMillis
    this.#ask(this.#lastId)
  }

  /** Whether a question stands since so long. */
  isLate(nowMillis: number, afterMillis: number): boolean {
    return this.isAsking && nowMillis - this.#askedMillis >= afterMillis
  }

  /** Whom this answer serves: nobody, where it is for an earlier batch. */
  takeAnswered(id: number): readonly Item[] {
    const isBefore = (id - this.#firstId) * this.#idStep < 0
    const isAfter = (this.#lastId - id) * this.#idStep < 0
    if (isBefore || isAfter) return []
    const asked = this.#asked
    this.#asked = []
    return asked
  }

  /** Whether this is the question that stands: of earlier ones an answer may come still. */
  isStanding(id: number): boolean {
    return this.isAsking && id === this.#lastId
  }

  /** Those that were asked for wait again, before all others: answers to them serve nobody any more. */
  putBack(): void {
    if (!this.isAsking) return
    this.#waiting = [...this.#asked, ...this.#waiting]
    this.#asked = []
    if (this.#waiting.length > this.#waitingMax)
      this.#waiting = this.#waiting.slice(-this.#waitingMax)
  }

  /** Takes out all for which `leaves` is true. */
  takeOut(leaves: (item: Item) => boolean): Item[] {
    const left: Item[] = []
    const rest = (items: Item[]): Item[] => {
      const leaving = items.filter(leaves)
      if (leaving.length === 0) return items
      for (const item of leaving) left.push(item)
      return items.filter(item => !leaves(item))
    }
    this.#asked = rest(this.#asked)
    this.#waiting = rest(this.#waiting)
    return left
  }

  clear(): void {
    this.#waiting = []
    this.#asked = []
  }
}

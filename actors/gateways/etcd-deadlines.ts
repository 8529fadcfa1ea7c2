/**
 * Calls whose answers come in the order of a running number (a stream's sequence, the number of a
 * linearizable read): to know that all up to a number are answered is enough, so a call costs an
 * append and nothing when it is answered in time.
 */
const fieldCount = 4

export class Deadlines {
  /** number, connection, call, start in milliseconds; from `#head` on. */
  #entries: number[] = []
  #head = 0
  readonly #timeoutMillis: number

  constructor(timeoutMillis: number) {
    this.#timeoutMillis = timeoutMillis
  }

  get count(): number {
    return (this.#entries.length - this.#head) / fieldCount
  }

  add(number: number, connection: number, call: number, nowMillis: number): void {
    this.#entries.push(number, connection, call, nowMillis)
  }

  /** Forgets what is answered; then hands out what has waited too long. */
  expire(
    answered: number,
    nowMillis: number,
    late: (connection: number, call: number, startMillis: number) => void,
  ): void {
    const entries = this.#entries
    let head = this.#head
    while (head < entries.length) {
      const isAnswered = (entries[head] as number) <= answered
      const startMillis = entries[head + 3] as number
      if (!isAnswered && nowMillis - startMillis < this.#timeoutMillis) break
      if (!isAnswered) late(entries[head + 1] as number, entries[head + 2] as number, startMillis)
      head += fieldCount
    }
    this.#head = head
    if (head < 4096 && head < entries.length) return
    entries.splice(0, head)
    this.#head = 0
  }

  /** Hands out all up to a number, whether they are late or not. */
  takeThrough(number: number, taken: (connection: number, call: number) => void): void {
    const entries = this.#entries
    while (this.#head < entries.length && (entries[this.#head] as number) <= number) {
      taken(entries[this.#head + 1] as number, entries[this.#head + 2] as number)
      this.#head += fieldCount
    }
  }
}

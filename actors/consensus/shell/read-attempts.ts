/**
 * Linearizable reads on their way: those of one round share an attempt, and each attempt has an id
 * never used before, also when it only repeats another, and by no earlier process of this node: a late
 * answer to that one must not serve a newer read. An attempt ends with an answer, with the leader, or
 * with its time; then its readers wait for the next one.
 */
export interface Reader {
  readonly replyTo: string
  readonly id: number
  readonly untilTick: number
}

/** Another node's consensus that asked us, who lead. */
export interface RemoteReader {
  readonly node: number
  readonly id: number
}

interface Attempt {
  readonly readers: readonly Reader[]
  readonly remote: RemoteReader | undefined
  readonly untilTick: number
}

export interface ReadTicks {
  /** An attempt without an answer is repeated after this. */
  readonly retryTicks: number
  /** A reader without an answer is told that it failed. */
  readonly timeoutTicks: number
}

export class ReadAttempts {
  readonly #ticks: ReadTicks
  readonly #attempts = new Map<number, Attempt>()
  #waiting: Reader[] = []
  #nextId: number
  #tick = 0
  /** Whoever was asked does not lead, or knows no better: until the next tick nobody is asked. */
  #resting = false

  constructor(ticks: ReadTicks, firstId: number) {
    this.#ticks = ticks
    this.#nextId = firstId
  }

  get waitingCount(): number {
    return this.#waiting.length
  }

  get attemptCount(): number {
    return this.#attempts.size
  }

  add(replyTo: string, id: number): void {
    this.#waiting.push({ replyTo, id, untilTick: this.#tick + this.#ticks.timeoutTicks })
  }

  /** An attempt for all that wait; undefined if nobody does, or it is too early. */
  start(): number | undefined {
    if (this.#waiting.length === 0 || this.#resting) return undefined
    const id = this.#begin(this.#waiting, undefined)
    this.#waiting = []
    return id
  }

  startRemote(remote: RemoteReader): number {
    return this.#begin([], remote)
  }

  /** The attempt that ended, unless it was given up before. */
  take(id: number): Attempt | undefined {
    const attempt = this.#attempts.get(id)
    this.#attempts.delete(id)
    return attempt
  }

  /** Its readers wait for the next attempt. */
  giveUp(id: number): RemoteReader | undefined {
    const attempt = this.take(id)
    if (attempt !== undefined) this.#waiting.push(...attempt.readers)
    return attempt?.remote
  }

  /** As `giveUp`, and the next attempt is for the next tick. */
  refused(id: number): RemoteReader | undefined {
    this.#resting = true
    return this.giveUp(id)
  }

  giveUpAll(): void {
    this.#resting = false
    for (const id of [...this.#attempts.keys()]) this.giveUp(id)
  }

  /** Readers whose time is over. */
  tick(): Reader[] {
    this.#tick++
    this.#resting = false
    for (const [id, attempt] of this.#attempts) {
      if (attempt.untilTick > this.#tick) break
      this.giveUp(id)
    }
    if (this.#waiting.length === 0) return none
    const late = this.#waiting.filter(reader => reader.untilTick <= this.#tick)
    if (late.length > 0) {
      this.#waiting = this.#waiting.filter(reader => reader.untilTick > this.#tick)
    }
    return late
  }

  #begin(readers: readonly Reader[], remote: RemoteReader | undefined): number {
    const id = this.#nextId++
    this.#attempts.set(id, { readers, remote, untilTick: this.#tick + this.#ticks.retryTicks })
    return id
  }
}

const none: Reader[] = []

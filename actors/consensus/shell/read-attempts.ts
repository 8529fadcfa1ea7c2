/**
 * Linearizable reads on their way: those of one round share an attempt, and each attempt has an id
 * never used before, also when it only repeats another, and by no earlier process of this node: a late
 * answer to that one must not serve a newer read. An attempt ends with an answer or with the leader. After its
 * time its readers wait for the next one too, but whichever answer comes first serves them: where all are late,
 * none would serve anybody otherwise.
 */
export interface Reader {
  readonly replyTo: string
  readonly id: number
  readonly untilTick: number
  isServed: boolean
}

/** Another node's consensus that asked us, who lead. */
export interface RemoteReader {
  readonly node: number
  readonly id: number
}

interface Attempt {
  readonly readers: readonly Reader[]
  readonly remote: RemoteReader | undefined
  /** Then its readers wait for another one too. */
  readonly retryTick: number
  readonly untilTick: number
  isRepeated: boolean
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
    const untilTick = this.#tick + this.#ticks.timeoutTicks
    this.#waiting.push({ replyTo, id, untilTick, isServed: false })
  }

  /** An attempt for all that wait; undefined if nobody does, or it is too early. */
  start(): number | undefined {
    if (this.#waiting.length === 0 || this.#resting) return undefined
    const readers = this.#waiting.filter(isWaiting)
    this.#waiting = []
    if (readers.length === 0) return undefined
    const id = this.#begin(readers, undefined)
    return id
  }

  startRemote(remote: RemoteReader): number {
    return this.#begin([], remote)
  }

  /** Whom the answer to an attempt serves, unless it was given up before. */
  take(id: number): Pick<Attempt, 'readers' | 'remote'> | undefined {
    const attempt = this.#attempts.get(id)
    if (attempt === undefined) return undefined
    this.#attempts.delete(id)
    const readers = attempt.readers.filter(isWaiting)
    for (const reader of readers) reader.isServed = true
    return { readers, remote: attempt.remote }
  }

  /** Its readers wait for the next attempt. */
  giveUp(id: number): RemoteReader | undefined {
    const attempt = this.#attempts.get(id)
    if (attempt === undefined) return undefined
    this.#attempts.delete(id)
    this.#waitAgain(attempt)
    return attempt.remote
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
      if (attempt.retryTick > this.#tick) break
      this.#waitAgain(attempt)
      if (attempt.untilTick <= this.#tick) this.#attempts.delete(id)
    }
    if (this.#waiting.length === 0) return none
    this.#waiting = this.#waiting.filter(isWaiting)
    const late = this.#waiting.filter(reader => reader.untilTick <= this.#tick)
    for (const reader of late) reader.isServed = true
    if (late.length > 0) this.#waiting = this.#waiting.filter(isWaiting)
    return late
  }

  #waitAgain(attempt: Attempt): void {
    if (attempt.isRepeated) return
    attempt.isRepeated = true
    for (const reader of attempt.readers) if (isWaiting(reader)) this.#waiting.push(reader)
  }

  #begin(readers: readonly Reader[], remote: RemoteReader | undefined): number {
    const id = this.#nextId++
    const retryTick = this.#tick + this.#ticks.retryTicks
    const untilTick = this.#tick + this.#ticks.timeoutTicks
    this.#attempts.set(id, { readers, remote, retryTick, untilTick, isRepeated: false })
    return id
  }
}

function isWaiting({ isServed }: Reader): boolean {
  return !isServed
}

const none: Reader[] = []

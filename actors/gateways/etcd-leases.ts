/**
 * Keep-alives and times to live, in batches. The leader's sessions actor answers the questions; what
 * its answers are wrapped in comes from this node's state: the header of keep-alives is read before
 * they are asked, so that no keep-alive shows a revision after the end of its lease. What comes while
 * enough is asked already waits here; beyond `leaseQuestionsMax` of this node it is refused (RESOURCE_EXHAUSTED).
 */
import { leaseTimesBytes } from '../sessions/lease-questions.ts'
import type { LeaseAnswers, SessionsMessage } from '../sessions/messages.ts'

export interface LeasesSetup {
  readonly ask: (questions: Extract<SessionsMessage, { kind: 'leaseQuestions' }>) => void
  /** Answered by a call of `headerReady` with the header of a response. */
  readonly askHeader: () => void
  readonly answerKeepAlive: (one: KeepAlive, header: Uint8Array, ttlSeconds: number) => void
  readonly answerTimeToLive: (one: TimeToLive, times: LeaseTimes) => void
  /** No leader could say. */
  readonly fail: (connection: number, call: number) => void
  /** Tags begin here: answers to an earlier gateway of this node may still come. */
  readonly firstTag: number
}

/** Remaining −1: there is no such lease. */
export interface LeaseTimes {
  readonly remainingMillis: number
  readonly ttlMillis: number
}

export interface KeepAlive {
  readonly kind: 'keepAlive'
  readonly connection: number
  readonly call: number
  readonly id: bigint
}

export interface TimeToLive {
  readonly kind: 'timeToLive'
  readonly connection: number
  readonly call: number
  readonly id: bigint
  /** LeaseTimeToLiveRequest. */
  readonly message: Uint8Array
}

interface Batch {
  readonly ones: readonly (KeepAlive | TimeToLive)[]
  readonly header: Uint8Array
}

const none = new Uint8Array(0)
/** Leases of one batch, and batches that the leader has been asked at once. */
const batchLeasesMax = 4096
const batchesMax = 8

export class Leases {
  readonly #setup: LeasesSetup
  /** Keep-alives that wait for a header, from `#arrivedAt` on; those for which it is on its way. */
  #arrived: KeepAlive[] = []
  #arrivedAt = 0
  #headerFor: KeepAlive[] = []
  #times: TimeToLive[] = []
  readonly #asked = new Map<number, Batch>()
  #askedCount = 0
  #lastTag: number

  constructor(setup: LeasesSetup) {
    this.#setup = setup
    this.#lastTag = setup.firstTag
  }

  get count(): number {
    const arrived = this.#arrived.length - this.#arrivedAt
    return arrived + this.#headerFor.length + this.#times.length + this.#askedCount
  }

  keepAlive(one: KeepAlive): void {
    this.#arrived.push(one)
  }

  timeToLive(one: TimeToLive): void {
    this.#times.push(one)
  }

  /** At the end of a round. */
  flush(): void {
    while (this.#times.length > 0 && this.#asked.size < batchesMax) {
      this.#ask(this.#times.splice(0, batchLeasesMax), none, false)
    }
    const isReady = this.#headerFor.length === 0 && this.#asked.size < batchesMax
    if (!isReady || this.#arrived.length === 0) return
    this.#headerFor = this.#takeArrived()
    this.#setup.askHeader()
  }

  headerReady(header: Uint8Array): void {
    const ready = this.#headerFor
    this.#headerFor = []
    // The header is a view into memory that it shares with other answers.
    this.#ask(ready, new Uint8Array(header), true)
  }

  answered({ tag, ids, times, failed }: LeaseAnswers): void {
    const batch = this.#asked.get(tag)
    if (batch === undefined || batch.ones.length * 8 !== ids.length) return
    this.#asked.delete(tag)
    this.#askedCount -= batch.ones.length
    const view = new DataView(times.buffer, times.byteOffset, times.byteLength)
    for (const [at, one] of batch.ones.entries()) {
      if (failed) this.#setup.fail(one.connection, one.call)
      else {
        const remainingMillis = view.getFloat64(at * leaseTimesBytes, true)
        const ttlMillis = view.getFloat64(at * leaseTimesBytes + 8, true)
        this.#answer(one, batch.header, { remainingMillis, ttlMillis })
      }
    }
  }

  #answer(one: KeepAlive | TimeToLive, header: Uint8Array, times: LeaseTimes): void {
    if (one.kind === 'timeToLive') return this.#setup.answerTimeToLive(one, times)
    const { remainingMillis, ttlMillis } = times
    const ttlSeconds = remainingMillis < 0 ? 0 : Math.floor(ttlMillis / 1000)
    this.#setup.answerKeepAlive(one, header, ttlSeconds)
  }

  #takeArrived(): KeepAlive[] {
    const end = Math.min(this.#arrived.length, this.#arrivedAt + batchLeasesMax)
    const taken = this.#arrived.slice(this.#arrivedAt, end)
    this.#arrivedAt = end
    if (end * 2 < this.#arrived.length) return taken
    this.#arrived = this.#arrived.slice(end)
    this.#arrivedAt = 0
    return taken
  }

  #ask(ones: readonly (KeepAlive | TimeToLive)[], header: Uint8Array, renew: boolean): void {
    this.#lastTag += 1
    const tag = this.#lastTag
    this.#asked.set(tag, { ones, header })
    this.#askedCount += ones.length
    const ids = new Uint8Array(ones.length * 8)
    const view = new DataView(ids.buffer)
    for (const [at, one] of ones.entries()) view.setBigInt64(at * 8, one.id)
    this.#setup.ask({ kind: 'leaseQuestions', tag, ids, renew })
  }
}

/**
 * When the leader takes in what has gathered. Each batch costs every node a sync and the links a round
 * trip, however few writes it holds, so with a handful of clients two things are worth a moment:
 *
 * - While a batch is not committed, few bytes wait for it. Each write would otherwise pay for a sync of
 *   its own on every node, and the disk is what they then wait for.
 * - Once it is committed, its clients are answered and, as a rule, soon write again. Those that wrote
 *   meanwhile wait for them: otherwise the clients fall into two halves that take turns, and each
 *   write waits for a sync of the other half before its own. A batch that waited in vain (its clients
 *   did not come back) makes the next ones go at once, twice as many each time.
 *
 * Much does not wait, nor does a slow quorum (a long way to it) hold anything up for longer than the
 * moment. Pure: time is given.
 */
export const pacing = {
  bytesMax: 64 * 1024,
  waitMillisMax: 1,
  /** How long the clients of a committed batch are waited for: this often the time that it took, */
  gatherTimesMax: 2,
  /** and no longer than this. */
  gatherMillisMax: 2,
  /** Most batches in a row that go at once since waiting was in vain. */
  skippedMax: 64,
} as const

/** Proposals that the leader has not taken in. */
export interface Gathered {
  readonly count: number
  readonly bytes: number
}

export class Pacing {
  /** The newest batch: its last position, how many it held, and when it was appended. */
  #appended = 0
  #count = 0
  #appendedMillis = 0
  #committed = 0
  /** So many are waited for, until then. */
  #expected = 0
  #untilMillis = 0
  #skip = 0
  #skipNext = 1

  appended(position: number, count: number, nowMillis: number): void {
    this.#appended = position
    this.#count = count
    this.#appendedMillis = nowMillis
    this.#expected = 0
  }

  committed(position: number, gathered: Gathered, nowMillis: number): void {
    const isNewest = this.#committed < this.#appended && position >= this.#appended
    this.#committed = position
    if (!isNewest) return
    if (this.#skip > 0) {
      this.#skip -= 1
      return
    }
    const tookMillis = nowMillis - this.#appendedMillis
    const gatherMillis = Math.min(pacing.gatherTimesMax * tookMillis, pacing.gatherMillisMax)
    this.#expected = this.#count + gathered.count
    this.#untilMillis = nowMillis + gatherMillis
  }

  mustWait(gathered: Gathered, nowMillis: number): boolean {
    if (gathered.bytes >= pacing.bytesMax) return false
    if (this.#appended > this.#committed) {
      return nowMillis - this.#appendedMillis < pacing.waitMillisMax
    }
    if (this.#expected === 0) return false
    const isComplete = gathered.count >= this.#expected
    if (!isComplete && nowMillis < this.#untilMillis) return true
    this.#gatheringEnded(isComplete)
    return false
  }

  #gatheringEnded(isComplete: boolean): void {
    this.#expected = 0
    this.#skip = isComplete ? 0 : this.#skipNext
    this.#skipNext = isComplete ? 1 : Math.min(2 * this.#skipNext, pacing.skippedMax)
  }
}

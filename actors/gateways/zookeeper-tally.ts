/** What the gateway counts for four-letter words and the node's status. */
export class Tally {
  received = 0
  sent = 0
  readonly #startMillis: number
  #answered = 0
  #latencySum = 0
  #latencyMin = Number.POSITIVE_INFINITY
  #latencyMax = 0

  constructor(nowMillis: number) {
    this.#startMillis = nowMillis
  }

  answered(latencyMillis: number): void {
    this.#answered += 1
    this.#latencySum += latencyMillis
    if (latencyMillis < this.#latencyMin) this.#latencyMin = latencyMillis
    if (latencyMillis > this.#latencyMax) this.#latencyMax = latencyMillis
  }

  report(nowMillis: number): TallyReport {
    const answered = this.#answered
    return {
      latencyMillisMin: answered === 0 ? 0 : Math.floor(this.#latencyMin),
      latencyMillisAverage: answered === 0 ? 0 : this.#latencySum / answered,
      latencyMillisMax: Math.ceil(this.#latencyMax),
      packetsReceived: this.received,
      packetsSent: this.sent,
      uptimeMillis: nowMillis - this.#startMillis,
    }
  }
}

export interface TallyReport {
  readonly latencyMillisMin: number
  readonly latencyMillisAverage: number
  readonly latencyMillisMax: number
  readonly packetsReceived: number
  readonly packetsSent: number
  readonly uptimeMillis: number
}

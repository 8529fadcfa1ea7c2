import { LatencyTable } from '../../runtime/latency-table.ts'
import type { Metrics } from '../../runtime/metrics.ts'
import { operation } from '../../transport/zookeeper/operations.ts'

/** By the lowest byte of their codes, which tells them apart. */
const operations = new Map(
  Object.entries(operation).map(([name, code]) => [code & 0xff, { operation: name }] as const),
)

/** What the gateway counts for four-letter words, metrics and the node's status. */
export class Tally {
  received = 0
  sent = 0
  readonly #startMillis: number
  #answered = 0
  #latencySum = 0
  #latencyMin = Number.POSITIVE_INFINITY
  #latencyMax = 0
  readonly #latencies = new LatencyTable(256)

  constructor(nowMillis: number) {
    this.#startMillis = nowMillis
  }

  observe(metrics: Metrics): void {
    this.#latencies.observe(
      metrics,
      'quorate_zookeeper_request_seconds',
      'From a ZooKeeper request to its answer.',
      operations,
    )
  }

  /** `kind`: the lowest byte of the operation's code. */
  answered(kind: number, latencyMillis: number): void {
    this.#latencies.record(kind, latencyMillis)
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

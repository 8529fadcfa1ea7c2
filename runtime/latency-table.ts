/**
 * How long things of several kinds took, counted in arrays of fixed size: what every request does may
 * cost next to nothing. Read out as one histogram with a label for the kind.
 */
import { type Metrics, secondsBuckets } from './metrics.ts'
import type { MetricLabels } from './metrics-snapshot.ts'

const bounds = Float64Array.from(secondsBuckets, seconds => seconds * 1000)
const buckets = bounds.length + 1

export class LatencyTable {
  readonly #counts: Float64Array
  readonly #sumsMillis: Float64Array

  /** `kinds`: one more than the largest number that `record` is given. */
  constructor(kinds: number) {
    this.#counts = new Float64Array(kinds * buckets)
    this.#sumsMillis = new Float64Array(kinds)
  }

  record(kind: number, millis: number): void {
    let bucket = 0
    while (bucket < bounds.length && millis > bounds[bucket]!) bucket++
    this.#counts[kind * buckets + bucket]! += 1
    this.#sumsMillis[kind]! += millis
  }

  /** Kinds of which there was none are left out. */
  observe(
    metrics: Metrics,
    name: string,
    help: string,
    labels: ReadonlyMap<number, MetricLabels>,
  ): void {
    metrics.observeHistogram(name, help, secondsBuckets, observe => {
      for (const [kind, own] of labels) {
        const counts = this.#counts.subarray(kind * buckets, (kind + 1) * buckets)
        if (counts.some(count => count > 0)) observe(this.#sumsMillis[kind]! / 1000, counts, own)
      }
    })
  }
}

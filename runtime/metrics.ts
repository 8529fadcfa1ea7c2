/**
 * Metrics through OpenTelemetry, one collector a thread, loaded when it is wanted. What is counted in
 * hot paths stays a plain number there and is observed here when someone collects. The main thread
 * merges the threads' snapshots (metrics-snapshot.ts), which also writes them out.
 */
import type { Histogram as ApiHistogram, Counter as ApiCounter } from '@opentelemetry/api'
import type { MetricData } from '@opentelemetry/sdk-metrics'
import type {
  MetricFamily,
  MetricLabels,
  MetricPoint,
  MetricsSnapshot,
} from './metrics-snapshot.ts'

export interface Counter {
  add(value: number, labels?: MetricLabels): void
}

export interface Histogram {
  record(value: number, labels?: MetricLabels): void
}

/** Called for each point: a value, and labels where there is more than one. */
export type Observe = (observe: (value: number, labels?: MetricLabels) => void) => void

/** Called for each point: the sum, and how many fell into each bucket alone, the last of them without an end. */
export type ObserveHistogram = (
  observe: (sum: number, counts: Float64Array, labels: MetricLabels) => void,
) => void

/** Names are Prometheus names and appear exactly as they are given here. */
export interface Metrics {
  counter(name: string, help: string): Counter
  /** Buckets in the unit of the name, mostly seconds. */
  histogram(name: string, help: string, buckets?: readonly number[]): Histogram
  observeCounter(name: string, help: string, observe: Observe): void
  observeGauge(name: string, help: string, observe: Observe): void
  /** One that was counted elsewhere (latency-table.ts). */
  observeHistogram(
    name: string,
    help: string,
    buckets: readonly number[],
    observe: ObserveHistogram,
  ): void
  collect(): Promise<MetricsSnapshot>
}

/** From 100 microseconds to 10 seconds. */
export const secondsBuckets: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512,
  1.024, 2.048, 4.096, 8.192,
]

/** For tests and where metrics are off. */
export const metricsOff: Metrics = {
  counter: () => ({ add() {} }),
  histogram: () => ({ record() {} }),
  observeCounter() {},
  observeGauge() {},
  observeHistogram() {},
  collect: async () => ({ families: [] }),
}

/** So many values of an instrument are a reason to load the SDK; more come while it loads. */
const earlyValues = 4_096
/** Should it not load (the next collection says why), no more than these are kept. */
const earlyValuesMax = 16 * earlyValues

/**
 * Once a thread. The SDK is loaded when somebody collects for the first time, or when there is much to
 * count, so that a node starts without it: until then instruments and values are only noted down.
 */
export function createLazyMetrics(): Metrics {
  let loading: Promise<Metrics> | undefined
  let loaded: Metrics | undefined
  const noted: ((metrics: Metrics) => void)[] = []
  const make = (instrument: (metrics: Metrics) => void): void => {
    if (loaded === undefined) noted.push(instrument)
    else instrument(loaded)
  }
  const create = async (): Promise<Metrics> => {
    const metrics = await createMetrics()
    loaded = metrics
    for (const instrument of noted.splice(0)) instrument(metrics)
    return metrics
  }
  const load = (): Promise<Metrics> => {
    loading ??= create()
    return loading
  }
  // Who collects gets the error.
  const loadEarly = (): void => void load().catch(() => {})
  return {
    counter(name, help) {
      const early = new EarlyInstrument(loadEarly)
      make(metrics => {
        const counter = metrics.counter(name, help)
        early.become((value, labels) => counter.add(value, labels))
      })
      return { add: (value, labels) => early.take(value, labels) }
    },
    histogram(name, help, buckets) {
      const early = new EarlyInstrument(loadEarly)
      make(metrics => {
        const histogram = metrics.histogram(name, help, buckets)
        early.become((value, labels) => histogram.record(value, labels))
      })
      return { record: (value, labels) => early.take(value, labels) }
    },
    observeCounter(name, help, observe) {
      make(metrics => metrics.observeCounter(name, help, observe))
    },
    observeGauge(name, help, observe) {
      make(metrics => metrics.observeGauge(name, help, observe))
    },
    observeHistogram(name, help, buckets, observe) {
      make(metrics => metrics.observeHistogram(name, help, buckets, observe))
    },
    async collect() {
      return await (await load()).collect()
    },
  }
}

class EarlyInstrument {
  readonly #onMany: () => void
  #values: { value: number; labels: MetricLabels | undefined }[] = []
  #take: ((value: number, labels?: MetricLabels) => void) | undefined

  constructor(onMany: () => void) {
    this.#onMany = onMany
  }

  take(value: number, labels?: MetricLabels): void {
    if (this.#take !== undefined) return this.#take(value, labels)
    if (this.#values.length < earlyValuesMax) this.#values.push({ value, labels })
    if (this.#values.length === earlyValues) this.#onMany()
  }

  become(take: (value: number, labels?: MetricLabels) => void): void {
    this.#take = take
    for (const { value, labels } of this.#values) take(value, labels)
    this.#values = []
  }
}

/** Once a thread, with the SDK. */
export async function createMetrics(): Promise<Metrics> {
  const sdk = await import('@opentelemetry/sdk-metrics')
  /** Collects on demand, and nothing else. */
  class Collector extends sdk.MetricReader {
    protected override async onShutdown(): Promise<void> {}
    protected override async onForceFlush(): Promise<void> {}
  }
  const reader = new Collector()
  // The SDK has no histograms that are observed.
  const counted: (() => MetricFamily)[] = []
  const meter = new sdk.MeterProvider({ readers: [reader] }).getMeter('quorate')
  return {
    counter: (name, help) => counterOf(meter.createCounter(name, { description: help })),
    histogram: (name, help, buckets = secondsBuckets) =>
      histogramOf(
        meter.createHistogram(name, {
          description: help,
          advice: { explicitBucketBoundaries: [...buckets] },
        }),
      ),
    observeCounter(name, help, observe) {
      const counter = meter.createObservableCounter(name, { description: help })
      counter.addCallback(result => observe((value, labels) => result.observe(value, labels)))
    },
    observeGauge(name, help, observe) {
      const gauge = meter.createObservableGauge(name, { description: help })
      gauge.addCallback(result => observe((value, labels) => result.observe(value, labels)))
    },
    observeHistogram(name, help, buckets, observe) {
      counted.push(() => histogramFamily(name, help, buckets, observe))
    },
    async collect() {
      const { resourceMetrics } = await reader.collect()
      const metrics = resourceMetrics.scopeMetrics
        .filter(({ scope }) => scope.name === 'quorate')
        .flatMap(scope => scope.metrics)
      return { families: [...metrics.map(data => familyOf(data)), ...counted.map(make => make())] }
    },
  }
}

function counterOf(counter: ApiCounter): Counter {
  return { add: (value, labels) => counter.add(value, labels) }
}

function histogramOf(histogram: ApiHistogram): Histogram {
  return { record: (value, labels) => histogram.record(value, labels) }
}

function histogramFamily(
  name: string,
  help: string,
  buckets: readonly number[],
  observe: ObserveHistogram,
): MetricFamily {
  const points: MetricPoint[] = []
  observe((value, counts, labels) =>
    points.push({ labels, value, bounds: [...buckets], counts: [...counts] }),
  )
  return { name, help, type: 'histogram', points }
}

/** The SDK's classes become data that passes between threads. */
function familyOf(data: MetricData): MetricFamily {
  const { name, description: help } = data.descriptor
  const points: MetricFamily['points'] = data.dataPoints.map(point => {
    const labels = labelsOf(point.attributes)
    const { value } = point
    if (typeof value === 'number') return { labels, value }
    const { boundaries, counts } = (
      value as { buckets: { boundaries: number[]; counts: number[] } }
    ).buckets
    return { labels, value: value.sum ?? 0, bounds: [...boundaries], counts: [...counts] }
  })
  return { name, help, type: typeOf(data), points }
}

function typeOf(data: MetricData): MetricFamily['type'] {
  if ('isMonotonic' in data) return data.isMonotonic ? 'counter' : 'gauge'
  return data.dataPoints.some(point => typeof point.value !== 'number') ? 'histogram' : 'gauge'
}

function labelsOf(attributes: Readonly<Record<string, unknown>>): MetricLabels {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [name, String(value)]),
  )
}

/** Shorter ways to note down what is observed: most metrics are one plain number. */
import type { Metrics, Observe } from './metrics.ts'

/** Name, help, and the number now (nothing where it is undefined) or all points. */
export type Observed = readonly [
  name: string,
  help: string,
  value: (() => number | undefined) | { readonly each: Observe },
]

export function observeGauges(metrics: Metrics, observed: readonly Observed[]): void {
  for (const [name, help, value] of observed) metrics.observeGauge(name, help, pointsOf(value))
}

export function observeCounters(metrics: Metrics, observed: readonly Observed[]): void {
  for (const [name, help, value] of observed) metrics.observeCounter(name, help, pointsOf(value))
}

function pointsOf(value: Observed[2]): Observe {
  if (typeof value !== 'function') return value.each
  return observe => {
    const now = value()
    if (now !== undefined) observe(now)
  }
}

import { systemClock } from '../../runtime/clock.ts'

export function nowMillis(): number {
  return systemClock.monotonicMillis()
}

export function timed(work: () => void): number {
  const start = nowMillis()
  work()
  return nowMillis() - start
}

/** The value below which the given part of the samples lies. */
export function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0
}

export function row(name: string, ...figures: string[]): void {
  console.log(`${name.padEnd(44)} ${figures.join('   ')}`)
}

export function micros(millis: number): string {
  return `${(millis * 1000).toFixed(0)} µs`
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

export function rate(bytes: number, millis: number): string {
  return `${(bytes / 1e3 / millis).toFixed(0)} MB/s`
}

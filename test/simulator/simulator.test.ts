import { describe, expect, test } from 'vitest'
import { optionsFor } from './options.ts'
import { loadSimulator, runWorld } from './world.ts'

const jobs = await loadSimulator()

function firstToLast(first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, index) => String(first + index))
}

describe('three nodes, under faults', () => {
  const groups: [number, number][] = [
    [1, 40],
    [41, 80],
    [81, 120],
    [121, 160],
    [161, 200],
  ]

  test.each(groups)('seeds %i to %i', { timeout: 600_000 }, (first, last) => {
    for (const seed of firstToLast(first, last)) {
      const result = runWorld(optionsFor(seed), jobs)
      expect(result.violations, `seed ${seed}: npm run sim -- --seed ${seed}`).toEqual([])
      expect(result.acknowledged).toBeGreaterThanOrEqual(500)
      expect(result.restored).toBeGreaterThan(0)
      expect(result.crashes).toBeGreaterThan(0)
      expect(result.partitions).toBeGreaterThan(0)
    }
  })

  test('a seed always gives the same run, and another seed another one', () => {
    const once = runWorld(optionsFor('same'), jobs)
    const again = runWorld(optionsFor('same'), jobs)
    const other = runWorld(optionsFor('other'), jobs)
    expect(again.traceChecksum).toBe(once.traceChecksum)
    expect(again.steps).toBe(once.steps)
    expect(again.lines).toEqual(once.lines)
    expect(other.traceChecksum).not.toBe(once.traceChecksum)
  })
})

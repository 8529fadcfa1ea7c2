import { describe, expect, test } from 'vitest'
import { memberOptionsFor } from './member-options.ts'
import { optionsFor } from './options.ts'
import { quotaOptionsFor } from './quota-options.ts'
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

  test('no idle session ends or moves while a disk stands still for longer than it lives', () => {
    for (const placement of ['single', 'split', 'spread'] as const) {
      for (const node of [1, 2, 3]) {
        const seed = `${placement} ${node}`
        const fault = { kind: 'diskStands', node, millis: 6000 } as const
        const faults = [{ atMillis: 1500, fault }]
        const world = { ...optionsFor(seed), placement, faults, healedMillis: 9000, idle: true }
        const { violations, lines } = runWorld(world, jobs, 100_000)
        // While it stands; afterwards a checkpoint may take the place of what the node lacks.
        const during = lines.filter(line => Number(line.slice(0, 11)) < 1500 + 6000)
        const found = (what: string): string[] => during.filter(line => line.includes(what))
        expect(violations, seed).toEqual([])
        expect(found('disk that stands'), seed).toHaveLength(1)
        // Each connected once and for all: not even to another node.
        expect(found(' has session '), seed).toHaveLength(world.zookeeperClients)
        expect(found(' lost session '), seed).toEqual([])
      }
    }
  })

  test('members come and go', { timeout: 600_000 }, () => {
    for (const seed of firstToLast(1, 6)) {
      const { violations } = runWorld(memberOptionsFor(seed), jobs)
      expect(violations, `npm run sim -- --members --seed ${seed}`).toEqual([])
    }
  })

  test('the state becomes full', { timeout: 600_000 }, () => {
    let refused = 0
    for (const seed of firstToLast(1, 3)) {
      const { violations, refusals } = runWorld(quotaOptionsFor(seed), jobs)
      expect(violations, `npm run sim -- --quota --seed ${seed}`).toEqual([])
      refused += refusals
    }
    expect(refused).toBeGreaterThan(0)
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

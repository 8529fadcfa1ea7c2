/**
 * The pure core under a seed: messages lost, repeated and out of order, crashes that lose what was
 * not durable, partitions, membership changes, transfers, checkpoints. The checker looks at every
 * step; in the end everything heals and all nodes must come to the same log.
 */
import { expect, test } from 'vitest'
import { World } from './world.ts'

const seeds = Number(process.env['CONSENSUS_SEEDS'] ?? 150)
const firstSeed = Number(process.env['CONSENSUS_SEED'] ?? 1)
const steps = 1500

test(`${seeds} random runs keep Raft's promises and heal`, () => {
  let committed = 0
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    try {
      committed += run(seed)
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
    }
  }
  expect(committed).toBeGreaterThan(seeds * 20)
})

function run(seed: number): number {
  const world = new World(seed)
  for (let step = 0; step < steps; step++) world.act()
  world.heal()
  return world.cluster.checker.committedPosition
}

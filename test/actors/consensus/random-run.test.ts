/**
 * The pure core under a seed (world.ts): messages lost, repeated and out of order, crashes that lose
 * what was not durable, partitions, membership changes, transfers, checkpoints. The checker looks at
 * every step; in the end all heals and all nodes must come to the same log. CONSENSUS_SEED and
 * CONSENSUS_SEEDS choose which seeds.
 */
import { expect, test } from 'vitest'
import type { ClusterOptions } from './cluster.ts'
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

test.each([
  [21275, 'a follower that got a checkpoint and no longer answered'],
  [21382, 'a learner whose timer went on protecting a leader that was gone'],
])('seed %i heals: %s', seed => {
  // Kept with the faults that there were then.
  expect(run(seed, undefined, false)).toBeGreaterThan(0)
})

test('seed 505 heals: a node that ended between a checkpoint in place and the reset of its journal', () => {
  expect(run(505)).toBeGreaterThan(0)
})

test('an acknowledgement before the write is durable is found', () => {
  expect(firstFailure('acknowledgeEarly')).toMatch(/promise broken|Invariant broken/)
})

test('a vote that is not written is found', () => {
  expect(firstFailure('forgetVote')).toMatch(/lead in epoch|promise broken/)
})

function run(seed: number, plant?: ClusterOptions['plant'], endsReceivers = true): number {
  const world = new World(seed, plant, endsReceivers)
  for (let step = 0; step < steps; step++) world.act()
  world.heal()
  return world.cluster.checker.committedPosition
}

function firstFailure(plant: NonNullable<ClusterOptions['plant']>): string {
  for (let seed = 1; seed <= 400; seed++) {
    try {
      run(seed, plant)
    } catch (error) {
      return (error as Error).message
    }
  }
  return 'nothing found'
}

/**
 *   npm run sim -- --seed S           replays one seed and prints what happened, line by line
 *   npm run sim -- --seeds N [--from S]   runs N seeds and prints those that fail
 *   … --members                           of five nodes whose members come and go (member-options.ts)
 *   … --quota                             whose state may hold little, and becomes full (quota-options.ts)
 *   … --bug NAME                          with a bug planted (canaries.ts): ends at the first seed that finds it
 */
import { parseArgs } from 'node:util'
import { canaries, plant } from './canaries.ts'
import { memberOptionsFor } from './member-options.ts'
import { optionsFor } from './options.ts'
import { quotaOptionsFor } from './quota-options.ts'
import type { WorldResult } from './world.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    lines: { type: 'string', default: '100000' },
    bug: { type: 'string' },
    members: { type: 'boolean', default: false },
    quota: { type: 'boolean', default: false },
  },
})
if (values.bug !== undefined) {
  try {
    plant(values.bug)
  } catch (error) {
    console.error((error as Error).message)
    process.exit(1)
  }
}
const isOfMembers = values.members || canaries[values.bug ?? '']?.world === 'members'
const plainFor = values.quota ? quotaOptionsFor : optionsFor
const worldFor = isOfMembers ? memberOptionsFor : plainFor
const { loadSimulator, runWorld } = await import('./world.ts')
const jobs = await loadSimulator()
if (values.seed === undefined) runMany(Number(values.from), Number(values.seeds ?? '200'))
else replay(values.seed)

function replay(seed: string): void {
  const result = runWorld(worldFor(seed), jobs, Number(values.lines))
  for (const line of result.lines) console.log(line)
  console.log(summary(result))
  for (const violation of result.violations) console.log(`  ${violation}`)
  process.exitCode = result.violations.length > 0 ? 1 : 0
}

function runMany(from: number, count: number): void {
  let failed = 0
  for (let seed = from; seed < from + count; seed++) {
    const result = runWorld(worldFor(String(seed)), jobs)
    if (result.violations.length === 0) continue
    failed++
    console.log(summary(result))
    for (const violation of result.violations) console.log(`  ${violation}`)
    if (values.bug !== undefined) break
  }
  console.log(`${count} seeds, ${failed} failed`)
  process.exitCode = failed > 0 ? 1 : 0
}

function summary(result: WorldResult): string {
  const { seed, acknowledged, committed, leaderChanges, crashes } = result
  const { virtualMillis, steps, traceChecksum, restored } = result
  const verdict = result.violations.length > 0 ? 'FAILED' : 'passed'
  return (
    `seed ${seed} ${verdict}: ${acknowledged} answers, ${committed} entries, ${leaderChanges} elections, ${crashes} crashes, ` +
    `${restored} checkpoints, ${result.refusals} refusals, ${(virtualMillis / 1000).toFixed(1)} s, ${steps} steps, trace ${traceChecksum.toString(16)}`
  )
}

/**
 *   npm run sim -- --seed S           replays one seed and prints what happened, line by line
 *   npm run sim -- --seeds N [--from S]   runs N seeds, prints those that fail
 */
import { parseArgs } from 'node:util'
import { optionsFor } from './options.ts'
import { loadSimulator, runWorld, type WorldResult } from './world.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    lines: { type: 'string', default: '100000' },
  },
})
const jobs = await loadSimulator()
if (values.seed === undefined) await runMany(Number(values.from), Number(values.seeds ?? '200'))
else replay(values.seed)

function replay(seed: string): void {
  const result = runWorld(optionsFor(seed), jobs, Number(values.lines))
  for (const line of result.lines) console.log(line)
  console.log(summary(result))
  for (const violation of result.violations) console.log(`  ${violation}`)
  process.exitCode = result.violations.length > 0 ? 1 : 0
}

async function runMany(from: number, count: number): Promise<void> {
  let failed = 0
  for (let seed = from; seed < from + count; seed++) {
    const result = runWorld(optionsFor(String(seed)), jobs)
    if (result.violations.length === 0) continue
    failed++
    console.log(summary(result))
    for (const violation of result.violations) console.log(`  ${violation}`)
  }
  console.log(`${count} seeds, ${failed} failed`)
  process.exitCode = failed > 0 ? 1 : 0
}

function summary(result: WorldResult): string {
  const { seed, acknowledged, committed, leaderChanges, virtualMillis, steps, traceChecksum } = result
  const verdict = result.violations.length > 0 ? 'FAILED' : 'passed'
  return (
    `seed ${seed} ${verdict}: ${acknowledged} answers, ${committed} entries, ${leaderChanges} elections, ` +
    `${(virtualMillis / 1000).toFixed(1)} s, ${steps} steps, trace ${traceChecksum.toString(16)}`
  )
}

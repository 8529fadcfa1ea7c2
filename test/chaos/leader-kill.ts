/**
 * Kills leaders under load and says how long each outage was:
 *   launcher.mjs --script test/chaos/leader-kill.ts [--kills 5] [--writes 200000]
 * Ends with what was checked; exit code 1 if anything was lost, doubled or out of order.
 */
import { parseArgs } from 'node:util'
import { runLeaderKills } from './leader-kills.ts'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '5' },
    writes: { type: 'string', default: '200000' },
  },
})
const report = await runLeaderKills({
  kills: Number(values.kills),
  writes: Number(values.writes),
  portBase: 17000,
  print: line => console.log(line),
})
const sorted = report.outagesMillis.toSorted((a, b) => a - b)
console.log(
  `outages: median ${Math.round(sorted[sorted.length >> 1] ?? 0)} ms, worst ${Math.round(sorted.at(-1) ?? 0)} ms`,
)
for (const fault of report.faults) console.log(`FAULT: ${fault}`)
console.log(
  report.faults.length === 0
    ? 'nothing lost, doubled or out of order; hashes agree'
    : `${report.faults.length} faults`,
)
process.exit(report.faults.length === 0 ? 0 : 1)

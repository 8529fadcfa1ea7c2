import { describe, expect, it } from 'vitest'
import { runLeaderKills } from './leader-kills.ts'

describe('thirty clients write through all nodes while leaders are killed', () => {
  it('and nothing is lost, doubled or out of order, and no session ends', async () => {
    const report = await runLeaderKills({ kills: 2, writes: 200_000, portBase: 17100, print() {} })
    expect(report.faults).toEqual([])
    // Safety is what is tested; how short outages are is for the script (README).
    for (const outage of report.outagesMillis) expect(outage).toBeLessThan(10_000)
  }, 240_000)
})

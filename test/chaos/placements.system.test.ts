import { expect, test } from 'vitest'
import { runLeaderKills } from './leader-kills.ts'

/** The default is killed at length in leader-kills.system.test.ts. */
test.each(['single', 'split', 'spread'] as const)(
  'placement %s loses nothing either',
  async placement => {
    const options = { kills: 1, writes: 6000, portBase: 20_600, config: { placement }, print() {} }
    const report = await runLeaderKills(options)
    expect(report.faults).toEqual([])
    for (const outage of report.outagesMillis) expect(outage).toBeLessThan(10_000)
  },
  120_000,
)

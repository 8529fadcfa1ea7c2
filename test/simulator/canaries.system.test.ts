/** Bugs planted into the source as it is loaded: the simulator has to find each within 100 seeds. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { canaries } from './canaries.ts'

const main = fileURLToPath(new URL('./main.ts', import.meta.url))
const seedsMax = 100

describe('a planted bug is found', () => {
  test.each(Object.keys(canaries))('%s', { timeout: 600_000 }, bug => {
    const options = ['--seeds', String(seedsMax), '--bug', bug]
    const { stdout, stderr, status } = spawnSync(process.execPath, [main, ...options], {
      encoding: 'utf8',
    })
    expect(stderr).toBe('')
    expect(stdout).toMatch(/^seed \d+ FAILED/)
    expect(status).toBe(1)
  })
})

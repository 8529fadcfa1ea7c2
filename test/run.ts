/**
 * `npm test`: all of vitest's projects, then the one line that sums them up. Arguments go to vitest
 * (`npm test -- --project unit test/storage`).
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const directory = mkdtempSync(join(tmpdir(), 'test-report-'))
const report = join(directory, 'report.json')
const vitest = join(root, 'node_modules/vitest/vitest.mjs')
const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
const run = spawnSync(process.execPath, [vitest, 'run', ...reporters, ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
})
const totals = readTotals()
rmSync(directory, { recursive: true, force: true })
// A run that broke outside of a test (an unhandled error, a file that does not load) is a failure too.
const failed = run.status === 0 ? totals.failed : Math.max(1, totals.failed)
for (const name of totals.skipped) console.log(`skipped: ${name}`)
console.log(`${totals.passed} passed, ${failed} failed`)
process.exit(failed === 0 && totals.passed > 0 ? 0 : 1)

function readTotals(): { passed: number; failed: number; skipped: string[] } {
  try {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(
      readFileSync(report, 'utf8'),
    ) as Report
    const skipped = testResults
      .flatMap(file => file.assertionResults)
      .filter(({ status }) => status === 'skipped' || status === 'pending')
      .map(({ fullName }) => fullName)
    return { passed: numPassedTests, failed: numFailedTests, skipped }
  } catch {
    return { passed: 0, failed: 1, skipped: [] }
  }
}

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[]
  }[]
}

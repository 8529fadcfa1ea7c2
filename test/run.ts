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
for (const reason of totals.reasons) console.log(`failed: ${reason}`)
console.log(`${totals.passed} passed, ${failed} failed`)
process.exit(failed === 0 && totals.passed > 0 ? 0 : 1)

interface Totals {
  readonly passed: number
  readonly failed: number
  readonly skipped: readonly string[]
  /** Of each that failed, its name and why. */
  readonly reasons: readonly string[]
}

function readTotals(): Totals {
  try {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(
      readFileSync(report, 'utf8'),
    ) as Report
    const tests = testResults.flatMap(file => file.assertionResults)
    const skipped = tests.filter(({ status }) => status === 'skipped' || status === 'pending')
    const failed = tests.filter(({ status }) => status === 'failed')
    return {
      passed: numPassedTests,
      failed: numFailedTests,
      skipped: skipped.map(({ fullName }) => fullName),
      reasons: failed.map(({ fullName, failureMessages = [] }) => {
        const [reason = ''] = (failureMessages[0] ?? '').split('\n')
        return `${fullName} (${reason.slice(0, 300)})`
      }),
    }
  } catch {
    return { passed: 0, failed: 1, skipped: [], reasons: [] }
  }
}

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly fullName: string
      readonly status: string
      readonly failureMessages?: readonly string[]
    }[]
  }[]
}

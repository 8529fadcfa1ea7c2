/**
 * Disk figures: CRC-32C, append and sync through the journal, recovery, and a checkpoint of many keys
 * written and loaded. `node benchmarks/journal/main.ts [part …] [--dir DIR] [--keys N]`.
 */
import '../../test/support/help.ts'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkpointFigures } from './checkpoint.ts'
import { crc32cFigures } from './crc32c.ts'
import { journalFigures } from './journal.ts'

const parts = { crc32c: crc32cFigures, journal: journalFigures, checkpoint: checkpointFigures }

const args = process.argv.slice(2)
const option = (name: string, fallback: string): string => {
  const index = args.indexOf(`--${name}`)
  return index < 0 ? fallback : (args.splice(index, 2)[1] ?? fallback)
}
const keys = Number(option('keys', '1000000'))
const parent = option('dir', tmpdir())
const chosen = args.length === 0 ? Object.keys(parts) : args
const directory = mkdtempSync(join(parent, 'quorate-bench-'))
try {
  for (const name of chosen as (keyof typeof parts)[]) await parts[name](directory, keys)
} finally {
  rmSync(directory, { recursive: true, force: true })
}

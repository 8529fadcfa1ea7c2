/**
 * Each file in transcripts/ is run and compared with what it says; see transcript.ts for the format.
 * To accept what the machines do now:
 *
 *     TRANSCRIPTS=rewrite node node_modules/vitest/vitest.mjs run --project unit test/actors/consensus/transcripts.test.ts
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { runTranscript } from './transcript.ts'

const folder = new URL('./transcripts/', import.meta.url)
const rewrite = process.env['TRANSCRIPTS'] === 'rewrite'

for (const name of readdirSync(folder).filter(file => file.endsWith('.txt'))) {
  test(name, () => {
    const file = new URL(name, folder)
    const text = readFileSync(file, 'utf8')
    const now = runTranscript(text)
    if (rewrite) writeFileSync(file, now)
    else expect(now).toBe(text)
  })
}

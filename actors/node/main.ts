/** The `quorate` command; launcher.mjs starts it under the right Node. */
import { runCommandLine } from './cli.ts'

await runCommandLine(process.argv.slice(2))

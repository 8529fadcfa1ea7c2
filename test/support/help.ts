/**
 * Imported first by scripts that are started without the launcher too: `--help` prints what they are
 * for, and ends before anything of them runs.
 */
import { asksForHelp, scriptHelp } from '../../actors/node/script-help.mjs'

const [, script = '', ...args] = process.argv
if (asksForHelp(args)) {
  process.stdout.write(scriptHelp(script))
  process.exit(0)
}

#!/usr/bin/env node
// Starts Quorate under Node 24, on whatever Node (>= 20) the machine has: npm 10 does not link
// `.bin/node` of an optional binary package, so the binary is looked up here. Plain JavaScript,
// because the machine's own Node may not run TypeScript.
//
//   launcher.mjs <command line of quorate>
//   launcher.mjs --script <file.ts> <arguments>    any script of this repository; --help says what it is for
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { nodeEnvironment } from './node-environment.mjs'
import { asksForHelp, hasOwnHelp, scriptHelp } from './script-help.mjs'

const requiredMajor = 24

function findNode() {
  if (Number(process.versions.node.split('.')[0]) >= requiredMajor) return process.execPath
  const name = `node-${process.platform}-${process.arch}`
  try {
    const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`)
    const binary = join(dirname(manifest), 'bin', 'node')
    if (existsSync(binary)) return binary
  } catch {
    // Not installed: no such package for this platform, or optional dependencies were left out.
  }
  console.error(
    `quorate: Node ${requiredMajor} or later is needed; this is Node ${process.versions.node}, and the ` +
      `package ${name} is not installed (run \`npm install\` without --omit=optional, or use Node ${requiredMajor})`,
  )
  process.exit(1)
}

const folder = dirname(fileURLToPath(import.meta.url))
const main = join(folder, 'main.ts')
const given = process.argv.slice(2)
const [script, ...args] =
  given[0] === '--script' ? [resolve(given[1] ?? ''), ...given.slice(2)] : [main, ...given]
const isCommand = script === main
if (!isCommand && !existsSync(script)) {
  console.error(`quorate: there is no script ${script}`)
  process.exit(1)
}
if (!isCommand && asksForHelp(args) && !hasOwnHelp(script)) {
  process.stdout.write(scriptHelp(script))
  process.exit(0)
}
// SIGUSR1 would open a port for debuggers, in here and in there.
process.on('SIGUSR1', () => {})
const flags = ['--disable-warning=ExperimentalWarning', ...(isCommand ? ['--disable-sigusr1'] : [])]
const child = spawn(findNode(), [...flags, script, ...args], {
  stdio: 'inherit',
  env: isCommand ? { ...nodeEnvironment, ...process.env } : process.env,
})
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
// A terminal sends Ctrl-C to the whole group. Our commands take a second one calmly; a script may not.
process.on('SIGINT', () => {
  if (isCommand || !process.stdin.isTTY) child.kill('SIGINT')
})
// npx stands two processes above and passes SIGTERM to its shell alone, which ends and leaves us here.
if (process.env.npm_command === 'exec') {
  const parent = process.ppid
  const watch = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(watch)
    child.kill('SIGTERM')
  }, 200)
}
child.on('error', error => {
  console.error(`quorate: cannot start ${findNode()}: ${error.message}`)
  process.exit(1)
})
child.on('exit', (code, signal) => process.exit(signal ? 128 + constants.signals[signal] : code))

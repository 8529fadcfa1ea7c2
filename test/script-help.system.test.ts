import { spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const launcher = join(root, 'actors/node/launcher.mjs')

function files(...patterns: string[]): string[] {
  return globSync(patterns, { cwd: root })
    .filter(file => !file.includes('.cache') && !file.includes('node_modules'))
    .sort()
}

/** Those that somebody starts: they read arguments, or say how they are started. */
const scripts = files('benchmarks/**/*.ts', 'test/**/*.ts').filter(file => {
  if (/\.test\.ts$|\/fixtures\/|^test\/support\//.test(file)) return false
  const text = readFileSync(join(root, file), 'utf8')
  return /^ \* .*launcher\.mjs --script|parseArgs\(/m.test(text) || /^test\/\w+\.ts$/.test(file)
})

function helpOf(command: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, [...args, '--help'], {
    cwd: root,
    encoding: 'utf8',
    timeout: 20_000,
  })
  expect([status, stderr]).toEqual([0, ''])
  return stdout
}

test('every script of the launcher says what it is for, and does nothing', () => {
  expect(scripts).toContain('test/simulator/main.ts')
  expect(scripts.length).toBeGreaterThan(15)
  for (const file of scripts) {
    const help = helpOf(process.execPath, [launcher, '--script', file])
    expect(help, file).toMatch(/^Usage: /)
    expect(help.length, file).toBeGreaterThan(120)
  }
}, 120_000)

test('so do those that are also started without it', () => {
  for (const file of files('benchmarks/**/main.ts', 'test/interop/*-server.ts')) {
    const text = readFileSync(join(root, file), 'utf8')
    if (!/[^.]node (benchmarks|test)\//.test(text)) continue
    expect(helpOf(process.execPath, [file]), file).toMatch(/^Usage: /)
  }
}, 120_000)

test('options are listed with their defaults', () => {
  const help = helpOf(process.execPath, [launcher, '--script', 'test/chaos/leader-kill.ts'])
  expect(help).toMatch(/^ {2}--kills VALUE {3}default 5$/m)
})

test('every command of npm answers too', () => {
  const { scripts: named } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  for (const name of ['test', 'check', 'bench', 'sim', 'start']) {
    const [, , , ...args] = String(named[name]).split(' ')
    expect(helpOf(process.execPath, [launcher, ...args]), name).toMatch(/^Usage: /)
  }
}, 120_000)

test('and every script of a shell, of Python, of the clients', () => {
  const others = files('.ci/run', 'benchmarks/**/*.sh', 'test/**/*.{sh,py,mjs}')
  // Fixtures are loaded into a node, and nobody starts them.
  const started = others.filter(
    file => file !== 'test/interop/with-server.sh' && !file.includes('/fixtures/'),
  )
  expect(started.length).toBeGreaterThan(9)
  for (const file of started) {
    const isShell = file.endsWith('.sh') || file === '.ci/run'
    const interpreter = isShell ? 'bash' : file.endsWith('.py') ? 'python3' : process.execPath
    expect(helpOf(interpreter, [file]).length, file).toBeGreaterThan(60)
  }
}, 120_000)

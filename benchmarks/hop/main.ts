/**
 * Gate "the hop" (DESIGN.md D3): the path of a write with a thread hop each way against the same on
 * one thread, in alternating runs. `main.ts [--runs 5] [--millis 1200] [--dir DIR]`
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Placement } from '../../runtime/system.ts'
import type { Figures, Run } from './client.ts'
import type { NodeSetup } from './node.ts'

const placements: Readonly<Record<string, Placement>> = {
  two: { log: ['log', 'peers', 'journal'], state: ['door'] },
  one: { all: ['log', 'peers', 'journal', 'door'] },
}
const nodePort = 17_400
const followerPorts = [17_401, 17_402]

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    millis: { type: 'string', default: '1200' },
    dir: { type: 'string', default: tmpdir() },
  },
})
const millis = Number(values.millis)
const loads: Readonly<Record<string, Run>> = {
  '1x1': { connections: 1, inFlight: 1, millis },
  '30x1': { connections: 30, inFlight: 1, millis },
  '30x100': { connections: 30, inFlight: 100, millis },
}

const results = new Map<string, Figures[]>()
const directory = mkdtempSync(join(values.dir, 'quorate-hop-'))
try {
  for (let run = 0; run < Number(values.runs); run++) {
    for (const name of run % 2 === 0 ? ['one', 'two'] : ['two', 'one']) await measure(name)
  }
} finally {
  rmSync(directory, { recursive: true })
}
report()

async function measure(name: string): Promise<void> {
  const followers = followerPorts.map(port =>
    start('follower.ts', [String(port), join(directory, `${port}`)]),
  )
  await Promise.all(followers.map(follower => follower.line()))
  const setup: NodeSetup = {
    placement: placements[name]!,
    port: nodePort,
    followers: followerPorts,
    path: join(directory, 'node'),
  }
  const node = start('node.ts', [JSON.stringify(setup)])
  await node.line()
  const client = start('client.ts', [String(nodePort)])
  await client.ask({ connections: 30, inFlight: 20, millis: 1000 })
  for (const [load, run] of Object.entries(loads)) {
    const figures = JSON.parse(await client.ask(run)) as Figures
    const key = `${name} ${load}`
    results.set(key, [...(results.get(key) ?? []), figures])
    console.log(
      `${key.padEnd(12)} ${figures.perSecond}/s p50 ${figures.p50Micros} us p99 ${figures.p99Micros} us`,
    )
  }
  await Promise.all([client, node, ...followers].map(process => process.end()))
}

interface Running {
  line(): Promise<string>
  ask(question: object): Promise<string>
  end(): Promise<void>
}

function start(script: string, args: string[]): Running {
  const path = fileURLToPath(new URL(script, import.meta.url))
  const child: ChildProcess = spawn(process.execPath, [path, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines: Interface = createInterface({ input: child.stdout! })
  const waiting: ((line: string) => void)[] = []
  lines.on('line', line => waiting.shift()?.(line))
  const line = (): Promise<string> => new Promise(resolve => void waiting.push(resolve))
  return {
    line,
    ask(question) {
      child.stdin!.write(`${JSON.stringify(question)}\n`)
      return line()
    },
    end: () =>
      new Promise(resolve => {
        child.on('exit', () => resolve())
        child.stdin!.end()
      }),
  }
}

function report(): void {
  const medians = (key: string, figure: keyof Figures): number => {
    const sorted = results
      .get(key)!
      .map(figures => figures[figure])
      .sort((left, right) => left - right)
    return sorted[Math.floor(sorted.length / 2)]!
  }
  const line = (load: string, figure: keyof Figures, bar: string): void => {
    const two = medians(`two ${load}`, figure)
    const one = medians(`one ${load}`, figure)
    console.log(
      `${load.padEnd(7)} ${figure.padEnd(10)} two ${two} one ${one} ratio ${(two / one).toFixed(3)} (bar ${bar})`,
    )
  }
  console.log('\nmedians, two threads against one')
  line('1x1', 'p50Micros', '<= 1.15')
  line('30x1', 'perSecond', '>= 0.95')
  line('30x100', 'perSecond', '>= 1.00')
}

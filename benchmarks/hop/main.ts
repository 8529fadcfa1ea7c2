/**
 * Gate "the hop" (DESIGN.md D3): the path of a write with a thread hop each way against the same on
 * one thread. Both stand side by side, and short runs alternate, so that whatever else the machine
 * does meets both alike. `main.ts [--runs 5] [--millis 500] [--dir DIR]`
 */
import '../../test/support/help.ts'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Placement } from '../../runtime/system.ts'
import type { Figures, Run } from './client.ts'
import type { NodeSetup } from './node.ts'

const placements: Readonly<Record<string, Placement>> = {
  one: { all: ['log', 'peers', 'journal', 'door'] },
  two: { log: ['log', 'peers', 'journal'], state: ['door'] },
}
const portsOf: Readonly<Record<string, number>> = { one: 17_400, two: 17_410 }

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    millis: { type: 'string', default: '500' },
    dir: { type: 'string', default: tmpdir() },
  },
})
const millis = Number(values.millis)
const loads: Readonly<Record<string, Run>> = {
  '1x1': { connections: 1, inFlight: 1, millis },
  '30x1': { connections: 30, inFlight: 1, millis },
  '30x100': { connections: 30, inFlight: 100, millis },
}

type Measured = Figures & { readonly cpuMicros: number }

const results = new Map<string, Measured[]>()
const directory = mkdtempSync(join(values.dir, 'quorate-hop-'))
const clusters = new Map<string, Cluster>()
try {
  for (const name in placements) clusters.set(name, await startCluster(name))
  for (const { client } of clusters.values()) {
    await client.ask({ connections: 30, inFlight: 20, millis: 1500 })
  }
  for (let run = 0; run < Number(values.runs); run++) {
    for (const load in loads) {
      for (const name of run % 2 === 0 ? ['one', 'two'] : ['two', 'one']) await measure(name, load)
    }
  }
} finally {
  for (const cluster of clusters.values()) await cluster.end()
  rmSync(directory, { recursive: true })
}
report()

interface Cluster {
  readonly client: Running
  readonly node: Running
  end(): Promise<void>
}

async function startCluster(name: string): Promise<Cluster> {
  const port = portsOf[name]!
  const ports = [port + 1, port + 2]
  const followers = ports.map(at => start('follower.ts', [String(at), join(directory, `${at}`)]))
  await Promise.all(followers.map(follower => follower.line()))
  const setup: NodeSetup = {
    placement: placements[name]!,
    port,
    followers: ports,
    path: join(directory, name),
  }
  const node = start('node.ts', [JSON.stringify(setup)])
  await node.line()
  const client = start('client.ts', [String(port)])
  return {
    client,
    node,
    end: async () => {
      await Promise.all([client, node, ...followers].map(process => process.end()))
    },
  }
}

async function measure(name: string, load: string): Promise<void> {
  const { client, node } = clusters.get(name)!
  const before = node.cpuMicros()
  const figures = JSON.parse(await client.ask(loads[load]!)) as Figures
  const requests = figures.perSecond * (millis / 1000)
  const cpuMicros = Math.round(((node.cpuMicros() - before) / requests) * 100) / 100
  const key = `${name} ${load}`
  results.set(key, [...(results.get(key) ?? []), { ...figures, cpuMicros }])
}

interface Running {
  line(): Promise<string>
  ask(question: object): Promise<string>
  /** User and system time of the process so far. */
  cpuMicros(): number
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
    cpuMicros() {
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
      return (Number(fields[11]) + Number(fields[12])) * 10_000
    },
    end: () =>
      new Promise(resolve => {
        child.on('exit', () => resolve())
        child.stdin!.end()
      }),
  }
}

function report(): void {
  for (const [key, runs] of [...results].sort(([left], [right]) => (left < right ? -1 : 1))) {
    const rates = runs.map(run => run.perSecond).join(' ')
    console.log(
      `${key.padEnd(10)} per second ${rates}, p50 us ${runs.map(run => run.p50Micros).join(' ')}`,
    )
  }
  console.log('\nmedians: two threads against one')
  line('1x1', 'p50Micros', '<= 1.15')
  line('30x1', 'perSecond', '>= 0.95')
  line('30x100', 'perSecond', '>= 1.00')
  for (const load in loads) line(load, 'cpuMicros', 'none; CPU of the node for a request')
}

function line(load: string, figure: keyof Measured, bar: string): void {
  const figures = (name: string): number[] =>
    results.get(`${name} ${load}`)!.map(run => run[figure])
  const two = figures('two')
  const one = figures('one')
  const paired = median(two.map((value, run) => value / one[run]!))
  const ratio = median(two) / median(one)
  console.log(
    `${load.padEnd(7)} ${figure.padEnd(10)} two ${median(two)} one ${median(one)} ` +
      `ratio ${ratio.toFixed(3)}, of pairs ${paired.toFixed(3)} (bar ${bar})`,
  )
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)]!
}

/**
 * What tracing costs where it is off (the issue asks for a ratio of at least 0.98 to a build without
 * it): two checkouts, one from before tracing was wired in, serve the same load in turns, all six
 * nodes up at the same time. Both throughput and CPU per request are compared, by turns that stood
 * beside each other; on a machine that others use too, the least CPU per request is the one to trust.
 *
 *     git worktree add /tmp/without COMMIT   (and its node_modules)
 *     node actors/node/launcher.mjs --script benchmarks/tracing/main.ts --without /tmp/without --with .
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Command } from 'commander'
import { requestAdmin } from '../../actors/node/admin-client.ts'
import { connectEtcd, prepareEtcd } from '../load/etcd-client.ts'
import { runLoad } from '../load/run.ts'
import type { Endpoint, Workload } from '../load/workload.ts'
import { connectZookeeper, prepareZookeeper } from '../load/zookeeper-client.ts'

interface Options {
  readonly without: string
  readonly with: string
  readonly turns: string
  readonly seconds: string
  readonly door: 'zookeeper' | 'etcd'
  readonly config: string
  readonly rate: string
  readonly connections: string
  readonly inFlight?: string
}

interface Side {
  readonly name: string
  readonly processes: readonly ChildProcess[]
  readonly endpoints: readonly Endpoint[]
  readonly perSecond: number[]
  readonly microsPerRequest: number[]
}

const program = new Command('tracing')
  .requiredOption('--without <checkout>', 'a checkout from before')
  .requiredOption('--with <checkout>', 'a checkout from after')
  .option('--turns <count>', 'measured turns of each side', '7')
  .option('--seconds <seconds>', 'length of a turn', '3')
  .option('--door <door>', 'zookeeper (set 30x100) or etcd (put 30x30)', 'zookeeper')
  .option('--rate <per second>', 'open loop, so that both sides do the same work; 0: closed', '0')
  .option('--connections <count>', 'of the generator', '30')
  .option('--in-flight <count>', 'requests of a connection; default: 100, or 30 for etcd')
  .option('--config <json>', 'merged into the configuration of the side "with"', '{}')
  .action(main)
await program.parseAsync()

async function main(options: Options): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-tracing-'))
  const sides = [
    startSide('without', options.without, 19_700, directory, options, {}),
    startSide('with', options.with, 19_800, directory, options, JSON.parse(options.config)),
  ]
  try {
    for (const side of sides) {
      await untilReady(side)
      await turn(side, options, 0, 5)
    }
    for (let at = 0; at < Number(options.turns); at += 1) {
      // Whoever comes second may find a warmer or a busier machine.
      for (const side of at % 2 === 0 ? sides : [...sides].reverse()) {
        await turn(side, options, Number(options.seconds), 1)
      }
    }
    print(sides)
  } finally {
    for (const side of sides) for (const child of side.processes) child.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  }
}

function startSide(
  name: string,
  checkout: string,
  portBase: number,
  directory: string,
  { door }: Options,
  extra: object,
): Side {
  const ids = [1, 2, 3]
  const host = '127.0.0.1'
  const members = ids.map(id => ({ name: `node${id}`, id, peer: `${host}:${portBase + 30 + id}` }))
  const processes = ids.map(id => {
    const file = join(directory, `${name}${id}.yaml`)
    const config = {
      node: `node${id}`,
      dataDirectory: join(directory, `${name}${id}`),
      cluster: { name, members },
      listeners: {
        zookeeper: { host, port: portBase + id },
        etcd: { host, port: portBase + 10 + id },
        admin: { host, port: portBase + 20 + id },
      },
      ...extra,
    }
    writeFileSync(file, JSON.stringify(config))
    const main = join(resolve(checkout), 'actors/node/main.ts')
    const stdio = ['ignore', 'ignore', 'inherit'] as const
    return spawn(process.execPath, [main, 'start', '--config', file], { stdio: [...stdio] })
  })
  const first = portBase + (door === 'zookeeper' ? 0 : 10)
  const endpoints = ids.map(id => ({ host, port: first + id }))
  return { name, processes, endpoints, perSecond: [], microsPerRequest: [] }
}

async function untilReady({ endpoints }: Side): Promise<void> {
  for (const { host, port } of endpoints) {
    const admin = `${host}:${port - (port % 100) + 20 + (port % 10)}`
    for (;;) {
      const answer = await requestAdmin(admin, 'GET', '/ready').catch(() => undefined)
      if (answer?.status === 200) break
      await new Promise(resume => setTimeout(resume, 50))
    }
  }
}

/** `seconds` 0: only warms up. */
async function turn(
  side: Side,
  { door, rate, connections, inFlight }: Options,
  seconds: number,
  warmUpSeconds: number,
): Promise<void> {
  const isZookeeper = door === 'zookeeper'
  const workload: Workload = {
    door,
    operation: isZookeeper ? 'set' : 'put',
    connections: Number(connections),
    inFlight: Number(inFlight ?? (isZookeeper ? 100 : 30)),
    valueBytes: 128,
    keyCount: 10_000,
    rate: Number(rate),
    warmUpSeconds,
    seconds,
  }
  const [first] = side.endpoints
  if (seconds === 0) await (isZookeeper ? prepareZookeeper : prepareEtcd)(first!, workload)
  const before = cpuSeconds(side)
  const connect = isZookeeper ? connectZookeeper : connectEtcd
  const { perSecond } = await runLoad(workload, side.endpoints, connect)
  if (seconds === 0) return
  const perCpu = (cpuSeconds(side) - before) / (perSecond * (seconds + warmUpSeconds))
  side.perSecond.push(perSecond)
  side.microsPerRequest.push(perCpu * 1e6)
}

function cpuSeconds({ processes }: Side): number {
  return processes.reduce((sum, { pid }) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    return sum + (Number(fields[11]) + Number(fields[12])) / 100
  }, 0)
}

function print(sides: readonly Side[]): void {
  for (const { name, perSecond, microsPerRequest } of sides) {
    const turns = perSecond.map(Math.round).join(' ')
    const micros = microsPerRequest.map(one => one.toFixed(1)).join(' ')
    console.log(`${name.padEnd(8)} ${Math.round(median(perSecond))}/s  (${turns})`)
    console.log(`         ${median(microsPerRequest).toFixed(2)} µs CPU a request  (${micros})`)
  }
  const [without, after] = sides as [Side, Side]
  const cpu = (side: Side) => side.microsPerRequest
  console.log(`ratio    throughput ${ofPairs(after.perSecond, without.perSecond)}`)
  console.log(`         CPU ${ofPairs(cpu(without), cpu(after))}`)
  const least = Math.min(...cpu(without)) / Math.min(...cpu(after))
  console.log(`         least CPU ${least.toFixed(3)}`)
}

/**
 * The median ratio of the turns that stood beside each other, and between which of them the true one
 * lies with 95 % (ranks by the sign test, in its normal approximation). Two equal checkouts show what
 * the machine's noise alone does.
 */
function ofPairs(upper: readonly number[], lower: readonly number[]): string {
  const ratios = upper.map((one, at) => one / lower[at]!).toSorted((left, right) => left - right)
  const count = ratios.length
  const rank = Math.max(0, Math.floor(count / 2 - 0.98 * Math.sqrt(count)))
  const [least, most] = [ratios[rank]!, ratios[count - 1 - rank]!]
  return `${median(ratios).toFixed(3)} (${least.toFixed(3)} to ${most.toFixed(3)})`
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/**
 * Server CPU for each unary call: our HTTP/2 framing beside an empty node:http2 server.
 * `node benchmarks/http2/main.ts [--seconds S] [--etcd-benchmark FILE]`; with etcd's `benchmark`
 * tool the load comes from grpc-go too.
 */
import '../../test/support/help.ts'
import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { systemClock } from '../../runtime/clock.ts'
import { Generator } from './client.ts'

const path = '/etcdserverpb.KV/Range'
const loads = [
  { connections: 1, inFlight: 1 },
  { connections: 100, inFlight: 1 },
  { connections: 100, inFlight: 10 },
]

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '4' },
    'etcd-benchmark': { type: 'string' },
  },
})
const seconds = Number(values.seconds)

for (const load of loads)
  for (const kind of ['ours', 'node']) await measure(kind, load.connections, load.inFlight)
const tool = values['etcd-benchmark']
if (tool !== undefined)
  for (const [connections, clients] of [
    [1, 1],
    [100, 1000],
  ] as const)
    for (const kind of ['ours', 'node']) await measureWithEtcd(tool, kind, connections, clients)

async function measure(kind: string, connections: number, inFlight: number): Promise<void> {
  const { server, port } = await start(kind)
  const generators = Array.from({ length: connections }, () => new Generator(port, path, inFlight))
  const answered = () => generators.reduce((sum, generator) => sum + generator.answered, 0)
  await sleep(1000)
  const cpuBefore = await cpuMicros(server)
  const callsBefore = answered()
  const startMillis = systemClock.monotonicMillis()
  await sleep(seconds * 1000)
  const calls = answered() - callsBefore
  const elapsed = (systemClock.monotonicMillis() - startMillis) / 1000
  const cpu = (await cpuMicros(server)) - cpuBefore
  print(kind, `${connections} × ${inFlight}, bare frames`, calls / elapsed, cpu / calls)
  for (const generator of generators) generator.close()
  server.disconnect()
}

async function measureWithEtcd(
  tool: string,
  kind: string,
  connections: number,
  clients: number,
): Promise<void> {
  const { server, port } = await start(kind)
  const run = (total: number) =>
    execFileSync(
      tool,
      [
        ...['range', 'key', '--consistency=s', `--conns=${connections}`, `--clients=${clients}`],
        ...[`--total=${total}`, `--endpoints=127.0.0.1:${port}`],
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    )
  run(clients * 10)
  const total = clients === 1 ? 20_000 : 200_000
  const cpuBefore = await cpuMicros(server)
  const report = run(total)
  const cpu = (await cpuMicros(server)) - cpuBefore
  const rate = Number(/Requests\/sec:\s*([0-9.]+)/.exec(report)?.[1])
  print(kind, `${connections} conns, ${clients} clients, etcd's benchmark`, rate, cpu / total)
  server.disconnect()
}

async function start(kind: string): Promise<{ server: ChildProcess; port: number }> {
  const server = fork(new URL('./servers.ts', import.meta.url), [kind])
  const [{ port }] = (await once(server, 'message')) as [{ port: number }]
  return { server, port }
}

async function cpuMicros(server: ChildProcess): Promise<number> {
  server.send('cpu')
  const [{ cpu }] = (await once(server, 'message')) as [{ cpu: NodeJS.CpuUsage }]
  return cpu.user + cpu.system
}

function print(kind: string, load: string, rate: number, microsPerCall: number): void {
  const name = kind === 'ours' ? 'our framing' : 'node:http2'
  console.log(
    `${name.padEnd(12)} ${load.padEnd(45)} ${Math.round(rate).toString().padStart(8)} calls/s` +
      ` ${microsPerCall.toFixed(1).padStart(7)} µs of server CPU a call`,
  )
}

/**
 * `npm run bench`: drives both doors of Quorate and, where they are installed, a real ZooKeeper and a
 * real etcd with the same load in the same run, and prints throughput, latency and CPU side by side.
 */
import { Command, Option } from 'commander'
import { runEtcdBenchmark } from './load/etcd-benchmark.ts'
import { connectEtcd, prepareEtcd } from './load/etcd-client.ts'
import { type LoadResult, runLoad } from './load/run.ts'
import { type Cluster, type ServerName, startCluster } from './load/servers.ts'
import type { Endpoint, Operation, Workload } from './load/workload.ts'
import { connectZookeeper, prepareZookeeper } from './load/zookeeper-client.ts'

interface Options {
  readonly door: 'zookeeper' | 'etcd' | 'all'
  readonly op?: Operation
  readonly connections?: string
  readonly inFlight?: string
  readonly value: string
  readonly keys: string
  readonly rate: string
  readonly seconds: string
  readonly warmUp: string
  readonly firstWarmUp: string
  readonly servers: string
  readonly endpoints?: string
}

const serverNames: readonly string[] = ['quorate', 'zookeeper', 'etcd'] satisfies ServerName[]

const program = new Command('npm run bench --')
  .description(
    'load on both doors; without --op the standard set, beside real servers where installed',
  )
  .addOption(
    new Option('--door <door>').choices(['zookeeper', 'etcd', 'all'] as const).default('all'),
  )
  .addOption(
    new Option('--op <operation>', 'of ZooKeeper the first three, of etcd the others').choices([
      ...['set', 'get', 'mixed'],
      ...['put', 'range', 'rangeLinearizable'],
    ]),
  )
  .option('--connections <count>', 'connections, spread evenly over all nodes')
  .option('--in-flight <count>', 'requests in flight on each connection')
  .option('--value <bytes>', 'value size', '128')
  .option('--keys <count>', 'distinct keys', '10000')
  .option('--rate <per second>', 'open loop: requests at intended times; 0 is closed loop', '0')
  .option('--seconds <seconds>', 'measured time of each run', '10')
  .option('--warm-up <seconds>', 'load before each measured time', '3')
  .option('--first-warm-up <seconds>', 'load before the first run on a server', '30')
  .option('--servers <list>', 'quorate, zookeeper, etcd', 'quorate,zookeeper,etcd')
  .option(
    '--endpoints <list>',
    'host:port,… of one door of a running cluster, instead of starting one',
  )
  .action(main)
await program.parseAsync()

async function main(options: Options): Promise<void> {
  const workloads = chooseWorkloads(options)
  if (options.endpoints !== undefined) {
    const endpoints = options.endpoints.split(',').map(parseEndpoint)
    for (const workload of workloads) await measure('given', endpoints, undefined, workload)
    return
  }
  const servers = options.servers.split(',')
  const unknown = servers.find(name => !serverNames.includes(name))
  if (unknown !== undefined) program.error(`error: no server is called "${unknown}"`)
  for (const name of servers as ServerName[]) {
    const doors = workloads.filter(one => name === 'quorate' || one.door === name)
    if (doors.length === 0) continue
    const cluster = await startCluster(name)
    if (cluster === undefined) {
      console.log(`${name}: not installed (benchmarks/install-peers.sh installs it)`)
      continue
    }
    try {
      await measureAll(cluster, doors, Number(options.firstWarmUp))
      if (options.op === undefined && doors.some(one => one.door === 'etcd'))
        await runEtcdBenchmark(cluster)
    } finally {
      await cluster.stop()
    }
  }
}

async function measureAll(
  cluster: Cluster,
  workloads: readonly Workload[],
  firstWarmUpSeconds: number,
): Promise<void> {
  const warmed = new Set<string>()
  for (const workload of workloads) {
    // ZooKeeper's first half minute is slow (its compiler): both sides get the same time to warm up.
    const warmUpSeconds = warmed.has(workload.door)
      ? workload.warmUpSeconds
      : Math.max(workload.warmUpSeconds, firstWarmUpSeconds)
    warmed.add(workload.door)
    await measure(cluster.name, cluster[workload.door], cluster, { ...workload, warmUpSeconds })
  }
}

async function measure(
  name: string,
  endpoints: readonly Endpoint[],
  cluster: Cluster | undefined,
  workload: Workload,
): Promise<void> {
  const [first] = endpoints
  if (first === undefined) throw new Error('no endpoints')
  await (workload.door === 'zookeeper' ? prepareZookeeper : prepareEtcd)(first, workload)
  const before = cluster?.cpuSeconds()
  const started = performance.now()
  const result = await runLoad(
    workload,
    endpoints,
    workload.door === 'zookeeper' ? connectZookeeper : connectEtcd,
  )
  const elapsed = (performance.now() - started) / 1000
  const after = cluster?.cpuSeconds()
  const serverCores = after?.map((seconds, at) => (seconds - (before?.[at] ?? 0)) / elapsed)
  print(name, workload, result, serverCores)
}

function print(
  name: string,
  workload: Workload,
  result: LoadResult,
  serverCores: readonly number[] | undefined,
): void {
  const ownCores = result.ownCpuSeconds / result.seconds
  const cells = [
    name.padEnd(9),
    `${workload.operation} ${workload.connections}x${workload.inFlight} ${workload.valueBytes} B`.padEnd(
      28,
    ),
    `${Math.round(result.perSecond)}/s`.padStart(9),
    `p50 ${millis(result.p50Millis)}`,
    `p90 ${millis(result.p90Millis)}`,
    `p99 ${millis(result.p99Millis)}`,
    `p99.9 ${millis(result.p999Millis)} ms`,
    `generator ${ownCores.toFixed(2)} cores`,
  ]
  if (serverCores !== undefined)
    cells.push(`nodes ${serverCores.map(one => one.toFixed(2)).join(' ')}`)
  if (workload.rate > 0) cells.push(`open loop at ${workload.rate}/s`)
  if (result.failed > 0 || Object.keys(result.reasons).length > 0)
    cells.push(`failed ${JSON.stringify(result.reasons)}`)
  if (ownCores > 0.9) cells.push('(the generator is the bottleneck)')
  console.log(cells.join('  '))
}

function millis(value: number): string {
  return value.toFixed(2).padStart(7)
}

function chooseWorkloads(options: Options): Workload[] {
  const common = {
    valueBytes: Number(options.value),
    keyCount: Number(options.keys),
    rate: Number(options.rate),
    seconds: Number(options.seconds),
    warmUpSeconds: Number(options.warmUp),
  }
  const one = (
    door: 'zookeeper' | 'etcd',
    operation: Operation,
    connections: number,
    inFlight: number,
  ): Workload => ({
    ...common,
    door,
    operation,
    connections: Number(options.connections ?? connections),
    inFlight: Number(options.inFlight ?? inFlight),
  })
  if (options.op !== undefined) {
    const door = ['set', 'get', 'mixed'].includes(options.op) ? 'zookeeper' : 'etcd'
    return [one(door, options.op, 30, 1)]
  }
  const all = [
    one('zookeeper', 'set', 30, 100),
    one('zookeeper', 'set', 30, 1),
    one('zookeeper', 'set', 1, 1),
    one('zookeeper', 'get', 30, 100),
    one('zookeeper', 'get', 30, 1),
    one('zookeeper', 'mixed', 30, 20),
    one('etcd', 'put', 100, 10),
    one('etcd', 'put', 1, 1),
    one('etcd', 'range', 100, 10),
    one('etcd', 'rangeLinearizable', 100, 10),
  ]
  return all.filter(workload => options.door === 'all' || options.door === workload.door)
}

function parseEndpoint(text: string): Endpoint {
  const [host = '', port = ''] = text.trim().split(/:(?=\d+$)/)
  return { host, port: Number(port) }
}

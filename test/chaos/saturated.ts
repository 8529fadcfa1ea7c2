/**
 * Writes saturated on all nodes while sessions and leases stay alive: none may be lost, and a new session
 * attaches within a second. Prints what was measured, and a verdict; exit code 1 if it does not hold.
 *   launcher.mjs --script test/chaos/saturated.ts [--server quorate|zookeeper|etcd]
 *     [--placement single|split|spread] [--doors zookeeper,etcd] [--seconds 20] [--sessions 1000]
 *     [--session-millis 10000] [--leases 1000] [--connections 8] [--in-flight 500]
 * Connections are those of one door to one node, each kept full by a process of its own. Another process
 * holds the sessions and leases and says how late it was itself: whoever pings late loses sessions anywhere.
 */
import { fork } from 'node:child_process'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { connectEtcd } from '../../benchmarks/load/etcd-client.ts'
import { startCluster } from '../../benchmarks/load/servers.ts'
import type { Client, Endpoint, Workload } from '../../benchmarks/load/workload.ts'
import { connectZookeeper, prepareZookeeper } from '../../benchmarks/load/zookeeper-client.ts'
import { EtcdCaller } from '../actors/gateways/etcd-caller.ts'
import { LocalCluster, sleep } from '../support/local-cluster.ts'
import { ZookeeperSession } from '../support/zookeeper-session.ts'
import { LeaseHolder } from './lease-holder.ts'

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', default: false },
    server: { type: 'string', default: 'quorate' },
    placement: { type: 'string', default: 'single' },
    doors: { type: 'string', default: 'zookeeper,etcd' },
    seconds: { type: 'string', default: '20' },
    sessions: { type: 'string', default: '1000' },
    'session-millis': { type: 'string', default: '10000' },
    leases: { type: 'string', default: '1000' },
    connections: { type: 'string', default: '8' },
    'in-flight': { type: 'string', default: '500' },
    'port-base': { type: 'string', default: '18200' },
    /** The process that writes, by the script itself: to these endpoints, as JSON. */
    writers: { type: 'string' },
  },
})

const leaseSeconds = 10
const attachMillisMax = 1000
const sessionMillis = Number(values['session-millis'])
const workload: Workload = {
  ...{ door: 'etcd', operation: 'put', valueBytes: 256, keyCount: 1000 },
  ...{ connections: Number(values.connections), inFlight: Number(values['in-flight']) },
  ...{ rate: 0, warmUpSeconds: 0, seconds: 0 },
}

interface Target {
  readonly zookeeper: readonly Endpoint[]
  readonly etcd: readonly Endpoint[]
  /** What the nodes have said. */
  outputs?(): string[]
  stop(): Promise<void>
}

async function startTarget(): Promise<Target> {
  const { server, placement, doors } = values
  const has = (door: string): boolean => doors.split(',').includes(door)
  if (server === 'zookeeper' || server === 'etcd') {
    const cluster = await startCluster(server)
    if (cluster === undefined) throw new Error(`${server} is not installed`)
    return cluster
  }
  const limits = { zookeeperConnectionsPerAddressMax: 0 }
  const portBase = Number(values['port-base'])
  const cluster = new LocalCluster({ portBase, config: { limits, placement } })
  await cluster.startAll()
  return {
    zookeeper: has('zookeeper') ? cluster.nodes.map(node => cluster.zookeeper(node)) : [],
    etcd: has('etcd') ? cluster.nodes.map(node => cluster.etcd(node)) : [],
    outputs: () => cluster.nodes.map(node => cluster.output(node)),
    stop: () => cluster.stop(),
  }
}

async function run(): Promise<boolean> {
  const target = await startTarget()
  try {
    const { zookeeper, etcd } = target
    // They come again until the servers have a leader.
    const sessions = await openSessions(zookeeper, zookeeper.length && Number(values.sessions))
    if (zookeeper[0] !== undefined)
      await prepareZookeeper(zookeeper[0], { ...workload, door: 'zookeeper' })
    const leases = await LeaseHolder.open(etcd, etcd.length && Number(values.leases), leaseSeconds)
    console.log(`${values.server}: ${sessions.length} sessions and ${leases.count} leases are open`)
    const faults = await underLoad(target, sessions, leases)
    for (const fault of faults) console.log(`FAULT: ${fault}`)
    if (faults.length > 0)
      for (const text of target.outputs?.() ?? []) console.log(text.slice(-4000))
    console.log(faults.length === 0 ? 'held' : 'not held')
    return faults.length === 0
  } finally {
    await target.stop()
  }
}

async function openSessions(
  endpoints: readonly Endpoint[],
  count: number,
): Promise<ZookeeperSession[]> {
  const sessions: ZookeeperSession[] = []
  for (let at = 0; at < count; at += 1) {
    const session = new ZookeeperSession(endpoints, at % endpoints.length, sessionMillis)
    sessions.push(session)
    await session.create(`/saturated-${at}`, Buffer.alloc(0), 1)
  }
  return sessions
}

async function underLoad(
  { zookeeper, etcd }: Target,
  sessions: readonly ZookeeperSession[],
  leases: LeaseHolder,
): Promise<string[]> {
  const writers = fork(fileURLToPath(import.meta.url), [
    ...['--writers', JSON.stringify({ zookeeper, etcd }), '--seconds', values.seconds],
    ...['--connections', values.connections, '--in-flight', values['in-flight']],
  ])
  const written = new Promise<string>(resolve =>
    writers.on('message', text => resolve(String(text))),
  )
  const delay = monitorEventLoopDelay()
  delay.enable()
  const times = new Times()
  const callers = etcd.map(({ port }) => new EtcdCaller(port))
  const until = performance.now() + Number(values.seconds) * 1000
  for (let at = 0; performance.now() < until; at += 1) {
    const endpoint = zookeeper[at % zookeeper.length]
    if (endpoint !== undefined) await timeSession(times, endpoint)
    const caller = callers[at % callers.length]
    if (caller !== undefined) await timeLease(times, caller, 1_000_000 + at)
    await sleep(200)
  }
  console.log(`writers: ${await written}`)
  console.log(`the process that pings was at most ${Math.round(delay.max / 1e6)} ms late`)
  for (const line of times.lines()) console.log(line)
  for (const caller of callers) caller.close()
  const faults = [...times.faults, ...leases.faults()]
  const expired = sessions.filter(session => session.expired).length
  const lost = sessions.reduce((sum, session) => sum + session.losses, 0)
  if (expired > 0) faults.push(`${expired} sessions expired`)
  if (lost > 0) faults.push(`${lost} connections of sessions were lost`)
  if (times.slowestMillis('attach') > attachMillisMax)
    faults.push(`a new session took more than ${attachMillisMax} ms`)
  leases.close()
  for (const session of sessions) session.abandon()
  return faults
}

async function timeSession(times: Times, endpoint: Endpoint): Promise<void> {
  const session = new ZookeeperSession([endpoint], 0, sessionMillis)
  await times.time('attach', () => session.connected())
  await times.time('first read', () => session.exists('/'))
  await times.time('close', () => session.close())
}

async function timeLease(times: Times, etcd: EtcdCaller, ID: number): Promise<void> {
  await times.time('grant', () => etcd.call('LeaseGrant', { ID, TTL: 60 }))
  await times.time('revoke', () => etcd.call('LeaseRevoke', { ID }))
  await times.time('delete', () => etcd.call('DeleteRange', { key: Buffer.from('nothing') }))
}

class Times {
  readonly faults: string[] = []
  readonly #millis = new Map<string, number[]>()

  async time(what: string, run: () => Promise<unknown>): Promise<void> {
    const began = performance.now()
    const answer = await run().catch((error: Error) => [0, error.message])
    if (Array.isArray(answer)) this.faults.push(`${what}: ${answer.join(' ')}`)
    const millis = this.#millis.get(what) ?? []
    millis.push(performance.now() - began)
    this.#millis.set(what, millis)
  }

  slowestMillis(what: string): number {
    return Math.max(0, ...(this.#millis.get(what) ?? []))
  }

  lines(): string[] {
    return [...this.#millis].map(([what, millis]) => {
      const sorted = millis.toSorted((a, b) => a - b)
      const at = (part: number): string =>
        sorted[Math.floor(part * (sorted.length - 1))]!.toFixed(0)
      return `${what}: ${sorted.length}× p50 ${at(0.5)} p90 ${at(0.9)} slowest ${at(1)} ms`
    })
  }
}

/** Keeps every connection full until the time is over. */
async function write(target: Pick<Target, 'zookeeper' | 'etcd'>): Promise<void> {
  let answered = 0
  const failed = new Map<string, number>()
  const recorder = {
    answered: () => (answered += 1),
    failed: (reason: string) => void failed.set(reason, (failed.get(reason) ?? 0) + 1),
  }
  const refill = (client: Client, room: number): void => client.send(room, 0)
  const clients: Client[] = []
  const sets: Workload = { ...workload, door: 'zookeeper', operation: 'set' }
  for (let index = 0; index < workload.connections; index += 1) {
    for (const endpoint of target.etcd)
      clients.push(await connectEtcd(endpoint, workload, index, recorder, refill))
    for (const endpoint of target.zookeeper)
      clients.push(await connectZookeeper(endpoint, sets, index, recorder, refill))
  }
  for (const client of clients) client.send(workload.inFlight, 0)
  await sleep(Number(values.seconds) * 1000)
  const refused = [...failed].map(([reason, count]) => `${count} × ${reason}`).join(', ')
  process.send?.(`${answered} writes answered, failed: ${refused === '' ? 'none' : refused}`)
  for (const client of clients) client.close()
  process.exit(0)
}

if (values.help) {
  console.log(
    'test/chaos/saturated.ts [--server quorate|zookeeper|etcd] [--placement single|split|spread]\n' +
      '  [--doors zookeeper,etcd] [--seconds 20] [--sessions 1000] [--session-millis 10000]\n' +
      '  [--leases 1000] [--connections 8] [--in-flight 500]',
  )
} else if (values.writers !== undefined) await write(JSON.parse(values.writers))
else process.exitCode = (await run()) ? 0 : 1

/**
 * Writes saturated on both doors of all nodes while 1,000 sessions and 1,000 leases stay alive: none
 * may be lost, and a new session attaches within a second. Prints what was measured.
 *   launcher.mjs --script test/chaos/saturated.ts [--seconds 20] [--sessions 1000] [--leases 1000]
 */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { connectEtcd } from '../../benchmarks/load/etcd-client.ts'
import type { Client, Endpoint, Workload } from '../../benchmarks/load/workload.ts'
import { connectZookeeper, prepareZookeeper } from '../../benchmarks/load/zookeeper-client.ts'
import { EtcdCaller, type EtcdStream } from '../actors/gateways/etcd-caller.ts'
import { LocalCluster, sleep } from '../support/local-cluster.ts'
import { ZookeeperSession } from '../support/zookeeper-session.ts'

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '20' },
    sessions: { type: 'string', default: '1000' },
    leases: { type: 'string', default: '1000' },
    'port-base': { type: 'string', default: '18200' },
    /** The process that writes; by the script itself. */
    writers: { type: 'boolean', default: false },
  },
})

const nodeCount = 3
const portBase = Number(values['port-base'])
const leaseSeconds = 10
const sessionMillis = 10_000
/** Beyond what the gateways take at once (limits.proposalsInFlightMax): the rest waits. */
const workload: Workload = {
  ...{ door: 'etcd', operation: 'put', connections: 8, inFlight: 500, valueBytes: 256 },
  ...{ keyCount: 1000, rate: 0, warmUpSeconds: 0, seconds: 0 },
}

async function run(): Promise<boolean> {
  const limits = { zookeeperConnectionsPerAddressMax: 0 }
  const cluster = new LocalCluster({ portBase, nodeCount, config: { limits } })
  try {
    await cluster.startAll()
    await prepareZookeeper(cluster.zookeeper(1), { ...workload, door: 'zookeeper' })
    const sessions = await openSessions(cluster, Number(values.sessions))
    const leases = await LeaseHolder.open(cluster, Number(values.leases))
    console.log(`${sessions.length} sessions and ${leases.count} leases are open`)
    const faults = await underLoad(cluster, sessions, leases)
    for (const fault of faults) console.log(`FAULT: ${fault}`)
    if (faults.length > 0)
      for (const node of cluster.nodes) console.log(cluster.output(node).slice(-2000))
    return faults.length === 0
  } finally {
    await cluster.stop()
  }
}

async function openSessions(cluster: LocalCluster, count: number): Promise<ZookeeperSession[]> {
  const sessions: ZookeeperSession[] = []
  const endpoints = cluster.nodes.map(node => cluster.zookeeper(node))
  for (let at = 0; at < count; at += 1) {
    const session = new ZookeeperSession(endpoints, at % nodeCount, sessionMillis)
    sessions.push(session)
    await session.create(`/saturated-${at}`, Buffer.alloc(0), 1)
  }
  return sessions
}

/** Leases that one client of each node keeps alive, as clientv3 does: every third of their time. */
class LeaseHolder {
  readonly #callers: EtcdCaller[]
  readonly #streams: EtcdStream[]
  readonly #ids: number[]
  readonly lost = new Set<number>()
  ended = ''
  #timer: NodeJS.Timeout | undefined

  static async open(cluster: LocalCluster, count: number): Promise<LeaseHolder> {
    const callers = cluster.nodes.map(node => new EtcdCaller(cluster.etcd(node).port))
    const ids = Array.from({ length: count }, (_, at) => at + 1)
    const grant = (ID: number): Promise<unknown> =>
      callers[ID % nodeCount]!.call('LeaseGrant', { ID, TTL: leaseSeconds })
    await Promise.all(ids.map(grant))
    return new LeaseHolder(callers, ids)
  }

  constructor(callers: EtcdCaller[], ids: number[]) {
    this.#callers = callers
    this.#ids = ids
    this.#streams = callers.map(caller => caller.stream('LeaseKeepAlive'))
    for (const stream of this.#streams) void this.#listen(stream)
    this.#renew()
    this.#timer = setInterval(() => this.#renew(), (leaseSeconds * 1000) / 3)
  }

  get count(): number {
    return this.#ids.length
  }

  caller(at: number): EtcdCaller {
    return this.#callers[at % nodeCount]!
  }

  close(): void {
    clearInterval(this.#timer)
    for (const caller of this.#callers) caller.close()
  }

  #renew(): void {
    for (const ID of this.#ids) this.#streams[ID % nodeCount]!.send({ ID })
  }

  async #listen(stream: EtcdStream): Promise<void> {
    for (;;) {
      const answer = await Promise.race([stream.next(), stream.ended])
      if (Array.isArray(answer)) {
        this.ended = answer.join(' ')
        return
      }
      if (Number(answer.TTL ?? 0) === 0) this.lost.add(Number(answer.ID))
    }
  }
}

async function underLoad(
  cluster: LocalCluster,
  sessions: readonly ZookeeperSession[],
  leases: LeaseHolder,
): Promise<string[]> {
  const writers = fork(fileURLToPath(import.meta.url), [
    ...['--writers', '--port-base', String(portBase), '--seconds', values.seconds],
  ])
  const written = new Promise<string>(resolve =>
    writers.on('message', text => resolve(String(text))),
  )
  const slowest = new Slowest()
  const until = performance.now() + Number(values.seconds) * 1000
  for (let at = 0; performance.now() < until; at += 1) {
    await slowest.time('new session', () => attach(cluster.zookeeper((at % nodeCount) + 1)))
    const etcd = leases.caller(at)
    const id = 1_000_000 + at
    await slowest.time('grant', () => etcd.call('LeaseGrant', { ID: id, TTL: 60 }))
    await slowest.time('revoke', () => etcd.call('LeaseRevoke', { ID: id }))
    await slowest.time('delete', () => etcd.call('DeleteRange', { key: Buffer.from('nothing') }))
    await sleep(200)
  }
  console.log(`writers: ${await written}`)
  console.log(slowest.text())
  const faults = slowest.faults
  const expired = sessions.filter(session => session.expired).length
  const moved = sessions.reduce((sum, session) => sum + session.losses, 0)
  if (expired > 0) faults.push(`${expired} sessions expired`)
  if (moved > 0) console.log(`${moved} connections of sessions were lost`)
  if (leases.lost.size > 0) faults.push(`${leases.lost.size} leases were lost`)
  if (leases.ended !== '') faults.push(`a stream of keep-alives ended: ${leases.ended}`)
  if (slowest.of('new session') > 1000) faults.push('a new session took more than a second')
  leases.close()
  return faults
}

async function attach(endpoint: Endpoint): Promise<void> {
  const session = new ZookeeperSession([endpoint], 0, sessionMillis)
  await session.exists('/')
  await session.close()
}

class Slowest {
  readonly faults: string[] = []
  readonly #millis = new Map<string, number[]>()

  async time(what: string, run: () => Promise<unknown>): Promise<void> {
    const began = performance.now()
    const answer = await run().catch((error: Error) => [0, error.message])
    if (Array.isArray(answer)) this.faults.push(`${what}: ${answer.join(' ')}`)
    const millis = this.#millis.get(what) ?? []
    this.#millis.set(what, [...millis, performance.now() - began])
  }

  of(what: string): number {
    return Math.max(...(this.#millis.get(what) ?? [0]))
  }

  text(): string {
    const each = [...this.#millis].map(([what, millis]) => {
      const middle = millis.toSorted((a, b) => a - b)[Math.floor(millis.length / 2)] ?? 0
      return `${what} ${middle.toFixed(0)} ms, slowest ${this.of(what).toFixed(0)} ms`
    })
    return `${each.join('; ')} (${this.#millis.get('grant')?.length ?? 0} times)`
  }
}

/** Keeps every connection full until the time is over. */
async function write(): Promise<void> {
  let answered = 0
  const failed = new Map<string, number>()
  const recorder = {
    answered: () => (answered += 1),
    failed: (reason: string) => void failed.set(reason, (failed.get(reason) ?? 0) + 1),
  }
  const refill = (client: Client, room: number): void => client.send(room, 0)
  const clients: Client[] = []
  for (let node = 1; node <= nodeCount; node += 1) {
    for (let index = 0; index < workload.connections; index += 1) {
      const etcd = { host: '127.0.0.1', port: portBase + 10 + node }
      const zookeeper = { host: '127.0.0.1', port: portBase + node }
      const sets: Workload = { ...workload, door: 'zookeeper', operation: 'set' }
      clients.push(await connectEtcd(etcd, workload, index, recorder, refill))
      clients.push(await connectZookeeper(zookeeper, sets, index, recorder, refill))
    }
  }
  for (const client of clients) client.send(workload.inFlight, 0)
  await sleep(Number(values.seconds) * 1000)
  const refused = [...failed].map(([reason, count]) => `${count} × ${reason}`).join(', ')
  process.send?.(`${answered} writes answered, failed: ${refused === '' ? 'none' : refused}`)
  for (const client of clients) client.close()
  process.exit(0)
}

if (values.help) {
  console.log('test/chaos/saturated.ts [--seconds 20] [--sessions 1000] [--leases 1000]')
} else if (values.writers) await write()
else process.exitCode = (await run()) ? 0 : 1

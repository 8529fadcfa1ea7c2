/**
 * What one node does while clients ask for very much: with a million keys, 20 expensive requests are
 * kept under way, and meanwhile small puts and gets are timed, and how late the node's timers are
 * (heartbeats and touches are among them; `quorate_event_loop_delay_seconds`). First without the load,
 * for what the machine itself adds. Beside a real etcd and ZooKeeper where they are installed.
 *   launcher.mjs --script benchmarks/cost/main.ts [--keys 1000000] [--at-once 20] [--seconds 10]
 *     [--door etcd|zookeeper] [--servers single,split,spread,peer]
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { requestAdmin } from '../../actors/node/admin-client.ts'
import { LocalCluster, sleep } from '../../test/support/local-cluster.ts'
import { ZookeeperSession } from '../../test/support/zookeeper-session.ts'
import { prepareEtcd } from '../load/etcd-client.ts'
import { startCluster } from '../load/servers.ts'
import type { Endpoint, Workload } from '../load/workload.ts'
import { prepareZookeeper } from '../load/zookeeper-client.ts'
import type { HeavyResult, HeavyTask } from './heavy.ts'
import { etcdCaller, message } from './requests.ts'

const { values } = parseArgs({
  options: {
    keys: { type: 'string', default: '1000000' },
    'at-once': { type: 'string', default: '20' },
    seconds: { type: 'string', default: '10' },
    door: { type: 'string', default: 'etcd' },
    servers: { type: 'string', default: 'single,split,spread,peer' },
    help: { type: 'boolean', default: false },
  },
})
const usage = '[--keys N] [--at-once N] [--seconds N] [--door etcd|zookeeper] [--servers LIST]'
if (values.help) {
  console.log(`benchmarks/cost/main.ts ${usage}`)
  process.exit(0)
}
const door = values.door === 'zookeeper' ? 'zookeeper' : 'etcd'
const keyCount = Number(values.keys)
const seconds = Number(values.seconds)
const parent = '/quorate-bench'
const probePauseMillis = 5

interface Server {
  readonly zookeeper: Endpoint
  readonly etcd: Endpoint
  /** How late timers were since the last call, at worst, over all nodes: by thread. */
  lateness?(): Promise<string>
  stop(): Promise<unknown>
}

for (const name of values.servers.split(',')) {
  const server = name === 'peer' ? await startPeer() : await startQuorate(name)
  if (server === undefined) continue
  try {
    await measure(name === 'peer' ? `real ${door}` : `quorate, ${name}`, server)
  } finally {
    await server.stop()
  }
}

async function measure(name: string, server: Server): Promise<void> {
  const began = performance.now()
  const workload: Workload = {
    ...{ door, operation: 'put', connections: 1, inFlight: 1, valueBytes: 16, keyCount },
    ...{ rate: 0, warmUpSeconds: 0, seconds: 0 },
  }
  if (door === 'etcd') await prepareEtcd(server.etcd, workload)
  else await prepareZookeeper(server.zookeeper, workload)
  console.log(
    `\n${name}: ${keyCount} loaded in ${((performance.now() - began) / 1000).toFixed(0)} s`,
  )
  const probe = door === 'etcd' ? await etcdProbe(server.etcd) : zookeeperProbe(server.zookeeper)
  await sleep(3000)
  await server.lateness?.()
  await report('small requests alone', probe, sleep(seconds * 1000), server)
  const heavy = runHeavy(server, probe.revision)
  await report(`beside ${values['at-once']} expensive ones`, probe, heavy, server)
  for (const [request, { millis, failed }] of Object.entries(await heavy))
    console.log(`  ${request}: ${millis.length} answered, ${spread(millis)}, ${failed} failed`)
  probe.close()
}

interface Probe {
  readonly revision: number
  put(): Promise<unknown>
  get(): Promise<unknown>
  close(): void
}

async function report(
  what: string,
  probe: Probe,
  until: Promise<unknown>,
  server: Server,
): Promise<void> {
  const [puts, gets]: [number[], number[]] = [[], []]
  let isOver = false
  void until.finally(() => {
    isOver = true
  })
  const keep = async (times: number[], ask: () => Promise<unknown>): Promise<void> => {
    while (!isOver) {
      const began = performance.now()
      await ask()
      times.push(performance.now() - began)
      await sleep(probePauseMillis)
    }
  }
  await Promise.all([keep(puts, () => probe.put()), keep(gets, () => probe.get())])
  const late = (await server.lateness?.()) ?? ''
  console.log(`  ${what}: put ${spread(puts)}; get ${spread(gets)}${late}`)
}

async function etcdProbe(endpoint: Endpoint): Promise<Probe> {
  const call = etcdCaller(endpoint)
  const key = Buffer.from('small')
  const gone = Buffer.from('quorate-bench/gone')
  await call('Put', message([1, gone], [2, key]))
  await call('DeleteRange', message([1, gone]))
  // ResponseHeader is field 1, its revision field 3.
  const revision = revisionOf(await call('Put', message([1, key], [2, key])))
  return {
    revision: revision - 3,
    put: () => call('Put', message([1, key], [2, key])),
    get: () => call('Range', message([1, key])),
    close() {},
  }
}

function revisionOf(response: Buffer): number {
  let at = 2
  for (;;) {
    const tag = response[at++] ?? 0
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = response[at++] ?? 0
      value += (byte & 127) * factor
      if (byte < 128) break
    }
    if (tag === 0x18) return value
  }
}

function zookeeperProbe(endpoint: Endpoint): Probe {
  const [writer, reader] = [0, 1].map(() => new ZookeeperSession([endpoint], 0, 30_000))
  const made = writer?.create('/small', Buffer.from('small')).catch(() => '')
  return {
    revision: 0,
    put: async () => (await made, await writer?.set('/small', Buffer.from('small'))),
    get: async () => (await made, await reader?.get('/small')),
    close() {
      void writer?.close()
      void reader?.close()
    },
  }
}

function runHeavy(server: Server, revision: number): Promise<HeavyResult> {
  const { port } = server[door]
  const atOnce = Number(values['at-once'])
  const task: HeavyTask = { door, port, path: parent, revision, atOnce, seconds }
  const script = fileURLToPath(new URL('heavy.ts', import.meta.url))
  const child = spawn(process.execPath, [script, JSON.stringify(task)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let printed = ''
  child.stdout.on('data', text => {
    printed += String(text)
  })
  return new Promise(resolve =>
    child.on('close', () => resolve(JSON.parse(printed || '{}') as HeavyResult)),
  )
}

async function startQuorate(placement: string): Promise<Server> {
  const limits = { zookeeperConnectionsPerAddressMax: 0 }
  const cluster = new LocalCluster({ portBase: 18_100, config: { placement, limits } })
  await cluster.startAll()
  const leader = await cluster.leader()
  return {
    zookeeper: cluster.zookeeper(leader),
    etcd: cluster.etcd(leader),
    async lateness() {
      const all = await Promise.all(cluster.nodes.map(node => latenessOf(cluster.admin(node))))
      const { epoch } = (await cluster.status(leader)).consensus
      const worst = new Map<string, number>()
      for (const [thread, millis] of all.flat())
        worst.set(thread, Math.max(worst.get(thread) ?? 0, millis))
      const late = [...worst].map(([thread, millis]) => `${thread} ${millis.toFixed(0)}`)
      return `; timers late by at most, ms: ${late.join(', ')}; epoch ${epoch}`
    },
    stop: () => cluster.stop(),
  }
}

async function latenessOf(admin: string): Promise<[string, number][]> {
  const { text } = await requestAdmin(admin, 'GET', '/metrics')
  const found: [string, number][] = []
  for (const line of text.split('\n')) {
    if (!line.startsWith('quorate_event_loop_delay_seconds') || !line.includes('quantile="1"'))
      continue
    const thread = /thread="([^"]+)"/.exec(line)?.[1] ?? '?'
    found.push([thread, 1000 * Number(line.slice(line.lastIndexOf(' ')))])
  }
  return found
}

async function startPeer(): Promise<Server | undefined> {
  const cluster = await startCluster(door)
  if (cluster === undefined) {
    console.log(`\nreal ${door}: not installed (benchmarks/install-peers.sh)`)
    return undefined
  }
  const nobody = { host: '127.0.0.1', port: 0 }
  const { zookeeper, etcd, stop } = cluster
  return { zookeeper: zookeeper[0] ?? nobody, etcd: etcd[0] ?? nobody, stop }
}

function spread(millis: readonly number[]): string {
  if (millis.length === 0) return 'none'
  const sorted = [...millis].sort((one, two) => one - two)
  const at = (part: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0).toFixed(1)
  return `p50 ${at(0.5)}, p99 ${at(0.99)}, worst ${at(1)} ms`
}

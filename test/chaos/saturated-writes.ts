/**
 * Writes saturated while sessions stay alive:
 *   launcher.mjs --script test/chaos/saturated-writes.ts [--sessions 1000] [--seconds 30]
 * Thirty connections keep a node full of writes; as many sessions as asked for, each with an ephemeral
 * node and the shortest time-out there is, only ping. Prints how many were lost, and how long new sessions
 * took to begin and to end, and how late this process itself was: it has to ping. Exit code 1 if one was lost.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startCluster } from '../../benchmarks/load/servers.ts'
import { ZookeeperSession } from '../support/zookeeper-session.ts'

const { values } = parseArgs({
  options: {
    sessions: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '30' },
    /** A process of its own, that only writes: to this port. */
    writers: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log('usage: saturated-writes.ts [--sessions 1000] [--seconds 30]')
  process.exit(0)
}
const sessionCount = Number(values.sessions)
const timeoutMillis = 4000
const writersCount = 30
const inFlight = 1000

if (values.writers !== undefined) {
  const target = { host: '127.0.0.1', port: Number(values.writers) }
  const writers = Array.from({ length: writersCount }, async (_, at) =>
    keepFull(new ZookeeperSession([target], 0, 30_000), `/full-${at}`),
  )
  process.on('disconnect', () => process.exit(0))
  await Promise.all(writers)
}

const cluster = await startCluster('quorate')
if (cluster === undefined) throw new Error('there is no cluster')
let writers: ChildProcess | undefined
const lost: string[] = []
try {
  const [target] = cluster.zookeeper
  if (target === undefined) throw new Error('no endpoint')
  const root = new ZookeeperSession([target], 0, 30_000)
  await root.create('/alive', Buffer.alloc(0))
  const sessions = Array.from(
    { length: sessionCount },
    () => new ZookeeperSession([target], 0, timeoutMillis),
  )
  await Promise.all(
    sessions.map((session, at) => session.create(`/alive/${at}`, Buffer.alloc(0), 1)),
  )
  console.log(`${sessionCount} sessions of ${timeoutMillis} ms are there`)
  writers = fork(fileURLToPath(import.meta.url), ['--writers', String(target.port)])
  const delay = monitorEventLoopDelay()
  delay.enable()
  const began: number[] = []
  const ended: number[] = []
  const until = performance.now() + Number(values.seconds) * 1000
  while (performance.now() < until) {
    await sleep(500)
    const start = performance.now()
    const session = new ZookeeperSession([target], 0, 30_000)
    await session.exists('/alive')
    began.push(performance.now() - start)
    const end = performance.now()
    await session.close()
    ended.push(performance.now() - end)
  }
  const alive = new Set(await root.children('/alive'))
  for (let at = 0; at < sessionCount; at += 1) {
    if (!alive.has(String(at))) lost.push(String(at))
  }
  console.log(`this process was at most ${Math.round(delay.max / 1e6)} ms late`)
  console.log(`sessions lost: ${lost.length}`)
  console.log(`a new session with its first read: ${figures(began)}; its end: ${figures(ended)}`)
  for (const session of [...sessions, root]) session.abandon()
} finally {
  writers?.kill()
  await cluster.stop()
}
process.exit(lost.length === 0 ? 0 : 1)

async function keepFull(session: ZookeeperSession, path: string): Promise<void> {
  await session.create(path, Buffer.alloc(0))
  const value = Buffer.alloc(128, 7)
  const one = async (): Promise<void> => {
    for (;;) await session.set(path, value).catch(() => sleep(100))
  }
  await Promise.all(Array.from({ length: inFlight }, one))
}

function figures(millis: number[]): string {
  const sorted = millis.toSorted((a, b) => a - b)
  const at = (part: number): string =>
    (sorted[Math.floor(part * (sorted.length - 1))] ?? 0).toFixed(0)
  return `${sorted.length}× p50 ${at(0.5)} p99 ${at(0.99)} max ${at(1)} ms`
}

function sleep(millis: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, millis))
}

/**
 * Thirty clients write znodes and keys through all nodes while the leader is killed (SIGKILL) and
 * started again, several times. Then every node is asked for everything: what was acknowledged is
 * there once, in each client's order; no session expired; only clients of a killed node noticed.
 */
import { EtcdClient, type KeyValue } from '../support/etcd-client.ts'
import { LocalCluster, sleep } from '../support/local-cluster.ts'
import { ZookeeperSession } from '../support/zookeeper-session.ts'
import { KeyWriter, type Writer, ZnodeWriter } from './writers.ts'

export interface LeaderKillsOptions {
  readonly kills: number
  readonly writes: number
  readonly portBase: number
  readonly print: (line: string) => void
  /** Merged into every node's configuration. */
  readonly config?: Readonly<Record<string, unknown>>
}

export interface LeaderKillsReport {
  /** Longest time without any acknowledged write after each kill. */
  readonly outagesMillis: number[]
  readonly faults: string[]
}

const clientCount = 30
const watchMillis = 3000
const restartMillis = 1500

export async function runLeaderKills(options: LeaderKillsOptions): Promise<LeaderKillsReport> {
  const cluster = new LocalCluster({ portBase: options.portBase, config: options.config ?? {} })
  const acknowledgements = new Gaps()
  let writers: Writer[] = []
  try {
    await cluster.startAll()
    options.print(`three nodes serve (${cluster.directory})`)
    writers = makeWriters(cluster, () => acknowledgements.mark())
    return await killUnderLoad(cluster, writers, acknowledgements, options)
  } finally {
    await cluster.stop()
    // After a failure some still write, and would to the next cluster on these ports.
    await Promise.all(writers.map(writer => writer.close()))
  }
}

async function killUnderLoad(
  cluster: LocalCluster,
  writers: readonly Writer[],
  acknowledgements: Gaps,
  options: LeaderKillsOptions,
): Promise<LeaderKillsReport> {
  const allowedLosses = new Map(writers.map(writer => [writer, 0]))
  const each = Math.ceil(options.writes / writers.length)
  let killing = true
  const running = Promise.all(writers.map(writer => writer.run(each, () => killing)))
  // A writer's failure is reported with the others, not thrown out of the middle of the run.
  const finished = running.then(
    () => undefined,
    (error: Error) => error,
  )
  const outagesMillis: number[] = []
  for (let kill = 1; kill <= options.kills; kill += 1) {
    await sleep(restartMillis)
    const leader = await cluster.leader()
    for (const writer of writers) {
      if (writer.node() === leader) allowedLosses.set(writer, (allowedLosses.get(writer) ?? 0) + 1)
    }
    acknowledgements.reset()
    await cluster.signal(leader, 'SIGKILL')
    await sleep(watchMillis)
    const outage = acknowledgements.longestMillis()
    outagesMillis.push(outage)
    options.print(
      `kill ${kill}: node ${leader} led; ${Math.round(outage)} ms without a write; ${total(writers)} written`,
    )
    cluster.start(leader)
    await cluster.untilReady(leader)
  }
  killing = false
  const error = await finished
  options.print(`${total(writers)} writes acknowledged; checking`)
  const faults = writers.flatMap(writer => writer.errors.map(text => `${writer.name}: ${text}`))
  if (error !== undefined) faults.push(`a writer failed: ${error.message}`)
  for (const writer of writers) {
    // Each attempt against a node that is down counts, so only a writer that may lose none is judged.
    if (allowedLosses.get(writer) === 0 && writer.losses() > 0) {
      faults.push(
        `${writer.name} lost its connection ${writer.losses()} times though its node lived`,
      )
    }
  }
  for (const node of cluster.nodes) faults.push(...(await checkNode(cluster, node, writers)))
  const hashes = await cluster.settledHashes()
  if (new Set(hashes).size !== 1) faults.push(`state hashes differ: ${hashes.join(' ')}`)
  // The directory goes with the cluster: what explains a fault has to be told with it.
  if (faults.length > 0) faults.push(...cluster.nodes.map(node => lastWords(cluster, node)))
  return { outagesMillis, faults }
}

function lastWords(cluster: LocalCluster, node: number): string {
  return `log of node ${node}:\n${cluster.output(node).split('\n').slice(-40).join('\n')}`
}

function makeWriters(cluster: LocalCluster, onAcknowledged: () => void): Writer[] {
  const zookeeper = cluster.nodes.map(node => cluster.zookeeper(node))
  const etcd = cluster.nodes.map(node => cluster.etcd(node))
  return Array.from({ length: clientCount }, (_, at) =>
    at % 2 === 0
      ? new ZnodeWriter(`z${at}`, zookeeper, at >> 1, onAcknowledged)
      : new KeyWriter(`e${at}`, etcd, at >> 1, onAcknowledged),
  )
}

/** What this very node answers: children and czxids after a sync, and a serializable range. */
async function checkNode(
  cluster: LocalCluster,
  node: number,
  writers: readonly Writer[],
): Promise<string[]> {
  const faults: string[] = []
  const session = new ZookeeperSession([cluster.zookeeper(node)], 0, 10_000)
  const client = new EtcdClient([cluster.etcd(node)], 0)
  await session.sync('/')
  for (const writer of writers) {
    const where = `node ${node}, ${writer.name}`
    if (writer instanceof ZnodeWriter) faults.push(...(await checkZnodes(session, writer, where)))
    else faults.push(...checkKeys(await client.list(`chaos/${writer.name}/`, true), writer, where))
  }
  client.close()
  await session.close()
  return faults
}

async function checkZnodes(
  session: ZookeeperSession,
  writer: Writer,
  where: string,
): Promise<string[]> {
  const faults: string[] = []
  const base = `/chaos/${writer.name}`
  const names = new Set(await session.children(base))
  if (names.size !== writer.acknowledged)
    faults.push(`${where}: ${names.size} znodes, ${writer.acknowledged} acknowledged`)
  const parent = await session.exists(base)
  // Every creation counts once in cversion: a doubled one that was deleted again would show here.
  if (parent?.cversion !== writer.acknowledged)
    faults.push(`${where}: cversion ${parent?.cversion}`)
  const stats = await Promise.all(
    Array.from({ length: writer.acknowledged }, (_, at) => session.exists(`${base}/n${at}`)),
  )
  stats.forEach((stat, at) => {
    if (stat === undefined) faults.push(`${where}: n${at} is lost`)
    else if (at > 0 && stat.czxid <= (stats[at - 1]?.czxid ?? 0))
      faults.push(`${where}: n${at} out of order`)
  })
  return faults
}

function checkKeys(found: readonly KeyValue[], writer: Writer, where: string): string[] {
  const faults: string[] = []
  if (found.length !== writer.acknowledged)
    faults.push(`${where}: ${found.length} keys, ${writer.acknowledged} acknowledged`)
  found.forEach(({ key, value, version, createRevision }, at) => {
    if (!key.endsWith(`/${String(at).padStart(8, '0')}`) || value !== String(at))
      faults.push(`${where}: ${key} at ${at}`)
    if (version !== 1) faults.push(`${where}: ${key} was written ${version} times`)
    if (at > 0 && createRevision <= (found[at - 1]?.createRevision ?? 0))
      faults.push(`${where}: ${key} out of order`)
  })
  return faults
}

function total(writers: readonly Writer[]): number {
  return writers.reduce((sum, writer) => sum + writer.acknowledged, 0)
}

/** The longest time between two acknowledgements, from `reset` on. */
class Gaps {
  #last = 0
  #longest = 0

  mark(): void {
    const now = performance.now()
    this.#longest = Math.max(this.#longest, now - this.#last)
    this.#last = now
  }

  reset(): void {
    this.#last = performance.now()
    this.#longest = 0
  }

  longestMillis(): number {
    return Math.max(this.#longest, performance.now() - this.#last)
  }
}

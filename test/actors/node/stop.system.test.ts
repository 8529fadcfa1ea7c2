/** A node that is told to stop, under load: what operators do at every upgrade. */
import { afterEach, expect, test } from 'vitest'
import { KeyWriter, type Writer, ZnodeWriter } from '../../chaos/writers.ts'
import { EtcdClient } from '../../support/etcd-client.ts'
import { LocalCluster, sleep } from '../../support/local-cluster.ts'

let cluster: LocalCluster | undefined
afterEach(() => cluster?.stop())

test('each node in turn, by SIGTERM or SIGINT, hands over, answers, and exits 0', async () => {
  cluster = new LocalCluster({ portBase: 20_000 })
  await cluster.startAll()
  const writers = writersOf(cluster)
  let restarting = true
  const running = Promise.all(writers.map(writer => writer.run(100, () => restarting)))
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGTERM'] as const) {
    await sleep(300)
    const leader = await cluster.leader()
    expect(await cluster.signal(leader, signal)).toBe(0)
    expectQuiet(cluster.output(leader))
    const others = cluster.nodes.filter(node => node !== leader)
    for (const node of others) await cluster.untilReady(node)
    cluster.start(leader)
    await cluster.untilReady(leader)
  }
  restarting = false
  await running
  expect(writers.flatMap(writer => writer.errors)).toEqual([])
  await expectAllThere(cluster, writers)
  expect(new Set(await cluster.settledHashes()).size).toBe(1)
  await Promise.all(writers.map(writer => writer.close()))
}, 120_000)

test('without a quorum it stops too', async () => {
  cluster = new LocalCluster({ portBase: 20_000 })
  await cluster.startAll()
  await cluster.signal(2, 'SIGKILL')
  await cluster.signal(3, 'SIGKILL')
  const writer = new ZnodeWriter('alone', [cluster.zookeeper(1)], 0, () => {})
  void writer.run(1).catch(() => {})
  await sleep(300)
  expect(await cluster.signal(1, 'SIGTERM')).toBe(0)
  expectQuiet(cluster.output(1))
  expect(writer.acknowledged).toBe(0)
  writer.session.abandon()
}, 60_000)

function writersOf(on: LocalCluster): Writer[] {
  const zookeeper = on.nodes.map(node => on.zookeeper(node))
  const etcd = on.nodes.map(node => on.etcd(node))
  return on.nodes.flatMap((_, at) => [
    new ZnodeWriter(`z${at}`, zookeeper, at, () => {}),
    new KeyWriter(`e${at}`, etcd, at, () => {}),
  ])
}

/** Nothing but the last link news of others and our own two sentences. */
function expectQuiet(output: string): void {
  const lines = output.slice(output.lastIndexOf('info  The node stops')).trim().split('\n')
  const loud = lines.filter(line => /warn|error/.test(line))
  expect(loud).toEqual([])
  expect(lines.at(-1)).toContain('info  The process ends')
}

async function expectAllThere(on: LocalCluster, writers: readonly Writer[]): Promise<void> {
  for (const writer of writers) {
    if (writer instanceof ZnodeWriter) {
      const parent = await writer.session.exists(`/chaos/${writer.name}`)
      expect(parent?.numChildren).toBe(writer.acknowledged)
    } else {
      const client = new EtcdClient([on.etcd(1)], 0)
      expect(await client.list(`chaos/${writer.name}/`, false)).toHaveLength(writer.acknowledged)
      client.close()
    }
  }
}

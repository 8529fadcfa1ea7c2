/** A worker thread of a real node dies (DESIGN.md D1): with it the node, unless it only served clients. */
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { KeyWriter, ZnodeWriter } from '../../chaos/writers.ts'
import { EtcdClient } from '../../support/etcd-client.ts'
import { LocalCluster, sleep } from '../../support/local-cluster.ts'

const main = fileURLToPath(new URL('./fixtures/fragile-node.ts', import.meta.url))
let cluster: LocalCluster | undefined

beforeEach(() => {
  delete process.env.FRAGILE_THREAD
})
afterEach(() => cluster?.stop())

test('placement spread: the thread of the clients starts again, and they go on', async () => {
  const on = await start('clients', 'spread')
  const writers = [
    new ZnodeWriter('z', [on.zookeeper(1)], 0, () => {}),
    new KeyWriter('e', [on.etcd(1)], 0, () => {}),
  ]
  let dying = true
  const running = Promise.all(writers.map(writer => writer.run(200, () => dying)))
  for (const deaths of [1, 2, 3]) {
    await until(() => writers.every(writer => writer.acknowledged > 100 * deaths))
    process.kill(on.pid(1), 'SIGUSR2')
    await until(() => on.output(1).split('A thread has died').length > deaths)
    const before = writers.map(writer => writer.acknowledged)
    await until(() => writers.every((writer, at) => writer.acknowledged > (before[at] ?? 0) + 100))
  }
  dying = false
  await running
  const [znodes, keys] = writers
  expect(writers.flatMap(writer => writer.errors)).toEqual([])
  expect((znodes as ZnodeWriter).session.expired).toBe(false)
  const parent = await (znodes as ZnodeWriter).session.exists('/chaos/z')
  expect(parent?.cversion).toBe(znodes?.acknowledged)
  const client = new EtcdClient([on.etcd(1)], 0)
  const found = await client.list('chaos/e/', false)
  expect(found).toHaveLength(keys?.acknowledged ?? -1)
  expect(found.every(({ version }) => version === 1)).toBe(true)
  client.close()
  await Promise.all(writers.map(writer => writer.close()))
  expect(await on.signal(1, 'SIGTERM')).toBe(0)
}, 60_000)

test.each([
  ['split', 'log'],
  ['split', 'state'],
  ['single', 'all'],
  ['spread', 'journal'],
] as const)(
  'placement %s: without its thread %s the node ends, and says why',
  async (placement, thread) => {
    const on = await start(thread, placement)
    process.kill(on.pid(1), 'SIGUSR2')
    expect(await on.ended(1)).toBe(70)
    const last = on.output(1).trim().split('\n').at(-1)
    expect(last).toContain(`error Thread ${thread} is lost`)
    expect(last).toContain('killed by a test')
  },
  30_000,
)

async function start(thread: string, placement: string): Promise<LocalCluster> {
  process.env.FRAGILE_THREAD = thread
  cluster = new LocalCluster({ portBase: 20_300, nodeCount: 1, main, config: { placement } })
  await cluster.startAll()
  return cluster
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(20)
}

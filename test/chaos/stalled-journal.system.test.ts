/**
 * The thread of the journal stands still again and again while values of 1 MiB are written, on all three
 * nodes: what is handed to it meanwhile waits between threads, and nothing of it may be lost there.
 */
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { EtcdClient } from '../support/etcd-client.ts'
import { LocalCluster } from '../support/local-cluster.ts'

const stallMillis = [400, 400, 3000]
const stallsMin = 2 * stallMillis.length
const writersPerNode = 4
const keysPerWriter = 10
const value = 'v'.repeat(1_048_576)
let cluster: LocalCluster | undefined
let clients: EtcdClient[] = []

afterEach(async () => {
  for (const client of clients) client.close()
  clients = []
  await cluster?.stop()
})

// Where other actors share its thread they stand still with it, which says nothing of messages between threads.
test('a journal whose thread stands still loses nothing that it was handed, and is whole afterwards', async () => {
  let isStalling = true
  const env = (node: number) => ({
    TEST_STALLS: JSON.stringify(isStalling ? stallMillis : []),
    TEST_STALL_PAUSE: String(300 + 100 * node),
  })
  const module = fileURLToPath(new URL('./fixtures/stalled-journal.mjs', import.meta.url))
  const config = { placement: 'spread' }
  const on = new LocalCluster({ portBase: 20_900, config, preload: { module, env } })
  cluster = on
  await on.startAll()
  const hasStalled = (node: number): boolean =>
    on.output(node).includes(`the journal stood still ${stallsMin} times`)
  const running = on.nodes.map(node => on.pid(node))
  const endpoints = on.nodes.map(node => on.etcd(node))
  clients = Array.from({ length: writersPerNode * 3 }, (_, at) => new EtcdClient(endpoints, at))
  const acknowledged = new Map<string, string>()
  await Promise.all(
    clients.map(async (client, writer) => {
      for (let at = 0; !on.nodes.every(hasStalled); at += 1) {
        // Each key again and again: what is written for long stays as small.
        const key = `stalled/${writer}/${at % keysPerWriter}`
        await client.put(key, `${at} ${value}`)
        acknowledged.set(key, `${at} `)
      }
    }),
  )
  expect(on.nodes.map(node => on.pid(node))).toEqual(running)
  isStalling = false
  for (const node of on.nodes) {
    expect(on.output(node)).not.toMatch(/ error /)
    await on.signal(node, 'SIGKILL')
  }
  await on.startAll()
  const [first] = clients
  for (const [key, start] of acknowledged) {
    const [found] = (await first!.list(key, false)).filter(one => one.key === key)
    expect(found?.value.startsWith(start), key).toBe(true)
  }
  expect(new Set(await on.settledHashes()).size).toBe(1)
  for (const node of on.nodes) expect(on.output(node)).not.toMatch(/damaged/)
}, 180_000)

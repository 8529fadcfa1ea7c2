/**
 * A node that can reach nobody says so: with two of three processes stopped, and with one stopped for longer than
 * sessions live. The others cannot be told apart from nodes behind a cut; the simulator has the cuts of all kinds.
 */
import { connect } from 'node:net'
import { status } from '@grpc/grpc-js'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { EtcdClient } from '../support/etcd-client.ts'
import { LocalCluster, sleep } from '../support/local-cluster.ts'
import { ConnectionLost, ZookeeperSession } from '../support/zookeeper-session.ts'

const sessionMillis = 6000
const ephemeral = 1
let cluster: LocalCluster
const open: { close(): unknown }[] = []

beforeAll(async () => {
  cluster = new LocalCluster({ portBase: 17_600 })
  await cluster.startAll()
}, 120_000)

afterAll(() => cluster.stop())

afterEach(async () => {
  for (const node of cluster.nodes) await cluster.signal(node, 'SIGCONT')
  for (const one of open.splice(0)) one.close()
})

/** Of one node only: it does not move. */
function clientOf(node: number): ZookeeperSession {
  const session = new ZookeeperSession([cluster.zookeeper(node)], 0, sessionMillis)
  open.push({ close: () => session.abandon() })
  return session
}

function etcdOf(node: number): EtcdClient {
  const client = new EtcdClient([cluster.etcd(node)], 0)
  open.push(client)
  return client
}

/** How long a handshake waits until it is answered or refused. */
async function handshake(node: number): Promise<'answered' | 'refused'> {
  return await new Promise(resolve => {
    const socket = connect(cluster.zookeeper(node))
    const request = Buffer.alloc(49)
    request.writeInt32BE(45)
    request.writeInt32BE(sessionMillis, 16)
    request.writeInt32BE(16, 28)
    socket.on('connect', () => socket.write(request))
    socket.on('data', () => resolve('answered'))
    socket.on('error', () => {})
    socket.on('close', () => resolve('refused'))
    open.push({ close: () => socket.destroy() })
  })
}

async function until(reached: () => boolean, millis: number): Promise<boolean> {
  for (let left = millis; left > 0 && !reached(); left -= 50) await sleep(50)
  return reached()
}

test('alone it closes its connections, refuses handshakes, and what it refused stays refused', {
  timeout: 180_000,
}, async () => {
  const leader = await cluster.leader()
  const alone = cluster.nodes.find(node => node !== leader)!
  const others = cluster.nodes.filter(node => node !== alone)
  const watcher = clientOf(alone)
  await watcher.create('/lock', Buffer.from('mine'), ephemeral)
  const etcd = etcdOf(alone)
  await etcd.put('key', 'before')
  for (const node of others) await cluster.signal(node, 'SIGSTOP')

  expect(await until(() => watcher.losses > 0, 2 * sessionMillis)).toBe(true)
  expect(await handshake(alone)).toBe('refused')
  const late = etcd.put('key', 'refused').catch((error: { code: number }) => error.code)
  expect(await late).toBe(status.DEADLINE_EXCEEDED)

  for (const node of others) await cluster.signal(node, 'SIGCONT')
  for (const node of cluster.nodes) await cluster.untilReady(node)
  await etcdOf(leader).put('other', 'after')
  const values = (await etcdOf(alone).list('k', false)).map(({ value }) => value)
  expect(values).toEqual(['before'])
  expect(await handshake(alone)).toBe('answered')
})

test('a node that stood still serves no session that ended meanwhile: a lock has one holder', {
  timeout: 180_000,
}, async () => {
  const leader = await cluster.leader()
  const frozen = cluster.nodes.find(node => node !== leader)!
  const first = clientOf(frozen)
  await first.create('/frozen', Buffer.from('first'), ephemeral)
  const second = clientOf(leader)
  await second.exists('/frozen', true)
  await cluster.signal(frozen, 'SIGSTOP')
  const read = first.get('/frozen').then(
    ({ data }) => data.toString(),
    (error: unknown) => error,
  )
  expect(await until(() => second.events.length > 0, 5 * sessionMillis)).toBe(true)
  await second.create('/frozen', Buffer.from('second'), ephemeral)
  await cluster.signal(frozen, 'SIGCONT')
  expect(await read).toBeInstanceOf(ConnectionLost)
  expect(await until(() => first.expired, 20_000)).toBe(true)
  expect((await second.get('/frozen')).data.toString()).toBe('second')
})

/**
 * Node 3 is cut from its peers by a real network that loses everything, both ways and one way; its clients
 * still reach it, and the others. They have to move by themselves, and a lock has one holder at all times.
 */
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { LocalCluster, sleep } from '../support/local-cluster.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { ZookeeperSession } from '../support/zookeeper-session.ts'

const sessionMillis = 4000
const ephemeral = 1
const host = '127.0.0.1'
const portBase = 17_700
let cluster: LocalCluster
let proxies: TcpProxy[]
const open: ZookeeperSession[] = []

const peerPort = (node: number): number => portBase + 30 + node
const proxyPort = (from: number, to: number): number => portBase + 50 + 10 * from + to

beforeAll(async () => {
  // Whoever of a pair dials; nodes 1 and 2 reach each other without a proxy.
  const pairs = [1, 2].flatMap(other => [[3, other] as const, [other, 3] as const])
  proxies = pairs.map(([from, to]) => {
    const target = { host, port: peerPort(to) }
    return new TcpProxy({ host, port: proxyPort(from, to) }, target)
  })
  const module = fileURLToPath(new URL('./fixtures/redirect.mjs', import.meta.url))
  const env = (node: number) => {
    const own = pairs.filter(([from]) => from === node)
    const ports = own.map(([from, to]) => [peerPort(to), proxyPort(from, to)] as const)
    return { TEST_REDIRECT: JSON.stringify(Object.fromEntries(ports)) }
  }
  const preload = { module, env }
  cluster = new LocalCluster({ portBase, preload })
  await cluster.startAll()
}, 60_000)

afterAll(async () => {
  await cluster.stop()
  for (const proxy of proxies) proxy.close()
})

afterEach(() => {
  for (const proxy of proxies) proxy.heal()
  for (const session of open.splice(0)) session.abandon()
})

/** What node 3 sends, and what it hears, over all connections with its peers. */
function cut(sends: boolean, hears: boolean): void {
  for (const [at, proxy] of proxies.entries()) {
    const isDialledByThree = at % 2 === 0
    proxy.cutForth = isDialledByThree ? sends : hears
    proxy.cutBack = isDialledByThree ? hears : sends
  }
}

/** With all three addresses, connected to node 3 first. */
function clientAtThree(): ZookeeperSession {
  const endpoints = [cluster.zookeeper(3), cluster.zookeeper(1), cluster.zookeeper(2)]
  const session = new ZookeeperSession(endpoints, 0, sessionMillis)
  open.push(session)
  return session
}

async function until(reached: () => boolean, millis: number): Promise<boolean> {
  for (let left = millis; left > 0 && !reached(); left -= 50) await sleep(50)
  return reached()
}

const cuts: readonly (readonly [string, boolean, boolean])[] = [
  ['both ways', true, true],
  ['in what it sends', true, false],
  ['in what it hears', false, true],
]

for (const [name, sends, hears] of cuts) {
  test(`node 3 is cut ${name}: its clients move, keep or lose their session, and the lock has one holder`, {
    timeout: 60_000,
  }, async () => {
    for (const node of cluster.nodes) await cluster.untilReady(node)
    const path = `/lock-${sends}-${hears}`
    // It is tied to node 3, and silent: what it hears of the cut is that its connection ends.
    const tied = new ZookeeperSession([cluster.zookeeper(3)], 0, sessionMillis)
    open.push(tied)
    await tied.create(`${path}-tied`, Buffer.alloc(0), ephemeral)
    await tied.exists(path, true)
    const holder = clientAtThree()
    await holder.create(path, Buffer.from('first'), ephemeral)
    const watcher = clientAtThree()
    await watcher.exists(path, true)
    const other = new ZookeeperSession([cluster.zookeeper(1)], 0, sessionMillis)
    open.push(other)
    await other.sync('/')
    await other.exists(`${path}-tied`, true)
    let lossesWhenGone = -1
    other.onEvent = () => {
      lossesWhenGone = tied.losses
    }
    expect([holder.at, watcher.at, tied.losses]).toEqual([0, 0, 0])

    cut(sends, hears)
    const connected = (): string[] =>
      Object.entries({ holder, watcher, tied })
        .filter(([, session]) => session.losses === 0)
        .map(([who, { at }]) => `${who} at ${at}`)
    await until(() => connected().length === 0, 3 * sessionMillis)
    expect(connected()).toEqual([])
    // The majority serves all the time.
    await other.create(`${path}-other`, Buffer.alloc(0))
    // Who has moved reads there what the majority has, whether or not its session was in time.
    const seen = async (session: ZookeeperSession): Promise<string> => {
      for (let tries = 0; tries < 200; tries += 1) {
        if (session.expired) return 'expired'
        const answer = await session.get(path).then(
          ({ data }) => data.toString(),
          (error: { code?: number }) => (error.code === -101 ? 'none' : undefined),
        )
        if (answer !== undefined) return answer
        await sleep(50)
      }
      return 'nothing'
    }
    const atMajority = await other.exists(path)
    const held = await seen(holder)
    if (held === 'first') expect((await other.get(path)).data.toString()).toBe('first')
    else expect(held).toBe('expired')
    if (atMajority === undefined) expect(holder.expired).toBe(true)
    expect(['first', 'none', 'expired']).toContain(await seen(watcher))
    // Held by a session that is alive at the majority, or free: never both.
    const second = other.create(path, Buffer.from('second'), ephemeral)
    if (holder.expired) expect(await second).toBe(path)
    else await expect(second).rejects.toThrow('ZooKeeper error -110')
    // Who cannot move loses its lock, and heard before anybody else could take it.
    expect(await until(() => lossesWhenGone >= 0, 4 * sessionMillis)).toBe(true)
    expect(lossesWhenGone).toBeGreaterThan(0)
    for (const proxy of proxies) proxy.heal()
    await cluster.untilReady(3)
  })
}

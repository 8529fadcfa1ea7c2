/**
 * Who belongs to a cluster, with real processes: members that others have not heard of, disks of
 * another cluster, two processes with one id, changes that could not be finished, addresses that move.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { LocalCluster, sleep } from '../../support/local-cluster.ts'
import { member, promote, quorate } from '../../support/member-command.ts'

let cluster: LocalCluster | undefined
afterEach(() => cluster?.stop())

test('a node that comes back takes the link of a member that it has not heard of', async () => {
  const on = await started({ laterNodes: 1 })
  await on.signal(3, 'SIGKILL')
  on.start(4)
  await on.untilAnswers(4)
  await eventually(() => member(on, 2, 'add', '4', '--peer', on.peer(4)))
  await on.untilReady(4)
  await promote(on, 2, 4)
  await eventually(() => member(on, 2, 'transfer', '4'))
  expect(await on.leader()).toBe(4)
  // Of 2, 3 and 4 one is down: 3 knows only 1 and 2, and hears of no leader unless it links with 4.
  await member(on, 2, 'remove', '1')
  expect(await on.ended(1)).toBe(0)
  await on.signal(2, 'SIGKILL')
  on.start(3)
  await on.untilReady(3)
  await on.untilReady(4)
  expect(await member(on, 3, 'list')).toMatch(/^node4 +4 .*voter/m)
}, 120_000)

test('a change that could not be finished is refused, and says who is silent', async () => {
  const on = await started({})
  const leader = await on.leader()
  const [lost = 0, other = 0] = on.nodes.filter(node => node !== leader)
  await on.signal(lost, 'SIGKILL')
  for (const args of [
    ['remove', `${other}`],
    ['remove', `${leader}`],
  ]) {
    await expect(member(on, other, ...args)).rejects.toThrow(
      new RegExp(`unhealthy cluster: too few of the voters .*\\(silent: ${lost}\\)`),
    )
  }
  await member(on, other, 'remove', `${lost}`)
  for (const node of [leader, other]) await on.untilReady(node)
  expect(await member(on, leader, 'list')).not.toContain(`node${lost}`)
}, 120_000)

test('a node with the disk of another cluster of that name is refused, once, and changes nothing', async () => {
  const on = await started({})
  await on.signal(3, 'SIGKILL')
  rmSync(on.dataDirectory(3), { recursive: true })
  const config = readFileSync(on.configFile(3), 'utf8')
  changeConfig(on, 3, ({ cluster: { name, members } }) => ({
    cluster: { name, members: members.filter(({ id }) => id === 3) },
  }))
  on.start(3)
  await on.untilReady(3)
  await on.signal(3, 'SIGTERM')
  writeFileSync(on.configFile(3), config)
  const { state } = await on.status(1)
  const linked = count(on.output(1), /A node is linked .*peer=3/)
  expect(linked).toBeGreaterThan(0)
  on.start(3)
  await on.untilReady(3)
  await sleep(5000)
  expect(count(on.output(1), /A node is linked .*peer=3/)).toBe(linked)
  // As it is called, and as it calls.
  expect(count(on.output(1), /of another cluster/)).toBeLessThanOrEqual(2)
  expect(on.output(3)).toMatch(/node [12] has the data of another cluster/)
  expect((await on.status(1)).state.hash).toBe(state.hash)
  expect((await on.status(3)).consensus.leader).toBe(3)
}, 120_000)

test('the old process of a node that was replaced is refused, and the links of the new one stay', async () => {
  const on = await started({ laterNodes: 1 })
  await on.signal(3, 'SIGKILL')
  const old = join(on.directory, 'old')
  renameSync(on.dataDirectory(3), old)
  const first = on.output(3).length
  on.start(3)
  await on.untilAnswers(3)
  await eventually(() => member(on, 1, 'replace', '3'))
  await on.untilReady(3)
  // Links that were refused at first are announced, on each side, once they have lasted for a while.
  for (const [node, peer] of [
    [3, 1],
    [3, 2],
    [1, 3],
    [2, 3],
  ] as const) {
    const linked = new RegExp(`A node is linked .*peer=${peer} .*member=true`)
    const from = node === 3 ? first : 0
    await eventually(async () => expect(on.output(node).slice(from)).toMatch(linked))
  }
  await sleep(3000)
  // The old one comes back elsewhere: another machine, with the same id. Its place here is that of node 4.
  const { peer } = { peer: on.peer(4) }
  changeConfig(on, 4, ({ cluster: { name, members } }) => ({
    node: 'node3',
    dataDirectory: old,
    cluster: {
      name,
      members: members
        .filter(({ id }) => id !== 4)
        .map(one => (one.id === 3 ? { ...one, peer } : one)),
    },
  }))
  const before = on.nodes.map(node => on.output(node))
  on.start(4)
  await on.untilAnswers(4)
  await sleep(5000)
  for (const [at, node] of on.nodes.entries()) {
    const since = on.output(node).slice(before[at]?.length)
    expect(count(since, /A node is linked|The link to a node is lost/), since).toBe(0)
    expect(count(since, /A peer is refused/), since).toBeLessThanOrEqual(1)
    await on.untilReady(node)
  }
  expect(on.output(4)).toMatch(/node 3 is a member with the store .* quorate member replace 3/)
}, 120_000)

test('an address is changed by a command, and what differs is shown until then', async () => {
  const on = await started({ laterNodes: 1 })
  await on.signal(3, 'SIGTERM')
  // It moves to the place of a fourth node, which is in no configuration but its own.
  const moved = on.peer(4)
  changeConfig(on, 3, ({ cluster: { name, members } }) => ({
    cluster: { name, members: members.map(one => (one.id === 3 ? { ...one, peer: moved } : one)) },
  }))
  on.start(3)
  await on.untilReady(3)
  expect(await statusOf(on)).toContain(
    `warning: the other nodes: node3 is reached at ${moved} by the configuration of node3, and at ` +
      `${on.peer(3)} by the membership, which counts: quorate member update 3 --peer ${moved}`,
  )
  expect(on.output(3)).toContain('The configuration and the membership differ')
  const etcd = '127.0.0.1:9999'
  const list = await member(on, 1, 'update', '3', '--peer', moved, '--etcd', etcd)
  expect(list).toMatch(new RegExp(`^node3 +3 +${moved} +${etcd} +voter`, 'm'))
  await expect(member(on, 1, 'update', '3')).rejects.toThrow('what is to be updated is missing')
  // Every node dials the new address now, whatever its configuration says.
  for (const node of [1, 2]) {
    await on.signal(node, 'SIGTERM')
    on.start(node)
    await on.untilReady(node)
  }
  await eventually(async () => expect(await statusOf(on)).toMatch(/node3 .* 2\/2, \d+\.\d ms/))
  const status = await statusOf(on)
  expect(status).not.toContain('by the configuration of node3')
  expect(status).toContain('by the configuration of node1')
}, 120_000)

test('who leads is handed on, and a node that waits says why it lists nobody', async () => {
  const on = await started({ laterNodes: 1 })
  const leader = await on.leader()
  const [next = 0, other = 0] = on.nodes.filter(node => node !== leader)
  expect(await member(on, other, 'transfer', `node${next}`)).toBe(`node ${next} leads\n`)
  expect(await on.leader()).toBe(next)
  on.start(4)
  await on.untilAnswers(4)
  await expect(member(on, 4, 'list')).rejects.toThrow(/node4 knows no members yet: .*member add/)
  // Another endpoint that knows them is asked next.
  const both = `${on.admin(4)},${on.admin(1)}`
  expect(await quorate('member', 'list', '--endpoints', both)).toMatch(/^node1 +1 /m)
  const etcd = '10.0.0.4:2379'
  const add = ['add', '4', '--peer', on.peer(4), '--etcd', etcd]
  const list = await eventually(() => member(on, other, ...add))
  expect(list).toMatch(new RegExp(`^node4 +4 .* ${etcd} +learner`, 'm'))
}, 120_000)

async function started(options: { laterNodes?: number }): Promise<LocalCluster> {
  cluster = new LocalCluster({ portBase: 20_800, nodeCount: 3, ...options })
  await cluster.startAll()
  return cluster
}

interface FileConfig {
  readonly cluster: {
    readonly name: string
    readonly members: readonly { readonly id: number; readonly peer: string }[]
  }
}

function changeConfig(
  on: LocalCluster,
  node: number,
  change: (config: FileConfig) => Record<string, unknown>,
): void {
  const config = JSON.parse(readFileSync(on.configFile(node), 'utf8')) as FileConfig
  writeFileSync(on.configFile(node), JSON.stringify({ ...config, ...change(config) }))
}

async function statusOf(on: LocalCluster): Promise<string> {
  return await quorate('status', '--endpoints', on.nodes.map(node => on.admin(node)).join(','))
}

function count(text: string, pattern: RegExp): number {
  return text.match(new RegExp(pattern, 'g'))?.length ?? 0
}

async function eventually<Result>(attempt: () => Promise<Result>): Promise<Result> {
  const until = performance.now() + 15_000
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > until) throw error
      await sleep(200)
    }
  }
}

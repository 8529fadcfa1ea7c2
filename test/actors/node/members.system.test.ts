/**
 * Members that come and go under load, as an operator changes them: by the command line, through any
 * node, until a fourth node counts and the first leader is gone.
 */
import { execFile } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, expect, test } from 'vitest'
import { ZnodeWriter } from '../../chaos/writers.ts'
import { LocalCluster, sleep } from '../../support/local-cluster.ts'

const run = promisify(execFile)
const main = fileURLToPath(new URL('../../../actors/node/main.ts', import.meta.url))
/** Little log is kept, so that the node that joins has to take a checkpoint first. */
const config = {
  journal: { retainedBytes: 65_536, segmentBytes: 1_048_576 },
  checkpoints: { everyBytes: 1_048_576 },
}

let cluster: LocalCluster | undefined
afterEach(() => cluster?.stop())

test('a fourth node joins, counts, and takes the place of the leader', async () => {
  cluster = new LocalCluster({ portBase: 20_100, nodeCount: 3, laterNodes: 1, config })
  await cluster.startAll()
  const endpoints = [cluster.zookeeper(1), cluster.zookeeper(2), cluster.zookeeper(3)]
  const writers = [0, 1, 2].map(at => new ZnodeWriter(`w${at}`, endpoints, at, () => {}))
  let changing = true
  const running = Promise.all(writers.map(writer => writer.run(4000, () => changing)))
  while ((await cluster.status(1)).state.applied < 8000) await sleep(100)

  // It forms nothing: the others have formed without it, and do not know it.
  cluster.start(4)
  await cluster.untilAnswers(4)
  await untilHeard(cluster, 4)
  const follower = (await cluster.leader()) === 1 ? 2 : 1
  const on = cluster
  const member = (...args: string[]): Promise<string> => memberCommand(on, follower, args)
  await expect(member('promote', '4')).rejects.toThrow('that node is no learner')
  await expect(member('add', 'node4', '--peer', '127.0.0.1:1')).rejects.toThrow(
    `"node4" is not in the configuration of node${follower}: give its id`,
  )
  expect(await member('add', '4', '--peer', cluster.peer(4))).toMatch(/^node4 +4 .*learner/m)
  await expect(member('add', '4', '--peer', cluster.peer(4))).rejects.toThrow('is a member already')
  await cluster.untilReady(4)
  expect(cluster.output(4)).toContain('A checkpoint is loaded')
  expect(await promoted(member)).toMatch(/^node4 +4 .*voter/m)

  const leader = await cluster.leader()
  const others = [1, 2, 3, 4].filter(node => node !== leader)
  expect(await memberCommand(cluster, others[0] ?? 0, ['remove', `node${leader}`])).not.toMatch(
    new RegExp(`^node${leader} `, 'm'),
  )
  // A node that is removed leaves, so that its clients go elsewhere.
  expect(await cluster.ended(leader)).toBe(0)
  expect(cluster.output(leader)).toContain('This node is removed from the cluster')
  await rejoins(cluster, leader, others[0] ?? 0)
  changing = false
  await running
  expect(writers.flatMap(writer => writer.errors)).toEqual([])
  // Two of the three that are left are enough only if the fourth counts.
  const gone = others.find(node => node !== 4) ?? 0
  await cluster.signal(gone, 'SIGKILL')
  const left = others.filter(node => node !== gone)
  for (const node of left) await cluster.untilReady(node)
  const statuses = await Promise.all(left.map(node => on.status(node)))
  expect(new Set(statuses.map(status => status.state.hash)).size).toBe(1)
  for (const writer of writers) writer.session.abandon()
}, 70_000)

/** With a new store: whoever leads hears of it from itself, also where its id is the smallest. */
async function rejoins(on: LocalCluster, node: number, via: number): Promise<void> {
  rmSync(on.dataDirectory(node), { recursive: true })
  const file = on.configFile(node)
  const own = JSON.parse(readFileSync(file, 'utf8')) as { cluster: object }
  const all = JSON.parse(readFileSync(on.configFile(4), 'utf8')) as { cluster: object }
  writeFileSync(file, JSON.stringify({ ...own, cluster: all.cluster }))
  on.start(node)
  await on.untilAnswers(node)
  await untilHeard(on, node)
  const list = await memberCommand(on, via, ['add', `node${node}`])
  expect(list).toMatch(new RegExp(`^node${node} .*learner`, 'm'))
  await on.untilReady(node)
  await memberCommand(on, via, ['remove', `node${node}`])
  expect(await on.ended(node)).toBe(0)
}

async function memberCommand(on: LocalCluster, via: number, args: string[]): Promise<string> {
  // The first endpoint answers nobody: the next is tried.
  const list = `127.0.0.1:1,${on.admin(via)}`
  const { stdout } = await run(process.execPath, [main, 'member', ...args, '--endpoints', list])
  return stdout
}

async function promoted(member: (...args: string[]) => Promise<string>): Promise<string> {
  for (;;) {
    try {
      return await member('promote', '4')
    } catch (error) {
      if (!/caught up|under way/.test((error as Error).message)) throw error
      await sleep(200)
    }
  }
}

/** The leader is linked to it, or has turned it away: it knows the store. */
async function untilHeard(on: LocalCluster, node: number): Promise<void> {
  const leader = await on.leader()
  const store = async (): Promise<string> =>
    ((await on.status(leader)) as unknown as { peers: { stores: Record<string, string> } }).peers
      .stores[node] ?? ''
  while (!storeOf(on, node).includes((await store()) || 'none')) await sleep(50)
}

/** As it said itself when it was linked or waits; the last one counts. */
function storeOf(on: LocalCluster, node: number): string {
  return readFileSync(`${on.dataDirectory(node)}/identity`, 'utf8')
}

import { rmSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { requestAdmin } from '../../actors/node/admin-client.ts'
import { LocalCluster, sleep } from '../support/local-cluster.ts'
import { ZnodeWriter } from './writers.ts'

/** Little log is kept, so that a node that is away for seconds is too far behind for it. */
const shortLog = {
  journal: { retainedBytes: 65_536, segmentBytes: 1_048_576 },
  checkpoints: { everyBytes: 1_048_576 },
}

describe('a node that comes back', () => {
  let cluster: LocalCluster | undefined
  afterEach(() => cluster?.stop())

  it('after the log was compacted, takes a checkpoint while the load runs, and agrees', async () => {
    cluster = new LocalCluster({ portBase: 17200, config: shortLog })
    await cluster.startAll()
    const endpoints = [cluster.zookeeper(1), cluster.zookeeper(2)]
    const writers = [0, 1, 2, 3].map(at => new ZnodeWriter(`w${at}`, endpoints, at, () => {}))
    const running = Promise.all(writers.map(writer => writer.run(12_000)))
    await sleep(500)
    await cluster.signal(3, 'SIGKILL')
    const before = await cluster.status(1)
    while ((await cluster.status(1)).state.applied < before.state.applied + 15_000) await sleep(100)
    cluster.start(3)
    await cluster.untilReady(3)
    await running
    const hashes = await cluster.settledHashes()
    expect(new Set(hashes).size).toBe(1)
    expect(writers.flatMap(writer => writer.errors)).toEqual([])
    expect(cluster.output(3)).toContain('A checkpoint is loaded')
    await Promise.all(writers.map(writer => writer.close()))
  }, 120_000)

  it('with all others, after SIGKILL of all, holds what was acknowledged', async () => {
    cluster = new LocalCluster({ portBase: 17300, config: shortLog })
    await cluster.startAll()
    const endpoints = cluster.nodes.map(node => cluster?.zookeeper(node) ?? { host: '', port: 0 })
    const writer = new ZnodeWriter('w', endpoints, 0, () => {})
    await writer.run(10_000)
    await Promise.all(cluster.nodes.map(node => cluster?.signal(node, 'SIGKILL')))
    await cluster.startAll()
    await writer.run(10_100)
    expect(writer.errors).toEqual([])
    expect(writer.session.expired).toBe(false)
    expect((await writer.session.exists('/chaos/w'))?.numChildren).toBe(10_100)
    expect(new Set(await cluster.settledHashes()).size).toBe(1)
    await writer.close()
  }, 120_000)

  it('without its data does not vote, so that it cannot lose what only it had, until it is replaced', async () => {
    cluster = new LocalCluster({ portBase: 17400 })
    await cluster.startAll()
    // Node 3 is away, so nodes 1 and 2 alone hold what is acknowledged now.
    await cluster.signal(3, 'SIGKILL')
    const writer = new ZnodeWriter('w', [cluster.zookeeper(1)], 0, () => {})
    await writer.run(500)
    writer.session.abandon()
    await cluster.signal(1, 'SIGKILL')
    await cluster.signal(2, 'SIGKILL')
    rmSync(cluster.dataDirectory(2), { recursive: true })
    // With a vote of the empty node 2, node 3 would lead without the 500 nodes.
    cluster.start(2)
    cluster.start(3)
    await cluster.untilAnswers(2)
    await cluster.untilAnswers(3)
    await sleep(3000)
    for (const node of [2, 3]) {
      expect((await cluster.status(node)).consensus.leader).toBe(0)
    }
    while (!cluster.output(2).includes('neither votes nor counts')) await sleep(50)
    cluster.start(1)
    await cluster.untilReady(1)
    await cluster.untilReady(3)
    const body = { change: 'replace', node: 'node2' }
    const leader = await cluster.leader()
    const answer = await requestAdmin(cluster.admin(leader), 'POST', '/members', body)
    expect(answer).toMatchObject({ status: 200 })
    await cluster.untilReady(2)
    expect(new Set(await cluster.settledHashes()).size).toBe(1)
    const reader = new ZnodeWriter('r', [cluster.zookeeper(2)], 0, () => {})
    await reader.session.sync('/')
    expect((await reader.session.exists('/chaos/w'))?.numChildren).toBe(500)
    await reader.close()
  }, 120_000)
})

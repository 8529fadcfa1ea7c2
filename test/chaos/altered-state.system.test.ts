/**
 * A node whose state is not that of the others (here its checkpoint was altered while it was down, so
 * that every checksum is right) says so, and stops; the others go on.
 */
import { afterEach, expect, test } from 'vitest'
import { Replica } from '../../actors/state/replica.ts'
import { systemDisk } from '../../runtime/disk-node.ts'
import { CheckpointFiles } from '../../storage/checkpoint-files.ts'
import { finishLoad, loadBlock } from '../../storage/checkpoint-format.ts'
import { checkpointJobModule, run } from '../../storage/checkpoint-job.ts'
import { CheckpointLister } from '../../storage/checkpoint-lister.ts'
import { requestAdmin } from '../../actors/node/admin-client.ts'
import { EtcdClient } from '../support/etcd-client.ts'
import { inlineJobs } from '../support/inline-jobs.ts'
import { LocalCluster, sleep } from '../support/local-cluster.ts'
import { ZnodeWriter } from './writers.ts'

let cluster: LocalCluster | undefined
afterEach(() => cluster?.stop())

test('a node whose state differs from that of the majority stops and says so', async () => {
  cluster = new LocalCluster({ portBase: 17_500, config: { checkpoints: { everyBytes: 65_536 } } })
  const on = cluster
  await on.startAll()
  const writer = new ZnodeWriter('w', [on.zookeeper(1), on.zookeeper(2)], 0, () => {})
  await writer.run(1_500)
  expect(await on.signal(3, 'SIGTERM')).toBe(0)
  const position = alter(`${on.dataDirectory(3)}/checkpoints`, '/chaos/w')
  expect(position).toBeGreaterThan(0)
  on.start(3)
  let running = true
  const written = writer.run(0, () => running)
  expect(await on.ended(3)).toBeGreaterThan(0)
  const said =
    /the state of node 3 at position (\d+) differs from that of the majority \(nodes [12], [12];/
  expect(Number(said.exec(on.output(3))?.[1])).toBeGreaterThan(position)

  const before = writer.acknowledged
  while (writer.acknowledged < before + 500) await sleep(20)
  running = false
  await written
  expect(writer.errors).toEqual([])
  const [first, second] = await Promise.all([on.status(1), on.status(2)])
  expect([first, second].map(({ consensus }) => consensus.role).sort()).toEqual([
    'follower',
    'leader',
  ])
  await writer.close()
})

test('two that differ while the third is down both say so and refuse, until it decides', async () => {
  cluster = new LocalCluster({ portBase: 17_500, config: { checkpoints: { everyBytes: 65_536 } } })
  const on = cluster
  await on.startAll()
  const writer = new ZnodeWriter('w', [on.zookeeper(1), on.zookeeper(2)], 0, () => {})
  await writer.run(1_500)
  await writer.close()
  for (const node of [2, 3]) expect(await on.signal(node, 'SIGTERM')).toBe(0)
  alter(`${on.dataDirectory(3)}/checkpoints`, '/chaos/w')
  on.start(3)
  await on.untilReady(3)
  const client = new EtcdClient([on.etcd(1), on.etcd(3)], 0)
  let refusal = ''
  for (let at = 0; refusal === ''; at += 1)
    await client.put(`k${at % 100}`, 'v').catch((error: Error) => (refusal = error.message))
  expect(refusal).toBe('15 DATA_LOSS: etcdserver: corrupt cluster')
  for (const node of [1, 3]) {
    const own = new EtcdClient([on.etcd(node)], 0)
    await expectSoon(
      () => own.list('k', true).then(String, (error: Error) => error.message),
      /corrupt/,
    )
    own.close()
    const { status, text } = await requestAdmin(on.admin(node), 'GET', '/ready')
    expect(status).toBe(503)
    expect(text).toMatch(/the states of node 1, node 3 differ at position \d+/)
    expect(on.output(node)).toMatch(/The states of nodes differ, and no majority decides/)
  }

  on.start(2)
  expect(await on.ended(3)).toBeGreaterThan(0)
  await on.untilReady(1)
  await client.put('k', 'served again')
  client.close()
})

async function expectSoon(what: () => Promise<string>, pattern: RegExp): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    if (pattern.test(await what())) return
    await sleep(100)
  }
  expect(await what()).toMatch(pattern)
}

/** Changes the data of one znode in the newest checkpoint; returns where that stands. */
function alter(directory: string, path: string): number {
  const jobs = inlineJobs(systemDisk, [{ url: checkpointJobModule, run }], done => done())
  const files = new CheckpointFiles({ disk: systemDisk, jobs, directory })
  const replica = new Replica(1)
  const loaded = files.load(() => {
    replica.clear()
    return {
      head: bytes => replica.decodeHead(bytes),
      entries: block => loadBlock(block, replica.tree, replica.keyspace),
    }
  })
  if (loaded === undefined) throw new Error('there is no checkpoint')
  const { tree, keyspace } = replica
  finishLoad(tree, keyspace)
  const node = tree.find(path)
  tree.setData(node, Uint8Array.of(7), tree.mzxid(node), tree.mtime(node))
  const lister = new CheckpointLister(tree, keyspace, 'base')
  const lists = []
  for (let list = lister.step(1e6); list !== undefined; list = lister.step(1e6)) lists.push(list)
  const slabs = { tree: lister.buffers('tree'), keyspace: lister.buffers('keyspace') }
  const { position, epoch } = loaded
  const head = replica.encodeHead()
  const content = { kind: 'base', position, epoch, head, listed: { lists, slabs } } as const
  let failed: unknown
  files.write(content, error => {
    failed = error
  })
  expect(failed).toBeUndefined()
  return position
}

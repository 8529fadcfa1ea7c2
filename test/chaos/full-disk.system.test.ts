/**
 * The disks of a running cluster fill up: real file systems of 16 MiB, one a node, for the journals.
 * Mounting needs root.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { requestAdmin } from '../../actors/node/admin-client.ts'
import { EtcdClient } from '../support/etcd-client.ts'
import { LocalCluster } from '../support/local-cluster.ts'
import { ZookeeperSession } from '../support/zookeeper-session.ts'

const config = {
  timings: { requestTimeoutMillis: 1000 },
  journal: { segmentBytes: 1_048_576 },
  // No checkpoint makes space meanwhile.
  checkpoints: { everyBytes: 64 * 1_048_576 },
}
const main = fileURLToPath(new URL('../../actors/node/main.ts', import.meta.url))
const value = 'v'.repeat(32_768)
let cluster: LocalCluster | undefined
let mounts: string[] = []

afterEach(async () => {
  await cluster?.stop(() => {
    for (const mount of mounts) execFileSync('umount', [mount])
  })
  mounts = []
})

test('with full disks what grows is refused at once, the rest goes on, and with space all does', async context => {
  const on = new LocalCluster({ portBase: 20_400, config })
  cluster = on
  for (const node of on.nodes) {
    const whyNot = giveSmallDisk(on, node)
    if (whyNot !== '') context.skip(whyNot)
  }
  await on.startAll()
  const client = new EtcdClient([on.etcd(1), on.etcd(2), on.etcd(3)], 0)
  let acknowledged = 0
  let refusal = ''
  while (refusal === '') {
    await client.put(keyOf(acknowledged), value).then(
      () => (acknowledged += 1),
      (error: Error) => (refusal = error.message),
    )
  }
  expect(acknowledged).toBeGreaterThan(50)
  expect(refusal).toBe('8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded')
  // Refused, not waited for: none of them had to end by its time.
  expect(client.failures).toBe(0)
  for (const node of on.nodes) {
    const own = new EtcdClient([on.etcd(node)], 0)
    await expect(own.put('more', value)).rejects.toThrow('database space exceeded')
    expect((await own.list('full/', false)).length).toBe(acknowledged)
    own.close()
    const { status, text } = await requestAdmin(on.admin(node), 'GET', '/ready')
    expect(status).toBe(503)
    expect(text).toMatch(/writes are refused: no space on the disks of nodes/)
    const metrics = await requestAdmin(on.admin(node), 'GET', '/metrics')
    expect(metrics.text).toMatch(/quorate_writes_refused_for_space(\{[^}]*\})? 1/)
  }
  // ZooKeeper's QUOTAEXCEEDED, and a session all the same.
  const session = new ZookeeperSession([on.zookeeper(1)], 0, 10_000)
  await expect(session.create('/full', Buffer.from('x'))).rejects.toMatchObject({ code: -125 })
  await session.close()
  const endpoints = on.nodes.map(node => on.admin(node)).join(',')
  const shown = spawnSync(process.execPath, [main, 'status', '--endpoints', endpoints])
  expect(String(shown.stdout)).toMatch(/warning: node1: writes are refused: no space on the disks/)
  // What makes room, or might, is taken: there is a segment left for it.
  for (let at = 0; at < 10; at += 1) await client.delete(keyOf(at))
  expect((await client.list('full/', false)).length).toBe(acknowledged - 10)

  for (const mount of mounts) rmSync(join(mount, 'ballast'))
  for (const node of on.nodes) await on.untilReady(node)
  for (let at = 0; at < 20; at += 1) await client.put(keyOf(acknowledged + at), value)
  client.close()
  for (const node of on.nodes) {
    const own = new EtcdClient([on.etcd(node)], 0)
    const found = new Set((await own.list('full/', false)).map(one => one.key))
    own.close()
    for (let at = 10; at < acknowledged + 20; at += 1) expect(found.has(keyOf(at))).toBe(true)
  }
  expect(new Set(await on.settledHashes()).size).toBe(1)
}, 90_000)

function keyOf(at: number): string {
  return `full/${String(at).padStart(4, '0')}`
}

test('a leader alone without space hands over to a node that has some, and counts again with space', async context => {
  const on = new LocalCluster({ portBase: 20_400, config })
  cluster = on
  const whyNot = giveSmallDisk(on, 1)
  if (whyNot !== '') context.skip(whyNot)
  await on.startAll()
  while ((await on.leader()) !== 1)
    await requestAdmin(on.admin(2), 'POST', '/transfer', { node: 1 })
  const client = new EtcdClient([on.etcd(1), on.etcd(2), on.etcd(3)], 0)
  let acknowledged = 0
  for (; acknowledged < 20; acknowledged += 1) await client.put(`one/${acknowledged}`, value)
  fillUp(mounts[0] ?? '')
  // The puts through node 1 time out once its segment is full; those through the others go on.
  while ((await on.leader()) === 1 || acknowledged < 200) {
    await client.put(`one/${acknowledged}`, value)
    acknowledged += 1
  }
  expect(on.output(1)).toMatch(/No space on the disk: leadership is handed over/)
  const leader = await on.leader()
  const before = (await on.status(leader)).consensus.epoch
  for (; acknowledged < 300; acknowledged += 1) await client.put(`one/${acknowledged}`, value)
  expect(await on.leader()).toBe(leader)
  expect((await on.status(leader)).consensus.epoch).toBe(before)

  const said = on
    .output(1)
    .split('\n')
    .filter(line => line.includes('No space for the journal'))
  expect(said).toHaveLength(1)
  for (const name of ['filler', 'ballast']) rmSync(join(mounts[0] ?? '', name))
  await on.untilReady(1)
  const own = new EtcdClient([on.etcd(1)], 0)
  expect(await own.list('one/', false)).toHaveLength(acknowledged)
  for (const one of [own, client]) one.close()
  expect(new Set(await on.settledHashes()).size).toBe(1)
}, 90_000)

/** Leaves nothing but the segment that was made already. */
function fillUp(mount: string): void {
  const file = openSync(join(mount, 'filler'), 'w')
  const part = Buffer.alloc(65_536, 1)
  try {
    for (;;) writeSync(file, part)
  } catch (error) {
    expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC')
  }
  closeSync(file)
}

/** Half of it is taken by a file that can go later. '' or why there is none. */
function giveSmallDisk(on: LocalCluster, node: number): string {
  const mount = `${on.dataDirectory(node)}-log`
  mkdirSync(mount)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', mount], { stdio: 'pipe' })
  } catch (error) {
    return `mounting is not permitted here: ${(error as Error).message.trim()}`
  }
  mounts.push(mount)
  writeFileSync(join(mount, 'ballast'), Buffer.alloc(8 * 1_048_576, 1))
  const file = on.configFile(node)
  const own = JSON.parse(readFileSync(file, 'utf8')) as object
  writeFileSync(file, JSON.stringify({ ...own, logDirectory: join(mount, 'journal') }))
  return ''
}

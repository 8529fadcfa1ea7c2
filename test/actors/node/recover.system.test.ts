/** `quorate recover` with real processes: a flipped byte, and a majority that is gone. */
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { EtcdClient } from '../../support/etcd-client.ts'
import { LocalCluster, sleep } from '../../support/local-cluster.ts'
import { quorate } from '../../support/member-command.ts'

let cluster: LocalCluster | undefined
afterEach(() => cluster?.stop())

test('a single node whose journal has a flipped byte says what is lost, and goes on with the rest', async () => {
  const on = new LocalCluster({ portBase: 20_900, nodeCount: 1 })
  cluster = on
  await on.startAll()
  await put(on, 'kept', 40)
  await put(on, 'lost', 40)
  await expect(recover(on, 1)).rejects.toThrow(/is used by|in use|process/)
  await on.signal(1, 'SIGKILL')
  const whole = await recover(on, 1)
  expect(whole).toContain('Nothing is to be recovered: the journal is whole.')
  flip(join(on.dataDirectory(1), 'journal'), 'lost/0')
  // The start sets the journal aside and waits; nothing but `recover` brings a single node back.
  on.start(1)
  await on.untilAnswers(1)
  await on.signal(1, 'SIGTERM')
  await expect(recover(on, 1)).rejects.toThrow('nobody can be asked here')
  const said = await recover(on, 1, '--yes')
  const [, from = '0', to = '0'] = /LOST: positions (\d+) to (\d+)/.exec(said) ?? []
  expect(Number(to) - Number(from)).toBeGreaterThanOrEqual(38)
  expect(said).toMatch(/written after \d{4}-\d\d-\d\dT.* and up to \d{4}-.*acknowledged/)
  expect(said).toContain(`The log is kept up to position ${Number(from) - 1} (`)
  on.start(1)
  await on.untilReady(1)
  expect(await keys(on, 1, 'kept')).toHaveLength(40)
  expect(await keys(on, 1, 'lost')).toHaveLength(0)
  await put(on, 'more', 3)
  await on.signal(1, 'SIGKILL')
  on.start(1)
  await on.untilReady(1)
  expect(await keys(on, 1, 'more')).toHaveLength(3)
}, 120_000)

test('a node of a lost majority becomes a cluster of its own, and the others are refused until they are empty', async () => {
  const config = { checkpoints: { everyBytes: 65_536 } }
  const on = new LocalCluster({ portBase: 20_900, nodeCount: 3, config })
  cluster = on
  await on.startAll()
  // With and without a checkpoint below it.
  await put(on, 'a', 200, 'x'.repeat(1000))
  await on.settledHashes()
  for (const node of on.nodes) await on.signal(node, 'SIGKILL')
  expect(await recover(on, 3)).toContain('Nothing is to be recovered')
  await expect(recover(on, 3, '--force-new-cluster')).rejects.toThrow('nobody can be asked here')
  // As if an earlier attempt had been killed when it had set the journal aside.
  const data = on.dataDirectory(3)
  writeFileSync(join(data, 'recovering'), join(data, 'set-aside-1'))
  renameSync(join(data, 'journal'), join(data, 'set-aside-1'))
  on.start(3)
  expect(await on.ended(3)).toBe(1)
  expect(on.output(3)).toContain('a recovery was begun and not finished')
  const said = await recover(on, 3, '--force-new-cluster', '--yes')
  expect(said).toContain('WARNING: node3 becomes the only member of a new cluster')
  expect(said).toContain('node1, node2: no members any more, refused from now on')
  on.start(3)
  await on.untilReady(3)
  expect(await keys(on, 3, 'a')).toHaveLength(200)
  const list = await quorate('member', 'list', '--endpoints', on.admin(3))
  expect(list.trim().split('\n')).toHaveLength(2)
  expect(list).toMatch(/^node3 +3 .*voter/m)
  // The two others are a majority of what they know: they go on as the old cluster, apart from this one.
  for (const node of [1, 2]) on.start(node)
  for (const node of [1, 2]) await on.untilReady(node)
  await sleep(1000)
  expect(on.output(3)).toContain('has the data of another cluster')
  expect((await on.status(3)).consensus.leader).toBe(3)
  expect((await on.status(1)).consensus.leader).not.toBe(3)
}, 120_000)

function recover(on: LocalCluster, node: number, ...options: string[]): Promise<string> {
  return quorate('recover', '--config', on.configFile(node), ...options)
}

async function put(on: LocalCluster, prefix: string, count: number, value = 'v'): Promise<void> {
  const client = new EtcdClient([on.etcd(1)], 0)
  for (let at = 0; at < count; at += 1) await client.put(`${prefix}/${at}`, value)
  client.close()
}

async function keys(on: LocalCluster, node: number, prefix: string): Promise<string[]> {
  const client = new EtcdClient([on.etcd(node)], 0)
  const found = await client.list(`${prefix}/`, false)
  client.close()
  return found.map(({ key }) => key)
}

/** One bit of the first place where the text stands. */
function flip(journal: string, text: string): void {
  for (const name of readdirSync(journal).sort()) {
    const path = join(journal, name)
    const bytes = readFileSync(path)
    const at = bytes.indexOf(text)
    if (at < 0) continue
    bytes[at] = (bytes[at] ?? 0) ^ 1
    writeFileSync(path, bytes)
    return
  }
  throw new Error(`${text} is in no segment`)
}

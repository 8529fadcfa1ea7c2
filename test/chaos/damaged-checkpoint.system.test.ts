/** The newest checkpoint of a node is damaged while it is down; the cluster it comes back to runs on. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { LocalCluster, sleep } from '../support/local-cluster.ts'
import { ZnodeWriter } from './writers.ts'

const config = {
  journal: { retainedBytes: 65_536, segmentBytes: 1_048_576 },
  checkpoints: { everyBytes: 262_144 },
}
let cluster: LocalCluster | undefined
afterEach(() => cluster?.stop())

test('a node whose newest checkpoint is damaged says so, and gets what it lost from the others', async () => {
  const on = new LocalCluster({ portBase: 20_600, config })
  cluster = on
  await on.startAll()
  const writers = [0, 1].map(
    at => new ZnodeWriter(`w${at}`, [on.zookeeper(1), on.zookeeper(2)], at, () => {}),
  )
  let writing = true
  const running = Promise.all(writers.map(writer => writer.run(20_000, () => writing)))
  const written = () => on.output(3).split('A checkpoint is durable').length - 1
  while (written() < 3) await sleep(50)
  await on.signal(3, 'SIGKILL')
  const directory = join(on.dataDirectory(3), 'checkpoints')
  const newest = readdirSync(directory)
    .filter(name => /\.(base|delta)$/.test(name))
    .toSorted()
    .at(-1)
  const path = join(directory, newest ?? '')
  const bytes = readFileSync(path)
  bytes[bytes.length >>> 1] = (bytes[bytes.length >>> 1] ?? 0) ^ 0xff
  writeFileSync(path, bytes)
  on.start(3)
  await on.untilReady(3)
  expect(on.output(3)).toContain('A checkpoint is damaged; the one before it is used')
  expect(on.output(3)).toContain(newest)
  writing = false
  await running
  expect(new Set(await on.settledHashes()).size).toBe(1)
  expect(writers.flatMap(writer => writer.errors)).toEqual([])
  for (const writer of writers) await writer.close()
}, 120_000)

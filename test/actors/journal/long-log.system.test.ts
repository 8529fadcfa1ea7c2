/** A log that is longer than a link between threads holds is read back all the same. */
import { afterEach, expect, test } from 'vitest'
import { EtcdClient } from '../../support/etcd-client.ts'
import { LocalCluster } from '../../support/local-cluster.ts'

let cluster: LocalCluster | undefined
afterEach(() => cluster?.stop())

test('a node starts on 60 MiB of log with its journal on a thread of its own', async () => {
  const config = { placement: 'spread', checkpoints: { everyBytes: 64 * 1_048_576 } }
  cluster = new LocalCluster({ portBase: 18_700, nodeCount: 1, config })
  const on = cluster
  await on.startAll()
  const client = new EtcdClient([on.etcd(1)], 0)
  const value = 'v'.repeat(1_040_000)
  // Each in the place of the one before: it is the log that is to be long.
  for (let at = 0; at < 60; at += 1) await client.put(`long/${at % 4}`, value)
  await client.put('long/last', 'here')
  client.close()
  await on.signal(1, 'SIGKILL')
  on.start(1)
  await on.untilReady(1)
  const again = new EtcdClient([on.etcd(1)], 0)
  expect(await again.list('long/', false)).toHaveLength(5)
  again.close()
  expect(on.output(1)).not.toMatch(/A checkpoint is loaded/)
}, 120_000)

/**
 * A million keys or znodes of 128 B in three nodes: how long loading takes, what a node keeps resident,
 * whether anybody missed a heartbeat while checkpoints were written under load, and how long a node
 * that was killed (SIGKILL) needs to answer a linearizable read again, Node's own start included.
 *   launcher.mjs --script benchmarks/million/main.ts [--door etcd|zookeeper] [--keys 1000000]
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { LocalCluster, sleep } from '../../test/support/local-cluster.ts'
import { prepareEtcd } from '../load/etcd-client.ts'
import type { Workload } from '../load/workload.ts'
import { prepareZookeeper } from '../load/zookeeper-client.ts'

const { values } = parseArgs({
  options: {
    door: { type: 'string', default: 'etcd' },
    keys: { type: 'string', default: '1000000' },
    restarts: { type: 'string', default: '5' },
  },
})
const keyCount = Number(values.keys)
const door = values.door === 'zookeeper' ? 'zookeeper' : 'etcd'
const workload: Workload = {
  ...{ door, operation: 'put', connections: 1, inFlight: 1, valueBytes: 128, keyCount },
  ...{ rate: 0, warmUpSeconds: 0, seconds: 0 },
}
const cluster = new LocalCluster({ portBase: 18000 })
try {
  await cluster.startAll()
  const epoch = (await cluster.status(1)).consensus.epoch
  const began = performance.now()
  if (door === 'etcd') await prepareEtcd(cluster.etcd(1), workload)
  else await prepareZookeeper(cluster.zookeeper(1), workload)
  console.log(`loaded ${keyCount} in ${seconds(began)} s`)
  print('resident after loading', cluster.nodes.map(resident))
  await sleep(5000)
  const epochAfter = (await cluster.status(1)).consensus.epoch
  console.log(
    `epoch ${epoch} before, ${epochAfter} after: ${epoch === epochAfter ? 'no leader was missed' : 'a leader was missed'}`,
  )
  const times: number[] = []
  for (let restart = 0; restart < Number(values.restarts); restart += 1) {
    await cluster.signal(3, 'SIGKILL')
    const killed = performance.now()
    cluster.start(3)
    await cluster.untilReady(3)
    times.push(performance.now() - killed)
    await sleep(1000)
  }
  const sorted = times.toSorted((a, b) => a - b)
  console.log(
    `serving again after ${sorted.map(one => (one / 1000).toFixed(2)).join(', ')} s (start of the process until a linearizable read)`,
  )
  print('resident after a restart', [resident(3)])
  console.log(`state hashes: ${[...new Set(await cluster.settledHashes())].join(' ')}`)
} finally {
  await cluster.stop()
}

function resident(node: number): number {
  const status = readFileSync(`/proc/${cluster.pid(node)}/status`, 'utf8')
  return Number(status.match(/VmRSS:\s+(\d+) kB/)?.[1] ?? 0) * 1024
}

function print(what: string, bytes: readonly number[]): void {
  console.log(`${what}: ${bytes.map(one => `${Math.round(one / 1e6)} MB`).join(', ')}`)
}

function seconds(began: number): string {
  return ((performance.now() - began) / 1000).toFixed(1)
}

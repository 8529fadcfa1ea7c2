/**
 * Overload on the etcd port of one node of three, or of whatever listens at --port: what clients get,
 * and how far the resident memory of the node rises above what it was before.
 *   launcher.mjs --script benchmarks/overload/main.ts [--only TEXT] [--port PORT --pid PID]
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { LocalCluster } from '../../test/support/local-cluster.ts'
import { pause, prepare, scenarios } from './scenarios.ts'

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    port: { type: 'string' },
    pid: { type: 'string' },
  },
})
if (values.help) {
  console.log('benchmarks/overload/main.ts [--only TEXT] [--port PORT --pid PID]')
  console.log('  --only    scenarios whose name contains the text')
  console.log(
    '  --port    of an etcd that runs already, and its process, instead of three new nodes',
  )
  process.exit(0)
}

const sampleMillis = 50
const settleMillis = 2000

if (values.port !== undefined) await runAll(Number(values.port), Number(values.pid))
else {
  const cluster = new LocalCluster({ portBase: 18_100 })
  try {
    await cluster.startAll()
    const node = await cluster.leader()
    await runAll(cluster.etcd(node).port, cluster.pid(node))
    console.log(`leader ${node} before, ${await cluster.leader()} after`)
  } finally {
    await cluster.stop()
  }
}

async function runAll(port: number, pid: number): Promise<void> {
  await prepare(port)
  for (const { name, run } of scenarios) {
    if (!name.includes(values.only)) continue
    await pause(settleMillis)
    const before = residentMebibytes(pid)
    let most = before
    const sampler = setInterval(() => {
      most = Math.max(most, residentMebibytes(pid))
    }, sampleMillis)
    const outcome = await run(port).catch(error => `failed: ${error.message}`)
    await pause(settleMillis)
    clearInterval(sampler)
    const after = residentMebibytes(pid)
    console.log(
      `${name}: ${outcome}; resident ${before} MiB, +${most - before} at most, ${after} after`,
    )
  }
}

function residentMebibytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024)
}

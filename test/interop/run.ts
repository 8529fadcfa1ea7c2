/**
 * Each client does its round against each of three nodes: `launcher.mjs --script test/interop/run.ts`.
 * With `--real` against a real ZooKeeper and a real etcd instead, to prove the rounds themselves.
 * A client that is not installed is a failure (install.sh installs all).
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Cluster, startCluster } from '../../benchmarks/load/servers.ts'

interface Round {
  readonly door: 'zookeeper' | 'etcd'
  readonly command: readonly string[]
}

const here = fileURLToPath(new URL('.', import.meta.url))
const rounds: readonly Round[] = [
  { door: 'zookeeper', command: ['.cache/python/bin/python', 'kazoo_round.py'] },
  { door: 'zookeeper', command: ['bash', 'zkcli_round.sh'] },
  { door: 'zookeeper', command: [process.execPath, 'node_zookeeper_round.mjs'] },
  { door: 'etcd', command: [process.execPath, 'etcd3_round.mjs'] },
  { door: 'etcd', command: ['bash', 'etcdctl_round.sh'] },
]
const roundMillisMax = 120_000
const only = process.argv.slice(2).filter(argument => !argument.startsWith('--'))
let passed = 0
let failed = 0

for (const name of process.argv.includes('--real')
  ? (['zookeeper', 'etcd'] as const)
  : (['quorate'] as const)) {
  const cluster = await startCluster(name)
  if (cluster === undefined)
    throw new Error(`${name} is not installed: run test/interop/install.sh`)
  try {
    runRounds(cluster)
  } finally {
    await cluster.stop()
  }
}
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 && passed > 0 ? 0 : 1)

function runRounds(cluster: Cluster): void {
  for (const { door, command } of rounds) {
    if (only.length > 0 && !only.some(part => command.join(' ').includes(part))) continue
    for (const endpoint of cluster[door]) {
      const target = `${endpoint.host}:${endpoint.port}`
      const all = cluster[door].map(({ host, port }) => `${host}:${port}`).join(',')
      const [program = '', ...args] = command
      const title = `${args[0]} against ${cluster.name} ${target}`
      const { status, stdout, stderr, error } = spawnSync(program, [...args, target, all], {
        cwd: here,
        encoding: 'utf8',
        timeout: roundMillisMax,
      })
      if (status === 0) passed += 1
      else failed += 1
      console.log(
        status === 0
          ? `ok      ${title}`
          : `FAILED  ${title} (${error?.message ?? `exit code ${status}`})`,
      )
      console.log(stdout.trimEnd())
      if (status !== 0) console.log(stderr.trimEnd())
    }
  }
}

/** etcd's own `benchmark` tool against a cluster, where it is installed: an independent witness. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import { type Cluster, etcdBinary } from './servers.ts'

const runs = [
  ['put', '--total=60000', '--key-space-size=100000', '--val-size=256'],
  ['range', 'quorate-bench/00000001', '--consistency=s', '--total=100000'],
  ['range', 'quorate-bench/00000001', '--consistency=l', '--total=60000'],
] as const

export async function runEtcdBenchmark(cluster: Cluster): Promise<void> {
  const tool = etcdBinary('benchmark')
  if (!existsSync(tool) || cluster.etcd.length === 0) return
  const endpoints = cluster.etcd.map(one => `${one.host}:${one.port}`).join(',')
  for (const [command, ...args] of runs) {
    const common = ['--endpoints', endpoints, '--conns=100', '--clients=1000']
    const { stdout } = await promisify(execFile)(tool, [command, ...common, ...args], {
      maxBuffer: 1 << 24,
    })
    const perSecond = stdout.match(/Requests\/sec:\s*([\d.]+)/)?.[1] ?? '?'
    const p99 = stdout.match(/99% in ([\d.]+) secs/)?.[1] ?? '?'
    const errors = stdout.includes('Error distribution') ? '  with errors' : ''
    console.log(
      `${cluster.name.padEnd(9)}  etcd's benchmark ${command} ${args[0]} ${args[1]}: ${perSecond}/s, p99 ${p99} s${errors}`,
    )
  }
}

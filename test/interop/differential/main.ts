/**
 * The etcd door against a real etcd: the same random requests to both, answer by answer.
 *
 *     launcher.mjs --script test/interop/differential/main.ts [--seed S] [--requests N] [--port BASE] [--etcd FILE]
 *
 * What may differ, and why, stands in README.md beside this file.
 */
import { parseArgs } from 'node:util'
import { etcdBinary } from '../../../benchmarks/load/servers.ts'
import { seededRandom } from '../../../runtime/random.ts'
import { compareCases } from './cases.ts'
import { Pair } from './pair.ts'
import { Requests } from './requests.ts'
import { startServers } from './servers.ts'
import { compareWatchCases, compareWatches } from './watches.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    requests: { type: 'string', default: '5000' },
    rounds: { type: 'string', default: '40' },
    port: { type: 'string', default: '24100' },
    only: { type: 'string', default: 'cases,requests,watches' },
    etcd: { type: 'string', default: etcdBinary('etcd') },
  },
})
const servers = await startServers(Number(values.port), values.etcd)
const pair = new Pair(servers.quorate, servers.etcd)
try {
  const requests = new Requests(seededRandom(values.seed))
  if (values.only.includes('cases')) {
    await compareCases(pair, servers)
    await compareWatchCases(pair)
  }
  if (values.only.includes('requests')) await compareRequests(requests, Number(values.requests))
  if (values.only.includes('watches')) await compareWatches(pair, requests, Number(values.rounds))
} finally {
  pair.close()
  await servers.stop()
}
console.log(`${pair.compared - pair.differences} passed, ${pair.differences} failed`)
process.exit(pair.differences === 0 ? 0 : 1)

async function compareRequests(requests: Requests, count: number): Promise<void> {
  for (let done = 0; done < count; done += 1) {
    requests.revision = pair.revision
    const [method, request] = requests.next()
    const answer = await pair.call(method, request)
    if (method === 'Compact' && !Array.isArray(answer)) {
      requests.compacted = Math.max(
        requests.compacted,
        Number((request as { revision: number }).revision),
      )
    }
  }
}

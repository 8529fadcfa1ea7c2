/** A process of its own that keeps so many expensive requests under way, and says how long each took. */
import { type Expensive, etcdRequests, zookeeperRequests } from './requests.ts'

export interface HeavyTask {
  readonly door: 'etcd' | 'zookeeper'
  readonly port: number
  readonly path: string
  readonly revision: number
  readonly atOnce: number
  readonly seconds: number
}

/** By the name of the request: milliseconds of each, and how many failed. */
export type HeavyResult = Record<string, { millis: number[]; failed: number }>

const task = JSON.parse(process.argv[2] ?? '{}') as HeavyTask
const endpoint = { host: '127.0.0.1', port: task.port }
const end = performance.now() + task.seconds * 1000
const result: HeavyResult = {}

await Promise.all(Array.from({ length: task.atOnce }, (_, at) => keepAsking(at)))
process.stdout.write(JSON.stringify(result), () => process.exit(0))

async function keepAsking(first: number): Promise<void> {
  const requests =
    task.door === 'etcd'
      ? etcdRequests(endpoint, task.revision)
      : zookeeperRequests(endpoint, task.path)
  for (let at = first; performance.now() < end; at += 1) await ask(requests[at % requests.length])
}

async function ask(request: Expensive | undefined): Promise<void> {
  if (request === undefined) return
  const of = (result[request.name] ??= { millis: [], failed: 0 })
  const began = performance.now()
  try {
    await request.run()
    of.millis.push(performance.now() - began)
  } catch {
    of.failed += 1
  }
}

/** One load run: connects evenly to all endpoints, warms up, measures, and says what it saw. */
import { createHistogram } from 'node:perf_hooks'
import type { Client, ConnectClient, Endpoint, Workload } from './workload.ts'

export interface LoadResult {
  readonly answered: number
  readonly failed: number
  readonly reasons: Readonly<Record<string, number>>
  readonly perSecond: number
  readonly p50Millis: number
  readonly p90Millis: number
  readonly p99Millis: number
  readonly p999Millis: number
  readonly maxMillis: number
  /** CPU seconds of this process, and of each server process, while measuring. */
  readonly ownCpuSeconds: number
  readonly seconds: number
}

const paceMillis = 1

export async function runLoad(
  workload: Workload,
  endpoints: readonly Endpoint[],
  connect: ConnectClient,
): Promise<LoadResult> {
  const histogram = createHistogram({ lowest: 1, highest: 120_000_000, figures: 3 })
  const reasons: Record<string, number> = {}
  let measuring = false
  let answered = 0
  let failed = 0
  const recorder = {
    answered(millis: number) {
      if (!measuring) return
      answered += 1
      histogram.record(Math.max(1, Math.round(millis * 1000)))
    },
    failed(reason: string) {
      reasons[reason] = (reasons[reason] ?? 0) + 1
      if (measuring) failed += 1
    },
  }
  let running = true
  const onRoom = (client: Client, room: number): void => {
    if (running && workload.rate === 0) client.send(room, performance.now())
  }
  const clients: Client[] = []
  for (let index = 0; index < workload.connections; index += 1) {
    const endpoint = endpoints[index % endpoints.length]
    if (endpoint === undefined) throw new Error('no endpoints')
    clients.push(await connect(endpoint, workload, index, recorder, onRoom))
  }
  const stopPace = workload.rate > 0 ? pace(workload.rate, clients) : () => {}
  if (workload.rate === 0)
    for (const client of clients) client.send(workload.inFlight, performance.now())
  await sleep(workload.warmUpSeconds * 1000)
  const cpuBefore = process.cpuUsage()
  const started = performance.now()
  measuring = true
  await sleep(workload.seconds * 1000)
  measuring = false
  const seconds = (performance.now() - started) / 1000
  const cpu = process.cpuUsage(cpuBefore)
  running = false
  stopPace()
  for (const client of clients) client.close()
  const percentile = (part: number): number =>
    answered === 0 ? 0 : histogram.percentile(part) / 1000
  return {
    answered,
    failed,
    reasons,
    perSecond: answered / seconds,
    p50Millis: percentile(50),
    p90Millis: percentile(90),
    p99Millis: percentile(99),
    p999Millis: percentile(99.9),
    maxMillis: answered === 0 ? 0 : histogram.max / 1000,
    ownCpuSeconds: (cpu.user + cpu.system) / 1e6,
    seconds,
  }
}

/** Open loop: requests are due at fixed times, and late ones count from when they were due. */
function pace(rate: number, clients: readonly Client[]): () => void {
  const started = performance.now()
  let sent = 0
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - started) / 1000) * rate)
    for (; sent < due; sent += 1) {
      clients[sent % clients.length]?.send(1, started + (sent / rate) * 1000)
    }
  }, paceMillis)
  return () => clearInterval(timer)
}

function sleep(millis: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, millis))
}

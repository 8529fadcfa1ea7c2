/**
 * Time of this thread's own CPU, since the machine may have other things to do. The system counts it
 * in ticks of up to 4 ms: good for sums; for a single piece of work the wall's clock bounds it too.
 */
const tickMillis = 4

export interface Spent {
  readonly meanMillis: number
  /** No piece took more than this. */
  readonly maxMillis: number
}

/** `work` for each index; `between` after every `batch`, and the clocks with it. */
export function timeEach(
  times: number,
  batch: number,
  work: (index: number) => void,
  between: () => void,
): Spent {
  const start = cpuMillis()
  let maxMillis = 0
  let cpu = start
  let wall = performance.now()
  for (let index = 0; index < times; index++) {
    work(index)
    if (index % batch !== 0) continue
    between()
    const cpuNow = cpuMillis()
    const wallNow = performance.now()
    maxMillis = Math.max(maxMillis, Math.min(wallNow - wall, cpuNow - cpu + tickMillis))
    cpu = cpuNow
    wall = wallNow
  }
  return { meanMillis: (cpuMillis() - start) / times, maxMillis }
}

export function timed(work: () => void): number {
  const start = cpuMillis()
  work()
  return cpuMillis() - start
}

function cpuMillis(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/**
 * Jobs of virtual threads: the modules of production, run in one go on the node's simulated disk, done at a
 * seeded time later. Modules are loaded before the world starts, since loading is not deterministic.
 */
import type { Disk, Jobs, Random } from '../../runtime/host.ts'
import type { Scheduler } from './scheduler.ts'
import type { VirtualThread } from './thread.ts'

type Run = (input: never, disk: Disk) => unknown

export type JobModules = ReadonlyMap<string, Run>

export async function loadJobModules(paths: readonly string[]): Promise<JobModules> {
  const modules = new Map<string, Run>()
  for (const path of paths) {
    const url = new URL(`../../${path}`, import.meta.url)
    modules.set(url.href, ((await import(url.href)) as { run: Run }).run)
  }
  return modules
}

const jobMillisMin = 0.2
const jobMillisMax = 30

export function simulatedJobs(
  modules: JobModules,
  scheduler: Scheduler,
  random: Random,
  thread: VirtualThread,
  disk: Disk,
): Jobs {
  return {
    run(module, input, done) {
      const run = modules.get(module.href)
      if (run === undefined) throw new Error(`the simulator has not loaded the job ${module.href}`)
      const copy = structuredClone(input)
      const millis = jobMillisMin + (jobMillisMax - jobMillisMin) * random.fraction() ** 3
      // Not before what the callback did before it: a sync that it waits for is not done yet.
      scheduler.at(thread.nowMillis + millis, () => {
        if (thread.dead) return
        let result: unknown
        let failure: Error | undefined
        try {
          result = structuredClone(run(copy as never, disk))
        } catch (error) {
          failure = error instanceof Error ? error : new Error(String(error))
        }
        thread.post(() => done(failure, result as never))
      })
    },
  }
}

/** What runs in a thread of the job pool: `run(input, disk)` of the module that the job names. */
import { systemDisk } from './disk-node.ts'
import type { Disk } from './host.ts'

export interface JobTask {
  readonly module: string
  readonly input: unknown
}

export async function runJob(task: JobTask): Promise<unknown> {
  const module = (await import(task.module)) as { run(input: unknown, disk: Disk): unknown }
  return await module.run(task.input, systemDisk)
}

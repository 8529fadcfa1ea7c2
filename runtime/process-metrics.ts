/** What is said of a whole process, under the names that every Prometheus client uses. */
import { readdirSync, readFileSync } from 'node:fs'
import { systemClock } from './clock.ts'
import type { Metrics } from './metrics.ts'
import { observeCounters, observeGauges } from './observe.ts'

export function observeProcess(metrics: Metrics): void {
  const startSeconds = systemClock.wallMillis() / 1000 - process.uptime()
  observeGauges(metrics, [
    [
      'process_resident_memory_bytes',
      'Resident memory size in bytes.',
      () => process.memoryUsage.rss(),
    ],
    ['process_virtual_memory_bytes', 'Virtual memory size in bytes.', virtualBytes],
    ['process_open_fds', 'Number of open file descriptors.', openFiles],
    ['process_max_fds', 'Maximum number of open file descriptors.', openFilesMax],
    [
      'process_start_time_seconds',
      'Start time of the process since unix epoch in seconds.',
      () => startSeconds,
    ],
  ])
  observeCounters(metrics, [
    ['process_cpu_seconds_total', 'Total user and system CPU time spent in seconds.', cpuSeconds],
  ])
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** Only where there is /proc; elsewhere these are missing. */
export function openFiles(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return undefined
  }
}

export function openFilesMax(): number | undefined {
  const match = /^Max open files\s+(\d+)/m.exec(procFile('limits'))
  return match === null ? undefined : Number(match[1])
}

function virtualBytes(): number | undefined {
  const match = /^VmSize:\s+(\d+) kB/m.exec(procFile('status'))
  return match === null ? undefined : Number(match[1]) * 1024
}

function procFile(name: string): string {
  try {
    return readFileSync(`/proc/self/${name}`, 'utf8')
  } catch {
    return ''
  }
}

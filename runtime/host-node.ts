/** The `Host` of a real machine. */
import { deferToTurn, systemClock, systemTimers } from './clock.ts'
import { systemDisk } from './disk-node.ts'
import type { Host, Jobs } from './host.ts'
import { systemNetwork } from './network-node.ts'
import { systemRandom } from './random.ts'

/** Where jobs run is for the thread to know: see threads.ts. */
export function nodeHost(jobs: Jobs): Host {
  return {
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom(),
    network: systemNetwork,
    disk: systemDisk,
    jobs,
    defer: deferToTurn,
  }
}

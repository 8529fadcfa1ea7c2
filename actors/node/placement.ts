/** The placements that have a name (DESIGN.md D2). */
import type { Placement } from '../../runtime/system.ts'
import { collectorOf } from '../metrics-collector.ts'
import type { Config } from './config-schema.ts'

const named: Readonly<Record<'default' | 'single' | 'spread', Placement>> = {
  default: {
    log: ['consensus', 'journal', 'peers'],
    state: ['state', 'sessions', 'watches', 'zookeeper', 'etcd'],
  },
  single: {
    all: ['consensus', 'journal', 'peers', 'state', 'sessions', 'watches', 'zookeeper', 'etcd'],
  },
  spread: {
    consensus: ['consensus', 'peers'],
    journal: ['journal'],
    state: ['state'],
    sessions: ['sessions'],
    watches: ['watches'],
    clients: ['zookeeper', 'etcd'],
  },
}

/** With an actor on each thread that collects its metrics; those of `main` are collected there. */
export function withCollectors(placement: Placement): Placement {
  return Object.fromEntries(
    Object.entries(placement).map(([thread, actors]) => [
      thread,
      thread === 'main' ? actors : [...actors, collectorOf(thread).name],
    ]),
  )
}

/** `main` is the thread that the process began with. */
export function placementOf(config: Config): Placement {
  const { placement } = config
  return { main: ['control'], ...(typeof placement === 'string' ? named[placement] : placement) }
}

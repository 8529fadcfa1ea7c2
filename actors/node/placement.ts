/** The placements that have a name (DESIGN.md D2). */
import type { Placement } from '../../runtime/system.ts'
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

/** `main` is the thread that the process began with. */
export function placementOf(config: Config): Placement {
  const { placement } = config
  return { main: ['control'], ...(typeof placement === 'string' ? named[placement] : placement) }
}

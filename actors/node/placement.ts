/** The placements that have a name (DESIGN.md D2). */
import { availableParallelism } from 'node:os'
import type { Placement } from '../../runtime/system.ts'
import { splitAddress } from '../../transport/peers/address.ts'
import { collectorOf } from '../metrics-collector.ts'
import type { Config, NamedPlacement } from './config-schema.ts'
import { ownMember } from './ports.ts'

const named: Readonly<Record<Exclude<NamedPlacement, 'default'>, Placement>> = {
  single: {
    all: ['consensus', 'journal', 'peers', 'state', 'sessions', 'watches', 'zookeeper', 'etcd'],
  },
  split: {
    log: ['consensus', 'journal', 'peers'],
    state: ['state', 'sessions', 'watches', 'zookeeper', 'etcd'],
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

/** `main` is the thread that the process began with; `cores` those that this machine has. */
export function placementOf(config: Config, cores = availableParallelism()): Placement {
  const { placement } = config
  if (typeof placement !== 'string') return { main: ['control'], ...placement }
  const name = placement === 'default' ? defaultOf(config, cores) : placement
  return { main: ['control'], ...named[name] }
}

/**
 * Two threads keep long work on the state from delaying heartbeats, and cost a hop each way. With fewer
 * than two cores a node there is nothing to spread over, and the hop costs more than the 10 % that D2
 * allows (measured, benchmarks/README.md).
 */
function defaultOf(config: Config, cores: number): 'single' | 'split' {
  const own = hostOf(ownMember(config).peer)
  const nodesHere = config.cluster.members.filter(({ peer }) => hostOf(peer) === own).length
  return cores < 2 * nodesHere ? 'single' : 'split'
}

function hostOf(address: string): string {
  const { host } = splitAddress(address)
  return /^(localhost|127\..*|::1)$/.test(host) ? 'loopback' : host
}

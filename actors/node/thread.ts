/**
 * The actors of one node, and which part of them a thread starts: the supervision tree, read from top
 * to bottom. Order matters on a thread: who is told things stands before who tells them. A failure of
 * any of these ends the process (DESIGN.md D1): nothing of a node's log or state may go on alone.
 */
import type { Router } from '../../runtime/router.ts'
import type { ThreadStart } from '../../runtime/thread-task.ts'
import type { System } from '../../runtime/system.ts'
import type { Telemetry } from '../../runtime/telemetry.ts'
import { observeThread } from '../../runtime/thread-metrics.ts'
import { consensusActor } from '../consensus/shell/consensus-actor.ts'
import { etcdGateway } from '../gateways/etcd.ts'
import { zookeeperGateway } from '../gateways/zookeeper.ts'
import { journalActor } from '../journal/journal-actor.ts'
import { collectorActor, collectorOf } from '../metrics-collector.ts'
import { peersActor } from '../peers/peers-actor.ts'
import { sessionsActor } from '../sessions/sessions-actor.ts'
import { stateActor } from '../state/state-actor.ts'
import { watchesActor } from '../watches/watches-actor.ts'
import type { ActorName } from './config-schema.ts'
import type { NodeSetup } from './node-setup.ts'
import * as setups from './node-setup.ts'
import { createTelemetry } from './telemetry.ts'

export { protocols } from './protocols.ts'

/** What the threads of a process import. */
export function startThread(system: System, setup: unknown): ThreadStart | Promise<ThreadStart> {
  const node = setup as NodeSetup
  const telemetry = createTelemetry(system, node)
  if (!(telemetry instanceof Promise)) return startActors(system, node, telemetry)
  return telemetry.then(made => startActors(system, node, made))
}

function startActors(system: System, node: NodeSetup, telemetry: Telemetry): ThreadStart {
  const here = system.placement[system.thread] ?? []
  startCollector(system, telemetry)
  for (const name of startOrder) if (here.includes(name)) starters[name](system, node, telemetry)
  return { stopped: () => telemetry.tracing.stop() }
}

/** Where metrics are on, the placement has one for each thread. */
function startCollector(system: System, { metrics }: Telemetry): void {
  const { name } = collectorOf(system.thread)
  if (!(system.placement[system.thread] ?? []).includes(name)) return
  observeThread(metrics, system)
  system.spawn(collectorActor, name, metrics)
}

const startOrder: readonly ActorName[] = [
  'zookeeper',
  'etcd',
  'watches',
  'sessions',
  'peers',
  'journal',
  'consensus',
  'state',
]

type Starter = (system: System, node: NodeSetup, telemetry: Telemetry) => void

const starters: Record<ActorName, Starter> = {
  zookeeper: (system, node, telemetry) => {
    system.spawn(zookeeperGateway, 'zookeeper', { ...setups.zookeeperSetup(node), telemetry })
  },
  etcd: (system, node, telemetry) => {
    system.spawn(etcdGateway, 'etcd', {
      ...setups.etcdSetup(node),
      telemetry,
    })
  },
  watches: (system, node, telemetry) => {
    system.spawn(watchesActor, 'watches', { ...setups.watchesSetup(node), telemetry })
  },
  sessions: (system, node) => {
    system.spawn(sessionsActor, 'sessions', setups.sessionsSetup(node))
  },
  peers: (system, node, telemetry) => {
    const gate = system.remote as Router
    system.spawn(peersActor, 'peers', {
      ...setups.peersSetup(node, gate, system.host),
      telemetry,
    })
  },
  journal: (system, node, telemetry) => {
    system.spawn(journalActor, 'journal', { ...setups.journalSetup(node), telemetry })
  },
  consensus: (system, node, telemetry) => {
    system.spawn(consensusActor, 'consensus', { ...setups.consensusSetup(node), telemetry })
  },
  state: (system, node, telemetry) => {
    system.spawn(stateActor, 'state', { ...setups.stateSetup(node), telemetry })
  },
}

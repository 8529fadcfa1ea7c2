/**
 * What each actor of a node is given, made from its configuration and data directory. `NodeSetup`
 * is plain data: it is copied to every thread, and each thread makes its actors' setups from it.
 */
import type { Host, ListenOptions } from '../../runtime/host.ts'
import type { NodeGate } from '../../runtime/router.ts'
import { bytesOfHex, type DataDirectory } from '../../storage/data-directory.ts'
import type { ConsensusSetup } from '../consensus/consensus-actor.ts'
import type { EtcdSetup } from '../gateways/etcd.ts'
import type { ZookeeperSetup } from '../gateways/zookeeper.ts'
import type { JournalSetup } from '../journal/journal-actor.ts'
import type { PeersSetup } from '../peers/peers-actor.ts'
import type { SessionsSetup } from '../sessions/sessions-actor.ts'
import type { StateSetup } from '../state/state-actor.ts'
import type { WatchesSetup } from '../watches/watches-actor.ts'
import type { Config } from './config-schema.ts'
import { ownMember, splitAddress } from './ports.ts'

export interface NodeSetup {
  readonly config: Config
  readonly nodeId: number
  readonly storeId: string
  readonly incarnation: number
  readonly mayForm: boolean
  readonly dataDirectory: string
  readonly journalDirectory: string
  readonly checkpointDirectory: string
}

/** Shown to clients: what they check is the part before the dash. */
export const zookeeperVersion = '3.9.5'
export const etcdVersion = '3.6.14'

const touchMillis = 200
const progressMillis = 600_000

export function nodeSetup(config: Config, directory: DataDirectory): NodeSetup {
  return {
    config,
    nodeId: ownMember(config).id,
    storeId: directory.storeId,
    incarnation: directory.incarnation,
    mayForm: directory.mayForm,
    dataDirectory: directory.path,
    journalDirectory: directory.journalPath,
    checkpointDirectory: directory.checkpointPath,
  }
}

export function zookeeperSetup({ config, nodeId, incarnation }: NodeSetup): ZookeeperSetup {
  const { timings, limits } = config
  return {
    node: nodeId,
    incarnation,
    nodeCount: config.cluster.members.length,
    listen: listenOptions(config.listeners.zookeeper),
    sessionTimeoutMinMillis: timings.sessionTimeoutMinMillis,
    sessionTimeoutMaxMillis: timings.sessionTimeoutMaxMillis,
    frameBytesMax: limits.zookeeperFrameBytesMax,
    connectionsMax: limits.connectionsMax,
    proposalsMax: limits.proposalsInFlightMax,
    proposalBytesMax: limits.proposalBytesInFlightMax,
    resendMillis: 2 * timings.electionMillis,
    touchMillis,
    superDigest: '',
    version: `${zookeeperVersion}-quorate, built on 2026-11-23 00:00 UTC`,
  }
}

export function watchesSetup(_: NodeSetup): WatchesSetup {
  return { progressMillis }
}

export function sessionsSetup({ config, nodeId, incarnation }: NodeSetup): SessionsSetup {
  const { electionMillis, requestTimeoutMillis } = config.timings
  const questionMillis = requestTimeoutMillis
  return { node: nodeId, incarnation, touchMillis, questionMillis, electionMillis }
}

export function journalSetup({ config, storeId, journalDirectory }: NodeSetup): JournalSetup {
  const { fsync, segmentBytes, retainedBytes } = config.journal
  return {
    directory: journalDirectory,
    store: bytesOfHex(storeId),
    mayCreate: false,
    segmentBytes,
    fsync,
    retainedBytesMax: retainedBytes,
  }
}

function listenOptions(
  listener: Config['listeners']['etcd'],
  protocols: readonly string[] = [],
): ListenOptions {
  const { host, port, certificate, key } = listener
  if (certificate === undefined || key === undefined) return { host, port }
  return { host, port, tls: { certificate, key, protocols } }
}

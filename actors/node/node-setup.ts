/**
 * What each actor of a node is given, made from its configuration and data directory. `NodeSetup`
 * is plain data: it is copied to every thread, and each thread makes its actors' setups from it.
 */
import { createHash } from 'node:crypto'
import type { Host, ListenOptions } from '../../runtime/host.ts'
import type { NodeGate } from '../../runtime/router.ts'
import type { SharedTraceClock } from '../../runtime/tracing-clock.ts'
import { splitAddress } from '../../transport/peers/address.ts'
import { CheckpointTransferFiles } from '../../storage/checkpoint-transfer.ts'
import { bytesOfHex, type DataDirectory } from '../../storage/data-directory.ts'
import type { ConsensusSetup } from '../consensus/shell/consensus-actor.ts'
import type { EtcdMember, EtcdSetup } from '../gateways/etcd-setup.ts'
import type { ZookeeperSetup } from '../gateways/zookeeper.ts'
import type { JournalSetup } from '../journal/journal-actor.ts'
import type { PeersSetup } from '../peers/peers-actor.ts'
import { crossingKinds } from '../peers/crossing.ts'
import type { SessionsSetup } from '../sessions/sessions-actor.ts'
import type { StateSetup } from '../state/state-actor.ts'
import type { WatchesSetup } from '../watches/watches-actor.ts'
import type { Config } from './config-schema.ts'
import { clusterSecrets, peerTls } from './peer-trust.ts'
import { ownMember } from './ports.ts'

export interface NodeSetup {
  readonly config: Config
  readonly nodeId: number
  readonly storeId: string
  readonly incarnation: number
  readonly mayForm: boolean
  /** Of the cluster, for its nodes to prove; none: there is none. */
  readonly secrets: readonly string[]
  readonly dataDirectory: string
  readonly journalDirectory: string
  readonly checkpointDirectory: string
  /** Of the spans of all threads; nothing where nothing is traced. */
  readonly traceClock?: SharedTraceClock
  /** How often this thread of the process was started before. */
  readonly generation: number
}

type ConfigMember = Config['cluster']['members'][number]

/** Shown to clients: what they check is the part before the dash. */
export const zookeeperVersion = '3.9.5'
export const etcdVersion = '3.6.14'

const touchMillis = 200
/** An election takes one or two time-outs; as etcd, whose clients are told after three that there is no leader. */
const contactElections = 3
const everywhere = new Set(['0.0.0.0', '::', '[::]'])
const grpcOverheadBytes = 512 * 1024

export function nodeSetup(config: Config, directory: DataDirectory): NodeSetup {
  return {
    config,
    nodeId: ownMember(config).id,
    storeId: directory.storeId,
    incarnation: directory.incarnation,
    mayForm: directory.mayForm,
    secrets: clusterSecrets(config),
    dataDirectory: directory.path,
    journalDirectory: directory.journalPath,
    checkpointDirectory: directory.checkpointPath,
    generation: 0,
  }
}

export function zookeeperSetup(node: NodeSetup): ZookeeperSetup {
  const { config, nodeId, incarnation, generation } = node
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
    connectionsPerAddressMax: limits.zookeeperConnectionsPerAddressMax,
    answerBytesMax: limits.answerBytesMax,
    fourLetterWords: config.zookeeper.fourLetterWords,
    proposalsMax: limits.proposalsInFlightMax,
    proposalBytesMax: limits.proposalBytesInFlightMax,
    resendMillis: 2 * timings.electionMillis,
    contactMillisMax: contactElections * timings.electionMillis,
    touchMillis,
    generation,
    superDigest: '',
    version: `${zookeeperVersion}-quorate, built on 2026-11-23 00:00 UTC`,
  }
}

export function etcdSetup(node: NodeSetup): EtcdSetup {
  const { config, nodeId, incarnation, generation } = node
  const { timings, limits } = config
  return {
    node: nodeId,
    incarnation,
    generation,
    listen: listenOptions(config.listeners.etcd, ['h2', 'http/1.1']),
    ...etcdIds(node),
    members: config.cluster.members.map(member => etcdMember(config, member)),
    unknownMember: (id, peer, etcd) =>
      etcdMember(config, { id, name: `node${id}`, peer, ...(etcd === undefined ? {} : { etcd }) }),
    proposalsMax: limits.proposalsInFlightMax,
    proposalBytesMax: limits.proposalBytesInFlightMax,
    resendMillis: 2 * timings.electionMillis,
    electionMillis: timings.electionMillis,
    requestTimeoutMillis: timings.requestTimeoutMillis,
    requestBytesMax: limits.etcdRequestBytesMax,
    answerBytesMax: limits.answerBytesMax,
    // What gRPC may add to a request.
    serverLimits: {
      connectionsMax: limits.connectionsMax,
      connectionsPerAddressMax: limits.etcdConnectionsPerAddressMax,
      messageBytesMax: limits.etcdRequestBytesMax + grpcOverheadBytes,
    },
    // As etcd: time for an election and a half.
    leaseTtlSecondsMin: Math.ceil((1.5 * timings.electionMillis) / 1000),
  }
}

export function watchesSetup(node: NodeSetup): WatchesSetup {
  const { timings, limits } = node.config
  const eventBytesMax = limits.answerBytesMax / 4
  return { ...etcdIds(node), progressMillis: timings.watchProgressMillis, eventBytesMax }
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

export function consensusSetup({ config, nodeId, storeId, mayForm }: NodeSetup): ConsensusSetup {
  const { heartbeatMillis, electionMillis } = config.timings
  const initialMembers = config.cluster.members.map(({ id, peer, etcd }) => ({
    node: id,
    address: peer,
    ...(etcd === undefined ? {} : { etcd }),
  }))
  const limits = { retentionBytes: config.journal.retainedBytes }
  return { node: nodeId, storeId, mayForm, initialMembers, heartbeatMillis, electionMillis, limits }
}

export function peersSetup(node: NodeSetup, gate: NodeGate, host: Host): PeersSetup {
  const { config, nodeId, storeId, incarnation, secrets } = node
  const tls = peerTls(config)
  return {
    node: nodeId,
    cluster: config.cluster.name,
    storeId,
    incarnation,
    listen: splitAddress(ownMember(config).peer),
    ...(secrets.length === 0 ? {} : { secrets }),
    ...(tls === undefined ? {} : { tls }),
    members: config.cluster.members.map(({ id, peer }) => ({ node: id, ...splitAddress(peer) })),
    gate,
    checkpoints: new CheckpointTransferFiles(host.disk, host.jobs, node.checkpointDirectory),
    kinds: crossingKinds(),
    olderSchemas: [],
  }
}

export function stateSetup(node: NodeSetup): StateSetup {
  const { config, nodeId, incarnation, checkpointDirectory } = node
  return {
    identity: { node: nodeId, ...etcdIds(node), epoch: 0, leader: 0 },
    incarnation,
    checkpoints: {
      directory: checkpointDirectory,
      everyBytes: config.checkpoints.everyBytes,
      fsync: config.journal.fsync,
    },
    quotaBytes: config.limits.quotaBytes,
    compaction: config.compaction,
  }
}

/** Stable numbers that etcd's clients see: hashes of the cluster's name and of the member's. */
function etcdIds({ config }: NodeSetup): { clusterId: Uint8Array; memberId: Uint8Array } {
  const { name } = config.cluster
  return { clusterId: id64(name), memberId: id64(memberName(config, config.node)) }
}

function etcdMember(config: Config, member: ConfigMember): EtcdMember {
  const { host, port, advertise, certificate } = config.listeners.etcd
  // One that listens everywhere is reached where its peers reach it.
  const reached = everywhere.has(host) ? member.peer.replace(/:\d+$/, '') : host
  const own =
    member.name === config.node ? (advertise ?? `${bracketed(reached)}:${port}`) : undefined
  const client = member.etcd ?? own
  const scheme = certificate === undefined ? 'http' : 'https'
  return {
    node: member.id,
    id: new DataView(id64(memberName(config, member.name)).buffer).getBigUint64(0),
    name: member.name,
    peerUrls: [`http://${member.peer}`],
    clientUrls: client === undefined ? [] : [`${scheme}://${client}`],
    isLearner: false,
  }
}

/** IPv6 addresses in URLs. */
function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
}

function memberName({ cluster }: Config, name: string): string {
  return `${cluster.name}/${name}`
}

/** 8 bytes of SHA-256, positive as int64 too. */
function id64(text: string): Uint8Array {
  const bytes = new Uint8Array(createHash('sha256').update(text).digest().subarray(0, 8))
  bytes[0] = (bytes[0] ?? 0) & 0x7f
  return bytes
}

function listenOptions(
  listener: Config['listeners']['zookeeper'],
  protocols: readonly string[] = [],
): ListenOptions {
  const { host, port, certificate, key } = listener
  if (certificate === undefined || key === undefined) return { host, port }
  return { host, port, tls: { certificate, key, protocols } }
}

/**
 * The configuration of a node: every key, its default and its bounds. The commented file that
 * `quorate init` writes (config-template.ts) explains them to people.
 */
import { z } from 'zod'
import { fourLetterWords } from '../../transport/zookeeper/four-letter-words.ts'
import { splitAddress } from '../../transport/peers/address.ts'

const port = z.int().min(0).max(65535)
/** 10 ms is the tick of consensus. */
const millis = (least: number) => z.int().min(least).max(3_600_000)
const mebibyte = 1024 * 1024
const name = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'must be letters, digits, ".", "_" or "-"')
export const address = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/, { message: 'must be "host:port"', abort: true })
  .refine(text => isPort(splitAddress(text).port), {
    message: 'its port must be from 1 to 65535',
  })

export const secretCharactersMin = 32
export const tokenCharactersMin = 16
/** Of the system. */
const socketPathBytesMax = 107

const listenerKeys = {
  host: z.string().min(1).default('127.0.0.1'),
  port,
  /** PEM files; both or neither. */
  certificate: z.string().min(1).optional(),
  key: z.string().min(1).optional(),
}
const listener = z.strictObject(listenerKeys).refine(isWhole, 'certificate and key go together')
const etcdListener = z
  .strictObject({
    ...listenerKeys,
    /** What clients are told to connect to; default host:port. */
    advertise: address.optional(),
  })
  .refine(isWhole, 'certificate and key go together')

const adminListener = z
  .strictObject({
    ...listenerKeys,
    /** Names by which it is asked, beside those of the members. */
    hosts: z.array(z.string().min(1)).max(100).default([]),
    /** What changes have to be asked with. */
    token: z.string().min(tokenCharactersMin).optional(),
    /** A file with it, and below it others that are taken too, one a line. */
    tokenFile: z.string().min(1).optional(),
    /** Path of a Unix socket, for the owner of the node's process alone. */
    socket: z
      .string()
      .min(1)
      .refine(path => Buffer.byteLength(path) <= socketPathBytesMax, {
        message: `must be a path of at most ${socketPathBytesMax} bytes`,
      })
      .optional(),
  })
  .refine(isWhole, 'certificate and key go together')
  .refine(one => one.token === undefined || one.tokenFile === undefined, {
    message: 'token and tokenFile exclude each other',
    path: ['tokenFile'],
  })

function isPort(value: number): boolean {
  return value >= 1 && value <= 65535
}

function isWhole({ certificate, key }: { certificate?: unknown; key?: unknown }): boolean {
  return (certificate === undefined) === (key === undefined)
}

/** Where it listens stands in cluster.members. */
const peerListener = z.strictObject({
  /** PEM files: what this node shows, and the authorities of what the others have to show. */
  certificate: z.string().min(1),
  key: z.string().min(1),
  authority: z.string().min(1),
  /** A name that the certificates of all nodes have; default: each names the host of its peer address. */
  name: z.string().min(1).optional(),
})

export const memberId = z.int().min(1).max(254)

const member = z.strictObject({
  name,
  id: memberId,
  /** Where the other nodes reach this one. */
  peer: address,
  /** Where etcd clients reach it: what etcd's member list shows. */
  etcd: address.optional(),
})

/** Two of them fit into what may wait for a peer. */
const requestBytes = z
  .int()
  .min(4096)
  .max(4 * mebibyte)

const actorNames = [
  'consensus',
  'journal',
  'peers',
  'state',
  'sessions',
  'watches',
  'zookeeper',
  'etcd',
] as const

const namedPlacements = ['default', 'single', 'split', 'spread'] as const

const placementFault =
  `must be ${namedPlacements.join(', ')}, or a mapping from thread names to lists of ` +
  actorNames.join(', ')

export const configSchema = z
  .strictObject({
    node: name,
    dataDirectory: z.string().min(1),
    /** Directory of the journal where it should lie on a disk of its own; default inside dataDirectory. */
    logDirectory: z.string().min(1).optional(),
    cluster: z
      .strictObject({
        name,
        consensus: z.enum(['raft']).default('raft'),
        /** What nodes prove to each other; long enough that nobody finds it by trying. */
        secret: z.string().min(secretCharactersMin).optional(),
        /** A file with the secret, and below it others that are taken too, one a line. */
        secretFile: z.string().min(1).optional(),
        members: z.array(member).min(1).max(9),
      })
      .refine(one => one.secret === undefined || one.secretFile === undefined, {
        message: 'secret and secretFile exclude each other',
        path: ['secretFile'],
      }),
    listeners: z.strictObject({
      peers: peerListener.optional(),
      zookeeper: listener,
      etcd: etcdListener,
      admin: adminListener,
    }),
    zookeeper: z
      .strictObject({
        fourLetterWords: z.array(z.enum([...fourLetterWords, '*'])).default(['srvr', 'isro']),
      })
      .prefault({}),
    timings: z
      .strictObject({
        heartbeatMillis: millis(10).default(100),
        electionMillis: millis(100).default(1000),
        requestTimeoutMillis: millis(100).default(7000),
        sessionTimeoutMinMillis: millis(1000).default(4000),
        sessionTimeoutMaxMillis: millis(1000).default(40_000),
        shutdownMillis: millis(100).default(4000),
        /** etcd's watch-progress-notify-interval. */
        watchProgressMillis: millis(100).default(600_000),
      })
      .prefault({})
      .refine(one => one.electionMillis >= 5 * one.heartbeatMillis, {
        message: 'electionMillis must be at least 5 times heartbeatMillis',
      })
      .refine(one => one.sessionTimeoutMaxMillis >= one.sessionTimeoutMinMillis, {
        message: 'sessionTimeoutMaxMillis must not be below sessionTimeoutMinMillis',
      }),
    limits: z
      .strictObject({
        zookeeperFrameBytesMax: requestBytes.default(1_048_575),
        etcdRequestBytesMax: requestBytes.default(1_572_864),
        /** What the replicated state may hold: more than 32,768 slabs cannot be named (storage/slabs.ts). */
        quotaBytes: z
          .int()
          .min(mebibyte)
          .max(6 * 1024 * mebibyte)
          .default(2 * 1024 * mebibyte),
        connectionsMax: z.int().min(10).max(1_000_000).default(10_000),
        zookeeperConnectionsPerAddressMax: z.int().min(0).max(1_000_000).default(60),
        etcdConnectionsPerAddressMax: z.int().min(0).max(1_000_000).default(2000),
        answerBytesMax: z
          .int()
          .min(16 * mebibyte)
          .max(4096 * mebibyte)
          .default(128 * mebibyte),
        proposalsInFlightMax: z.int().min(100).max(1_000_000).default(20_000),
        proposalBytesInFlightMax: z
          .int()
          // Several of the chunks in which proposals wait, and which are given back whole.
          .min(mebibyte)
          .max(64 * mebibyte)
          .default(16 * mebibyte),
      })
      .prefault({}),
    placement: z
      .union(
        [z.enum(namedPlacements), z.record(z.string().min(1), z.array(z.enum(actorNames)).min(1))],
        { error: placementFault },
      )
      .default('default')
      .refine(one => typeof one === 'string' || placesEachOnce(one), {
        message: `a placement names each of ${actorNames.join(', ')} exactly once`,
      })
      .refine(one => typeof one === 'string' || !Object.hasOwn(one, 'main'), {
        message: 'a thread cannot be called "main": that is the one the process begins with',
      }),
    journal: z
      .strictObject({
        /** `never` loses acknowledged writes in a power failure: for experiments only. */
        fsync: z.enum(['always', 'never']).default('always'),
        /** A start reads one at a time into memory. */
        segmentBytes: z
          .int()
          .min(64 * 1024)
          .max(64 * mebibyte)
          .default(16 * mebibyte),
        /** Log kept in memory and on disk behind the newest checkpoint, for followers that were away. */
        retainedBytes: z
          .int()
          .min(0)
          .max(64 * mebibyte)
          .default(16 * mebibyte),
      })
      .prefault({}),
    checkpoints: z
      .strictObject({
        /** A checkpoint is cut after this much log, all of which is in memory. */
        everyBytes: z
          .int()
          .min(4096)
          .max(64 * mebibyte)
          .default(16 * mebibyte),
      })
      .prefault({}),
    /** Of etcd's history, beside what clients ask for. */
    compaction: z
      .strictObject({
        mode: z.enum(['none', 'periodic', 'revision']).default('none'),
        retentionMillis: z
          .int()
          .min(1000)
          .max(30 * 24 * 3_600_000)
          .default(3_600_000),
        retentionRevisions: z.int().min(1).max(1_000_000_000).default(10_000),
      })
      .prefault({}),
    tracing: z
      .strictObject({
        exporter: z.enum(['none', 'console', 'otlp']).default('none'),
        /** OTLP over HTTP. */
        endpoint: z
          .url({ protocol: /^https?$/, error: 'must be a URL of http or https' })
          .default('http://127.0.0.1:4318/v1/traces'),
        /** Part of the requests that start a trace here; one that a client has sampled always is. */
        ratio: z.number().min(0).max(1).default(1),
      })
      .prefault({}),
    metrics: z.strictObject({ enabled: z.boolean().default(true) }).prefault({}),
    logging: z
      .strictObject({
        level: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
        format: z.enum(['text', 'json']).default('text'),
      })
      .prefault({}),
  })
  .superRefine((config, context) => {
    const { members } = config.cluster
    for (const field of ['name', 'id', 'peer'] as const) {
      const seen = new Set<unknown>()
      members.forEach((one, index) => {
        if (seen.has(one[field])) {
          const path = ['cluster', 'members', index, field]
          context.addIssue({
            code: 'custom',
            path,
            message: `another member has the same ${field}`,
          })
        }
        seen.add(one[field])
      })
    }
    const { zookeeper, etcd, admin } = config.listeners
    const own = members.find(one => one.name === config.node)
    const taken = own === undefined ? [] : [{ name: 'peers', ...splitAddress(own.peer) }]
    for (const [name, { host, port: wanted }] of Object.entries({ zookeeper, etcd, admin })) {
      const other = taken.find(one => one.port === wanted && overlap(one.host, host))
      if (other !== undefined && wanted !== 0) {
        const message = `port ${wanted} is that of ${other.name} too`
        context.addIssue({ code: 'custom', path: ['listeners', name, 'port'], message })
      }
      taken.push({ name, host, port: wanted })
    }
    if (!members.some(one => one.name === config.node)) {
      const known = members.map(one => one.name).join(', ')
      const message = `"${config.node}" is not a member of the cluster (${known})`
      context.addIssue({ code: 'custom', path: ['node'], message })
    }
  })

export type Config = z.infer<typeof configSchema>
export type NamedPlacement = (typeof namedPlacements)[number]
export type ActorName = (typeof actorNames)[number]

/** Whether both hosts cannot listen on the same port. */
function overlap(one: string, other: string): boolean {
  return one === other || [one, other].some(host => host === '0.0.0.0' || /^\[?::\]?$/.test(host))
}

function placesEachOnce(placement: Record<string, readonly string[]>): boolean {
  const placed = Object.values(placement).flat()
  return placed.length === actorNames.length && new Set(placed).size === placed.length
}

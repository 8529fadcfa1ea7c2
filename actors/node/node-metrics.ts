/**
 * The metrics of a node. Actors keep plain numbers and tell them with their status; they are observed
 * here, through OpenTelemetry, when somebody collects. Names that etcd's dashboards know are etcd's;
 * all others begin with `quorate_`.
 */
import { readdirSync } from 'node:fs'
import { formatPrometheus } from '../../runtime/metrics-snapshot.ts'
import { createMetrics, type Metrics } from '../../runtime/metrics.ts'
import type { Control, StatusActor } from './control-actor.ts'

/** By actor: what it said of itself. */
type Values = Readonly<Record<string, unknown>>

export class NodeMetrics {
  readonly #control: Control
  #values: Values = {}
  #metrics: Promise<Metrics> | undefined

  constructor(control: Control) {
    this.#control = control
  }

  /** In Prometheus's text format. */
  text(answer: (text: string) => void): void {
    // Loaded when somebody first asks: a start should not wait for it.
    this.#metrics ??= this.#create()
    this.#control.status(asked, values => {
      this.#values = values
      this.#metrics
        ?.then(metrics => metrics.collect())
        .then(snapshot => answer(formatPrometheus(snapshot)))
    })
  }

  async #create(): Promise<Metrics> {
    const metrics = await createMetrics()
    for (const [name, help, from] of counters) {
      metrics.observeCounter(name, help, observe => this.#observe(from, observe))
    }
    for (const [name, help, from] of gauges) {
      metrics.observeGauge(name, help, observe => this.#observe(from, observe))
    }
    this.#observeLinks(metrics)
    observeProcess(metrics)
    return metrics
  }

  #observe(from: Source, observe: (value: number) => void): void {
    const value = typeof from === 'function' ? from(this.#values) : at(this.#values, from)
    if (typeof value === 'number') observe(value)
    else if (typeof value === 'boolean') observe(value ? 1 : 0)
  }

  #observeLinks(metrics: Metrics): void {
    const families = [
      ['etcd_network_peer_sent_bytes_total', 'Bytes sent to a peer.', 'bytesSent'],
      ['etcd_network_peer_received_bytes_total', 'Bytes received from a peer.', 'bytesReceived'],
      ['quorate_peer_dropped_total', 'Messages to a peer that a full queue dropped.', 'dropped'],
    ] as const
    for (const [name, help, field] of families) {
      metrics.observeCounter(name, help, observe => {
        for (const link of this.#links()) observe(link[field], { To: String(link.node) })
      })
    }
    metrics.observeGauge(
      'quorate_peer_round_trip_seconds',
      'Last round trip to a peer.',
      observe => {
        for (const link of this.#links())
          observe(link.roundTripMillis / 1000, { To: String(link.node) })
      },
    )
  }

  #links(): readonly LinkStatus[] {
    const links = at(this.#values, 'peers.links')
    return Array.isArray(links) ? (links as LinkStatus[]) : []
  }
}

interface LinkStatus {
  readonly node: number
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly dropped: number
  readonly roundTripMillis: number
}

/** A path into the values, or what is computed from them. */
type Source = string | ((values: Values) => unknown)

const asked: readonly StatusActor[] = [
  'consensus',
  'journal',
  'peers',
  'state',
  'watches',
  'zookeeper',
  'etcd',
]

const counters: readonly (readonly [string, string, Source])[] = [
  [
    'etcd_server_proposals_committed_total',
    'Entries of the log that are committed.',
    'consensus.commit',
  ],
  [
    'etcd_server_proposals_applied_total',
    'Entries of the log that are applied here.',
    'state.applied',
  ],
  [
    'etcd_server_proposals_failed_total',
    'Proposals dropped here; their streams propose them again.',
    'consensus.refusedProposals',
  ],
  ['quorate_journal_syncs_total', 'Times that the journal was synced.', 'journal.syncs'],
  [
    'quorate_zookeeper_packets_received_total',
    'Requests of ZooKeeper clients.',
    'zookeeper.packetsReceived',
  ],
  [
    'quorate_zookeeper_packets_sent_total',
    'Replies and events to ZooKeeper clients.',
    'zookeeper.packetsSent',
  ],
]

const gauges: readonly (readonly [string, string, Source])[] = [
  [
    'etcd_server_has_leader',
    'Whether a leader is known.',
    values => Number(at(values, 'consensus.leader')) > 0,
  ],
  [
    'etcd_server_is_leader',
    'Whether this node leads.',
    values => at(values, 'consensus.role') === 'leader',
  ],
  [
    'etcd_server_is_learner',
    'Whether this node is a learner.',
    values => at(values, 'consensus.role') === 'learner',
  ],
  ['etcd_debugging_mvcc_keys_total', 'Keys there are.', 'state.keys'],
  ['etcd_debugging_mvcc_current_revision', 'The newest revision.', 'state.revision'],
  [
    'etcd_debugging_mvcc_compact_revision',
    'The revision that was compacted last.',
    'state.compactRevision',
  ],
  ['etcd_debugging_mvcc_watcher_total', 'Watches on keys.', 'watches.keyWatches'],
  ['quorate_znode_watches', 'Watches on znodes.', 'watches.znodeWatches'],
  ['quorate_znodes', 'Znodes there are.', 'state.znodes'],
  ['quorate_zxid', 'The last zxid.', 'state.zxid'],
  ['quorate_sessions', 'Sessions of the cluster.', 'state.sessions'],
  ['quorate_leases', 'Leases of the cluster.', 'state.leases'],
  ['quorate_waiting_reads', 'Reads that wait for a write or a position.', 'state.waitingReads'],
  ['quorate_epoch', 'The epoch (Raft: term).', 'consensus.epoch'],
  ['quorate_log_bytes', 'Log in memory.', 'consensus.logBytes'],
  ['quorate_disk_full', 'Whether the journal waits for space.', 'consensus.diskFull'],
  ['quorate_journal_bytes', 'Journal on disk.', 'journal.sizeBytes'],
  [
    'quorate_journal_last_sync_seconds',
    'How long the last sync took.',
    values => seconds(at(values, 'journal.lastSyncMillis')),
  ],
  ['quorate_zookeeper_connections', 'Connections of ZooKeeper clients.', 'zookeeper.connections'],
  [
    'quorate_zookeeper_proposals_waiting',
    'Writes of ZooKeeper clients that are not applied yet.',
    'zookeeper.proposalsWaiting',
  ],
  ['quorate_etcd_connections', 'Connections of etcd clients.', 'etcd.connections'],
  ['quorate_etcd_streams', 'Open calls of etcd clients.', 'etcd.streams'],
]

function observeProcess(metrics: Metrics): void {
  const startSeconds = performance.timeOrigin / 1000
  metrics.observeGauge('process_resident_memory_bytes', 'Resident memory.', observe =>
    observe(process.memoryUsage.rss()),
  )
  metrics.observeGauge('process_start_time_seconds', 'Start of the process, since 1970.', observe =>
    observe(startSeconds),
  )
  metrics.observeCounter('process_cpu_seconds_total', 'CPU time, of all threads.', observe => {
    const { user, system } = process.cpuUsage()
    observe((user + system) / 1e6)
  })
  metrics.observeGauge('process_open_fds', 'Open files and sockets.', observe =>
    observe(readdirSync('/proc/self/fd').length),
  )
}

function at(values: Values, path: string): unknown {
  let value: unknown = values
  for (const part of path.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined
    value = (value as Record<string, unknown>)[part]
  }
  return value
}

function seconds(millis: unknown): unknown {
  return typeof millis === 'number' ? millis / 1000 : undefined
}

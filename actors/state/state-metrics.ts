/** What the state machine says of itself, under etcd's names where there are any. */
import type { Histogram, Metrics } from '../../runtime/metrics.ts'
import { observeCounters, observeGauges } from '../../runtime/observe.ts'
import type { ReadSchedule } from './read-schedule.ts'
import type { Replica } from './replica.ts'

/** etcd's bound, for one batch. */
const slowApplyMillis = 100

export class StateMetrics {
  readonly #applySeconds: Histogram
  readonly #checkpointSeconds: Histogram
  #slowApplies = 0

  constructor(metrics: Metrics, replica: Replica, reads: ReadSchedule) {
    this.#applySeconds = metrics.histogram(
      'quorate_apply_seconds',
      'Time to apply one batch of committed entries.',
    )
    this.#checkpointSeconds = metrics.histogram(
      'quorate_checkpoint_seconds',
      'From the start of a checkpoint until it was durable.',
      [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100],
    )
    observeCounters(metrics, [
      [
        'etcd_server_slow_apply_total',
        'The total number of slow apply requests (likely overloaded from slow disk).',
        () => this.#slowApplies,
      ],
    ])
    observeGauges(metrics, [
      // A gauge, as in etcd.
      [
        'etcd_server_proposals_applied_total',
        'The total number of consensus proposals applied.',
        () => replica.position,
      ],
    ])
    observeKeys(metrics, replica)
    observeZnodes(metrics, replica)
    observeGauges(metrics, [
      ['quorate_waiting_reads', 'Reads that wait for a write to apply.', () => reads.waitingCount],
      [
        'quorate_parked_reads',
        'Reads that wait until their clients have taken earlier answers.',
        () => reads.parkedCount,
      ],
    ])
  }

  differing(metrics: Metrics, differ: () => boolean): void {
    observeGauges(metrics, [
      [
        'quorate_states_differ',
        '1 while states of nodes differ, no majority decides, and requests are refused.',
        () => (differ() ? 1 : 0),
      ],
    ])
  }

  applied(millis: number): void {
    this.#applySeconds.record(millis / 1000)
    if (millis > slowApplyMillis) this.#slowApplies += 1
  }

  checkpointed(millis: number): void {
    this.#checkpointSeconds.record(millis / 1000)
  }
}

function observeKeys(metrics: Metrics, replica: Replica): void {
  observeGauges(metrics, [
    ['etcd_debugging_mvcc_keys_total', 'Total number of keys.', () => replica.keyspace.keyCount],
    [
      'etcd_debugging_mvcc_current_revision',
      'The current revision of store.',
      () => replica.keyspace.revision,
    ],
    [
      'etcd_debugging_mvcc_compact_revision',
      'The revision of the last compaction in store.',
      () => replica.keyspace.compactRevision,
    ],
    [
      'etcd_mvcc_db_total_size_in_bytes',
      'Memory taken by keys, znodes and history.',
      () => replica.space.reservedBytes,
    ],
    [
      'etcd_mvcc_db_total_size_in_use_in_bytes',
      'Bytes held by keys, znodes and history that is not compacted: what the quota counts.',
      () => replica.space.heldBytes,
    ],
    [
      'etcd_server_quota_backend_bytes',
      'How many bytes the state may hold.',
      () => replica.space.quotaBytes,
    ],
    [
      'quorate_no_space',
      'Whether writes are refused for want of space (1).',
      () => Number(replica.space.isFull),
    ],
  ])
}

function observeZnodes(metrics: Metrics, replica: Replica): void {
  observeGauges(metrics, [
    ['quorate_znodes', 'Znodes.', () => replica.tree.nodeCount],
    ['quorate_zxid', 'Last zxid.', () => replica.numbers.zxid],
    ['quorate_sessions', 'Sessions of all nodes.', () => replica.lifetimes.sessionCount],
    ['quorate_leases', 'Leases.', () => replica.lifetimes.leaseCount],
  ])
}

/** What this node's etcd door has applied and read since the process began. Not replicated. */
import type { Metrics } from '../../runtime/metrics.ts'
import { observeCounters, observeGauges } from '../../runtime/observe.ts'

export class EtcdTally {
  puts = 0
  putBytes = 0
  deletes = 0
  ranges = 0
  transactions = 0
  leasesGranted = 0
  leasesRevoked = 0

  observe(metrics: Metrics): void {
    observeCounters(metrics, [
      ['etcd_mvcc_put_total', 'Total number of puts seen by this member.', () => this.puts],
      [
        'etcd_mvcc_delete_total',
        'Total number of deletes seen by this member.',
        () => this.deletes,
      ],
      ['etcd_mvcc_range_total', 'Total number of ranges seen by this member.', () => this.ranges],
      ['etcd_mvcc_txn_total', 'Total number of txns seen by this member.', () => this.transactions],
      [
        'etcd_debugging_lease_granted_total',
        'The total number of granted leases.',
        () => this.leasesGranted,
      ],
      [
        'etcd_debugging_lease_revoked_total',
        'The total number of revoked leases.',
        () => this.leasesRevoked,
      ],
    ])
    observeGauges(metrics, [
      [
        'etcd_debugging_mvcc_total_put_size_in_bytes',
        'The total size of put kv pairs seen by this member.',
        () => this.putBytes,
      ],
    ])
  }
}

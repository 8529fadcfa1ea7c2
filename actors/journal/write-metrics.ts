/** What the journal says of its writes and syncs, under etcd's names where there are any. */
import type { Histogram, Metrics } from '../../runtime/metrics.ts'
import { observeCounters, observeGauges } from '../../runtime/observe.ts'
import type { JournalStatus } from '../../storage/journal.ts'

const requestBuckets = [1, 2, 4, 8, 16, 32, 64, 128, 256]
const byteBuckets = [256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304]
/** As etcd's: from 1 ms on, and what is quicker as well. */
const syncBuckets = [
  0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512,
  1.024, 2.048, 4.096, 8.192,
]

export class WriteMetrics {
  readonly #syncSeconds: Histogram
  readonly #batchBytes: Histogram
  readonly #batchRequests: Histogram
  #bytes = 0

  constructor(metrics: Metrics, status: () => JournalStatus | undefined) {
    this.#syncSeconds = metrics.histogram(
      'etcd_disk_wal_fsync_duration_seconds',
      'The latency distributions of fsync called by WAL.',
      syncBuckets,
    )
    this.#batchBytes = metrics.histogram(
      'quorate_journal_batch_bytes',
      'Bytes that one write and one sync made durable.',
      byteBuckets,
    )
    this.#batchRequests = metrics.histogram(
      'quorate_journal_batch_requests',
      'Requests of the log that one write and one sync served.',
      requestBuckets,
    )
    observeCounters(metrics, [
      ['quorate_journal_syncs_total', 'Syncs of the journal.', () => status()?.syncs],
    ])
    observeGauges(metrics, [
      // A gauge, as in etcd.
      [
        'etcd_disk_wal_write_bytes_total',
        'Total number of bytes written in WAL.',
        () => this.#bytes,
      ],
      ['quorate_journal_segments', 'Files of the journal.', () => status()?.segments],
      ['quorate_journal_size_bytes', 'Size of the journal on disk.', () => status()?.sizeBytes],
      [
        'quorate_journal_disk_full',
        '1 while there is no space for the journal.',
        () => bit(status()?.isFull),
      ],
      [
        'quorate_journal_disk_low',
        '1 while there is no space for the next segment of the journal.',
        () => bit(status()?.isScarce),
      ],
    ])
  }

  writing(bytes: number, requests: number): void {
    this.#bytes += bytes
    this.#batchBytes.record(bytes)
    this.#batchRequests.record(requests)
  }

  synced(millis: number): void {
    this.#syncSeconds.record(millis / 1000)
  }
}

function bit(value: boolean | undefined): number | undefined {
  if (value === undefined) return undefined
  return value ? 1 : 0
}

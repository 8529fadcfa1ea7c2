import { expect, test } from 'vitest'
import { createLazyMetrics, createMetrics, metricsOff } from '../../runtime/metrics.ts'
import { LatencyTable } from '../../runtime/latency-table.ts'
import { formatPrometheus, mergeMetrics } from '../../runtime/metrics-snapshot.ts'

test('what threads collect is merged and written with exact names', async () => {
  const snapshots = []
  for (const thread of [1, 2]) {
    const metrics = await createMetrics()
    metrics.counter('proposals_total', 'Proposals.').add(thread, { door: 'etcd' })
    const seconds = metrics.histogram('sync_seconds', 'Syncs.', [0.001, 0.01])
    seconds.record(0.0005)
    seconds.record(0.5 * thread)
    metrics.observeGauge('connections', 'Open "connections".', observe => observe(10 * thread))
    metrics.observeCounter('etcd_server_slow_apply_total', 'Slow.', observe => {
      observe(thread, { path: `a"b\\${thread}` })
    })
    snapshots.push(structuredClone(await metrics.collect()))
  }
  expect(formatPrometheus(mergeMetrics(snapshots))).toBe(`# HELP connections Open "connections".
# TYPE connections gauge
connections 30
# HELP etcd_server_slow_apply_total Slow.
# TYPE etcd_server_slow_apply_total counter
etcd_server_slow_apply_total{path="a\\"b\\\\1"} 1
etcd_server_slow_apply_total{path="a\\"b\\\\2"} 2
# HELP proposals_total Proposals.
# TYPE proposals_total counter
proposals_total{door="etcd"} 3
# HELP sync_seconds Syncs.
# TYPE sync_seconds histogram
sync_seconds_bucket{le="0.001"} 2
sync_seconds_bucket{le="0.01"} 2
sync_seconds_bucket{le="+Inf"} 4
sync_seconds_sum 1.501
sync_seconds_count 4
`)
})

test('an observed counter gives its running total each time', async () => {
  const metrics = await createMetrics()
  let total = 5
  metrics.observeCounter('turns_total', 'Turns.', observe => observe(total))
  expect((await metrics.collect()).families[0]!.points[0]!.value).toBe(5)
  total = 9
  expect((await metrics.collect()).families[0]!.points[0]!.value).toBe(9)
})

test('off, nothing is collected', async () => {
  metricsOff.counter('a', '').add(1)
  expect(await metricsOff.collect()).toEqual({ families: [] })
})

test('instruments that are made before the first collection count from their beginning', async () => {
  const metrics = createLazyMetrics()
  let seen = 0
  metrics.observeGauge('watched', 'Observed.', observe => observe(seen))
  const histogram = metrics.histogram('took_seconds', 'Time.', [0.1, 1])
  histogram.record(0.05)
  seen = 7
  const text = formatPrometheus(await metrics.collect())
  histogram.record(2)
  const later = formatPrometheus(await metrics.collect())
  expect(text).toContain('watched 7\n')
  expect(text).toContain('took_seconds_bucket{le="0.1"} 1\n')
  expect(text).toContain('took_seconds_count 1\n')
  expect(later).toContain('took_seconds_bucket{le="1"} 1\ntook_seconds_bucket{le="+Inf"} 2\n')
})

test('values that nobody collects for long are all counted', async () => {
  const metrics = createLazyMetrics()
  const histogram = metrics.histogram('sync_seconds', 'Syncs.')
  for (let second = 0; second < 20; second += 1) {
    for (let at = 0; at < 3_000; at += 1) histogram.record(0.001)
    // As on a node that serves: other work goes on between.
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  const { families } = await metrics.collect()
  const counts = families[0]?.points[0]?.counts ?? []
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(60_000)
})

test('what is counted in a table reads as a histogram with a label for each kind there was', async () => {
  const table = new LatencyTable(3)
  const metrics = createLazyMetrics()
  const kinds = new Map([
    [0, { operation: 'read' }],
    [1, { operation: 'never' }],
    [2, { operation: 'write' }],
  ])
  table.observe(metrics, 'took_seconds', 'Time.', kinds)
  for (const millis of [0, 0.1, 0.2, 8192, 10_000]) table.record(2, millis)
  table.record(0, 1)
  const text = formatPrometheus(await metrics.collect())
  expect(text).not.toContain('never')
  expect(text).toContain('# TYPE took_seconds histogram\n')
  // A bound belongs to its bucket.
  expect(text).toContain('took_seconds_bucket{le="0.0001",operation="write"} 2\n')
  expect(text).toContain('took_seconds_bucket{le="0.00025",operation="write"} 3\n')
  expect(text).toContain('took_seconds_bucket{le="8.192",operation="write"} 4\n')
  expect(text).toContain('took_seconds_bucket{le="+Inf",operation="write"} 5\n')
  expect(text).toContain('took_seconds_sum{operation="write"} 18.1923\n')
  expect(text).toContain('took_seconds_count{operation="read"} 1\n')
})

/** What a running node tells a scraper, on its admin port and on the port for etcd's clients. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { requestAdmin } from '../../../actors/node/admin-client.ts'
import { quorateVersion } from '../../../actors/node/version.ts'
import { EtcdClient } from '../../support/etcd-client.ts'
import { LocalCluster } from '../../support/local-cluster.ts'
import { ZookeeperSession } from '../../support/zookeeper-session.ts'

let cluster: LocalCluster
let leader = 0

beforeAll(async () => {
  cluster = new LocalCluster({ portBase: 19_100, config: { placement: 'split' } })
  await cluster.startAll()
  leader = await cluster.leader()
})

afterAll(() => cluster.stop())

test('each family stands once, with its help and type, whatever thread it comes from', async () => {
  const text = await scrape(leader)
  const named = [...text.matchAll(/^# TYPE (\S+) (counter|gauge|histogram)$/gm)].map(
    ([, name]) => name,
  )
  expect(new Set(named).size).toBe(named.length)
  expect([...text.matchAll(/^# HELP (\S+) \S/gm)].map(([, name]) => name)).toEqual(named)
  const series = [...text.matchAll(/^([a-z_]+)(?:\{.*\})? \S+$/gm)].map(([, name]) => name!)
  const families = new Set(named)
  const strays = series.filter(
    name => !families.has(name.replace(/_(bucket|sum|count)$/, '')) && !families.has(name),
  )
  expect(strays).toEqual([])
  expect(families).toContain('quorate_dead_letters_total')
  expect(
    [...points(text, 'quorate_turns_total').keys()].map(
      labels => /thread="(\w+)"/.exec(labels)?.[1],
    ),
  ).toEqual(expect.arrayContaining(['log', 'state', 'main']))
})

test('the names that dashboards of etcd use have true values', async () => {
  // On a busy machine the leader may change between two scrapes.
  await vi.waitFor(async () => {
    leader = await cluster.leader()
    for (const node of cluster.nodes) {
      const text = await scrape(node)
      expect(one(text, 'etcd_server_has_leader')).toBe(1)
      expect(one(text, 'etcd_server_is_leader')).toBe(node === leader ? 1 : 0)
    }
  }, 10_000)
  for (const node of cluster.nodes) {
    const text = await scrape(node)
    expect(one(text, 'etcd_server_leader_changes_seen_total')).toBeGreaterThanOrEqual(1)
    expect(sum(text, 'etcd_network_active_peers')).toBe(2)
    expect(one(text, 'process_resident_memory_bytes')).toBeGreaterThan(20_000_000)
    expect(one(text, 'process_cpu_seconds_total')).toBeGreaterThan(0)
    expect(one(text, 'process_open_fds')).toBeGreaterThan(10)
  }
})

test('what stands in dashboards of etcd has etcd’s type', async () => {
  const text = await scrape(leader)
  const types = new Map(
    [...text.matchAll(/^# TYPE (etcd_\S+) (\w+)$/gm)].map(([, name, type]) => [name, type]),
  )
  const counters = [
    ...['put', 'delete', 'range', 'txn'].map(name => `etcd_mvcc_${name}_total`),
    ...['leader_changes_seen_total', 'proposals_failed_total', 'slow_apply_total'].map(serverName),
    ...['slow_read_indexes_total', 'read_indexes_failed_total', 'health_success'].map(serverName),
    'etcd_server_health_failures',
    'etcd_network_client_grpc_received_bytes_total',
    'etcd_network_client_grpc_sent_bytes_total',
  ]
  const gauges = [
    ...['has_leader', 'is_leader', 'is_learner', 'id', 'version'].map(serverName),
    ...['proposals_applied_total', 'proposals_committed_total', 'proposals_pending'].map(
      serverName,
    ),
    'etcd_cluster_version',
    'etcd_disk_wal_write_bytes_total',
    'etcd_mvcc_db_total_size_in_bytes',
    'etcd_mvcc_db_total_size_in_use_in_bytes',
    'etcd_debugging_mvcc_watch_stream_total',
    'etcd_debugging_mvcc_slow_watcher_total',
  ]
  expect(counters.filter(name => types.get(name) !== 'counter')).toEqual([])
  expect(gauges.filter(name => types.get(name) !== 'gauge')).toEqual([])
  expect(types.get('etcd_disk_wal_fsync_duration_seconds')).toBe('histogram')
  expect(points(text, 'etcd_server_version').get('{server_version="3.6.14"}')).toBe(1)

  function serverName(name: string): string {
    return `etcd_server_${name}`
  }
})

test('counters grow with traffic at both doors, and gauges follow it', async () => {
  const before = await scrape(leader)
  const etcd = new EtcdClient([cluster.etcd(leader)], 0)
  const zookeeper = new ZookeeperSession([cluster.zookeeper(leader)], 0, 10_000)
  for (let at = 0; at < 20; at += 1) await etcd.put(`key${at}`, 'value')
  for (let at = 0; at < 10; at += 1) await zookeeper.create(`/node${at}`, Buffer.from('data'))
  await zookeeper.get('/node0', true)
  const after = await scrape(leader)
  const grown = (name: string): number => sum(after, name) - sum(before, name)
  const put = '{grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"}'
  const putOk = put.replace('{', '{grpc_code="OK",')
  expect(points(after, 'grpc_server_started_total').get(put)).toBe(20)
  expect(points(after, 'grpc_server_handled_total').get(putOk)).toBe(20)
  const puts = put.replace('}', ',le="+Inf"}')
  expect(points(after, 'grpc_server_handling_seconds_count').get(put)).toBe(20)
  expect(points(after, 'grpc_server_handling_seconds_sum').get(put)).toBeGreaterThan(0.001)
  expect(points(after, 'grpc_server_handling_seconds_bucket').get(labelsSorted(puts))).toBe(20)
  const took = points(after, 'quorate_zookeeper_request_seconds_count')
  expect(took.get('{operation="create"}')).toBe(10)
  expect(took.get('{operation="getData"}')).toBe(1)
  expect(took.get('{operation="createSession"}')).toBe(1)
  expect(grown('etcd_server_proposals_committed_total')).toBeGreaterThanOrEqual(31)
  expect(grown('etcd_server_proposals_applied_total')).toBeGreaterThanOrEqual(31)
  expect(grown('etcd_debugging_mvcc_keys_total')).toBe(20)
  expect(grown('etcd_debugging_mvcc_current_revision')).toBe(20)
  expect(grown('etcd_mvcc_put_total')).toBe(20)
  expect(grown('etcd_debugging_mvcc_total_put_size_in_bytes')).toBe(10 * 4 + 10 * 5 + 20 * 5)
  expect(grown('quorate_znodes')).toBe(10)
  expect(grown('quorate_znode_watches')).toBe(1)
  expect(grown('quorate_sessions')).toBe(1)
  expect(grown('quorate_connections')).toBe(2)
  expect(grown('etcd_disk_wal_write_bytes_total')).toBeGreaterThan(31 * 80)
  expect(grown('etcd_network_peer_sent_bytes_total')).toBeGreaterThan(31 * 80)
  etcd.close()
  await zookeeper.close()
})

test('what runs, and how far the others are', async () => {
  const text = await scrape(leader)
  const [labels] = [...points(text, 'quorate_build_info').keys()]
  expect(labels).toContain(`version="${quorateVersion}"`)
  expect(labels).toContain(`node_version="${process.version}"`)
  await vi.waitFor(async () => {
    const counts = points(await scrape(leader), 'etcd_network_peer_round_trip_time_seconds_count')
    const others = cluster.nodes.filter(node => node !== leader).map(node => `{To="${node}"}`)
    expect([...counts.keys()].toSorted()).toEqual(others)
  }, 10_000)
})

function labelsSorted(labels: string): string {
  return `{${labels.slice(1, -1).split(',').toSorted().join(',')}}`
}

test('histograms are in seconds, cumulative, and count every sync', async () => {
  const text = await scrape(leader)
  const name = 'etcd_disk_wal_fsync_duration_seconds'
  const buckets = [...points(text, `${name}_bucket`)].map(
    ([labels, count]) =>
      [Number(/le="([^"]+)"/.exec(labels)?.[1]?.replace('+Inf', 'Infinity')), count] as const,
  )
  const bounds = buckets.map(([bound]) => bound)
  expect(bounds).toEqual(bounds.toSorted((left, right) => left - right))
  expect(bounds[0]).toBe(0.0001)
  expect(bounds.at(-1)).toBe(Number.POSITIVE_INFINITY)
  const counts = buckets.map(([, count]) => count)
  expect(counts).toEqual(counts.toSorted((left, right) => left - right))
  expect(counts.at(-1)).toBe(one(text, `${name}_count`))
  expect(one(text, `${name}_count`)).toBe(one(text, 'quorate_journal_syncs_total'))
  expect(one(text, `${name}_sum`)).toBeLessThan(60)
})

test('the port for etcd clients serves the same families', async () => {
  const { host, port } = cluster.etcd(leader)
  const answer = await fetch(`http://${host}:${port}/metrics`)
  expect(answer.status).toBe(200)
  const families = (text: string): string[] =>
    [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!)
  const text = await answer.text()
  expect(one(text, 'process_resident_memory_bytes')).toBeGreaterThan(20_000_000)
  expect(families(text)).toEqual(families(await scrape(leader)))
})

test('metrics that are off are not there', async () => {
  const off = new LocalCluster({
    portBase: 19_200,
    nodeCount: 1,
    config: { metrics: { enabled: false } },
  })
  try {
    await off.startAll()
    expect((await requestAdmin(off.admin(1), 'GET', '/metrics')).status).toBe(404)
  } finally {
    await off.stop()
  }
})

async function scrape(node: number): Promise<string> {
  const { status, text } = await requestAdmin(cluster.admin(node), 'GET', '/metrics')
  expect(status).toBe(200)
  return text
}

/** By labels as they are written. */
function points(text: string, name: string): Map<string, number> {
  const found = text.matchAll(new RegExp(`^${name}(\\{.*\\})? (\\S+)$`, 'gm'))
  return new Map([...found].map(([, labels = '', value]) => [labels, Number(value)]))
}

function one(text: string, name: string): number {
  const found = [...points(text, name).values()]
  expect(found, name).toHaveLength(1)
  return found[0]!
}

function sum(text: string, name: string): number {
  return [...points(text, name).values()].reduce((total, value) => total + value, 0)
}

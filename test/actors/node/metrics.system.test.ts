import { get } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { requestAdmin } from '../../../actors/node/admin-client.ts'
import { EtcdClient } from '../../support/etcd-client.ts'
import { LocalCluster } from '../../support/local-cluster.ts'

describe('metrics of a node', () => {
  const cluster = new LocalCluster({ nodeCount: 1, portBase: 19500 })
  beforeAll(() => cluster.startAll())
  afterAll(() => cluster.stop())

  async function values(): Promise<Map<string, number>> {
    const { status, text } = await requestAdmin(cluster.admin(1), 'GET', '/metrics')
    expect(status).toBe(200)
    const lines = text.split('\n').filter(line => line !== '' && !line.startsWith('#'))
    return new Map(lines.map(line => [line.split(' ')[0] ?? '', Number(line.split(' ')[1])]))
  }

  it('are what the node is and has done, and grow with what it does', async () => {
    const before = await values()
    expect(before.get('etcd_server_has_leader')).toBe(1)
    expect(before.get('etcd_server_is_leader')).toBe(1)
    expect(before.get('process_resident_memory_bytes')).toBeGreaterThan(50e6)
    const client = new EtcdClient([cluster.etcd(1)], 0)
    for (let key = 0; key < 10; key += 1) await client.put(`key${key}`, 'value')
    client.close()
    const after = await values()
    expect(after.get('etcd_debugging_mvcc_keys_total')).toBe(10)
    const applied = 'etcd_server_proposals_applied_total'
    expect(after.get(applied)).toBe((before.get(applied) ?? 0) + 10)
    expect(after.get('quorate_journal_syncs_total')).toBeGreaterThan(
      before.get('quorate_journal_syncs_total') ?? 0,
    )
  })

  it('have one HELP and TYPE for each family, on the etcd port as on the admin port', async () => {
    const { port } = cluster.etcd(1)
    const text = await new Promise<string>((resolve, reject) => {
      get({ host: '127.0.0.1', port, path: '/metrics' }, response => {
        let body = ''
        response.on('data', (part: Buffer) => (body += part.toString()))
        response.on('end', () => resolve(body))
      }).on('error', reject)
    })
    const helps = text.split('\n').filter(line => line.startsWith('# HELP '))
    const types = text.split('\n').filter(line => line.startsWith('# TYPE '))
    expect(helps.length).toBeGreaterThan(20)
    expect(new Set(helps.map(line => line.split(' ')[2])).size).toBe(helps.length)
    expect(types.length).toBe(helps.length)
  })
})

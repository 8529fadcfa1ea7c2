import { expect, test } from 'vitest'
import { parseConfig } from '../../../actors/node/config.ts'
import { configTemplate } from '../../../actors/node/config-template.ts'
import { etcdSetup, type NodeSetup, watchesSetup } from '../../../actors/node/node-setup.ts'

const own = { index: 2, nodeCount: 3, dataDirectory: '/d', clusterName: 'c' }

function etcd(environment = {}): ReturnType<typeof etcdSetup> {
  const config = parseConfig(configTemplate(own), 'node.yaml', environment)
  return etcdSetup({ config, nodeId: 2, incarnation: 1, generation: 0 } as unknown as NodeSetup)
}

test('a longer etcd request is a longer gRPC message too', () => {
  const setup = etcd({ QUORATE_LIMITS__ETCD_REQUEST_BYTES_MAX: '4000000' })
  expect(setup.requestBytesMax).toBe(4_000_000)
  expect(setup.serverLimits?.messageBytesMax).toBe(4_000_000 + 524_288)
})

test('how often watches hear of progress is configured', () => {
  const progressMillis = (environment: Record<string, string>) => {
    const config = parseConfig(configTemplate(own), 'node.yaml', environment)
    const node = { config, nodeId: 2, incarnation: 1, generation: 0 } as unknown as NodeSetup
    return watchesSetup(node).progressMillis
  }
  expect(progressMillis({})).toBe(600_000)
  expect(progressMillis({ QUORATE_TIMINGS__WATCH_PROGRESS_MILLIS: '5000' })).toBe(5000)
})

test('a node that listens everywhere names the host that its peers use', () => {
  for (const [host, url] of [
    ['0.0.0.0', 'http://two.example:22379'],
    ['"::"', 'http://two.example:22379'],
    ['"::1"', 'http://[::1]:22379'],
  ]) {
    const text = configTemplate(own)
      .replace('etcd: { host: 127.0.0.1', `etcd: { host: ${host}`)
      .replace('peer: "127.0.0.1:7102", etcd: "127.0.0.1:22379"', 'peer: "two.example:7102"')
    const config = parseConfig(text, 'node.yaml')
    const node = { config, nodeId: 2, incarnation: 1, generation: 0 } as unknown as NodeSetup
    expect(etcdSetup(node).members[1]?.clientUrls).toEqual([url])
  }
})

test('etcd clients are told of every member where it serves them', () => {
  expect(
    etcd().members.map(({ name, clientUrls, peerUrls }) => [name, clientUrls, peerUrls]),
  ).toEqual([
    ['node1', ['http://127.0.0.1:2379'], ['http://127.0.0.1:7101']],
    ['node2', ['http://127.0.0.1:22379'], ['http://127.0.0.1:7102']],
    ['node3', ['http://127.0.0.1:32379'], ['http://127.0.0.1:7103']],
  ])
})

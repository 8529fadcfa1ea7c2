import { expect, test } from 'vitest'
import { parseConfig } from '../../../actors/node/config.ts'
import { configTemplate } from '../../../actors/node/config-template.ts'
import { etcdSetup, type NodeSetup } from '../../../actors/node/node-setup.ts'

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

test('etcd clients are told of every member where it serves them', () => {
  expect(
    etcd().members.map(({ name, clientUrls, peerUrls }) => [name, clientUrls, peerUrls]),
  ).toEqual([
    ['node1', ['http://127.0.0.1:2379'], ['http://127.0.0.1:7101']],
    ['node2', ['http://127.0.0.1:22379'], ['http://127.0.0.1:7102']],
    ['node3', ['http://127.0.0.1:32379'], ['http://127.0.0.1:7103']],
  ])
})

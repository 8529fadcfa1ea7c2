import { expect, test } from 'vitest'
import { parseConfig } from '../../../actors/node/config.ts'
import { configTemplate } from '../../../actors/node/config-template.ts'
import { memberDifferences } from '../../../actors/node/member-differences.ts'
import { membershipChange } from '../../../actors/node/member-changes.ts'

const store = '0123456789abcdef'.repeat(2)
const asked = { change: 'add', node: 4, peer: 'host:7104', store, etcd: '' }
const none = { stores: {}, members: [] }

test('a change with all that it needs', () => {
  const member = { node: 4, address: 'host:7104', store }
  expect(membershipChange(asked, none)).toEqual({ kind: 'addLearner', member })
  const heard = { ...asked, change: 'replace', store: '' }
  const stores = { 4: store }
  expect(membershipChange(heard, { ...none, stores })).toEqual({ kind: 'replace', member })
  const members = [{ ...member, store: 'f'.repeat(32) }]
  expect(membershipChange({ ...heard, peer: '' }, { stores, members })).toEqual({
    kind: 'replace',
    member,
  })
  expect(membershipChange({ ...asked, change: 'remove' }, none)).toEqual({
    kind: 'remove',
    node: 4,
  })
  const etcd = 'host:2379'
  expect(membershipChange({ ...asked, etcd }, none)).toEqual({
    kind: 'addLearner',
    member: { ...member, etcd },
  })
  expect(membershipChange({ ...asked, change: 'update', peer: '', etcd }, none)).toEqual({
    kind: 'update',
    node: 4,
    address: '',
    etcd,
  })
})

// Once committed, an address that is none would be on every node for good.
test.each([
  [{ peer: '' }, 'where the others reach node 4 is missing (--peer)'],
  [{ peer: 'nonsense' }, '--peer nonsense: must be "host:port"'],
  [{ peer: 'host:0' }, '--peer host:0: its port must be from 1 to 65535'],
  [{ peer: 'host:70000' }, '--peer host:70000: its port must be from 1 to 65535'],
  [{ etcd: 'host' }, '--etcd host: must be "host:port"'],
  [{ node: 255 }, 'the id of a node is from 1 to 254, not 255'],
  [{ store: 'x' }, '--store x: must be 32 hexadecimal digits'],
  [{ store: '' }, /^the leader has not heard of node 4: start it/],
  [{ change: 'grow' }, '"grow" is no change; add, promote, replace, update or remove'],
])('%j is refused', (part, fault) => {
  for (const change of ['add', 'replace']) {
    const refused = membershipChange({ ...asked, change, ...part }, none)
    if (typeof fault === 'string') expect(refused).toBe(fault)
    else expect(refused).toMatch(fault)
  }
})

test('an update without anything to update is refused, and so is an address that is none', () => {
  const update = { ...asked, change: 'update', peer: '' }
  expect(membershipChange(update, none)).toBe('what is to be updated is missing (--peer, --etcd)')
  expect(membershipChange({ ...update, peer: 'x' }, none)).toBe('--peer x: must be "host:port"')
})

test('a configuration that says something else than the membership is told apart', () => {
  const own = { index: 2, nodeCount: 3, dataDirectory: '/d', clusterName: 'c' }
  const config = parseConfig(configTemplate(own), 'node.yaml', {})
  const members = [1, 2, 3].map(node => ({ node, store, address: `127.0.0.1:710${node}` }))
  expect(memberDifferences(config, members)).toEqual([])
  expect(memberDifferences(config, [])).toEqual([])
  const [first, second, third] = members
  const moved = { ...third!, address: 'far:1', etcd: 'far:2' }
  const fourth = { ...third!, node: 4, address: 'four:1' }
  expect(memberDifferences(config, [second!, moved, fourth])).toEqual([
    'node1 (1) is in the configuration of node2, and no member',
    'the other nodes: node3 is reached at 127.0.0.1:7103 by the configuration of node2, and at far:1 by the membership, which counts: quorate member update 3 --peer 127.0.0.1:7103 changes it',
    'etcd clients: node3 is reached at 127.0.0.1:32379 by the configuration of node2, and at far:2 by the membership, which counts: quorate member update 3 --etcd 127.0.0.1:32379 changes it',
    'node 4 at four:1 is a member, and not in the configuration of node2',
  ])
  expect(memberDifferences(config, [first!, third!])).toEqual([])
})

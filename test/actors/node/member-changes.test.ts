import { expect, test } from 'vitest'
import { membershipChange } from '../../../actors/node/member-changes.ts'

const store = '0123456789abcdef'.repeat(2)
const asked = { change: 'add', node: 4, peer: 'host:7104', store }

test('a change with all that it needs', () => {
  const member = { node: 4, address: 'host:7104', store }
  expect(membershipChange(asked, {})).toEqual({ kind: 'addLearner', member })
  const heard = { ...asked, change: 'replace', store: '' }
  expect(membershipChange(heard, { 4: store })).toEqual({ kind: 'replace', member })
  expect(membershipChange({ ...asked, change: 'remove' }, {})).toEqual({ kind: 'remove', node: 4 })
})

// Once committed, an address that is none would be on every node for good.
test.each([
  [{ peer: '' }, 'where the others reach node 4 is missing (--peer)'],
  [{ peer: 'nonsense' }, '--peer nonsense: must be "host:port"'],
  [{ peer: 'host:0' }, '--peer host:0: its port must be from 1 to 65535'],
  [{ peer: 'host:70000' }, '--peer host:70000: its port must be from 1 to 65535'],
  [{ node: 255 }, 'the id of a node is from 1 to 254, not 255'],
  [{ store: 'x' }, '--store x: must be 32 hexadecimal digits'],
  [{ store: '' }, /^the leader has not heard of node 4: start it/],
  [{ change: 'grow' }, '"grow" is no change; add, promote, replace or remove'],
])('%j is refused', (part, fault) => {
  for (const change of ['add', 'replace']) {
    const refused = membershipChange({ ...asked, change, ...part }, {})
    if (typeof fault === 'string') expect(refused).toBe(fault)
    else expect(refused).toMatch(fault)
  }
})

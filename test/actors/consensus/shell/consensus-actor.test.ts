import { expect, test } from 'vitest'
import { offset, readUint64 } from '../../../../actors/consensus/entry.ts'
import { concatenated, entryOf } from '../cluster.ts'
import { Shells } from './shells.ts'

function elected(nodes = 3): Shells {
  const shells = new Shells(nodes)
  shells.advanceUntil(5000, () => shells.leader !== 0)
  return shells
}

function propose(shells: Shells, id: number, ...bodies: string[]): void {
  const entries = concatenated(bodies.map(body => entryOf(body)))
  shells.tell(id, { kind: 'propose', entries, count: bodies.length })
}

test('three nodes form a cluster, elect, and tell their actors who leads', () => {
  const shells = elected()
  const { leader } = shells
  for (const { id } of shells.nodes) {
    for (const actor of ['state', 'sessions', 'zookeeper', 'etcd']) {
      const notice = shells.noticesOf(id, actor, 'leader').at(-1)
      expect(notice).toMatchObject({ leader, self: id === leader })
    }
  }
  expect(shells.noticesOf(1, 'peers', 'members').at(-1)?.['members']).toEqual(
    [1, 2, 3].map(node => ({ node, host: '127.0.0.1', port: 7100 + node })),
  )
})

test('a first start says nothing loud; nodes that do not count say why, once, after a while', () => {
  const loud = (shells: Shells): string[] =>
    shells.nodes.flatMap(({ logs }) => logs.filter(line => /warn|error/.test(line)))
  const shells = elected()
  shells.advance(10_000)
  expect(loud(shells)).toEqual([])

  const lost = new Shells(3, { mayForm: false })
  lost.advance(2000)
  expect(loud(lost)).toEqual([])
  lost.advance(10_000)
  const lines = loud(lost)
  expect(lines).toHaveLength(3)
  const [line] = lines
  expect(line).toContain('This node neither votes nor counts')
  expect(line).toContain('reason=storeNotBound')
})

test('proposals of every node reach every state machine in one order, stamped', () => {
  const shells = elected()
  for (const { id } of shells.nodes) propose(shells, id, `a${id}`, `b${id}`)
  shells.advance(10)
  const bodies = shells.bodies(1)
  expect([...bodies].sort()).toEqual(['a1', 'a2', 'a3', 'b1', 'b2', 'b3'])
  expect(shells.bodies(2)).toEqual(bodies)
  expect(shells.bodies(3)).toEqual(bodies)
  let before = 0
  for (const { bytes, position } of shells.node(1).committed.slice(2)) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    expect(readUint64(view, offset.position)).toBe(position)
    expect(readUint64(view, offset.time)).toBeGreaterThanOrEqual(before)
    before = readUint64(view, offset.time)
  }
  expect(before).toBeGreaterThan(1_600_000_000_000)
})

test('frames to followers are told before the journal, acknowledgements after it', () => {
  const shells = elected()
  const { actor } = shells.node(shells.leader)
  actor.round({ kind: 'propose', entries: entryOf('x'), count: 1 })
  const order = actor.told.map(told => told.to.split('@')[0])
  expect(order).toEqual(['consensus', 'consensus', 'journal'])

  const follower = shells.leader === 1 ? 2 : 1
  shells.node(follower).journalStalled = true
  shells.settle()
  shells.advance(20)
  const peers = shells.status(shells.leader)['peers'] as { node: number; match: number }[]
  const { last } = shells.status(follower) as { last: number }
  expect(peers.find(peer => peer.node === follower)?.match).toBe(last - 1)
  shells.releaseJournal(follower)
  const later = shells.status(shells.leader)['peers'] as { node: number; match: number }[]
  expect(later.find(peer => peer.node === follower)?.match).toBe(last)
})

test('a batch that is not whole entries is refused, and the leader goes on', () => {
  const shells = elected()
  const { leader } = shells
  const torn = entryOf('torn').subarray(0, 82)
  shells.tell(leader, { kind: 'forward', from: 2, entries: torn, count: 1 })
  const membership = entryOf('')
  membership[offset.kind] = 1
  shells.tell(leader, { kind: 'forward', from: 2, entries: membership, count: 1 })
  propose(shells, leader, 'whole')
  shells.advance(10)
  expect(shells.bodies(1)).toEqual(['whole'])
  expect(shells.status(leader)['refusedProposals']).toBe(2)
})

test('streams hear at once that the leader has refused what they proposed, on whatever node they are', () => {
  const shells = elected()
  const { leader } = shells
  const [follower = 0, target = 0] = [1, 2, 3].filter(node => node !== leader)
  const told = (node: number) => shells.noticesOf(node, 'zookeeper', 'handInAgain').length
  const before = [told(leader), told(follower)]
  shells.cut.add(`${leader}-${target}`)
  propose(shells, leader, 'the target lacks this')
  // While leadership is handed over, and that takes long, nothing is taken.
  shells.tell(leader, { kind: 'transfer', replyTo: 'asker', id: 1, target })
  propose(shells, follower, 'refused')
  shells.advance(10)
  expect([told(leader), told(follower)]).toEqual([before[0], before[1]! + 1])
  propose(shells, leader, 'refused too')
  shells.advance(10)
  expect(told(leader)).toBe(before[0]! + 1)
  expect(shells.bodies(leader)).not.toContain('refused')
})

test('all that waits at a door of a follower is forwarded in one round', () => {
  const shells = elected()
  const follower = shells.leader === 1 ? 2 : 1
  const entries = entryOf('x'.repeat(256 * 1024))
  const round = Array.from({ length: 64 }, () => ({ kind: 'propose', entries, count: 1 }) as const)
  shells.node(follower).actor.round(...round)
  const { told } = shells.node(follower).actor
  expect(told.filter(({ message }) => message.kind === 'forward')).toHaveLength(64)
})

test('a single large entry of a follower reaches the leader', () => {
  const shells = elected()
  const follower = shells.leader === 1 ? 2 : 1
  propose(shells, follower, 'x'.repeat(4 * 1024 * 1024))
  shells.advance(50)
  expect(shells.bodies(follower)).toHaveLength(1)
})

test('reads of all nodes are answered with a position that holds what was written before', () => {
  const shells = elected()
  propose(shells, 2, 'x')
  const { commit } = shells.status(shells.leader) as { commit: number }
  for (const { id } of shells.nodes) {
    shells.tell(id, { kind: 'readRequest', replyTo: 'etcd', id: 40 + id })
    expect(shells.noticesOf(id, 'etcd', 'readReady')).toEqual([
      { kind: 'readReady', id: 40 + id, position: commit },
    ])
  }
})

test('a leader that is cut off answers no read; its readers are told after their time', () => {
  const shells = elected()
  const { leader } = shells
  for (const { id } of shells.nodes) {
    shells.cut.add(`${leader}-${id}`)
    shells.cut.add(`${id}-${leader}`)
  }
  shells.tell(leader, { kind: 'readRequest', replyTo: 'etcd', id: 1 })
  shells.advance(4900)
  expect(shells.noticesOf(leader, 'etcd', 'readReady')).toEqual([])
  expect(shells.noticesOf(leader, 'etcd', 'readFailed')).toEqual([])
  shells.advance(200)
  expect(shells.noticesOf(leader, 'etcd', 'readFailed')).toHaveLength(1)
})

test('a read outlives its leader: it is asked again, under another id, where the next one leads', () => {
  const shells = elected()
  const { leader } = shells
  const reader = leader === 1 ? 2 : 1
  shells.cut.add(`${leader}-${reader}`)
  shells.tell(reader, { kind: 'readRequest', replyTo: 'zookeeper', id: 9 })
  shells.kill(leader)
  shells.advanceUntil(2000, () => shells.noticesOf(reader, 'zookeeper', 'readReady').length > 0)
})

test('an answer to what an earlier process of this node asked answers nothing now', () => {
  const shells = elected()
  const { leader } = shells
  const reader = leader === 1 ? 2 : 1
  shells.cut.add(`${reader}-${leader}`)
  shells.tell(reader, { kind: 'readRequest', replyTo: 'etcd', id: 5 })
  // Ids of a process begin anywhere, so that those of the one before are not used again.
  for (let id = 0; id < 10; id++) {
    shells.tell(reader, { kind: 'readIndexReply', from: leader, id, position: 1 })
  }
  expect(shells.noticesOf(reader, 'etcd', 'readReady')).toEqual([])
})

test('a node that leads no more is asked again with the next tick, not at once', () => {
  const shells = elected()
  const { leader } = shells
  const reader = leader === 1 ? 2 : 1
  const { actor } = shells.node(reader)
  const asked = (): { id: number }[] => {
    const told = actor.takeTold<{ kind: string; id: number }>(`consensus@${leader}`)
    return told.filter(message => message.kind === 'readIndex')
  }
  actor.round({ kind: 'readRequest', replyTo: 'etcd', id: 5 })
  const [first] = asked()
  actor.round({ kind: 'readIndexReply', from: leader, id: first!.id, position: -1 })
  actor.round({ kind: 'applied', position: 1 })
  expect(asked()).toEqual([])
  actor.round({ kind: 'tick' })
  expect(asked()).toHaveLength(1)
})

test('when the process of the leader ends, the next one leads within 100 ms', () => {
  const shells = elected()
  propose(shells, 1, 'before')
  shells.kill(shells.leader)
  const millis = shells.advanceUntil(5000, () => shells.leader !== 0)
  expect(millis).toBeLessThanOrEqual(100)
  propose(shells, shells.leader, 'after')
  shells.advance(10)
  expect(shells.bodies(shells.leader)).toEqual(['before', 'after'])
})

test('a leader that falls silent is followed by another after an election time-out', () => {
  const shells = elected()
  shells.kill(shells.leader, false)
  const millis = shells.advanceUntil(5000, () => shells.leader !== 0)
  expect(millis).toBeGreaterThan(500)
  expect(millis).toBeLessThanOrEqual(2300)
})

test('the state machine is fed within a credit of bytes', () => {
  const shells = elected()
  const { leader } = shells
  const node = shells.node(leader)
  node.stateStalled = true
  const large = 'x'.repeat(100_000)
  for (let index = 0; index < 60; index++) propose(shells, leader, large)
  const fed = node.committed.length
  expect(fed * 100_000).toBeLessThan(6 * 1024 * 1024)
  expect((shells.status(leader) as { commit: number }).commit).toBeGreaterThan(fed)
  node.stateStalled = false
  for (let index = 0; index < 20; index++) {
    shells.tell(leader, { kind: 'applied', position: node.committed.length })
  }
  expect(shells.bodies(leader)).toHaveLength(60)
})

test('a full disk stops proposals and nothing else', () => {
  const shells = elected()
  const { leader } = shells
  shells.tell(leader, { kind: 'diskFull', id: 1 })
  propose(shells, leader, 'lost')
  shells.tell(leader, { kind: 'spaceReturned' })
  propose(shells, leader, 'kept')
  shells.advance(10)
  expect(shells.bodies(1)).toEqual(['kept'])
})

test('leadership is handed over on request, and who asked is told', () => {
  const shells = elected()
  const target = shells.leader === 3 ? 2 : 3
  shells.tell(shells.leader, { kind: 'transfer', replyTo: 'control', id: 5, target })
  const former = shells.nodes.find(node => node.notices.some(one => one.message.kind === 'done'))
  expect(former?.notices.find(one => one.message.kind === 'done')?.message).toEqual({
    kind: 'done',
    id: 5,
    error: '',
  })
  expect(shells.leader).toBe(target)
})

test('a membership change is answered once it is committed; a wrong one says what is wrong', () => {
  const shells = elected()
  const { leader } = shells
  const ask = (id: number, value: unknown): unknown => {
    const change = new TextEncoder().encode(JSON.stringify(value))
    shells.tell(leader, { kind: 'changeMembership', replyTo: 'control', id, change })
    shells.advance(50)
    return shells.noticesOf(leader, 'control', 'done').find(done => done['id'] === id)?.['error']
  }
  const away = shells.nodes.find(node => node.id !== leader)!.id
  expect(ask(1, { kind: 'promote', node: 9 })).toBe('refused: notLearner')
  expect(ask(2, { kind: 'grow' })).toMatch(/none of addLearner/)
  expect(ask(3, { kind: 'remove' })).toBe('remove needs a node')
  expect(ask(4, { kind: 'remove', node: away })).toBe('')
  const { voters } = shells.status(leader)['membership'] as { voters: { node: number }[] }
  expect(voters.map(voter => voter.node)).not.toContain(away)
  for (const { id } of shells.nodes) {
    expect(shells.noticesOf(id, 'control', 'removed')).toHaveLength(id === away ? 1 : 0)
  }
})

test('a damaged journal leaves a node that neither votes nor writes', () => {
  const damaged = new Shells(1, {}, 'sector 7 differs')
  damaged.advance(3000)
  expect(damaged.leader).toBe(0)
  expect(damaged.node(1).persisted).toEqual([])
  expect(damaged.status(1)).toMatchObject({ damage: 'sector 7 differs' })
})

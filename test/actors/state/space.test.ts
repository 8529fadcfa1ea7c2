import { describe, expect, test } from 'vitest'
import { etcdRead, stateNumbers } from '../../../actors/state/etcd-commands.ts'
import { lifetimeBytes } from '../../../actors/state/lifetimes.ts'
import { stream } from '../../../actors/state/messages.ts'
import { ownOperation, replyStatus } from '../../../actors/state/zookeeper-commands.ts'
import { errorCode } from '../../../transport/zookeeper/errors.ts'
import { encodeIdentities } from '../../../transport/zookeeper/identities.ts'
import { operation } from '../../../transport/zookeeper/operations.ts'
import { EtcdWorld } from './etcd-world.ts'
import { Entries, StateNode } from './state-node.ts'
import {
  aclRecord,
  address,
  createRecord,
  multiRecord,
  open,
  Scene,
  setRecord,
  versionRecord,
  type Write,
} from './zookeeper-scene.ts'

const bytes = (text: string) => Buffer.from(text)
const large = Buffer.alloc(1000)
const noSpace = [8, 'etcdserver: mvcc: database space exceeded']
const everything = { key: Buffer.of(0), range_end: Buffer.of(0) }

describe('the quota, for etcd', () => {
  function full() {
    const world = new EtcdWorld()
    world.run('leaseGrant', { TTL: 10, ID: 7 })
    world.put('leased', 'x', 7)
    world.space.setQuota(world.space.heldBytes + 20_000)
    let refused = world.run('put', { key: bytes('a'), value: large })
    while (!Array.isArray(refused)) refused = world.run('put', { key: bytes('a'), value: large })
    expect(refused).toEqual(noSpace)
    return world
  }
  const alarms = (world: EtcdWorld) =>
    world.read(etcdRead.alarms, new Uint8Array(0), 'AlarmResponse').alarms ?? []

  test('refuses what grows the state, history of one key too, and says so by an alarm', () => {
    const world = full()
    expect(world.space.heldBytes).toBeLessThanOrEqual(world.space.quotaBytes)
    expect(alarms(world)).toEqual([{ memberID: '8', alarm: 1 }])
    const before = world.space.heldBytes
    const put = { request_put: { key: bytes('b'), value: large } }
    expect(world.run('txn', { success: [put] })).toEqual(noSpace)
    expect(world.run('txn', { success: [{ request_txn: { success: [put] } }] })).toEqual(noSpace)
    expect(world.run('put', { key: bytes('a'), ignore_value: true })).toEqual(noSpace)
    expect([world.space.heldBytes, world.contents().includes('b')]).toEqual([before, false])
  })

  test('takes what still fits, and a branch of a transaction that puts nothing', () => {
    const world = full()
    expect(world.put('small', 'x')).not.toBeInstanceOf(Array)
    const put = { request_put: { key: bytes('b'), value: large } }
    const one = { compare: [{ key: bytes('a'), target: 0, result: 0, version: 999 }] }
    expect(world.run('txn', { ...one, success: [put] }).succeeded).toBeUndefined()
  })

  test('never refuses deletes, compaction and the end of leases', () => {
    const world = full()
    while (!Array.isArray(world.put('small', 'x')));
    expect(Array.isArray(world.run('leaseGrant', { TTL: 10, ID: 8 }))).toBe(true)
    expect(world.run('deleteRange', { key: bytes('small') }).deleted).toBe('1')
    expect(world.run('leaseRevoke', { ID: 7 })).not.toBeInstanceOf(Array)
    expect(world.run('compact', { revision: 3 })).not.toBeInstanceOf(Array)
    expect(world.run('txn', { success: [{ request_delete_range: everything }] }).succeeded).toBe(
      true,
    )
  })

  test('ends its alarm when what was refused fits again, at once with a compaction', () => {
    const world = full()
    world.run('deleteRange', everything)
    world.settle()
    expect(alarms(world)).toHaveLength(1)
    world.run('compact', { revision: world.keyspace.revision })
    world.settle()
    expect(alarms(world)).toEqual([])
    expect(world.run('put', { key: bytes('a'), value: large })).not.toBeInstanceOf(Array)
  })

  test('has an alarm that an operator ends, and the next refusal raises again', () => {
    const world = full()
    expect(world.run('alarm', { action: 2, alarm: 2 }).alarms).toBeUndefined()
    expect(world.run('alarm', { action: 2, memberID: 8, alarm: 1 }).alarms).toEqual([
      { memberID: '8', alarm: 1 },
    ])
    expect([alarms(world), world.run('alarm', { action: 2, alarm: 1 }).alarms]).toEqual([
      [],
      undefined,
    ])
    expect(world.run('put', { key: bytes('a'), value: large })).toEqual(noSpace)
    expect(alarms(world)).toHaveLength(1)
  })

  test('keeps no alarm for what could never fit', () => {
    const world = new EtcdWorld()
    world.space.setQuota(world.space.heldBytes + 3_000)
    const huge = { key: bytes('a'), value: Buffer.alloc(100_000) }
    expect(world.run('put', huge)).toEqual(noSpace)
    world.settle()
    expect(alarms(world)).toHaveLength(0)
  })
})

describe('the quota, for ZooKeeper', () => {
  function full() {
    const scene = new Scene()
    const caller = scene.session(1n)
    const { space } = scene.world
    space.setQuota(space.heldBytes + 20_000)
    let count = 0
    const create = (data: Uint8Array) => scene.create(caller, `/n${count}`, 0, open, data).error
    while (create(large) === errorCode.ok) count += 1
    expect(count).toBeGreaterThan(10)
    return { scene, caller, space, create }
  }

  test('refuses what grows the state, and takes what does not', () => {
    const { scene, caller, space, create } = full()
    expect([create(large), space.isFull]).toEqual([errorCode.quotaExceeded, true])
    const set = (data: Uint8Array) =>
      scene.call(caller, operation.setData, setRecord('/n0', data)).error
    expect(set(Buffer.alloc(2_000))).toBe(errorCode.quotaExceeded)
    expect(set(large)).toBe(errorCode.ok)
    const acls = Array.from({ length: 40 }, (_, at) => ({
      perms: 1,
      scheme: 'ip',
      id: `10.0.0.${at}`,
    }))
    const setAcl = scene.call(caller, operation.setAcl, aclRecord('/n0', acls))
    expect(setAcl.error).toBe(errorCode.quotaExceeded)
    expect(space.heldBytes).toBeLessThanOrEqual(space.quotaBytes)
  })

  test('refuses a multi as a whole, unless it makes the room itself', () => {
    const { scene, caller, space } = full()
    const before = space.heldBytes
    const small = createRecord('/small')
    const more = createRecord('/more', 0, open, large)
    const remove = versionRecord('/n0')
    const multi = (...parts: readonly (readonly [number, Write])[]) =>
      scene.call(caller, operation.multi, multiRecord(...parts))
    multi([operation.create, small], [operation.create, more])
    expect([space.heldBytes, scene.tree.find('/small')]).toEqual([before, 0])
    multi([operation.delete, remove], [operation.create, more])
    expect([space.heldBytes, scene.tree.find('/n0')]).toEqual([before, 0])
  })

  test('never refuses deletes, what ends or moves a session, and has a reserve for new ones', () => {
    const { scene, caller, space } = full()
    expect(scene.call(caller, operation.delete, versionRecord('/n0')).error).toBe(errorCode.ok)
    space.setQuota(space.heldBytes)
    scene.handshake(ownOperation.createSession, callerOf(2n), {})
    expect(scene.takeAnswers()[0]?.status).toBe(replyStatus.handshake)
    for (let id = 3n; space.admitsSession(); id += 1n) scene.session(id)
    const most = space.quotaBytes * (17 / 16)
    expect(space.heldBytes + lifetimeBytes).toBeGreaterThan(most)
    scene.handshake(ownOperation.createSession, callerOf(99n), {})
    expect(scene.takeAnswers()[0]?.status).toBe(replyStatus.close)
    scene.handshake(ownOperation.attach, { ...callerOf(2n), connection: 5 }, {})
    expect(scene.takeAnswers().map(({ status }) => status)).toContain(replyStatus.handshake)
    scene.apply(caller, operation.closeSession, () => {})
    expect(scene.takeAnswers()[0]?.status).toBe(replyStatus.sendAndClose)
  })
})

function callerOf(session: bigint) {
  return { connection: Number(session), session, identities: encodeIdentities([address]) }
}

describe('the quota of a node', () => {
  const quotaOf = (told: readonly { kind: string; entryKind?: number; body?: Uint8Array }[]) =>
    told
      .filter(({ kind, entryKind }) => kind === 'stateCommand' && entryKind === 21)
      .map(({ body }) => Buffer.from(body ?? []).readDoubleBE())

  test('is proposed by the leader where the replicated one is another, and only then', () => {
    const node = new StateNode({ quotaBytes: 9_000_000, node: 1 })
    const log = new Entries()
    const asked = () => quotaOf(node.actor.takeTold('sessions'))
    node.actor.round({ kind: 'leader', epoch: 1, leader: 2, self: false })
    node.actor.advance(30_000)
    expect(asked()).toEqual([])
    node.actor.round({ kind: 'leader', epoch: 2, leader: 1, self: true })
    node.actor.advance(1_000)
    expect(asked()).toEqual([9_000_000])
    node.commit([log.register(), log.quota(9_000_000)])
    node.actor.advance(30_000)
    expect([asked(), node.status()['quotaBytes']]).toEqual([[], 9_000_000])
  })

  test('is in the checkpoint, with its alarm and what is held', () => {
    const node = new StateNode({ everyBytes: 1 })
    const log = new Entries()
    const put = { key: bytes('k'), value: Buffer.alloc(3_000) }
    node.commit([log.register(), log.quota(5_000), log.etcd('put', put), log.etcd('put', put)])
    const before = node.status()
    expect(before).toMatchObject({ quotaBytes: 5_000, noSpace: true, revision: 2 })
    expect(node.checkpoint()).toBe(true)
    const again = new StateNode({ disk: node.disk })
    const kept = ({ quotaBytes, noSpace, heldBytes, hash }: Record<string, unknown>) => [
      quotaBytes,
      noSpace,
      heldBytes,
      hash,
    ]
    expect(kept(again.status())).toEqual(kept(before))
  })

  test('a physical compaction is answered once memory is given back, for which it has a checkpoint cut', () => {
    const node = new StateNode({ everyBytes: 16_000_000 })
    const log = new Entries()
    node.commit([log.register()])
    const fill = () => {
      for (let count = 0; count < 100; count += 1)
        node.commit([log.etcd('put', { key: bytes('k'), value: Buffer.alloc(100_000) })])
    }
    const answers = () =>
      node.toldTo<{ kind: string; tag: number }>('watches').filter(one => one.kind === 'reply')
    const compact = () => {
      const revision = Number(node.status()['revision'])
      node.commit([log.etcd('compact', { revision, physical: true })])
    }
    fill()
    fill()
    expect(node.checkpoint()).toBe(true)
    fill()
    expect(node.checkpoint()).toBe(false)
    const count = answers().length
    const sizes = () => sizesOf(node)
    expect(sizes()[0]).toBeGreaterThan(9_000_000)
    compact()
    expect(answers()).toHaveLength(count)
    expect(sizes()[1]).toBeLessThan(200_000)
    expect(node.checkpoint()).toBe(true)
    node.actor.advance(200)
    expect(answers()).toHaveLength(count + 1)
    expect(sizes()[0]).toBeLessThan(5_000_000)
  })
})

/** Bytes of memory, and bytes held, as a Status tells. */
function sizesOf(node: StateNode): [number, number] {
  const kept = node.actor.told.splice(0)
  node.read(stream.etcd, Uint8Array.of(etcdRead.status))
  const told = node.toldTo<{ kind: string; body: Uint8Array }>('watches')
  const reply = told.find(({ kind }) => kind === 'reply')
  node.actor.told.splice(0)
  node.actor.told.push(...kept)
  const { buffer, byteOffset } = reply?.body ?? new Uint8Array(stateNumbers.bytes)
  const view = new DataView(buffer, byteOffset)
  return [
    view.getFloat64(stateNumbers.sizeBytes, true),
    view.getFloat64(stateNumbers.sizeInUseBytes, true),
  ]
}

import { MemoryDisk } from '../../support/memory-disk.ts'
import { describe, expect, test } from 'vitest'
import { callBytes, etcdRead } from '../../../actors/state/etcd-commands.ts'
import { stream } from '../../../actors/state/messages.ts'
import {
  type Caller,
  callerBytes,
  ownOperation,
  replyStatus,
  writeCommandHeader,
} from '../../../actors/state/zookeeper-commands.ts'
import { failure } from '../../../transport/etcd/messages/failures.ts'
import type { Acl } from '../../../transport/zookeeper/acl.ts'
import { encodeIdentities } from '../../../transport/zookeeper/identities.ts'
import { operation } from '../../../transport/zookeeper/operations.ts'
import { encode } from '../../transport/etcd/messages/schema.ts'
import { copyOf, Entries, type Entry, StateNode } from './state-node.ts'
import {
  aclRecord,
  address,
  createRecord,
  multiRecord,
  open,
  pathRecord,
  setRecord,
  versionRecord,
  watchRecord,
  type Write,
  written,
} from './zookeeper-scene.ts'

const bytes = (text: string) => Buffer.from(text, 'latin1')
const value = (text: string) => new Uint8Array(bytes(text))
const password = (seed: number) => new Uint8Array(16).fill(seed)
const member = (node: number) => ({ node, store: `store${node}`, address: `127.0.0.1:710${node}` })
const digest = { scheme: 'digest', id: 'ann:secret' }
const annOnly: readonly Acl[] = [{ perms: 31, ...digest }]

const ann: Caller = {
  connection: 11,
  session: 0x11n,
  identities: encodeIdentities([address, digest]),
}
const ben: Caller = { connection: 12, session: 0x12n, identities: encodeIdentities([address]) }
const cat: Caller = { connection: 13, session: 0x13n, identities: encodeIdentities([address]) }

/** Every kind of entry, and every operation of both doors, of this node and of another. */
function story(log: Entries): Entry[] {
  return [
    log.empty(),
    log.membership({ formation: 'f', voters: [member(1), member(2)], outgoing: [], learners: [] }),
    log.register(),
    log.register(2),
    log.level(1),
    log.quota(1_000_000),
    log.handshake(ann, ownOperation.createSession, password(1)),
    log.handshake(ben, ownOperation.createSession, password(2), 7_000),
    log.handshake(cat, ownOperation.createSession, password(3)),
    log.zookeeper(ann, operation.create, createRecord('/a', 0, annOnly, value('of ann'))),
    log.zookeeper(ann, operation.create2, createRecord('/b', 0, open, value('of all'))),
    log.zookeeper(ben, operation.create, createRecord('/b/ben', 1, open, value('ephemeral'))),
    log.zookeeper(ben, operation.create, createRecord('/b/n-', 3, open, value('sequential'))),
    log.zookeeper(cat, operation.create, createRecord('/b/cat', 1, open)),
    log.zookeeper(ben, operation.create, createRecord('/a/x', 0, open)),
    log.zookeeper(ann, operation.setData, setRecord('/b', value('changed'))),
    log.zookeeper(ann, operation.setAcl, aclRecord('/b', [...open, { perms: 1, ...digest }])),
    log.zookeeper(
      ann,
      operation.multi,
      multiRecord(
        [operation.check, versionRecord('/b')],
        [operation.create, createRecord('/m', 0, annOnly, value('by multi'))],
        [operation.setData, setRecord('/a', value('by multi'))],
      ),
    ),
    log.etcd('leaseGrant', { ID: 70, TTL: 60 }),
    log.etcd('leaseGrant', { ID: 71, TTL: 30 }, 2),
    log.etcd('put', { key: bytes('k1'), value: bytes('one'), lease: 70 }),
    log.etcd('put', { key: bytes('k2'), value: bytes('two'), lease: 71 }, 2),
    log.etcd('put', { key: bytes('k1'), value: bytes('more'), lease: 70, prev_kv: true }),
    log.etcd('txn', {
      compare: [{ key: bytes('k1'), target: 3, result: 0, value: bytes('more') }],
      success: [
        { request_put: { key: bytes('k3'), value: bytes('three') } },
        { request_range: { key: bytes('k1') } },
      ],
    }),
    log.etcd('put', { key: bytes('k4'), value: bytes('gone') }),
    log.etcd('deleteRange', { key: bytes('k4'), prev_kv: true }),
    log.etcd('compact', { revision: 3 }),
    log.quota(5_000),
    log.etcd('put', { key: bytes('k5'), value: Buffer.alloc(5_000) }),
    log.membership({
      formation: 'f',
      voters: [member(1), member(2)],
      outgoing: [],
      learners: [member(3)],
    }),
  ]
}

/** Where in the story the session of ben and the lease 71 begin. */
const benAt = 8
const leaseAt = 20

/** What shows whether everything was kept: it uses all of it. */
function sequel(log: Entries): Entry[] {
  const annAgain = { ...ann, connection: 21 }
  return [
    log.handshake(annAgain, ownOperation.attach, password(1)),
    log.handshake({ ...ben, connection: 22 }, ownOperation.attach, password(9)),
    log.zookeeper(annAgain, operation.setData, setRecord('/a', value('still of ann'))),
    log.zookeeper(ben, operation.setData, setRecord('/a', value('not of ben'))),
    log.zookeeper(cat, operation.setData, setRecord('/b', value('of cat'))),
    log.zookeeper(annAgain, operation.create, createRecord('/b/n-', 2, annOnly)),
    log.etcd('alarm', { action: 2, alarm: 1 }),
    log.quota(1_000_000),
    log.etcd('put', { key: bytes('k1'), ignore_value: true, ignore_lease: true, prev_kv: true }),
    log.etcd('leaseRevoke', { ID: 70 }),
    log.ended('lease', 71n, leaseAt),
    log.zookeeper(cat, operation.closeSession, () => {}),
    log.ended('session', 0x12n, benAt, { node: 1, connection: ben.connection }),
    log.etcd('deleteRange', { key: Buffer.from([0]), range_end: Buffer.from([0]), prev_kv: true }),
  ]
}

function request(caller: Caller, type: number, write: Write): Uint8Array {
  const common = callerBytes(caller)
  const record = written(write)
  const made = new Uint8Array(8 + common.length + record.length)
  writeCommandHeader(made, 0, type, 5, common)
  made.set(record, 8 + common.length)
  return made
}

function etcdRequest(which: number, type: string, message: object): Uint8Array {
  return Uint8Array.of(which, ...encode(type, message))
}

function readAll(node: StateNode): void {
  for (const path of ['/a', '/b', '/b/ben', '/m'])
    node.read(stream.zookeeper, request(ann, operation.getAcl, pathRecord(path)), ann.connection)
  const everything = { key: Buffer.from([0]), range_end: Buffer.from([0]) }
  node.read(stream.etcd, etcdRequest(etcdRead.range, 'RangeRequest', everything))
  node.read(stream.etcd, Uint8Array.of(etcdRead.leases))
  node.read(stream.etcd, Uint8Array.of(etcdRead.members))
}

function watchAll(node: StateNode): void {
  for (const path of ['/a', '/b', '/b/ben', '/b/cat', '/nothing']) {
    const watched = request(ann, operation.exists, watchRecord(path, true))
    node.read(stream.zookeeper, watched, ann.connection)
  }
  const create_request = { key: Buffer.from([0]), range_end: Buffer.from([0]), prev_kv: true }
  node.read(stream.etcd, etcdRequest(etcdRead.watch, 'WatchRequest', { create_request }))
}

/** All that leaves the actor, but positions on their way to consensus. */
function toldOf(node: StateNode): unknown[] {
  return copyOf(node.actor.told.filter(({ to }) => to !== 'consensus' && to !== 'state'))
}

describe('memory that is used again', () => {
  test('nothing that the state machine keeps, or has told, lies in the batches that it was given', () => {
    const [kept, overwritten] = [false, true].map(overwrite => {
      const node = new StateNode()
      const log = new Entries()
      watchAll(node)
      for (const entry of story(log)) node.commit([entry], overwrite)
      readAll(node)
      node.commit(sequel(log), overwrite)
      readAll(node)
      return { told: toldOf(node), status: node.status() }
    })
    expect(overwritten).toEqual(kept)
  })

  test('what was told stays as it is while further commands apply', () => {
    const node = new StateNode()
    const log = new Entries()
    watchAll(node)
    const asTold: unknown[] = []
    for (const entries of [story(log), sequel(log)]) {
      for (const entry of entries) {
        node.commit([entry])
        asTold.push(...toldOf(node).slice(asTold.length))
      }
      readAll(node)
      asTold.push(...toldOf(node).slice(asTold.length))
    }
    expect(toldOf(node)).toEqual(asTold)
  })

  test('a batch that a checkpoint of a peer covers is not looked into: its log is gone', () => {
    const log = new Entries()
    const leader = new StateNode({ everyBytes: 1 })
    leader.commit(story(log))
    expect(leader.checkpoint()).toBe(true)
    const { position } = leader
    const follower = new StateNode({ disk: leader.disk })
    expect(follower.position).toBe(position)
    const entries = new Uint8Array(400).fill(0xdb)
    follower.actor.round({ kind: 'committed', first: position - 1, count: 2, entries })
    expect(follower.toldTo('consensus').at(-1)).toEqual({ kind: 'applied', position })
  })
})

describe('the end of a session', () => {
  test('is void when its client came back after the leader had decided', () => {
    const node = new StateNode()
    const log = new Entries()
    const sessions = (): number => (node.status() as { sessions: number }).sessions
    node.commit([log.handshake(ben, ownOperation.createSession, password(2))])
    node.commit([log.handshake({ ...ben, connection: 22 }, ownOperation.attach, password(2))])
    node.commit([log.ended('session', 0x12n, 1, { node: 1, connection: ben.connection })])
    expect(sessions()).toBe(1)
    expect(node.toldTo('sessions').filter(({ kind }) => kind === 'opened')).toMatchObject([
      { node: 1, connection: ben.connection },
      { node: 1, connection: 22 },
    ])
    node.commit([log.ended('session', 0x12n, 1, { node: 1, connection: 22 })])
    expect(sessions()).toBe(0)
  })
})

describe('the end of a lease', () => {
  test('is void when the lease was revoked and granted anew after the leader had decided', () => {
    const node = new StateNode()
    const log = new Entries()
    const leases = (): number => (node.status() as { leases: number }).leases
    node.commit([log.etcd('leaseGrant', { ID: 7, TTL: 5 })])
    node.commit([log.etcd('leaseRevoke', { ID: 7 }), log.etcd('leaseGrant', { ID: 7, TTL: 5 })])
    node.commit([log.ended('lease', 7n, 1)])
    expect(leases()).toBe(1)
    const granted = node.toldTo('sessions').filter(({ kind }) => kind === 'opened')
    expect(granted).toMatchObject([{ openedAt: 1 }, { openedAt: 3 }])
    node.commit([log.ended('lease', 7n, 3)])
    expect(leases()).toBe(0)
  })
})

describe('a command whose deadline is past in the time of the log', () => {
  const put = (log: Entries, key: string): Entry =>
    log.etcd('put', { key: bytes(key), value: bytes('old') })
  const late = (entry: Entry): Entry => ({ ...entry, deadline: entry.time - 1 })
  const repliesOf = (node: StateNode) =>
    node
      .toldTo<{ kind: string; sequence: number; status: number }>('watches')
      .filter(({ kind }) => kind === 'reply')

  test('changes nothing, is answered once, and the stream goes on', () => {
    const node = new StateNode()
    const log = new Entries()
    const after = late(put(log, 'after'))
    const intime = { ...put(log, 'intime'), deadline: log.time }
    node.commit([after, intime, after])
    expect(repliesOf(node).map(({ sequence, status }) => [sequence, status])).toEqual([
      [1, failure.timedOut.status],
      [2, 0],
    ])
    expect(node.status()).toMatchObject({ keys: 1, revision: 2 })
  })

  test('a delete and a revoke likewise; what the lease holds stays', () => {
    const node = new StateNode()
    const log = new Entries()
    node.commit([
      log.etcd('leaseGrant', { ID: 7, TTL: 60 }),
      log.etcd('put', { key: bytes('a'), value: bytes('1'), lease: 7 }),
      late(log.etcd('deleteRange', { key: bytes('a') })),
      late(log.etcd('leaseRevoke', { ID: 7 })),
      late(log.etcd('leaseGrant', { ID: 8, TTL: 60 })),
    ])
    expect(node.status()).toMatchObject({ keys: 1, leases: 1 })
  })

  test('of a ZooKeeper client: nothing that the same connection sent behind it applies', () => {
    const node = new StateNode()
    const log = new Entries()
    const create = (path: string): Entry =>
      log.zookeeper(ben, operation.create, createRecord(path, 1, open))
    node.commit([log.handshake(ben, ownOperation.createSession, password(2))])
    node.commit([late(create('/lock')), create('/behind')])
    expect(node.status()).toMatchObject({ ephemerals: 0, sessions: 1 })
    expect(repliesOf(node).map(({ sequence, status }) => [sequence, status])).toEqual([
      [1, replyStatus.handshake],
      [2, replyStatus.close],
      [3, replyStatus.close],
    ])
    const back = { ...ben, connection: 99 }
    node.commit([log.handshake(back, ownOperation.attach, password(2))])
    node.commit([log.zookeeper(back, operation.create, createRecord('/lock', 1, open))])
    expect(node.status()).toMatchObject({ ephemerals: 1, sessions: 1 })
  })

  test('a handshake that comes too late takes no session from where it is', () => {
    const node = new StateNode()
    const log = new Entries()
    node.commit([log.handshake(ben, ownOperation.createSession, password(2))])
    const lost = { ...ben, connection: 98 }
    node.commit([late(log.handshake(lost, ownOperation.attach, password(2)))])
    node.commit([log.zookeeper(ben, operation.create, createRecord('/mine', 1, open))])
    expect(node.status()).toMatchObject({ ephemerals: 1 })
  })

  test('only its head is there where it was held past it, and that is enough', () => {
    const node = new StateNode()
    const log = new Entries()
    const short = (entry: Entry, bytesMax: number): Entry =>
      late({ ...entry, body: entry.body.slice(0, bytesMax) })
    node.commit([
      log.handshake(ben, ownOperation.createSession, password(2)),
      short(log.zookeeper(ben, operation.create, createRecord('/a', 1, open)), 28),
      short(log.handshake({ ...ben, connection: 5 }, ownOperation.attach, password(2)), 28),
      short(put(log, 'a'), callBytes),
    ])
    expect(repliesOf(node)).toHaveLength(4)
    expect(node.status()).toMatchObject({ ephemerals: 0, keys: 0 })
  })
})

describe('a checkpoint', () => {
  test('restored into a new process it is the same state, and goes on the same way', () => {
    const log = new Entries()
    const before = new StateNode({ everyBytes: 1 })
    for (const entry of story(log)) before.commit([entry])
    expect(before.checkpoint()).toBe(true)
    const after = new StateNode({ disk: before.disk })
    expect(after.status()).toEqual(before.status())
    expect(after.toldTo('consensus')).toEqual([
      {
        kind: 'checkpointInstalled',
        position: before.position,
        epoch: 1,
        time: log.time,
        membership: story(new Entries()).at(-1)?.body,
      },
    ])
    expect(opened(after)).toEqual(opened(before))

    const more = sequel(log)
    const [first, second] = [before, after].map(node => {
      node.actor.told.length = 0
      readAll(node)
      watchAll(node)
      node.commit(more)
      readAll(node)
      return { told: toldOf(node), status: node.status() }
    })
    expect(second).toEqual(first)
  })

  test('that is on its way to this node is not touched when the state machine starts late', () => {
    const disk = new MemoryDisk()
    for (const name of ['/checkpoints', '/checkpoints/incoming']) disk.makeDirectory(name)
    disk.put('/checkpoints/incoming/00000001-90.base', new Uint8Array(10))
    new StateNode({ disk })
    expect(disk.exists('/checkpoints/incoming/00000001-90.base')).toBe(true)
  })

  test('a delta on top of a base is the same state too', () => {
    const log = new Entries()
    const before = new StateNode({ everyBytes: 1 })
    before.commit(story(log))
    expect(before.checkpoint()).toBe(true)
    before.actor.told.length = 0
    before.commit(sequel(log))
    expect(before.checkpoint()).toBe(true)
    expect(new StateNode({ disk: before.disk }).status()).toEqual(before.status())
  })

  test('what applies while it is listed and written is not in it', () => {
    const log = new Entries()
    const before = new StateNode({ everyBytes: 1 })
    before.commit(story(log))
    const status = before.status()
    before.actor.advance(20)
    before.commit(sequel(log))
    expect(before.checkpoint()).toBe(true)
    const after = new StateNode({ disk: before.disk })
    expect(after.status()).toEqual(status)
    after.commit(sequel(continued(story)))
    expect(after.status()).toEqual(before.status())
  })
})

/** The log as it stands behind those entries. */
function continued(past: (log: Entries) => Entry[]): Entries {
  const log = new Entries()
  past(log)
  return log
}

function opened(node: StateNode): string[] {
  const notices = node.toldTo('sessions').filter(({ kind }) => kind === 'opened')
  return notices.map(notice => JSON.stringify(copyOf(notice))).sort()
}

test('proposals of the door whose reads they must not overtake are passed on as they are', () => {
  const state = new StateNode()
  const proposed = { kind: 'propose', entries: Uint8Array.of(1, 2, 3), count: 1 } as const
  state.actor.round(proposed)
  expect(state.toldTo('consensus').at(-1)).toEqual(proposed)
})

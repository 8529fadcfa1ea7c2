import { describe, expect, test } from 'vitest'
import type { GatewayMessage } from '../../../actors/gateways/messages.ts'
import { etcdRead } from '../../../actors/state/etcd-commands.ts'
import { roomUnlimited, stream } from '../../../actors/state/messages.ts'
import {
  type Caller,
  callerBytes,
  ownOperation,
  replyStatus,
  writeCommandHeader,
} from '../../../actors/state/zookeeper-commands.ts'
import type { WatchesMessage } from '../../../actors/watches/messages.ts'
import { encodeIdentities } from '../../../transport/zookeeper/identities.ts'
import { operation } from '../../../transport/zookeeper/operations.ts'
import { failure } from '../../../transport/etcd/messages/failures.ts'
import { encode } from '../../transport/etcd/messages/schema.ts'
import { EtcdWorld } from './etcd-world.ts'
import { Entries, type Entry, StateNode } from './state-node.ts'
import {
  aclRecord,
  address,
  createRecord,
  open,
  pathRecord,
  Scene,
  setRecord,
  type Write,
  watchRecord,
  written,
} from './zookeeper-scene.ts'

const ann: Caller = { connection: 11, session: 0x11n, identities: encodeIdentities([address]) }
const ben: Caller = { connection: 12, session: 0x12n, identities: encodeIdentities([address]) }
const password = new Uint8Array(16).fill(7)
const large = new Uint8Array(100_000).fill(5)
const roomBytes = 4096
let xid = 0

function request(caller: Caller, type: number, write: Write): Uint8Array {
  const common = callerBytes(caller)
  const record = written(write)
  const bytes = new Uint8Array(8 + common.length + record.length)
  xid += 1
  bytes.set(record, writeCommandHeader(bytes, 0, type, xid, common))
  return bytes
}

class Room {
  readonly log = new Entries()
  readonly node = new StateNode()

  constructor() {
    const { log } = this
    this.commit(
      log.empty(),
      log.register(),
      log.handshake(ann, ownOperation.createSession, password),
      log.handshake(ben, ownOperation.createSession, password),
      log.zookeeper(ann, operation.create, createRecord('/large', 0, open, large)),
      log.zookeeper(ann, operation.create, createRecord('/small', 0, open)),
    )
    this.answers()
  }

  commit(...entries: Entry[]): void {
    this.node.commit(entries)
  }

  read(caller: Caller, path: string, watch = false): void {
    const bytes = request(caller, operation.getData, watchRecord(path, watch))
    this.node.read(stream.zookeeper, bytes, caller.connection, roomBytes)
  }

  grant(caller: Caller, bytes: number): void {
    const { connection } = caller
    this.node.actor.round({ kind: 'room', stream: stream.zookeeper, connection, tag: 10, bytes })
  }

  /** Lengths of the answers since the last call, each with whom it is for. */
  answers(): [number, number][] {
    const told = this.node.actor.takeTold<WatchesMessage>('watches')
    return told.flatMap(one => (one.kind === 'reply' ? [[one.connection, one.body.length]] : []))
  }

  asked(): GatewayMessage[] {
    const told = this.node.actor.takeTold<GatewayMessage>('zookeeper')
    return told.filter(({ kind }) => kind === 'needsRoom' || kind === 'closeConnection')
  }

  get parked(): unknown {
    return this.node.status()['parkedReads']
  }
}

const largeBytes = 20 + 4 + large.length + 68
const smallBytes = 20 + 4 + 68

describe('room for answers', () => {
  test('a long answer is made once there is room, and what comes behind it keeps its order', () => {
    const room = new Room()
    room.read(ann, '/large')
    room.read(ann, '/small')
    room.read(ann, '/large')
    room.read(ben, '/small')
    expect(room.answers()).toEqual([[12, smallBytes]])
    const needs = { kind: 'needsRoom', stream: 1, connection: 11, tag: 10, bytes: largeBytes }
    expect(room.asked()).toEqual([needs])
    expect(room.parked).toBe(3)
    room.grant(ann, largeBytes)
    expect(room.answers()).toEqual([
      [11, largeBytes],
      [11, smallBytes],
    ])
    expect(room.asked()).toEqual([needs])
    room.grant(ann, largeBytes)
    expect(room.answers()).toEqual([[11, largeBytes]])
    room.read(ann, '/small')
    expect(room.answers()).toEqual([[11, smallBytes]])
    expect(room.parked).toBe(0)
  })

  test('what has grown meanwhile asks again; a grant to nobody changes nothing', () => {
    const room = new Room()
    room.read(ann, '/large')
    room.asked()
    const more = new Uint8Array(200_000)
    room.commit(room.log.zookeeper(ben, operation.setData, setRecord('/large', more)))
    room.answers()
    room.grant(ann, largeBytes)
    expect(room.answers()).toEqual([])
    expect(room.asked()).toMatchObject([{ kind: 'needsRoom', bytes: largeBytes + 100_000 }])
    room.grant(ann, largeBytes + 100_000)
    expect(room.answers()).toHaveLength(1)
    room.grant(ann, roomUnlimited)
    expect(room.answers()).toEqual([])
  })

  test('reads of a connection that is gone are dropped unmade, those behind a write too', () => {
    const room = new Room()
    room.read(ann, '/large', true)
    room.read(ann, '/small')
    const bytes = request(ann, operation.getData, watchRecord('/small'))
    const common = { stream: stream.zookeeper, connection: 11, tag: 0, position: 0, roomBytes }
    room.node.actor.round({ kind: 'read', ...common, after: 5, request: bytes })
    room.node.actor.round({ kind: 'connectionGone', stream: stream.zookeeper, connection: 11 })
    const told = room.node.actor.takeTold<WatchesMessage>('watches')
    expect(told).toEqual([{ kind: 'connectionClosed', stream: stream.zookeeper, connection: 11 }])
    expect(room.parked).toBe(0)
    room.commit(room.log.zookeeper(ben, operation.setData, setRecord('/small', undefined)))
    expect(room.answers()).toHaveLength(1)
    room.grant(ann, largeBytes)
    expect(room.answers()).toEqual([])
  })

  test('what waits of a connection that is gone gives its memory back before its time comes', () => {
    const room = new Room()
    const bytes = request(ann, operation.getData, watchRecord('/small'))
    for (const after of [5, 6]) {
      const common = { stream: stream.zookeeper, tag: 0, position: 0, roomBytes, request: bytes }
      room.node.actor.round({ kind: 'read', ...common, connection: 11, after })
    }
    expect(room.node.status()['waitingReads']).toBe(2)
    room.node.actor.round({ kind: 'connectionGone', stream: stream.zookeeper, connection: 11 })
    room.node.actor.round({ kind: 'tick' })
    expect(room.node.status()['waitingReads']).toBe(0)
  })

  test('a read never shows what its client wrote after it: the connection is closed instead', () => {
    const room = new Room()
    room.read(ann, '/large')
    room.asked()
    room.commit(room.log.zookeeper(ann, operation.setData, setRecord('/large', undefined)))
    expect(room.asked()).toEqual([{ kind: 'closeConnection', connection: 11 }])
    expect(room.parked).toBe(0)
    room.grant(ann, largeBytes)
    expect(room.answers()).toHaveLength(1)
  })

  test('unless room is lent for it: then it is made before the write, as far as that goes', () => {
    const room = new Room()
    const { actor } = room.node
    actor.round({ kind: 'roomLent', stream: stream.zookeeper, bytes: largeBytes + 50 })
    for (const path of ['/large', '/small']) room.read(ann, path)
    room.asked()
    const set = () => room.log.zookeeper(ann, operation.setData, setRecord('/small', large))
    room.commit(set())
    const told = actor.takeTold<WatchesMessage>('watches')
    const replies = told.flatMap(one => (one.kind === 'reply' ? [one] : []))
    expect(replies.map(({ status, body }) => [status, body.length])).toEqual([
      [replyStatus.sendLent, largeBytes],
      [replyStatus.send, smallBytes],
      [replyStatus.send, 20 + 68],
    ])
    expect(room.asked()).toEqual([])
    room.read(ann, '/large')
    room.commit(set())
    expect(room.asked()).toMatchObject([{ kind: 'needsRoom' }, { kind: 'closeConnection' }])
  })

  test('reads of a gateway that was started again are forgotten', () => {
    const room = new Room()
    room.read(ann, '/large')
    room.node.actor.round({ kind: 'gatewayStarted', stream: stream.zookeeper + 8 })
    expect(room.parked).toBe(0)
  })

  test('reads of the etcd port wait each for its own room', () => {
    const room = new Room()
    const put = { key: Buffer.from('k'), value: Buffer.from(large) }
    room.commit(room.log.etcd('put', put))
    room.answers()
    const range = (tag: number, key: string) => {
      const message = Uint8Array.of(
        etcdRead.range,
        ...encode('RangeRequest', { key: Buffer.from(key) }),
      )
      const common = { stream: stream.etcd, connection: 77, after: 0, position: 0, roomBytes }
      room.node.actor.round({ kind: 'read', ...common, tag, request: message })
    }
    range(1, 'k')
    range(2, 'k')
    range(3, 'other')
    expect(room.answers()).toHaveLength(1)
    const told = room.node.actor.takeTold<{ kind: string; bytes: number }>('etcd')
    const asked = told.filter(({ kind }) => kind === 'needsRoom')
    expect(asked).toMatchObject([{ tag: 1 }, { tag: 2 }])
    const bytes = asked[0]?.bytes ?? 0
    const grant = { kind: 'room', stream: stream.etcd, connection: 77 } as const
    room.node.actor.round({ ...grant, tag: 2, bytes })
    expect(room.answers()).toHaveLength(1)
    room.node.actor.round({ kind: 'connectionGone', stream: stream.etcd, connection: 77 })
    room.node.actor.round({ ...grant, tag: 1, bytes })
    expect(room.answers()).toEqual([])
    expect(room.parked).toBe(0)
  })
})

describe('every read of ZooKeeper knows how long its answer will be', () => {
  const cases: [string, number, (path: string) => Write, number][] = [
    ['getData', operation.getData, path => watchRecord(path, true), 50_000],
    ['getChildren', operation.getChildren, path => watchRecord(path, true), 20_000],
    ['getChildren2', operation.getChildren2, path => watchRecord(path, true), 20_000],
    ['getACL', operation.getAcl, path => pathRecord(path), 5000],
  ]

  test.each(cases)('%s', (_, type, record, bytesMin) => {
    const made = new Scene()
    const caller = made.session(1n, 11)
    made.create(caller, '/a', 0, undefined, large.subarray(0, 50_000))
    for (let index = 0; index < 1000; index += 1)
      made.create(caller, `/a/name-of-the-child-${index}`)
    const many = Array.from({ length: 200 }, (__, index) => ({
      perms: 31,
      scheme: 'ip',
      id: `10.0.${index}.1`,
    }))
    made.call(caller, operation.setAcl, aclRecord('/a', [...open, ...many]))
    made.emitted.length = 0
    const needed = made.roomFor(caller, type, record('/a'), 4096) ?? 0
    expect(needed).toBeGreaterThan(bytesMin)
    expect(made.emitted).toEqual([])
    expect(made.roomFor(caller, type, record('/a'), needed - 1)).toBe(needed)
    expect(made.roomFor(caller, type, record('/a'), needed)).toBeUndefined()
  })

  test('setWatches tells no event before it has room for all', () => {
    const made = new Scene()
    const caller = made.session(1n, 11)
    const gone = Array.from({ length: 100 }, (_, index) => `/gone-${index}`)
    const record: Write = writer => {
      writer.long(0)
      writer.int(gone.length)
      for (const path of gone) writer.string(path)
      writer.int(0)
      writer.int(0)
    }
    const needed = made.roomFor(caller, operation.setWatches, record, 4096) ?? 0
    expect(needed).toBeGreaterThan(gone.length * 36)
    expect(made.emitted).toEqual([])
  })
})

describe('every read of etcd knows how long its answer will be', () => {
  const many = { key: Buffer.from('k'), range_end: Buffer.from('l') }
  const range = { request_range: many }
  const txn = { request_txn: { success: [range, range] } }
  const cases: [string, number, Uint8Array][] = [
    ['range', etcdRead.range, encode('RangeRequest', many)],
    ['txn', etcdRead.txn, encode('TxnRequest', { success: [range, range, txn] })],
    ['leases', etcdRead.leases, encode('LeaseLeasesRequest', {})],
  ]

  test.each(cases)('%s', (_, which, message) => {
    const world = new EtcdWorld()
    for (let index = 0; index < 300; index += 1) {
      world.put(`k${index}`, 'x'.repeat(index))
      world.run('leaseGrant', { ID: 1000 + index, TTL: 60 })
    }
    world.emitter.replies.length = 0
    world.readBytes(which, message, 600)
    const needed = world.emitter.needed.shift() ?? 0
    expect(needed).toBeGreaterThan(600)
    expect(world.emitter.replies).toEqual([])
    world.readBytes(which, message, needed)
    expect(world.emitter.needed).toEqual([])
    const { status, body } = world.emitter.replies[0] ?? {}
    expect(status).toBe(0)
    expect(body?.length).toBeLessThanOrEqual(needed)
    expect(body?.length).toBeGreaterThan(needed * 0.5)
  })

  test('a room that is only just enough or too small never leads to a refusal', () => {
    const world = new EtcdWorld()
    for (let index = 0; index < 40; index += 1) world.put(`k${index}`, 'x'.repeat(index))
    const message = encode('TxnRequest', { success: [range, txn] })
    world.emitter.replies.length = 0
    for (let room = 0; room < 6000; room += 7) {
      world.readBytes(etcdRead.txn, message, room)
      for (let needed = world.emitter.needed.shift(); needed !== undefined; ) {
        expect(needed).toBeGreaterThan(room)
        world.readBytes(etcdRead.txn, message, needed)
        needed = world.emitter.needed.shift()
      }
      expect(world.emitter.replies.pop()?.status).toBe(0)
      expect(world.emitter.replies).toEqual([])
    }
  })

  describe('for the answers to writes of the etcd port', () => {
    const value = Buffer.alloc(100_000)
    const range = { request_range: { key: Buffer.from('big') } }
    const put = { request_put: { key: Buffer.from('k'), value: Buffer.from('v') } }
    const read = { success: [range, put] }
    const overwrite = { key: Buffer.from('big'), value, prev_kv: true }
    const removal = { key: Buffer.from('a'), range_end: Buffer.from('z'), prev_kv: true }
    const lend = (room: Room, bytes: number, ofStream: number = stream.etcd): void => {
      room.node.actor.round({ kind: 'roomLent', stream: ofStream, bytes })
    }
    const statuses = (room: Room): [status: number, isLong: boolean][] => {
      const told = room.node.actor.takeTold<WatchesMessage>('watches')
      return told.flatMap(one =>
        one.kind === 'reply' ? [[one.status, one.body.length > value.length]] : [],
      )
    }
    const made = [0, true] as const
    const unmade = [failure.timedOut.status, false] as const

    test('it is lent: any answer while none of it is spent, then none beyond it, until it is lent again', () => {
      const room = new Room()
      room.commit(room.log.etcd('put', { key: Buffer.from('big'), value }))
      lend(room, 50_000)
      statuses(room)
      room.commit(room.log.etcd('txn', read), room.log.etcd('txn', read))
      room.commit(room.log.etcd('put', overwrite), room.log.etcd('deleteRange', removal))
      expect(statuses(room)).toEqual([made, unmade, unmade, unmade])
      // All four have applied: nothing is left of the key.
      room.commit(room.log.etcd('txn', read))
      expect(statuses(room)).toEqual([[0, false]])
      room.commit(room.log.etcd('put', { key: Buffer.from('big'), value }))
      statuses(room)
      lend(room, 101_000)
      room.commit(room.log.etcd('deleteRange', removal))
      expect(statuses(room)).toEqual([made])
    })

    test('short answers need none of it', () => {
      const room = new Room()
      room.commit(room.log.etcd('put', { key: Buffer.from('big'), value }))
      lend(room, 50_000)
      room.commit(room.log.etcd('txn', read))
      statuses(room)
      room.commit(room.log.etcd('put', { key: Buffer.from('s'), value: Buffer.from('v') }))
      room.commit(room.log.etcd('deleteRange', { key: Buffer.from('s'), prev_kv: true }))
      expect(statuses(room).map(([status]) => status)).toEqual([0, 0])
    })

    test('a gateway that was started again lends anew', () => {
      const room = new Room()
      room.commit(room.log.etcd('put', { key: Buffer.from('big'), value }))
      lend(room, 50_000)
      room.commit(room.log.etcd('txn', read))
      lend(room, 50_000, stream.etcd + 8)
      statuses(room)
      // Nobody is left to take the answer to what its predecessor proposed.
      room.commit(room.log.etcd('txn', read))
      expect(statuses(room)).toEqual([unmade])
    })
  })
})

/**
 * Long work in slices: what comes meanwhile, in which order it is answered, and that a state machine
 * with slices of a few keys ends where one without any does.
 */
import { describe, expect, test } from 'vitest'
import { etcdRead } from '../../../actors/state/etcd-commands.ts'
import { chooseTxn, isFailure } from '../../../actors/state/etcd-txn.ts'
import { roomUnlimited, stream } from '../../../actors/state/messages.ts'
import { done } from '../../../actors/state/slices.ts'
import { sortInSlices } from '../../../actors/state/sort-slices.ts'
import {
  type Caller,
  callerBytes,
  ownOperation,
  writeCommandHeader,
} from '../../../actors/state/zookeeper-commands.ts'
import type { WatchesMessage } from '../../../actors/watches/messages.ts'
import { Keyspace } from '../../../storage/keyspace.ts'
import { compareResult, compareTarget } from '../../../transport/etcd/messages/txn.ts'
import { encodeIdentities } from '../../../transport/zookeeper/identities.ts'
import { JuteReader } from '../../../transport/zookeeper/jute-reader.ts'
import { operation } from '../../../transport/zookeeper/operations.ts'
import { type Decoded, decode, encode } from '../../transport/etcd/messages/schema.ts'
import { Entries, type Entry, StateNode } from './state-node.ts'
import {
  address,
  createRecord,
  multiRecord,
  type Write,
  watchRecord,
  written,
} from './zookeeper-scene.ts'

const ann: Caller = { connection: 11, session: 0x11n, identities: encodeIdentities([address]) }
const ben: Caller = { connection: 12, session: 0x12n, identities: encodeIdentities([address]) }
const password = new Uint8Array(16).fill(7)
const slice = { millis: 2, unitsMax: 3, unslicedKeysMax: 2 }
const all = { key: Buffer.from('k'), range_end: Buffer.from('l') }
const bytesOf = (text: string) => Buffer.from(text)
const keys = Array.from({ length: 30 }, (_, index) => `k${String(index).padStart(3, '0')}`)
let xid = 0

class Sliced {
  readonly log = new Entries()
  readonly node: StateNode

  constructor(options = slice) {
    this.node = new StateNode({ slice: options })
    const { log } = this
    this.commit(
      log.empty(),
      log.register(),
      log.handshake(ann, ownOperation.createSession, password),
      log.handshake(ben, ownOperation.createSession, password),
    )
    this.finish()
    this.replies()
  }

  commit(...entries: Entry[]): void {
    this.node.commit(entries, false)
  }

  put(...names: string[]): void {
    this.commit(...names.map(key => this.putEntry(key)))
  }

  putEntry(key: string, value = 'v'): Entry {
    return this.log.etcd('put', { key: bytesOf(key), value: bytesOf(value) })
  }

  create(caller: Caller, path: string, flags = 0): Entry {
    return this.log.zookeeper(caller, operation.create, createRecord(path, flags))
  }

  range(request: object, tag = 10): void {
    const bytes = encode('RangeRequest', request)
    const read = new Uint8Array(1 + bytes.length)
    read[0] = etcdRead.range
    read.set(bytes, 1)
    this.#read(stream.etcd, 77, read, tag)
  }

  ask(caller: Caller, type: number, write: Write): void {
    const common = callerBytes(caller)
    const record = written(write)
    const bytes = new Uint8Array(8 + common.length + record.length)
    xid += 1
    bytes.set(record, writeCommandHeader(bytes, 0, type, xid, common))
    this.#read(stream.zookeeper, caller.connection, bytes, 0)
  }

  /** All slices there are; returns how many. */
  finish(): number {
    let count = 0
    while (this.node.goOn()) count += 1
    return count
  }

  replies(): Extract<WatchesMessage, { kind: 'reply' }>[] {
    const told = this.node.actor.takeTold<WatchesMessage>('watches')
    return told.filter(one => one.kind === 'reply')
  }

  get hash(): unknown {
    const { hash, revision, zxid } = this.node.status()
    return { hash, revision, zxid }
  }

  #read(ofStream: number, connection: number, request: Uint8Array, tag: number): void {
    const common = { connection, tag, after: 0, position: 0, roomBytes: roomUnlimited, request }
    this.node.actor.round({ kind: 'read', stream: ofStream, ...common })
  }
}

const rangeOf = (body: Uint8Array): Decoded => decode('RangeResponse', body)

describe('a command in slices', () => {
  test('deletes all of its range before anything that came later is read or applied', () => {
    const made = new Sliced()
    made.put(...keys)
    made.finish()
    made.replies()
    made.commit(made.log.etcd('deleteRange', all))
    made.range({ ...all, count_only: true })
    made.put('k-later')
    made.node.actor.round({ kind: 'barrier', replyTo: 'control', id: 9, position: 1 })
    expect(made.replies()).toEqual([])
    expect(made.node.toldTo('control')).toEqual([])
    expect(made.finish()).toBeGreaterThan(10)
    const [deleted, counted, put] = made.replies()
    expect(decode('DeleteRangeResponse', deleted?.body ?? bytesOf('')).deleted).toBe('30')
    expect(rangeOf(counted?.body ?? bytesOf('')).count ?? '0').toBe('0')
    expect(put?.sequence).toBe(32)
    expect(made.node.toldTo('control')).toEqual([{ kind: 'barrierReached', id: 9 }])
  })

  test('a batch of many entries goes in slices too, and the log gets its memory back at its end', () => {
    const made = new Sliced()
    made.node.actor.takeTold('consensus')
    made.put(...keys)
    expect(made.node.toldTo('consensus')).toEqual([])
    made.finish()
    const { position } = made.node
    expect(made.node.toldTo('consensus')).toEqual([{ kind: 'applied', position }])
  })

  test('ends where one without slices ends: sessions, leases, transactions, multis', () => {
    const [made, plain] = [new Sliced(), new Sliced({ ...slice, unitsMax: 1e9 })]
    for (const one of [made, plain]) {
      const { log } = one
      const lease = { ID: 5, TTL: 60 }
      const owned = keys.map(key => one.create(ann, `/${key}`, 1))
      const leased = keys.map(key => log.etcd('put', { key: bytesOf(key), lease: 5 }))
      const paths = keys.map(key => [operation.create, createRecord(`/m-${key}`)] as const)
      const compare = [{ ...all, result: 1, target: 2, mod_revision: 1 }]
      const success = [{ request_delete_range: { ...all, prev_kv: true } }, { request_range: all }]
      one.commit(...owned, log.etcd('leaseGrant', lease), ...leased)
      one.commit(
        log.etcd('txn', { compare, success }),
        log.ended('session', 0x11n, 3, { node: 1, connection: 11 }),
      )
      one.commit(
        log.zookeeper(ben, operation.multi, multiRecord(...paths)),
        ...leased.map(() => log.empty()),
      )
      one.commit(...keys.map(key => log.etcd('put', { key: bytesOf(key), lease: 5 })))
      one.commit(log.etcd('leaseRevoke', { ID: 5 }))
      one.finish()
    }
    expect(made.hash).toEqual(plain.hash)
    const plainReplies = plain.replies().map(({ body }) => [...body])
    expect(made.replies().map(({ body }) => [...body])).toEqual(plainReplies)
    expect(plain.node.status()).toMatchObject({ keys: 0, sessions: 1, leases: 0, znodes: 34 })
  })
})

describe('a long range', () => {
  test('is of one revision, while short reads and puts pass', () => {
    const made = new Sliced()
    made.put(...keys)
    made.finish()
    made.replies()
    made.range(all)
    made.node.goOn()
    made.put('k000', 'k999')
    made.commit(made.log.etcd('deleteRange', { key: bytesOf('k029') }))
    made.commit(made.log.etcd('compact', { revision: 33 }))
    made.range({ key: bytesOf('x') }, 11)
    made.range({ key: bytesOf('y') }, 12)
    made.node.actor.advance(100)
    made.finish()
    const replies = made.replies()
    const at = replies.findIndex(({ tag, sequence }) => tag === 10 && sequence === 0)
    const { header, kvs, count } = rangeOf(replies[at]?.body ?? bytesOf(''))
    expect([header.revision, count, kvs.length]).toEqual(['31', '30', 30])
    expect(kvs.map((kv: Decoded) => String(kv.key))).toEqual(keys)
    expect(kvs.every((kv: Decoded) => kv.version === '1')).toBe(true)
    expect(at).toBeGreaterThan(3)
  })

  test('filters, order and limit are as without slices', () => {
    const requests = [
      { ...all, limit: 7 },
      { ...all, limit: 7, sort_order: 2, sort_target: 0 },
      { ...all, sort_order: 2, sort_target: 3 },
      { ...all, limit: 3, sort_order: 1, sort_target: 4 },
      { ...all, min_mod_revision: 10, max_mod_revision: 20, keys_only: true },
      { ...all, revision: 15 },
      { ...all, revision: 15, count_only: true },
      { ...all, revision: 15, limit: 4 },
    ]
    const [made, plain] = [new Sliced(), new Sliced({ ...slice, unslicedKeysMax: 1e9 })]
    for (const one of [made, plain]) {
      one.commit(...keys.map((key, index) => one.putEntry(key, `${(index * 7) % 30}`)))
      one.commit(one.log.etcd('deleteRange', { key: bytesOf('k001'), range_end: bytesOf('k004') }))
      one.finish()
      one.replies()
      for (const [tag, request] of requests.entries()) one.range(request, tag)
      one.finish()
    }
    const [sliced, whole] = [made, plain].map(one =>
      one
        .replies()
        .sort((left, right) => left.tag - right.tag)
        .map(({ body }) => rangeOf(body)),
    )
    for (const [index, request] of requests.entries())
      expect([request, sliced?.[index]]).toEqual([request, whole?.[index]])
  })

  test('is found at once where a limit is all that it needs, beside tombstones', () => {
    const keyspace = new Keyspace()
    const name = (index: number) => bytesOf(`k${String(index).padStart(6, '0')}`)
    for (let index = 0; index < 20_000; index += 1)
      keyspace.put(name(index), bytesOf(''), 0, 0, index + 2, 0)
    keyspace.delete(name(9_999), 20_002, 0)
    expect(keyspace.indexedCount(all.key, all.range_end)).toBe(20_000)
    expect(keyspace.deadCount(all.key, all.range_end)).toBe(1)
    expect(keyspace.count(all.key, all.range_end, 0)).toBe(19_999)
    expect(keyspace.count(name(9_999), name(10_001), 0)).toBe(1)
  })
})

describe('a long list of children', () => {
  const list = (made: Sliced, caller = ann) =>
    made.ask(caller, operation.getChildren, watchRecord('/', true))
  const names = (body: Uint8Array): string[] => {
    const reader = new JuteReader().reset(body, 20, body.length)
    return Array.from({ length: reader.int() }, () => reader.string())
  }
  const filled = (): Sliced => {
    const made = new Sliced()
    made.commit(...keys.map(key => made.create(ben, `/${key}`)))
    made.finish()
    made.replies()
    return made
  }

  test('shows what is there when it is answered, and watches it from there', () => {
    const made = filled()
    list(made)
    made.node.goOn()
    made.commit(made.create(ben, '/later'))
    made.finish()
    const told = made.node.actor.takeTold<WatchesMessage>('watches')
    const kinds = told.map(one => (one.kind === 'reply' ? one.connection : one.kind))
    expect(kinds).toEqual([12, 'znodeWatch', 11])
    const answer = told.find(one => one.kind === 'reply' && one.connection === 11)
    expect(names(answer?.kind === 'reply' ? answer.body : bytesOf('')).sort()).toEqual(
      [...keys, 'later', 'zookeeper'].sort(),
    )
  })

  test('is answered at last, however often the list changes: the tree stands still for it', () => {
    const made = filled()
    list(made)
    let made_ = 0
    for (; made_ < 200 && made.replies().every(({ connection }) => connection !== 11); made_ += 1) {
      made.node.goOn()
      made.commit(made.create(ben, `/more${made_}`))
    }
    expect(made_).toBeLessThan(200)
    made.finish()
    expect(made.node.status()).toMatchObject({ znodes: 34 + made_, longReads: 0 })
  })

  test('comes before what the same connection asks or writes later, not before others', () => {
    const made = filled()
    list(made)
    made.ask(ann, operation.exists, watchRecord('/k001'))
    made.ask(ben, operation.exists, watchRecord('/k001'))
    made.commit(made.create(ann, '/mine'))
    made.finish()
    const replies = made.replies()
    expect(replies.map(({ connection }) => connection)).toEqual([12, 11, 11, 11])
    expect(names(replies[1]?.body ?? bytesOf(''))).not.toContain('mine')
    expect(replies[3]?.sequence).toBeGreaterThan(0)
  })

  test('ends when nobody waits for it any more', () => {
    const made = filled()
    list(made)
    made.node.goOn()
    const gone = { stream: stream.zookeeper, connection: 11 }
    made.node.actor.round({ kind: 'connectionGone', ...gone })
    made.finish()
    expect(made.replies()).toEqual([])
    expect(made.node.status()).toMatchObject({ longReads: 0 })
  })
})

test('compares of one transaction look at no more keys than they may', () => {
  const keyspace = new Keyspace()
  for (const [index, key] of keys.entries())
    keyspace.put(bytesOf(key), bytesOf(''), 0, 0, index + 2, 0)
  const compare = {
    ...{ result: compareResult.greater, target: compareTarget.mod, given: compareTarget.mod },
    ...{ key: all.key, rangeEnd: all.range_end, number: 0, value: bytesOf(''), lease: 0n },
  }
  const txn = { compare: [compare, compare], success: [], failure: [] }
  const chosen = (keysLeft: number) => done(chooseTxn(keyspace, txn, undefined, { keysLeft }))
  expect(isFailure(chosen(59))).toBe(true)
  expect(chosen(60)).toMatchObject({ succeeded: true })
  // The first that does not hold is the last that is looked at.
  const early = { ...txn, compare: [{ ...compare, number: 1_000 }, compare] }
  const found = done(chooseTxn(keyspace, early, undefined, { keysLeft: 1 }))
  expect(found).toMatchObject({ succeeded: false })
})

test('sorting in slices is sorting', () => {
  const items = Array.from({ length: 5_000 }, (_, index) => (index * 7919) % 1_009)
  const sorted = done(sortInSlices([...items], (one, two) => one - two, { spent: () => true }))
  expect(sorted).toEqual(items.sort((one, two) => one - two))
})

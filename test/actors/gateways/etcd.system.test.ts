import net from 'node:net'
import { Metadata } from '@grpc/grpc-js'
import { afterEach, describe, expect, test } from 'vitest'
import type { EtcdSetup } from '../../../actors/gateways/etcd.ts'
import { nodeHost } from '../../../runtime/host-node.ts'
import type { Jobs } from '../../../runtime/host.ts'
import { HpackEncoder } from '../../../transport/etcd/http2/hpack-encoder.ts'
import { flag, frameType, preface } from '../../../transport/etcd/http2/protocol.ts'
import {
  fieldsFor,
  frame,
  grpcMessage,
  initialWindow,
  settingsFrame,
} from '../../transport/etcd/port-kit.ts'
import { EtcdCaller, type EtcdStream } from './etcd-caller.ts'
import { EtcdNode, memberId } from './etcd-node.ts'
import { type Decoded, decode, encode } from '../../transport/etcd/messages/schema.ts'

const noJobs: Jobs = {
  run() {
    throw new Error('no jobs here')
  },
}
const bytes = (text: string) => Buffer.from(text, 'latin1')
const everything = { key: Buffer.from([0]), range_end: Buffer.from([0]) }
const closing: (() => void)[] = []

afterEach(() => {
  for (const close of closing.splice(0)) close()
})

async function start(
  changed: Partial<EtcdSetup> = {},
): Promise<{ node: EtcdNode; etcd: EtcdCaller; port: number }> {
  const node = new EtcdNode(nodeHost(noJobs), changed)
  const port = await node.port()
  const etcd = new EtcdCaller(port)
  closing.push(() => {
    etcd.close()
    node.stop()
  })
  return { node, etcd, port }
}

const put = (etcd: EtcdCaller, key: string, value = '', more = {}) =>
  etcd.call('Put', { key: bytes(key), value: bytes(value), ...more })

async function values(etcd: EtcdCaller, request: object): Promise<string[]> {
  const response = await etcd.call('Range', request)
  return (response.kvs ?? []).map((kv: Decoded) => `${kv.key}=${kv.value ?? ''}`)
}

function requireLeader(): Metadata {
  const metadata = new Metadata()
  metadata.set('hasleader', 'true')
  return metadata
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 5))
}

/** A client that grants its streams no windows asks so many times for everything. */
function deafReads(count: number): Buffer {
  const encoder = new HpackEncoder()
  const range = grpcMessage(encode('RangeRequest', { ...everything, serializable: true }))
  const asked = Array.from({ length: count }, (_, at) => [
    frame(
      frameType.headers,
      flag.endHeaders,
      2 * at + 1,
      encoder.encode(fieldsFor('/etcdserverpb.KV/Range'), true),
    ),
    frame(frameType.data, flag.endStream, 2 * at + 1, range),
  ]).flat()
  return Buffer.concat([preface, settingsFrame([initialWindow(0)]), ...asked])
}

const pause = (millis: number) => new Promise(resolve => setTimeout(resolve, millis))

describe('keys', () => {
  test('put, get, delete, transactions and compaction', async () => {
    const { etcd } = await start()
    expect((await put(etcd, 'a', '1')).header).toMatchObject({
      member_id: memberId.toString(),
      revision: '2',
    })
    expect((await put(etcd, 'a', '2', { prev_kv: true })).prev_kv.value).toEqual(bytes('1'))
    expect(await values(etcd, { key: bytes('a') })).toEqual(['a=2'])
    expect(await values(etcd, { key: bytes('a'), revision: 2, serializable: true })).toEqual([
      'a=1',
    ])
    const txn = {
      compare: [{ target: 3, key: bytes('a'), value: bytes('2') }],
      success: [{ request_put: { key: bytes('b') } }, { request_range: everything }],
    }
    const response = await etcd.call('Txn', txn)
    expect(response.responses[1].response_range.kvs.length).toBe(2)
    expect(await etcd.call('Txn', { success: [{ request_range: everything }] })).toMatchObject({
      succeeded: true,
    })
    expect((await etcd.call('Compact', { revision: 3, physical: true })).header.revision).toBe('4')
    expect((await etcd.call('DeleteRange', everything)).deleted).toBe('2')
    expect(await values(etcd, everything)).toEqual([])
  })

  test('many at once, over one connection', async () => {
    const { etcd } = await start()
    const keys = Array.from({ length: 500 }, (_, number) => `k${number}`)
    const answers = await Promise.all(keys.map(key => put(etcd, key, key)))
    const revisions = answers.map(answer => Number(answer.header.revision))
    expect(new Set(revisions).size).toBe(500)
    expect((await etcd.call('Range', { ...everything, count_only: true })).count).toBe('500')
  })

  test('bad requests get etcd’s own code and text', async () => {
    const { etcd } = await start()
    await put(etcd, 'a')
    await etcd.call('Compact', { revision: 2 })
    const key = bytes('a')
    const nested = Array.from({ length: 129 }, (_, number) => ({
      request_put: { key: bytes(`${number}`) },
    }))
    for (const [method, request, code, text] of [
      ['Put', {}, 3, 'etcdserver: key is not provided'],
      ['Put', { key, ignore_value: true, value: key }, 3, 'etcdserver: value is provided'],
      ['Put', { key, ignore_lease: true, lease: 1 }, 3, 'etcdserver: lease is provided'],
      ['Put', { key: bytes('none'), ignore_value: true }, 3, 'etcdserver: key not found'],
      ['Put', { key, lease: 99 }, 5, 'etcdserver: requested lease not found'],
      ['Put', { key, value: Buffer.alloc(1_572_864) }, 3, 'etcdserver: request is too large'],
      ['Range', {}, 3, 'etcdserver: key is not provided'],
      ['Range', { key, sort_order: 9 }, 3, 'etcdserver: invalid sort option'],
      [
        'Range',
        { key, revision: 99 },
        11,
        'etcdserver: mvcc: required revision is a future revision',
      ],
      ['Range', { key, revision: 1 }, 11, 'etcdserver: mvcc: required revision has been compacted'],
      ['DeleteRange', {}, 3, 'etcdserver: key is not provided'],
      ['Txn', { success: nested }, 3, 'etcdserver: too many operations in txn request'],
      [
        'Txn',
        { success: [nested[0], nested[0]] },
        3,
        'etcdserver: duplicate key given in txn request',
      ],
      ['Compact', { revision: 99 }, 11, 'etcdserver: mvcc: required revision is a future revision'],
      ['Compact', { revision: 2 }, 11, 'etcdserver: mvcc: required revision has been compacted'],
      ['LeaseGrant', { TTL: '9000000001' }, 11, 'etcdserver: too large lease TTL'],
      ['LeaseRevoke', { ID: 99 }, 5, 'etcdserver: requested lease not found'],
    ] as const) {
      expect(await etcd.call(method, request)).toEqual([code, text])
    }
    const malformed = Uint8Array.of(0x0a, 9, 1)
    const refused = [13, 'grpc: error unmarshalling request: unexpected EOF']
    expect(await etcd.callBytes('/etcdserverpb.KV/Put', malformed)).toEqual(refused)
    expect(await etcd.callBytes('/etcdserverpb.KV/Txn', malformed)).toEqual(refused)
    const [later, text] = (await etcd.callBytes(
      '/etcdserverpb.Auth/AuthEnable',
      Buffer.alloc(0),
    )) as [number, string]
    expect([later, text]).toEqual([12, 'unknown method AuthEnable for service etcdserverpb.Auth'])
    expect(await values(etcd, everything)).toEqual(['a='])
  })

  test('clients that were given a user go on without: there are none', async () => {
    const { etcd } = await start()
    const asked = { name: 'root', password: 'x' }
    expect(await etcd.call('Authenticate', asked)).toEqual([
      9,
      'etcdserver: authentication is not enabled',
    ])
    const { enabled, authRevision } = await etcd.call('AuthStatus', {})
    expect([enabled, authRevision]).toEqual([undefined, '1'])
  })
})

describe('reads', () => {
  test('linearizable ones wait for one confirmation together; serializable ones for none', async () => {
    const { node, etcd } = await start()
    await put(etcd, 'a', '1')
    node.holdReads = true
    const first = values(etcd, { key: bytes('a') })
    await until(() => node.askedCount === 1)
    const later = [values(etcd, { key: bytes('a') }), values(etcd, everything)]
    expect(await values(etcd, { key: bytes('a'), serializable: true })).toEqual(['a=1'])
    expect(node.askedCount).toBe(1)
    node.confirm()
    expect(await first).toEqual(['a=1'])
    // Those that came meanwhile did not use the answer to a question asked before them.
    await until(() => node.askedCount === 1)
    node.confirm()
    expect(await Promise.all(later)).toEqual([['a=1'], ['a=1']])
  })

  test('a confirmation that failed is asked for again', async () => {
    const { node, etcd } = await start()
    await put(etcd, 'a', '1')
    node.holdReads = true
    const read = values(etcd, { key: bytes('a') })
    await until(() => node.askedCount === 1)
    node.holdReads = false
    node.failReads()
    expect(await read).toEqual(['a=1'])
  })

  test('without any confirmation they time out', async () => {
    const { node, etcd } = await start()
    node.holdReads = true
    expect(await etcd.call('Range', { key: bytes('a') })).toEqual([
      14,
      'etcdserver: request timed out',
    ])
  })

  test('a transaction that only reads is linearizable unless all its ranges say otherwise', async () => {
    const { node, etcd } = await start()
    node.holdReads = true
    const range = { key: bytes('a') }
    const local = { success: [{ request_range: { ...range, serializable: true } }] }
    expect((await etcd.call('Txn', local)).succeeded).toBe(true)
    expect((await etcd.call('Txn', {})).succeeded).toBe(true)
    const waiting = etcd.call('Txn', { success: [{ request_range: range }] })
    await until(() => node.askedCount === 1)
    node.confirm()
    expect((await waiting).succeeded).toBe(true)
  })
})

describe('clients that do not take their answers', () => {
  const big = 'v'.repeat(1_000_000)

  test('wait for each other’s answers, of one connection and of others, and get them all', async () => {
    const { etcd, port } = await start({ answerBytesMax: 16 << 20, requestTimeoutMillis: 60_000 })
    for (let at = 0; at < 10; at += 1) await put(etcd, `k${at}`, big)
    const callers = [etcd, new EtcdCaller(port), new EtcdCaller(port)]
    for (const caller of callers.slice(1)) closing.push(() => caller.close())
    const asked = callers.flatMap(caller =>
      [1, 2, 3].map(() => caller.call('Range', { ...everything, serializable: true })),
    )
    for (const answer of await Promise.all(asked)) expect(answer.kvs.length).toBe(10)
  })

  test('one that is cancelled while it waits is dropped, and its time-out ends one that is not', async () => {
    const { node, etcd, port } = await start({ answerBytesMax: 16 << 20 })
    for (let at = 0; at < 10; at += 1) await put(etcd, `k${at}`, big)
    const deaf = net.connect(port, '127.0.0.1')
    closing.push(() => deaf.destroy())
    deaf.write(deafReads(8))
    await until(() => node.parkedReads > 5)
    const other = await etcd.call('Range', { ...everything, limit: 1, serializable: true })
    expect(other.kvs.length).toBe(1)
    deaf.destroy()
    await until(() => node.parkedReads === 0)
  })

  test('a hundred and twenty watch streams of one connection all get a value of a megabyte', async () => {
    const { etcd } = await start()
    const streams = Array.from({ length: 120 }, () => etcd.stream('Watch'))
    for (const stream of streams) stream.send({ create_request: { key: bytes('a') } })
    await Promise.all(streams.map(stream => stream.next()))
    await put(etcd, 'a', big)
    await put(etcd, 'a', 'end')
    const got = await Promise.all(streams.map(stream => collect(stream, 2)))
    expect(
      got.every(
        ([first, second]) =>
          first.kv.value.length === 1_000_000 && String(second.kv.value) === 'end',
      ),
    ).toBe(true)
    for (const stream of streams) stream.raw.cancel()
  })
})

describe('a cluster that does not answer', () => {
  test('writes time out, and the answer that comes after all disturbs nothing', async () => {
    const { node, etcd } = await start()
    node.holdWrites = true
    expect(await put(etcd, 'a', '1')).toEqual([14, 'etcdserver: request timed out'])
    node.holdWrites = false
    node.commit()
    await put(etcd, 'b', '2')
    expect(await values(etcd, everything)).toEqual(['a=1', 'b=2'])
  })

  test('without a leader calls wait for one, and so do those that require it', async () => {
    const { node, etcd } = await start()
    node.lead(0)
    const strict = etcd.stream('Watch', requireLeader())
    strict.send({ create_request: { key: bytes('a') } })
    expect((await strict.next()).created).toBe(true)
    const waiting = [
      etcd.call('Put', { key: bytes('a') }, requireLeader()),
      etcd.call('Range', { key: bytes('none') }),
    ]
    await pause(20)
    node.lead(1)
    const [written, read] = await Promise.all(waiting)
    expect(written.header).toMatchObject({ revision: '2', raft_term: '3' })
    expect(read.header.raft_term).toBe('3')
    expect((await strict.next()).events.length).toBe(1)
    strict.raw.cancel()
  })

  test('what requires a leader is refused once it has been missing for three elections', async () => {
    const { node, etcd } = await start()
    const strict = etcd.stream('Watch', requireLeader())
    const patient = etcd.stream('Watch')
    for (const watch of [strict, patient]) {
      watch.send({ create_request: { key: bytes('a') } })
      expect((await watch.next()).created).toBe(true)
    }
    node.lead(0)
    const refused = [14, 'etcdserver: no leader']
    expect(await strict.ended).toEqual(refused)
    expect(await etcd.call('Put', { key: bytes('x') }, requireLeader())).toEqual(refused)
    expect(await etcd.call('Range', { key: bytes('x') }, requireLeader())).toEqual(refused)
    expect(await etcd.stream('Watch', requireLeader()).ended).toEqual(refused)
    node.lead(1)
    await put(etcd, 'a')
    expect((await patient.next()).events.length).toBe(1)
    patient.raw.cancel()
  })

  test('more than the window holds waits, connection by connection, and what is given up is not proposed', async () => {
    const { node, etcd, port } = await start({ proposalsMax: 2 })
    const other = new EtcdCaller(port)
    closing.push(() => other.close())
    node.holdWrites = true
    const first = [put(etcd, 'a'), put(etcd, 'b')]
    await pause(50)
    const waiting = ['c', 'd', 'e'].map(key => put(etcd, key))
    const deadline = etcd.callBytes(
      '/etcdserverpb.KV/Put',
      encode('PutRequest', { key: bytes('never') }),
      new Metadata(),
      { deadline: Date.now() + 100 },
    )
    const light = put(other, 'x')
    expect((await deadline)[0]).toBe(4)
    await pause(100)
    node.holdWrites = false
    node.commit()
    for (const answer of await Promise.all([...first, ...waiting, light]))
      expect(answer.header).toBeDefined()
    const range = await etcd.call('Range', { ...everything, sort_target: 3, sort_order: 1 })
    expect(range.kvs.map((kv: Decoded) => String(kv.key)).sort()).toEqual([...'abcdex'])
    const revision = new Map(range.kvs.map((kv: Decoded) => [String(kv.key), kv.mod_revision]))
    expect(Number(revision.get('x'))).toBeLessThan(Number(revision.get('d')))
  })

  test('what waits longer than a request may is timed out; deletions wait for less', async () => {
    const { node, etcd } = await start({ proposalsMax: 4 })
    node.holdWrites = true
    const first = ['a', 'b', 'c', 'd'].map(key => put(etcd, key))
    await pause(50)
    const late = put(etcd, 'e')
    const deleted = etcd.call('DeleteRange', { key: bytes('a') })
    await pause(50)
    node.commit()
    expect((await deleted).deleted).toBe('1')
    await Promise.all(first)
    expect(await late).toEqual([14, 'etcdserver: request timed out'])
  })

  test('writes that a checkpoint contains end without saying how', async () => {
    const { node, etcd } = await start()
    node.holdWrites = true
    const waiting = put(etcd, 'a')
    await until(() => node.proposedCount > 0)
    node.replaceByCheckpoint(1)
    expect((await waiting)[0]).toBe(14)
  })
})

describe('watches', () => {
  test('events come in order while the same connection writes', async () => {
    const { etcd } = await start()
    const watch = etcd.stream('Watch')
    watch.send({ create_request: { key: bytes('a'), prev_kv: true } })
    expect(await watch.next()).toMatchObject({ created: true, header: { revision: '1' } })
    await put(etcd, 'a', '1')
    await put(etcd, 'a', '2')
    const events = await collect(watch, 2)
    expect(events.map(event => String(event.kv.value))).toEqual(['1', '2'])
    expect(String(events[1].prev_kv.value)).toBe('1')
    watch.raw.cancel()
  })

  test('from the past, progress, cancel', async () => {
    const { etcd } = await start()
    for (const value of ['1', '2']) await put(etcd, 'a', value)
    const watch = etcd.stream('Watch')
    watch.send({ create_request: { key: bytes('a'), start_revision: 2 } })
    expect((await watch.next()).created).toBe(true)
    expect((await collect(watch, 2)).map(event => event.kv.mod_revision)).toEqual(['2', '3'])
    watch.send({ progress_request: {} })
    expect(await watch.next()).toMatchObject({ watch_id: '-1', header: { revision: '3' } })
    watch.send({ cancel_request: { watch_id: 0 } })
    expect(await watch.next()).toMatchObject({ canceled: true })
    watch.raw.cancel()
  })

  test('the end of what the client sends does not end the watch', async () => {
    const { etcd } = await start()
    const watch = etcd.stream('Watch')
    watch.send({ create_request: { key: bytes('a') } })
    await watch.next()
    watch.raw.end()
    await put(etcd, 'a')
    expect((await collect(watch, 1)).length).toBe(1)
    watch.raw.cancel()
  })

  test('a malformed message ends the stream with etcd’s text', async () => {
    const { etcd } = await start()
    const watch = etcd.stream('Watch')
    watch.raw.write(Buffer.from([0x0a, 5, 1]))
    expect(await watch.ended).toEqual([
      13,
      'grpc: failed to unmarshal the received message: unexpected EOF',
    ])
  })

  test('a client that does not read holds up nobody, and gets everything when it reads again', async () => {
    const { etcd, port } = await start()
    const slow = new EtcdCaller(port)
    closing.push(() => slow.close())
    const watch = slow.stream('Watch')
    watch.send({ create_request: { key: bytes('a'), fragment: true } })
    await watch.next()
    watch.raw.pause()
    const brisk = etcd.stream('Watch')
    brisk.send({ create_request: { key: bytes('a') } })
    await brisk.next()
    const count = 60
    for (let number = 0; number < count; number += 1) await put(etcd, 'a', 'x'.repeat(500_000))
    expect((await collect(brisk, count)).length).toBe(count)
    watch.raw.resume()
    const revisions = (await collect(watch, count)).map(event => Number(event.kv.mod_revision))
    expect(revisions).toEqual(Array.from({ length: count }, (_, number) => number + 2))
    for (const stream of [watch, brisk]) stream.raw.cancel()
  })
})

describe('leases', () => {
  test('an id is chosen, the shortest time applied, and the end deletes the keys', async () => {
    const { etcd } = await start()
    const granted = await etcd.call('LeaseGrant', { TTL: 0 })
    expect(granted.TTL).toBe('1')
    expect(BigInt(granted.ID)).toBeGreaterThan(0n)
    const watch = etcd.stream('Watch')
    watch.send({ create_request: { key: bytes('a') } })
    await watch.next()
    await put(etcd, 'a', '', { lease: granted.ID })
    expect((await collect(watch, 2)).map(event => event.type ?? 0)).toEqual([0, 1])
    expect((await etcd.call('LeaseLeases', {})).leases).toBeUndefined()
    watch.raw.cancel()
  })

  test('keep-alive: the granted time, and zero for one that is not there; the stream ends when asked', async () => {
    const { etcd } = await start()
    await etcd.call('LeaseGrant', { ID: 7, TTL: 30 })
    const alive = etcd.stream('LeaseKeepAlive')
    for (const ID of [7, 8]) alive.send({ ID })
    expect(await alive.next()).toMatchObject({ ID: '7', TTL: '30', header: { revision: '1' } })
    const missing = await alive.next()
    expect([missing.ID, missing.TTL]).toEqual(['8', undefined])
    alive.send({ ID: 7 })
    alive.raw.end()
    expect((await alive.next()).TTL).toBe('30')
    expect(await alive.ended).toEqual([0, ''])
  })

  test('time to live, with keys, and of one that is not there', async () => {
    const { etcd } = await start()
    await etcd.call('LeaseGrant', { ID: '-7', TTL: 30 })
    await put(etcd, 'a', '', { lease: '-7' })
    const alive = await etcd.call('LeaseTimeToLive', { ID: '-7', keys: true })
    expect(alive).toMatchObject({ ID: '-7', grantedTTL: '30', keys: [bytes('a')] })
    expect(Number(alive.TTL)).toBeGreaterThan(25)
    expect(await etcd.call('LeaseTimeToLive', { ID: 5 })).toMatchObject({ ID: '5', TTL: '-1' })
    expect((await etcd.call('LeaseLeases', {})).leases).toEqual([{ ID: '-7' }])
  })

  test('fifteen thousand keep-alives on one stream are all answered', async () => {
    const { etcd } = await start()
    await etcd.call('LeaseGrant', { TTL: 100, ID: 5 })
    const alive = etcd.stream('LeaseKeepAlive')
    for (let count = 0; count < 15_000; count += 1) alive.send({ ID: 5 })
    for (let count = 0; count < 15_000; count += 1)
      expect(await alive.next()).toMatchObject({ ID: '5', TTL: '100' })
    alive.raw.end()
    expect(await alive.ended).toEqual([0, ''])
  })

  test('without a leader keep-alive ends with an error', async () => {
    const { node, etcd } = await start()
    node.lead(0)
    const alive = etcd.stream('LeaseKeepAlive')
    alive.send({ ID: 7 })
    expect(await alive.ended).toEqual([14, 'etcdserver: no leader'])
    expect(await etcd.call('LeaseTimeToLive', { ID: 7 })).toEqual([14, 'etcdserver: no leader'])
  })
})

describe('about the node', () => {
  test('status, members, alarms', async () => {
    const { node, etcd } = await start()
    await put(etcd, 'a')
    const status = await etcd.call('Status', {})
    expect(status).toMatchObject({
      version: '3.6.14',
      leader: memberId.toString(),
      raftTerm: '1',
      storageVersion: '3.6.0',
    })
    expect(Number(status.raftAppliedIndex)).toBeGreaterThan(0)
    expect(Number(status.dbSize)).toBeGreaterThan(0)
    const members = await etcd.call('MemberList', { linearizable: true })
    expect(members.members).toMatchObject([
      { ID: memberId.toString(), name: 'one', clientURLs: ['http://127.0.0.1:2379'] },
    ])
    expect(members.header.revision).toBeUndefined()
    expect((await etcd.call('Alarm', {})).alarms).toBeUndefined()
    expect((await etcd.call('Alarm', { action: 1 }))[0]).toBe(12)
    expect((await etcd.call('Alarm', { action: 2 })).alarms).toBeUndefined()
    node.lead(0)
    const lost = await etcd.call('Status', {})
    expect([lost.leader, lost.errors]).toEqual([undefined, ['etcdserver: no leader']])
  })

  test('who learns and who leads is what the membership in force says, not the configuration', async () => {
    const { node, etcd } = await start()
    const member = (of: number) => ({ node: of, store: `s${of}`, address: `127.0.0.1:710${of}` })
    const isLearner = async (): Promise<unknown[]> => {
      const { members } = await etcd.call('MemberList', { linearizable: false })
      const { isLearner: own } = await etcd.call('Status', {})
      return [own, ...members.map((one: { isLearner?: boolean }) => one.isLearner)]
    }
    node.memberships({ formation: 'f', voters: [member(2)], outgoing: [], learners: [member(1)] })
    expect(await isLearner()).toEqual([true, true, undefined])
    node.lead(2)
    // Node 2 joined later: nothing is configured of it here.
    expect((await etcd.call('Status', {})).leader).toBe('2')
    node.memberships({ formation: 'f', voters: [member(1), member(2)], outgoing: [], learners: [] })
    expect(await isLearner()).toEqual([undefined, undefined, undefined])
  })

  test('gRPC health', async () => {
    const { etcd } = await start()
    const check = '/grpc.health.v1.Health/Check'
    const serving = (await etcd.callBytes(check, Buffer.alloc(0))) as Buffer
    expect(decode('HealthCheckResponse', serving)).toEqual({ status: 1 })
    const unknown = encode('HealthCheckRequest', { service: 'other' })
    expect(await etcd.callBytes(check, unknown)).toEqual([5, 'unknown service'])
    const list = (await etcd.callBytes('/grpc.health.v1.Health/List', Buffer.alloc(0))) as Buffer
    expect(decode('HealthListResponse', list)).toEqual({ statuses: { '': { status: 1 } } })
  })

  test('plain HTTP on the same port', async () => {
    const { node, port } = await start()
    const ask = async (path: string, method = 'GET') => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { method })
      return [response.status, await response.text()]
    }
    expect(await ask('/health')).toEqual([200, '{"health":"true","reason":""}'])
    expect(await ask('/health?serializable=true&exclude=NOSPACE')).toEqual([
      200,
      '{"health":"true","reason":""}',
    ])
    expect(await ask('/version')).toEqual([
      200,
      '{"etcdserver":"3.6.14","etcdcluster":"3.6.0","storage":"3.6.0"}',
    ])
    expect(await ask('/metrics')).toEqual([200, '# HELP up\n'])
    expect(await ask('/version', 'OPTIONS')).toEqual([200, ''])
    expect(await ask('/health', 'POST')).toEqual([405, 'Method Not Allowed\n'])
    expect(await ask('/other')).toEqual([404, '404 page not found\n'])
    node.lead(0)
    expect(await ask('/health')).toEqual([503, '{"health":"false","reason":"RAFT NO LEADER"}'])
    expect(await ask('/health?serializable=true')).toEqual([200, '{"health":"true","reason":""}'])
    node.lead(1)
    node.holdReads = true
    const late = '{"health":"false","reason":"RANGE ERROR:etcdserver: request timed out"}'
    expect(await ask('/health')).toEqual([503, late])
  })
})

/** The next so many events, in however many responses. */
async function collect(watch: EtcdStream, count: number): Promise<Decoded[]> {
  const events: Decoded[] = []
  while (events.length < count) events.push(...((await watch.next()).events ?? []))
  return events
}

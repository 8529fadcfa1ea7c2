/** Requests that chance would hardly find: limits, malformed messages, unknown methods, plain HTTP. */
import { Metadata } from '@grpc/grpc-js'
import { encode } from '../../transport/etcd/messages/schema.ts'
import type { Pair } from './pair.ts'
import type { Servers } from './servers.ts'

const bytes = (text: string) => Buffer.from(text, 'latin1')
const everything = { key: bytes('\0'), range_end: bytes('\0') }

export async function compareCases(pair: Pair, servers: Servers): Promise<void> {
  await compareLimits(pair)
  await compareLeases(pair)
  await compareMalformed(pair)
  await compareAbout(pair)
  for (const [method, path] of http) await compareHttp(pair, servers, method, path)
}

async function compareLimits(pair: Pair): Promise<void> {
  const puts = (count: number) =>
    Array.from({ length: count }, (_, at) => ({ request_put: { key: bytes(`many/${at}`) } }))
  const compares = (count: number) => Array.from({ length: count }, () => ({ key: bytes('a') }))
  for (const count of [128, 129]) {
    await pair.call('Txn', { success: puts(count) })
    await pair.call('Txn', { failure: puts(count) })
    await pair.call('Txn', { compare: compares(count) })
    await pair.bytes('/etcdserverpb.KV/Txn', nested(count))
  }
  await pair.call('Txn', { success: [...puts(64), { request_txn: { success: puts(63) } }] })
  await pair.call('Txn', { success: [{ request_txn: { success: puts(127) } }] })
  await pair.call('Txn', { success: [{ request_txn: { success: puts(128) } }] })
  await pair.call('Txn', {})
  await pair.call('Txn', { success: [{}] })
  await pair.call('DeleteRange', everything)
  for (const length of [1_572_800, 1_572_864, 1_572_865, 2_097_152, 2_097_153, 3_000_000]) {
    await pair.call('Put', { key: bytes('large'), value: Buffer.alloc(length) })
  }
  for (let at = 0; at < 4; at += 1) {
    await pair.call('Put', { key: bytes(`large${at}`), value: Buffer.alloc(1_500_000) })
  }
  await pair.call('Range', everything)
  await pair.call('DeleteRange', { ...everything, prev_kv: true })
}

/** A transaction in a transaction, so often. */
function nested(depth: number): Uint8Array {
  if (depth === 0) return new Uint8Array(0)
  const operation = lengthDelimited(0x22, nested(depth - 1))
  return lengthDelimited(0x12, operation)
}

function lengthDelimited(tag: number, body: Uint8Array): Uint8Array {
  const { length } = body
  const size = length < 128 ? [length] : [(length & 127) | 128, length >> 7]
  return Uint8Array.of(tag, ...size, ...body)
}

async function compareLeases(pair: Pair): Promise<void> {
  const [own, other] = pair.streams('LeaseKeepAlive')
  const keepAlive = async (ID: number | string) => {
    own.send({ ID })
    other.send({ ID })
    pair.compare(`LeaseKeepAlive ${ID}`, await own.next(), await other.next())
  }
  await pair.call('LeaseGrant', { TTL: 1000, ID: 12 })
  await pair.call('LeaseGrant', { TTL: 1000, ID: 12 })
  await keepAlive(12)
  await keepAlive(13)
  await keepAlive(0)
  await pair.call('Put', { key: bytes('leased/2'), lease: 12 })
  await pair.call('Put', { key: bytes('leased/1'), lease: 12 })
  await pair.call('LeaseTimeToLive', { ID: 12, keys: true })
  await pair.call('LeaseTimeToLive', { ID: 0 })
  await pair.call('LeaseRevoke', { ID: 12 })
  await keepAlive(12)
  await pair.call('LeaseRevoke', { ID: 12 })
  await pair.call('LeaseRevoke', {})
  for (const TTL of ['0', '1', '-7', '9000000000', '9000000001', '9223372036854775807']) {
    await pair.call('LeaseGrant', { TTL, ID: 14 })
    await pair.call('LeaseTimeToLive', { ID: 14 })
    await pair.call('LeaseRevoke', { ID: 14 })
  }
  for (const ID of ['5', '3', '4'])
    await pair.call('LeaseGrant', { TTL: 100 + 10 * Number(ID), ID })
  await pair.call('LeaseLeases', {})
  for (const ID of ['5', '3', '4']) await pair.call('LeaseRevoke', { ID })
  own.raw.end()
  other.raw.end()
  pair.compare('LeaseKeepAlive, half-closed', await own.ended, await other.ended)
}

async function compareMalformed(pair: Pair): Promise<void> {
  const put = encode('PutRequest', { key: bytes('k'), value: bytes('v') })
  const messages = {
    cut: put.subarray(0, put.length - 1),
    'a length beyond the end': Uint8Array.of(0x0a, 0x7f, 1),
    'a field number of zero': Uint8Array.of(0x00, 0x01),
    'a wire type that is none': Uint8Array.of(0x0f, 0x01),
    'a known field of another wire type': Uint8Array.of(0x08, 0x01),
    'an end of group alone': Uint8Array.of(0x7c),
    'a varint without end': Uint8Array.of(0x18, ...Array(11).fill(0xff)),
    'an unknown field': Uint8Array.of(...put, 0xf8, 0x07, 0x01),
    'a field twice': Uint8Array.of(...put, ...put),
    nothing: new Uint8Array(0),
  }
  for (const message of Object.values(messages)) {
    await pair.bytes('/etcdserverpb.KV/Put', message)
    await pair.bytes('/etcdserverpb.KV/Range', message)
    await pair.bytes('/etcdserverpb.Lease/LeaseGrant', message)
  }
  const paths = [
    '/etcdserverpb.KV/Nothing',
    '/nobody.Nothing/Put',
    '/etcdserverpb.KV',
    '/',
    'etcdserverpb.KV/Put',
  ]
  for (const path of paths) await pair.bytes(path, put)
  await compareBrokenStream(pair, 'Watch', Buffer.of(0x0a, 0x7f))
  await compareBrokenStream(pair, 'LeaseKeepAlive', Buffer.of(0x08))
}

async function compareBrokenStream(pair: Pair, method: string, message: Buffer): Promise<void> {
  const [own, other] = pair.streams(method)
  own.raw.write(message)
  other.raw.write(message)
  pair.compare(`${method}, malformed`, await own.ended, await other.ended)
}

async function compareAbout(pair: Pair): Promise<void> {
  const requiring = new Metadata()
  requiring.set('hasleader', 'true')
  await pair.call('Range', { key: bytes('a') }, requiring)
  await pair.call('Authenticate', { name: 'root', password: 'x' })
  await pair.call('Authenticate', {})
  await pair.call('AuthStatus', {})
  await pair.call('Alarm', {})
  await pair.call('Alarm', { alarm: 1 })
  await pair.call('Alarm', { action: 2, alarm: 1 })
  await pair.call('Alarm', { action: 2, memberID: 5, alarm: 2 })
  await pair.call('Alarm', { memberID: 5, alarm: 2 })
  const statuses = await Promise.all([pair.quorate, pair.etcd].map(one => one.call('Status', {})))
  const numbers = ['dbSize', 'dbSizeInUse', 'raftIndex', 'raftTerm', 'raftAppliedIndex', 'leader']
  for (const status of statuses) {
    for (const name of numbers) status[name] = status[name] === undefined ? 'none' : 'some'
  }
  pair.compare('Status', statuses[0], statuses[1])
  for (const linearizable of [true, false]) {
    const lists = await Promise.all(
      [pair.quorate, pair.etcd].map(one => one.call('MemberList', { linearizable })),
    )
    for (const list of lists)
      list.members = list.members.map((member: object) => Object.keys(member).sort())
    pair.compare('MemberList', lists[0], lists[1])
  }
}

const http: readonly (readonly [method: string, path: string])[] = [
  ['GET', '/health'],
  ['GET', '/health?serializable=true'],
  ['GET', '/health?exclude=NOSPACE'],
  ['POST', '/health'],
  ['HEAD', '/health'],
  ['GET', '/version'],
  ['POST', '/version'],
  ['HEAD', '/version'],
  ['OPTIONS', '/version'],
  ['GET', '/nothing'],
  ['GET', '/'],
  ['GET', '/health/'],
]

async function compareHttp(
  pair: Pair,
  servers: Servers,
  method: string,
  path: string,
): Promise<void> {
  const ask = async (port: number) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method })
    const headers = [
      'content-type',
      'allow',
      'access-control-allow-origin',
      'access-control-allow-methods',
    ]
    const shown = headers.map(name => `${name}: ${answer.headers.get(name)}`)
    return [answer.status, await answer.text(), ...shown]
  }
  pair.compare(`${method} ${path}`, await ask(servers.quorate), await ask(servers.etcd))
}

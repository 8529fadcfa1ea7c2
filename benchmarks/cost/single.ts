/**
 * The most expensive single requests in one state machine, without sockets and log: how long each takes
 * in all, and the longest time for which nothing else could run (a slice). Times are of the processor.
 *   launcher.mjs --script benchmarks/cost/single.ts [--keys 1000000]
 */
import { parseArgs } from 'node:util'
import { callBytes, etcdOperation, etcdRead, writeCall } from '../../actors/state/etcd-commands.ts'
import { etcdFace } from '../../actors/state/etcd-face.ts'
import { LongReads } from '../../actors/state/long-reads.ts'
import { roomUnlimited, stream } from '../../actors/state/messages.ts'
import { Slice, sliceDefaults, type Steps } from '../../actors/state/slices.ts'
import { zookeeperFace } from '../../actors/state/zookeeper-face.ts'
import { systemClock } from '../../runtime/clock.ts'
import { openAcl } from '../../storage/acl-table.ts'
import { EtcdWorld } from '../../test/actors/state/etcd-world.ts'
import { Scene } from '../../test/actors/state/zookeeper-scene.ts'
import { encode } from '../../test/transport/etcd/messages/schema.ts'

const { values } = parseArgs({ options: { keys: { type: 'string', default: '1000000' } } })
const keyCount = Number(values.keys)
const all = { key: Buffer.from([0]), range_end: Buffer.from([0]) }
const slice = new Slice(systemClock)
const { unslicedKeysMax } = sliceDefaults
const slices = { slice, room: new LongReads(() => {}).room, unslicedKeysMax }

const keys = new EtcdWorld()
const world = { ...keys.world, slices }
const keyOf = (index: number) => `key${String(index).padStart(9, '0')}`
keys.run('leaseGrant', { ID: 7, TTL: 600 })
const leased = Math.floor(keyCount / 10)
for (let index = 0; index < keyCount; index += 1)
  keys.put(keyOf(index), '16 bytes a value', index < leased ? 7 : undefined)
keys.run('deleteRange', { key: Buffer.from(keyOf(keyCount - 1)) })

read('limit 1 beside a tombstone', { ...all, limit: 1 })
read('count', { ...all, count_only: true })
read('count at an old revision', { ...all, count_only: true, revision: keyCount })
read('all keys, keys only', { ...all, keys_only: true })
read('all keys, by value', { ...all, sort_order: 1, sort_target: 4 })
const greater = { ...all, result: 1, target: 0, version: 0 }
apply('txn of 128 compares over all keys', 'txn', { compare: Array(128).fill(greater) })
apply('revocation of a lease with a tenth of them', 'leaseRevoke', { ID: 7 })
apply('deletion of all', 'deleteRange', { ...all, prev_kv: true })

const scene = new Scene()
const tree = { ...scene.world, slices }
const caller = scene.session(1n)
scene.watched = false
const digest = (id: string) => ({ perms: 31, scheme: 'digest', id })
measure(
  'create, id of 60,000 colons and an x',
  () => void scene.create(caller, '/a', 0, [digest(`${':'.repeat(60_000)}x`)]),
)
const users = Array.from({ length: 20_000 }, (_, index) => digest(`user${index}:hash`))
measure('create, 20,000 list entries', () => void scene.create(caller, '/a', 0, users))
const owned = {
  ...{ data: null, acl: scene.tree.acls.intern(openAcl), ownerHigh: 0, ownerLow: 1 },
  ...{ kind: 0, ttl: 0, zxid: 1, time: 1 },
}
for (let index = 0; index < 60_000; index += 1)
  scene.tree.create(scene.tree.root, `/${index}`, owned)
scene.watched = true
measure('end of a session with 60,000 ephemerals', () => {
  const ended = tree.lifetimes.session(1n)
  if (ended === undefined) throw new Error('there is no session')
  return zookeeperFace.expire(tree, keys.command(new Uint8Array(0), false), ended)
})

function read(name: string, request: object): void {
  const bytes = Buffer.concat([Buffer.from([etcdRead.range]), encode('RangeRequest', request)])
  const common = { stream: stream.etcd, connection: 1, tag: 1, roomBytes: roomUnlimited }
  measure(name, () => etcdFace.read(world, { ...common, request: bytes }))
}

function apply(
  name: string,
  operation: 'txn' | 'leaseRevoke' | 'deleteRange',
  request: object,
): void {
  const types = {
    txn: 'TxnRequest',
    leaseRevoke: 'LeaseRevokeRequest',
    deleteRange: 'DeleteRangeRequest',
  }
  const body = encode(types[operation], request)
  const bytes = new Uint8Array(callBytes + body.length)
  writeCall(new DataView(bytes.buffer), 0, etcdOperation[operation], 1, 1)
  bytes.set(body, callBytes)
  const command = keys.command(bytes, true)
  measure(name, () => etcdFace.apply(world, command))
}

function measure(name: string, run: () => Steps | undefined): void {
  let longest = 0
  let total = 0
  const timed = <Result>(part: () => Result): Result => {
    const before = process.threadCpuUsage()
    const result = part()
    const { user, system } = process.threadCpuUsage(before)
    longest = Math.max(longest, (user + system) / 1000)
    total += (user + system) / 1000
    return result
  }
  const steps = timed(run)
  for (let isDone = steps === undefined; !isDone; ) {
    slice.begin()
    isDone = timed(() => steps?.next().done === true)
  }
  keys.emitter.replies.length = 0
  console.log(`${name}: ${total.toFixed(1)} ms in all, ${longest.toFixed(1)} ms at a time`)
}

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Caller, ownOperation } from '../../../actors/state/zookeeper-commands.ts'
import { encodeIdentities } from '../../../transport/zookeeper/identities.ts'
import { operation } from '../../../transport/zookeeper/operations.ts'
import { Entries, type Entry, StateNode } from './state-node.ts'
import {
  aclRecord,
  address,
  createRecord,
  multiRecord,
  open,
  setRecord,
  versionRecord,
} from './zookeeper-scene.ts'

const caller: Caller = {
  connection: 11,
  session: 0x11n,
  identities: encodeIdentities([address]),
}
const everything = { key: Buffer.of(0), range_end: Buffer.of(0) }

type Step =
  | {
      readonly kind: 'command'
      readonly which: number
      readonly key: number
      readonly size: number
    }
  | { readonly kind: 'time'; readonly millis: number }
  | { readonly kind: 'checkpoint' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({
      kind: fc.constant('command' as const),
      which: fc.nat(15),
      key: fc.nat(4),
      size: fc.nat(1_500),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('time' as const), millis: fc.nat(60) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('checkpoint' as const) }) },
)

function entryOf(log: Entries, revision: number, which: number, key: number, size: number): Entry {
  const name = Buffer.from(`k${key}`)
  const path = `/n${key}`
  const data = Buffer.alloc(size)
  const put = { request_put: { key: name, value: data } }
  const remove = { request_delete_range: everything }
  switch (which) {
    case 0:
      return log.etcd('deleteRange', key === 0 ? everything : { key: name })
    case 1:
      return log.etcd('compact', {
        revision: Math.max(1, revision - key),
        physical: size % 2 === 0,
      })
    case 2:
      return log.etcd('txn', { success: [remove, put] })
    case 3:
      return log.etcd('txn', { success: [put, remove] })
    case 4:
      return log.etcd('leaseGrant', { ID: 1 + key, TTL: 60 })
    case 5:
      return log.etcd('leaseRevoke', { ID: 1 + key })
    case 6:
      return log.etcd('alarm', { action: 2, alarm: 1 })
    case 7:
      return log.quota(4_000 + 10 * size)
    case 8:
      return log.zookeeper(caller, operation.delete, versionRecord(path))
    case 9:
      return log.zookeeper(caller, operation.setData, setRecord(path, data))
    case 10: {
      const acls = Array.from({ length: 1 + (size % 9) }, (_, at) => ({
        perms: 31,
        scheme: 'ip',
        id: `10.0.${key}.${at}`,
      }))
      return log.zookeeper(caller, operation.setAcl, aclRecord(path, [...open, ...acls]))
    }
    case 11:
      return log.zookeeper(
        caller,
        operation.multi,
        multiRecord(
          [operation.create, createRecord(`${path}/m`, 0, open, data)],
          [operation.setData, setRecord(path, data)],
          [operation.delete, versionRecord(`${path}/m`)],
        ),
      )
    case 12:
    case 13:
      return log.zookeeper(caller, operation.create, createRecord(path, 0, open, data))
    default:
      return log.etcd('put', { key: name, value: data })
  }
}

test('a replica that was restored refuses the same, and holds the same, as one that never stopped', () => {
  let refusals = 0
  let restores = 0
  fc.assert(
    fc.property(fc.array(step, { minLength: 40, maxLength: 120 }), steps => {
      const log = new Entries()
      const first = new StateNode({ everyBytes: 1 })
      let second: StateNode | undefined
      const commit = (entries: readonly Entry[]) => {
        first.commit(entries)
        second?.commit(entries)
      }
      const session = log.handshake(caller, ownOperation.createSession, new Uint8Array(16).fill(1))
      commit([log.register(), log.quota(9_000), session])
      for (const one of steps) {
        if (one.kind === 'time') first.actor.advance(one.millis)
        else if (one.kind === 'checkpoint') {
          if (first.checkpoint() && first.position === positionOnDisk(first)) {
            second = new StateNode({ disk: first.disk })
            restores += 1
          }
        } else {
          const revision = Number(first.status()['revision'])
          commit([entryOf(log, revision, one.which, one.key, one.size)])
        }
        const status = first.status()
        if (status['noSpace'] === true) refusals += 1
        if (second === undefined) continue
        const keys = ['heldBytes', 'quotaBytes', 'noSpace', 'hash', 'revision', 'zxid']
        const other = second.status()
        expect(keys.map(key => other[key])).toEqual(keys.map(key => status[key]))
      }
    }),
    { seed: 5, numRuns: 60 },
  )
  expect([refusals > 100, restores > 50]).toEqual([true, true])
}, 60_000)

/** Where the newest checkpoint stands: a node that was only just started from it says so. */
function positionOnDisk(node: StateNode): number {
  return new StateNode({ disk: node.disk }).position
}

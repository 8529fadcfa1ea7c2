/** One command, or one start, tells of more than any mailbox would hold: all of it arrives. */
import { expect, test } from 'vitest'
import { entryKind, offset } from '../../../actors/consensus/entry.ts'
import type { ConsensusMessage } from '../../../actors/consensus/messages.ts'
import { directory } from '../../../actors/directory.ts'
import type { GatewayMessage } from '../../../actors/gateways/messages.ts'
import { sessionsActor } from '../../../actors/sessions/sessions-actor.ts'
import { etcdRead } from '../../../actors/state/etcd-commands.ts'
import { roomUnlimited, stream } from '../../../actors/state/messages.ts'
import { stateActor } from '../../../actors/state/state-actor.ts'
import {
  type Caller,
  callerBytes,
  ownOperation,
  writeCommandHeader,
} from '../../../actors/state/zookeeper-commands.ts'
import { watchesActor } from '../../../actors/watches/watches-actor.ts'
import { limits } from '../../../runtime/limits.ts'
import { silentLogger } from '../../../runtime/log.ts'
import { manualHost } from '../../../runtime/testkit.ts'
import { System } from '../../../runtime/system.ts'
import { checkpointJobModule, run } from '../../../storage/checkpoint-job.ts'
import { Reader } from '../../../transport/etcd/messages/reader.ts'
import { operation } from '../../../transport/zookeeper/operations.ts'
import { inlineJobs } from '../../support/inline-jobs.ts'
import { MemoryDisk } from '../../support/memory-disk.ts'
import { encode } from '../../transport/etcd/messages/schema.ts'
import { batchOf, Entries, type Entry, setupOf, StateNode } from './state-node.ts'
import { createRecord, type Write, written } from './zookeeper-scene.ts'

const count = limits.mailboxMessagesMax + 5_000
const session: Caller = { connection: 11, session: 0x11n, identities: new Uint8Array(0) }
const watcher: Caller = { connection: 12, session: 0x12n, identities: new Uint8Array(0) }
const password = new Uint8Array(16)
const numbers = Array.from({ length: count }, (_, at) => at)

/** State, watches and sessions as they are, on one thread; who is told by them writes it down. */
class Node {
  readonly system: System
  readonly host
  readonly zookeeper: GatewayMessage[] = []
  readonly etcd: GatewayMessage[] = []
  readonly consensus: ConsensusMessage[] = []
  #position = 0

  constructor(disk = new MemoryDisk()) {
    const jobs = inlineJobs(disk, [{ url: checkpointJobModule, run }], done => done())
    this.host = manualHost({ disk, jobs })
    const system = new System({ host: this.host, log: silentLogger, freezeMessages: false })
    this.system = system
    for (const name of ['zookeeper', 'etcd', 'consensus'] as const) {
      const told: unknown[] = this[name]
      const start = () => (message: { readonly kind: string }) => void told.push(message)
      system.spawn({ name, mailboxMessagesMax: 10 * count, start }, name, undefined)
    }
    const ids = { clusterId: new Uint8Array(8), memberId: new Uint8Array(8) }
    system.spawn(watchesActor, 'watches', { ...ids, progressMillis: 60_000 })
    const millis = { touchMillis: 100, questionMillis: 1_000, electionMillis: 1_000 }
    system.spawn(sessionsActor, 'sessions', { node: 1, incarnation: 1, ...millis })
    system.spawn(stateActor, 'state', setupOf({}))
    this.host.runDeferred()
  }

  commit(entries: readonly Entry[]): void {
    const first = this.#position + 1
    this.#position += entries.length
    const committed = { first, count: entries.length, entries: batchOf(entries, first) }
    this.system.find(directory.state).tell({ kind: 'committed', ...committed })
    this.host.runDeferred()
  }

  read(ofStream: number, connection: number, request: Uint8Array): void {
    const about = { stream: ofStream, connection, tag: 3, after: 0, position: 0 }
    const read = { ...about, roomBytes: roomUnlimited, request }
    this.system.find(directory.state).tell({ kind: 'read', ...read })
    this.host.runDeferred()
  }
}

function request(caller: Caller, type: number, write: Write): Uint8Array {
  const common = callerBytes(caller)
  const record = written(write)
  const made = new Uint8Array(8 + common.length + record.length)
  writeCommandHeader(made, 0, type, 5, common)
  made.set(record, 8 + common.length)
  return made
}

function eventCount(response: Uint8Array): number {
  const reader = new Reader().open(response)
  let events = 0
  while (!reader.done) {
    const tag = reader.tag()
    if (tag === 0x5a) events += 1
    reader.skip(tag)
  }
  return events
}

test('a session ends that holds very many ephemerals, all of them watched', () => {
  const node = new Node()
  const log = new Entries()
  const opened = [session, watcher].map(who =>
    log.handshake(who, ownOperation.createSession, password),
  )
  const paths = numbers.map(at => `/${at}`)
  node.commit([
    ...opened,
    ...paths.map(path => log.zookeeper(session, operation.create, createRecord(path, 1))),
  ])
  const watches = request(watcher, operation.setWatches, writer => {
    writer.long(1_000_000)
    for (const list of [paths, [], []]) {
      writer.int(list.length)
      for (const path of list) writer.string(path)
    }
  })
  node.read(stream.zookeeper, watcher.connection, watches)
  node.zookeeper.length = 0
  node.commit([log.zookeeper(session, operation.closeSession, () => {})])
  expect(node.zookeeper.filter(({ kind }) => kind === 'event')).toHaveLength(count)
  expect(node.zookeeper.at(-1)).toMatchObject({ kind: 'reply', connection: session.connection })
})

test('a lease ends that very many watched keys are attached to', () => {
  const node = new Node()
  const log = new Entries()
  const key = (at: number) => Buffer.from(`k${at}`)
  node.commit([
    log.etcd('leaseGrant', { ID: 7, TTL: 60 }),
    ...numbers.map(at => log.etcd('put', { key: key(at), value: key(at), lease: 7 })),
  ])
  const create_request = { key: Buffer.from('k'), range_end: Buffer.from('l'), prev_kv: true }
  const watch = encode('WatchRequest', { create_request })
  node.read(stream.etcd, 77, Uint8Array.of(etcdRead.watch, ...watch))
  node.etcd.length = 0
  node.commit([log.etcd('leaseRevoke', { ID: 7 })])
  const [event, reply, ...others] = node.etcd
  expect(reply?.kind).toBe('reply')
  expect(others).toEqual([])
  const body = event?.kind === 'event' ? event.body : new Uint8Array(0)
  expect(eventCount(body)).toBe(count)
})

test('a node that starts with very many leases ends each of them in its time', () => {
  const log = new Entries()
  const before = new StateNode({ everyBytes: 1 })
  before.commit(numbers.map(at => log.etcd('leaseGrant', { ID: at + 1, TTL: 5 })))
  expect(before.checkpoint()).toBe(true)
  const node = new Node(before.disk)
  const leads = { kind: 'leader', epoch: 2, leader: 1, self: true } as const
  node.system.find(directory.sessions).tell(leads)
  node.host.advance(60_000)
  const ended = new Set<bigint>()
  for (const message of node.consensus) {
    if (message.kind !== 'propose') continue
    const { entries } = message
    const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength)
    for (let at = 0; at < entries.length; at += view.getUint32(at, true)) {
      if (view.getUint8(at + offset.kind) !== entryKind.lifetime) continue
      ended.add(view.getBigInt64(at + offset.body + 1))
    }
  }
  expect(ended.size).toBe(count)
})

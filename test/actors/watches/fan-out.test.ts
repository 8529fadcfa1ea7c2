/** Events for many watchers: what comes meanwhile waits, and is answered behind all of them. */
import { describe, expect, test } from 'vitest'
import type { StatusAnswer } from '../../../actors/control.ts'
import type { GatewayMessage } from '../../../actors/gateways/messages.ts'
import { stream } from '../../../actors/state/messages.ts'
import type { WatchesMessage } from '../../../actors/watches/messages.ts'
import { watchesActor } from '../../../actors/watches/watches-actor.ts'
import { testActor } from '../../../runtime/testkit.ts'
import { encode } from '../../transport/etcd/messages/schema.ts'

const nothing = new Uint8Array(0)
const watcherCount = 100
const slice = { millis: 2, unitsMax: 10, unslicedKeysMax: 20 }

class Watching {
  readonly actor

  constructor(ofSlice = slice) {
    const ids = { clusterId: new Uint8Array(8), memberId: new Uint8Array(8) }
    this.actor = testActor(watchesActor, { ...ids, progressMillis: 1000, slice: ofSlice })
  }

  watchZnode(path: string, watcher: 'data' | 'children' = 'data'): void {
    for (let connection = 1; connection <= watcherCount; connection += 1)
      this.tell({ kind: 'znodeWatch', connection, path, watcher, identities: nothing })
  }

  watchKey(key: string): void {
    for (let connection = 1; connection <= watcherCount; connection += 1)
      this.watchKeyOn(connection, 1, key)
    this.finish()
    this.doors()
  }

  watchKeyOn(connection: number, tag: number, key: string): void {
    const request = encode('WatchRequest', { create_request: { key: Buffer.from(key) } })
    const at = { revision: 1, compactRevision: 0, epoch: 1, request }
    this.tell({ kind: 'keyWatch', connection, tag, ...at })
  }

  /** Those that the actor says there are. */
  watchCount(): number {
    this.tell({ kind: 'status', replyTo: 'control', id: 1 })
    const [answer] = this.actor.takeTold<StatusAnswer>('control')
    return JSON.parse(answer!.json).watches
  }

  znodeChanged(event: 1 | 2 | 3, path: string): void {
    const acls = { acl: nothing, parentAcl: nothing }
    this.tell({ kind: 'znodeChanged', event, path, zxid: 7, ...acls })
  }

  put(key: string, revision: number): void {
    const event = { deleted: false, key: Buffer.from(key), current: nothing, previous: nothing }
    this.tell({ kind: 'keysChanged', revision, epoch: 1, more: false, events: [event] })
  }

  reply(door: number, connection: number, tag: number): void {
    const about = { stream: door, connection, tag, sequence: tag, status: 0, body: nothing }
    this.tell({ kind: 'reply', ...about })
  }

  tell(message: WatchesMessage): void {
    this.actor.round(message)
  }

  /** One more slice; false: there is none to come. */
  goOn(): boolean {
    const { told } = this.actor
    const at = told.findIndex(({ to, message }) => to === 'watches' && message.kind === 'goOn')
    if (at < 0) return false
    told.splice(at, 1)
    this.actor.round({ kind: 'goOn' })
    return true
  }

  finish(): number {
    let count = 0
    while (this.goOn()) count += 1
    return count
  }

  /** What clients were sent, in order: `e` and the connection for an event, `r` and the tag for a reply. */
  doors(): string[] {
    const sent = this.actor.takeTold<GatewayMessage>('zookeeper')
    sent.push(...this.actor.takeTold<GatewayMessage>('etcd'))
    return sent.flatMap(one => {
      if (one.kind === 'event') return [`e${one.connection}`]
      return one.kind === 'reply' ? [`r${one.tag}`] : []
    })
  }
}

const everybody = Array.from({ length: watcherCount }, (_, index) => `e${index + 1}`)

describe('a change that many watch', () => {
  test('of a znode: goes out in slices, and an answer that came meanwhile is behind all of it', () => {
    const made = new Watching()
    made.watchZnode('/a')
    made.znodeChanged(3, '/a')
    made.reply(stream.zookeeper, 500, 1)
    const first = made.doors()
    expect(first.length).toBeGreaterThan(0)
    expect(first.length).toBeLessThan(20)
    made.goOn()
    const second = made.doors()
    expect(second.length).toBeLessThan(20)
    expect(made.finish()).toBeGreaterThan(5)
    expect([...first, ...second, ...made.doors()]).toEqual([...everybody, 'r1'])
  })

  test('of a key: the same, for each of two changes with an answer between them', () => {
    const made = new Watching()
    made.watchKey('k')
    made.put('k', 2)
    made.reply(stream.etcd, 5, 1)
    made.put('k', 3)
    made.reply(stream.etcd, 5, 2)
    expect(made.finish()).toBeGreaterThan(20)
    expect(made.doors()).toEqual([...everybody, 'r1', ...everybody, 'r2'])
  })

  test('a watch that is registered meanwhile does not get it; a connection that closes gets all of it', () => {
    const made = new Watching()
    made.watchZnode('/a')
    made.znodeChanged(3, '/a')
    const more = { path: '/a', watcher: 'data', identities: nothing } as const
    made.tell({ kind: 'znodeWatch', connection: 300, ...more })
    made.tell({ kind: 'connectionClosed', stream: stream.zookeeper, connection: 100 })
    made.finish()
    expect(made.doors()).toEqual(everybody)
    made.znodeChanged(3, '/a')
    made.finish()
    expect(made.doors()).toEqual(['e300'])
  })

  test('who watches much closes in slices, and nothing of it is left', () => {
    const made = new Watching()
    const paths = everybody.map(name => `/${name}`)
    const more = { watcher: 'data', identities: nothing } as const
    made.tell({ kind: 'znodeWatches', connection: 300, paths, ...more })
    made.tell({ kind: 'znodeWatches', connection: 301, paths, ...more })
    made.tell({ kind: 'connectionClosed', stream: stream.zookeeper, connection: 300 })
    made.znodeChanged(3, paths.at(-1)!)
    // What comes meanwhile waits for its turn.
    expect(made.doors()).toEqual([])
    expect(made.finish()).toBeGreaterThan(5)
    expect(made.doors()).toEqual(['e301'])
    made.tell({ kind: 'gatewayStarted', stream: stream.zookeeper })
    expect(made.finish()).toBeGreaterThan(5)
    expect(made.watchCount()).toBe(0)
  })

  test('a stream with many watches closes in slices, and so does its connection', () => {
    const made = new Watching()
    for (const tag of [3, 5]) {
      for (let index = 0; index < watcherCount; index += 1) made.watchKeyOn(300, tag, `k${index}`)
    }
    made.watchKeyOn(301, 3, 'k1')
    made.finish()
    made.doors()
    expect(made.watchCount()).toBe(2 * watcherCount + 1)
    made.tell({ kind: 'keyStream', connection: 300, tag: 3, change: 'closed' })
    expect(made.finish()).toBeGreaterThan(5)
    expect(made.watchCount()).toBe(watcherCount + 1)
    made.tell({ kind: 'connectionClosed', stream: stream.etcd, connection: 300 })
    made.put('k1', 2)
    expect(made.doors()).toEqual([])
    expect(made.finish()).toBeGreaterThan(5)
    expect(made.doors()).toEqual(['e301'])
    expect(made.watchCount()).toBe(1)
  })

  test('watchers of a deleted node come before those of its parent', () => {
    const made = new Watching()
    made.watchZnode('/a/b')
    made.watchZnode('/a', 'children')
    made.znodeChanged(2, '/a/b')
    made.finish()
    expect(made.doors()).toEqual([...everybody, ...everybody])
  })

  test('ticks meanwhile are one, and status is answered at once', () => {
    const made = new Watching()
    made.watchZnode('/a')
    made.znodeChanged(3, '/a')
    made.tell({ kind: 'tick' })
    made.tell({ kind: 'tick' })
    made.tell({ kind: 'status', replyTo: 'control', id: 4 })
    expect(made.actor.takeTold('control')).toHaveLength(1)
    made.finish()
    expect(made.doors()).toEqual(everybody)
  })

  test('few are told at once', () => {
    const made = new Watching({ ...slice, unslicedKeysMax: 1000 })
    made.watchZnode('/a')
    made.znodeChanged(3, '/a')
    expect(made.doors()).toEqual(everybody)
    expect(made.finish()).toBe(0)
  })
})

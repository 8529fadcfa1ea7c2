/**
 * What a change costs with few and with many unrelated znode watches, at three places: the state
 * machine says the change, the index finds who watches, one event goes out. Prints nanoseconds a
 * change and the ratio; the bar is 1.5. Then how long the slices are in which one change goes to many.
 *
 *     node actors/node/launcher.mjs --script benchmarks/watches/main.ts
 */
import { watchesActor } from '../../actors/watches/watches-actor.ts'
import { ZnodeWatches } from '../../actors/watches/znode-watches.ts'
import { systemClock } from '../../runtime/clock.ts'
import { manualHost, testActor } from '../../runtime/testkit.ts'
import { encode } from '../../test/transport/etcd/messages/schema.ts'
import { encodeIdentities } from '../../transport/zookeeper/identities.ts'

const few = 10
const many = 100_000
const changesPerRun = 50_000
const runs = 7
const connectionCount = 100

const identities = encodeIdentities([{ scheme: 'ip', id: '127.0.0.1' }])
const nobody = new Uint8Array(0)

interface Case {
  readonly name: string
  /** One change; the watch that it fires is registered again. */
  readonly change: (watches: ZnodeWatches) => void
}

const cases: readonly Case[] = [
  { name: 'data changed, nobody watches it', change: watches => tell(watches, 3, '/other/node') },
  {
    name: 'data changed, one watches it',
    change(watches) {
      register(watches, 1, '/watched/node', 'data')
      tell(watches, 3, '/watched/node')
    },
  },
  {
    name: 'child created, one watches the parent',
    change(watches) {
      register(watches, 1, '/watched', 'children')
      tell(watches, 1, '/watched/child')
    },
  },
]

for (const one of cases) {
  const fewIndex = indexWith(few)
  const manyIndex = indexWith(many)
  const [withFew, withMany] = alternately(one, fewIndex, manyIndex)
  const ratio = withMany / withFew
  console.log(
    `${one.name.padEnd(40)} ${few} watches: ${withFew.toFixed(0)} ns` +
      `   ${many} watches: ${withMany.toFixed(0)} ns   ratio ${ratio.toFixed(2)}`,
  )
}

fanOut(many)

/** Medians of alternating runs, so that a busy machine hits both alike. */
function alternately(one: Case, fewIndex: ZnodeWatches, manyIndex: ZnodeWatches): [number, number] {
  const times: [number[], number[]] = [[], []]
  for (let run = 0; run < runs; run += 1) {
    times[0].push(nanosPerChange(one, fewIndex))
    times[1].push(nanosPerChange(one, manyIndex))
  }
  return [median(times[0]), median(times[1])]
}

function nanosPerChange({ change }: Case, watches: ZnodeWatches): number {
  const start = process.hrtime.bigint()
  for (let index = 0; index < changesPerRun; index += 1) change(watches)
  return Number(process.hrtime.bigint() - start) / changesPerRun
}

function indexWith(count: number): ZnodeWatches {
  const watches = new ZnodeWatches({ event() {} })
  for (let index = 0; index < count; index += 1) {
    const watcher = index % 2 === 0 ? 'data' : 'children'
    register(watches, index % connectionCount, `/unrelated/node-${index}`, watcher)
  }
  return watches
}

function register(
  watches: ZnodeWatches,
  connection: number,
  path: string,
  watcher: 'data' | 'children',
): void {
  watches.register({ kind: 'znodeWatch', connection, path, watcher, identities })
}

function tell(watches: ZnodeWatches, event: 1 | 3, path: string): void {
  watches.changed({ kind: 'znodeChanged', event, path, zxid: 7, acl: nobody, parentAcl: nobody })
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!
}

/** The longest that nothing else of the thread runs while one change goes to many: a slice. */
function fanOut(watcherCount: number): void {
  const ids = { clusterId: new Uint8Array(8), memberId: new Uint8Array(8) }
  const host = { ...manualHost(), clock: systemClock }
  const actor = testActor(watchesActor, { ...ids, progressMillis: 1e9 }, { host })
  const at = { revision: 1, compactRevision: 0, epoch: 1 }
  const request = encode('WatchRequest', { create_request: { key: Buffer.from('k') } })
  for (let index = 0; index < watcherCount; index += 1) {
    const connection = 1 + (index % 1000)
    actor.handle({ kind: 'keyWatch', connection, tag: 1 + ((index / 1000) | 0), ...at, request })
    actor.handle({ kind: 'znodeWatch', connection: index, path: '/k', watcher: 'data', identities })
  }
  const finish = (): number[] => {
    const slices: number[] = []
    for (;;) {
      const next = actor.told.some(({ to, message }) => to === 'watches' && message.kind === 'goOn')
      actor.takeTold()
      if (!next) return slices
      const began = systemClock.monotonicMillis()
      actor.round({ kind: 'goOn' })
      slices.push(systemClock.monotonicMillis() - began)
    }
  }
  finish()
  actor.takeTold()
  const one = new Uint8Array(100)
  const event = { deleted: false, key: Buffer.from('k'), current: one, previous: nobody }
  const changed = {
    kind: 'keysChanged',
    revision: 2,
    epoch: 1,
    more: false,
    events: [event],
  } as const
  const acls = { acl: nobody, parentAcl: nobody }
  const znode = { kind: 'znodeChanged', event: 3, path: '/k', zxid: 7, ...acls } as const
  for (const [name, message] of [
    ['key', changed],
    ['znode', znode],
  ] as const) {
    const began = systemClock.monotonicMillis()
    actor.round(message)
    const first = systemClock.monotonicMillis() - began
    const slices = [first, ...finish()]
    const sum = slices.reduce((all, millis) => all + millis, 0)
    console.log(
      `one change of a ${name}, ${watcherCount} watch it: ${slices.length} slices, median ` +
        `${median(slices).toFixed(1)} ms, longest ${Math.max(...slices).toFixed(1)} ms, ${sum.toFixed(0)} ms in all`,
    )
  }
}

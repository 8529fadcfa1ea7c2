/**
 * What a change costs with few and with many unrelated znode watches, at three places: the state
 * machine says the change, the index finds who watches, one event goes out. Prints nanoseconds a
 * change and the ratio; the bar is 1.5.
 *
 *     node actors/node/launcher.mjs --script benchmarks/watches/main.ts
 */
import { ZnodeWatches } from '../../actors/watches/znode-watches.ts'
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

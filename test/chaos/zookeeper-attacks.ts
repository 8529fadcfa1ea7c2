/**
 * What clients that take nothing cost a node, and the others that it serves:
 *   launcher.mjs --script test/chaos/zookeeper-attacks.ts [--server quorate|zookeeper] [--attack NAME] [--seconds 8]
 * Prints for each attack the resident memory of the attacked node before, at most, and a while after, and
 * the latency of another client's small reads and writes there and at another node. ZooKeeper where
 * benchmarks/install-peers.sh has installed it.
 */
import { connect, type Socket } from 'node:net'
import { parseArgs } from 'node:util'
import { type Cluster, type ServerName, startCluster } from '../../benchmarks/load/servers.ts'
import { type Endpoint, ZookeeperSession } from '../support/zookeeper-session.ts'

const { values } = parseArgs({
  options: {
    server: { type: 'string', default: 'quorate' },
    attack: { type: 'string' },
    seconds: { type: 'string', default: '8' },
    help: { type: 'boolean', default: false },
  },
})

interface Attack {
  readonly name: string
  /** Begins; what it returns ends it. */
  start(target: Endpoint): Promise<() => void>
}

const largeBytes = 1_000_000
const large = '/attack-large'
const small = '/attack-small'
const watched = '/attack-watched'
const watchedCount = 200

const attacks: readonly Attack[] = [
  {
    name: 'one connection, 1,000 reads of 1 MB, takes nothing',
    start: target => holders(target, 1, getFrames(large, 1000)),
  },
  {
    name: 'ten such connections',
    start: target => holders(target, 10, getFrames(large, 1000)),
  },
  {
    name: 'sixty such connections',
    start: target => holders(target, 60, getFrames(large, 1000)),
  },
  {
    name: 'sixty connections, 100,000 small reads each, take nothing',
    start: target => holders(target, 60, getFrames(small, 100_000)),
  },
  {
    name: 'twenty connections that ask for 1,000 MB and go, again and again',
    start: async target => {
      let isOver = false
      const frames = getFrames(large, 1000)
      const rounds = (async () => {
        while (!isOver) {
          const end = await holders(target, 20, frames)
          await sleep(300)
          end()
        }
      })()
      return () => {
        isOver = true
        rounds.catch(() => {})
      }
    },
  },
  {
    name: 'sixty connections that watch 200 nodes and take no event',
    start: async target => {
      const frames: Buffer[] = []
      for (let index = 0; index < watchedCount; index += 1) {
        frames.push(readFrame(index + 1, 3, `${watched}-${index}`, true))
      }
      const end = await holders(target, 60, Buffer.concat(frames), 100)
      const writer = new ZookeeperSession([target], 0, 30_000)
      let isOver = false
      void (async () => {
        while (!isOver) {
          const changes = Array.from({ length: watchedCount }, (_, index) =>
            writer.set(`${watched}-${index}`, Buffer.alloc(1)).catch(() => undefined),
          )
          await Promise.all(changes)
        }
      })()
      return () => {
        isOver = true
        writer.abandon()
        end()
      }
    },
  },
  {
    name: '2,000 connections that send most of a frame of 1 MB',
    start: target => holders(target, 2000, Buffer.concat([int(1_000_000), Buffer.alloc(900_000)])),
  },
]

async function run(server: ServerName): Promise<void> {
  const chosen = attacks.filter(({ name }) => name.includes(values.attack ?? ''))
  for (const attack of chosen) {
    const cluster = await startCluster(server)
    if (cluster === undefined) throw new Error(`${server} is not installed`)
    try {
      await measure(cluster, attack)
    } finally {
      await cluster.stop()
    }
  }
}

async function measure(cluster: Cluster, attack: Attack): Promise<void> {
  const [target, other] = cluster.zookeeper as [Endpoint, Endpoint]
  const setup = new ZookeeperSession([target], 0, 30_000)
  await setup.create(large, Buffer.alloc(largeBytes, 7))
  await setup.create(small, Buffer.alloc(10))
  for (let index = 0; index < watchedCount; index += 1) {
    await setup.create(`${watched}-${index}`, Buffer.alloc(0))
  }
  setup.abandon()
  const near = new Observer(target, '/near')
  const far = new Observer(other, '/far')
  await sleep(2000)
  near.take()
  far.take()
  const beforeBytes = cluster.residentBytes()[0] ?? 0
  let mostBytes = 0
  const sampler = setInterval(() => {
    mostBytes = Math.max(mostBytes, cluster.residentBytes()[0] ?? 0)
  }, 50)
  const cpuBefore = cluster.cpuSeconds()
  const end = await attack.start(target)
  await sleep(Number(values.seconds) * 1000)
  const cpu = cluster.cpuSeconds().map((seconds, at) => (seconds - (cpuBefore[at] ?? 0)).toFixed(1))
  const during = `there ${near.take()}, elsewhere ${far.take()}`
  end()
  await sleep(10_000)
  clearInterval(sampler)
  const afterBytes = cluster.residentBytes()[0] ?? 0
  const mebibytes = [beforeBytes, mostBytes, afterBytes].map(bytes => Math.round(bytes / 2 ** 20))
  console.log(`${cluster.name}: ${attack.name}`)
  console.log(`  resident ${mebibytes.join(' → ')} MiB (before, most, 10 s after)`)
  console.log(`  CPU seconds of the nodes in ${values.seconds} s: ${cpu.join(', ')}`)
  console.log(`  during: ${during}`)
  console.log(`  after: there ${near.take()}, elsewhere ${far.take()}`)
  near.stop()
  far.stop()
}

/** A small read every 10 ms and a write every 50, each whether or not the last one is answered. */
class Observer {
  readonly #session: ZookeeperSession
  readonly #timers: NodeJS.Timeout[] = []
  #reads: number[] = []
  #writes: number[] = []
  #failures = 0

  constructor(endpoint: Endpoint, path: string) {
    this.#session = new ZookeeperSession([endpoint], 0, 30_000)
    void this.#begin(path)
  }

  take(): string {
    const [reads, writes] = [this.#reads, this.#writes]
    const failures = this.#failures
    this.#reads = []
    this.#writes = []
    this.#failures = 0
    return `reads ${figures(reads)}, writes ${figures(writes)}, ${failures} failed, ${this.#session.losses} connections lost`
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer)
    this.#session.abandon()
  }

  async #begin(path: string): Promise<void> {
    await this.#session.create(path, Buffer.alloc(0))
    this.#timers.push(
      setInterval(() => void this.#time(true, () => this.#session.get(small)), 10),
      setInterval(() => void this.#time(false, () => this.#session.set(path, value)), 50),
    )
  }

  async #time(isRead: boolean, ask: () => Promise<unknown>): Promise<void> {
    const began = performance.now()
    await ask().catch(() => {
      this.#failures += 1
    })
    const target = isRead ? this.#reads : this.#writes
    target.push(performance.now() - began)
  }
}

const value = Buffer.alloc(10)

function figures(millis: number[]): string {
  const sorted = millis.toSorted((a, b) => a - b)
  const at = (part: number): string =>
    (sorted[Math.floor(part * (sorted.length - 1))] ?? 0).toFixed(1)
  return `${sorted.length}× p50 ${at(0.5)} p99 ${at(0.99)} max ${at(1)} ms`
}

/** Connections that send what they are given, take their session and nothing after it. */
async function holders(
  target: Endpoint,
  count: number,
  frames: Buffer,
  takesMillis = 0,
): Promise<() => void> {
  const sockets: Socket[] = []
  await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = connect(target)
      sockets.push(socket)
      socket.on('error', () => {})
      await new Promise<void>(resolve => {
        socket.once('close', () => resolve())
        socket.once('connect', () => socket.write(connectFrame))
        socket.once('data', () => {
          if (takesMillis > 0) setTimeout(() => socket.pause(), takesMillis)
          else socket.pause()
          socket.write(frames)
          resolve()
        })
      })
    }),
  )
  return () => {
    for (const socket of sockets) socket.destroy()
  }
}

function getFrames(path: string, count: number): Buffer {
  return Buffer.concat(
    Array.from({ length: count }, (_, index) => readFrame(index + 1, 4, path, false)),
  )
}

function readFrame(xid: number, operation: number, path: string, watch: boolean): Buffer {
  const text = Buffer.from(path)
  return frame(int(xid), int(operation), int(text.length), text, Buffer.from([watch ? 1 : 0]))
}

const connectFrame = frame(
  int(0),
  Buffer.alloc(8),
  int(30_000),
  Buffer.alloc(8),
  int(16),
  Buffer.alloc(16),
  Buffer.alloc(1),
)

function frame(...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  return Buffer.concat([int(body.length), body])
}

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function sleep(millis: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, millis))
}

if (values.help) {
  console.log(
    'usage: zookeeper-attacks.ts [--server quorate|zookeeper] [--attack NAME] [--seconds 8]',
  )
  for (const { name } of attacks) console.log(`  ${name}`)
} else await run(values.server as ServerName)
process.exit(0)

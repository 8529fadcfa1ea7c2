/** Two links that talk to each other over the simulated network, and what they saw. */
import type { Disk, Jobs } from '../../../runtime/host.ts'
import type { ConnectionEnd } from '../../../transport/peers/connection.ts'
import { awaitGreeting, type Greeter } from '../../../transport/peers/greeting.ts'
import { type Hello, judgeHello, type SchemaLine } from '../../../transport/peers/handshake.ts'
import { PeerLink } from '../../../transport/peers/peer-link.ts'
import { calmNetwork, type NetworkOptions, SimulatedNetwork } from '../../simulator/network.ts'
import { createScheduler, type Scheduler } from '../../simulator/scheduler.ts'
import { VirtualThread } from '../../simulator/thread.ts'

export interface Side {
  readonly thread: VirtualThread
  readonly link: PeerLink
  /** `up 2`, `down closed`, `down lost: …`, `dial failed: …`, in order. */
  readonly events: string[]
  /** Bodies of frames that arrived, as text. */
  readonly bodies: string[]
}

export interface Pair {
  readonly scheduler: Scheduler
  readonly network: SimulatedNetwork
  /** Node 1 listens; node 2 dials. */
  readonly listening: Side
  readonly dialling: Side
  run(millis: number): void
}

export function hello(changes: Partial<Hello>): Hello {
  const id = (changes.from ?? 1).toString(16).repeat(32)
  const schemas: SchemaLine[] = []
  const fixed = { version: 1, purpose: 1, from: 1, to: 0, incarnation: 1, cluster: 'main', schemas }
  return { ...fixed, formation: '', position: 0, storeId: id, process: id, ...changes }
}

export function createPair(
  changes: {
    one?: Partial<Hello>
    two?: Partial<Hello>
    seed?: string
    network?: NetworkOptions
  } = {},
): Pair {
  const scheduler = createScheduler()
  const seed = changes.seed ?? 'pair'
  const network = new SimulatedNetwork(scheduler, seed, changes.network ?? calmNetwork)
  const listening = createSide(
    scheduler,
    network,
    seed,
    hello({ from: 1, ...changes.one }),
    2,
    false,
  )
  const dialling = createSide(scheduler, network, seed, hello({ from: 2, ...changes.two }), 1, true)
  listen(listening, hello({ from: 1, ...changes.one }))
  return {
    scheduler,
    network,
    listening,
    dialling,
    run(millis) {
      const until = scheduler.nowMillis + millis
      while (scheduler.step(until));
    },
  }
}

export function tell(side: Side, text: string, control: boolean): boolean {
  const bytes = Buffer.from(`[${text}]`)
  const room = side.link.reserve(bytes.length, control)
  if (room === undefined) return false
  bytes.copy(room, side.link.reservedAt)
  side.link.commit(bytes.length)
  return true
}

export function greeterFor(own: Hello, secret = 's'.repeat(32)): Greeter {
  return {
    secrets: [secret],
    hello: (to, purpose) => ({ ...own, to, purpose }),
    welcome: theirs => ({ ...own, to: theirs.from, purpose: theirs.purpose }),
    judge: (theirs, from) => judgeHello(own, theirs, from, undefined),
  }
}

function createSide(
  scheduler: Scheduler,
  network: SimulatedNetwork,
  seed: string,
  own: Hello,
  node: number,
  dials: boolean,
): Side {
  const thread = new VirtualThread({
    name: `node${own.from}`,
    machine: `machine${dials ? 2 : 1}`,
    seed,
    scheduler,
    network,
    disk: () => ({}) as Disk,
    jobs: () => ({}) as Jobs,
    clock: { wallOffsetMillis: 0, drift: 1 },
    failed: (_thread, error) => {
      throw error
    },
  })
  const events: string[] = []
  const bodies: string[] = []
  const link = new PeerLink({
    host: thread.host,
    node,
    address: () => (dials ? { host: 'machine1', port: 7000 } : undefined),
    greeter: greeterFor(own),
    up: theirs => events.push(`up ${theirs.from}`),
    down: (closed, end) => events.push(closed ? 'down closed' : describe('down lost', end)),
    dialFailed: end => events.push(describe('dial failed', end)),
    envelopes: body => bodies.push(Buffer.from(body).toString()),
  })
  return { thread, link, events, bodies }
}

function listen(side: Side, own: Hello): void {
  side.thread.host.network.listen(
    { host: 'machine1', port: 7000 },
    socket =>
      awaitGreeting(side.thread.host, socket, greeterFor(own), result => {
        if (result.kind === 'greeted') side.link.adopt(result.connection, result.hello)
        else side.events.push(describe('refused', result.end))
      }),
    () => {},
  )
}

function describe(what: string, end: ConnectionEnd): string {
  return `${what}: ${end.code}: ${end.why}`
}

/** What a seed decides about its world: how bad the network is, who fails, and when. */
import type { Random } from '../../runtime/host.ts'
import { below, deriveSeed, seededRandom } from '../../runtime/random.ts'
import type { NetworkOptions } from './network.ts'

export type Fault =
  | {
      readonly kind: 'crash'
      readonly how: 'process' | 'power'
      readonly node: Target
      readonly millis: number
    }
  | {
      readonly kind: 'pause'
      readonly node: Target
      readonly thread: string
      readonly millis: number
    }
  | {
      readonly kind: 'isolate'
      readonly node: Target
      readonly direction: 'both' | 'in' | 'out'
      readonly millis: number
    }
  /** Two nodes do not hear each other, or one not the other; the third hears both. */
  | {
      readonly kind: 'apart'
      readonly node: Target
      /** Which of the others, by index. */
      readonly other: number
      readonly direction: 'both' | 'in' | 'out'
      readonly millis: number
    }
  | { readonly kind: 'reset'; readonly node: Target }
  | { readonly kind: 'clock'; readonly node: Target; readonly millis: number }
  /** For a while there is room for little more than what is there. */
  | { readonly kind: 'diskFull'; readonly node: Target; readonly millis: number }
  | { readonly kind: 'diskSlow'; readonly node: Target; readonly millis: number }
  /** All but the leader have very slow disks: it is followed as ever, and what it proposes is committed late. */
  | { readonly kind: 'quorumSlow'; readonly millis: number }
  /** No sync is done before this time is over. */
  | { readonly kind: 'diskStands'; readonly node: Target; readonly millis: number }
  /** A sync fails, which ends the process; what was not synced reads as it was, until the power goes. */
  | { readonly kind: 'diskFails'; readonly node: Target; readonly millis: number }
  /** The data directory is lost: the node waits until it is bound anew. Only one such in a world. */
  | { readonly kind: 'diskLost'; readonly node: Target; readonly millis: number }
  /** It is removed from the members, added as a learner, and promoted. */
  | { readonly kind: 'remember'; readonly node: Target; readonly millis: number }
  /**
   * The leader and one other are cut off from the rest, and it is asked to remove the rest, one after the
   * other. Whoever is no voter when that is over is brought in again.
   */
  | { readonly kind: 'split'; readonly companion: number; readonly millis: number }
  /** All nodes lose power together. */
  | { readonly kind: 'outage'; readonly millis: number }

/** A node's id, or whoever leads at that moment, or serves a ZooKeeper client that holds a lock and rests. */
export type Target = number | 'leader' | 'holder'

type PlainFault = Exclude<
  Fault['kind'],
  | 'apart'
  | 'diskFull'
  | 'diskSlow'
  | 'quorumSlow'
  | 'diskStands'
  | 'diskFails'
  | 'diskLost'
  | 'remember'
  | 'split'
>

export interface PlannedFault {
  readonly atMillis: number
  readonly fault: Fault
}

/** Small ones make what is rare with large ones: a log that arrives in many pieces. */
export interface ConsensusSizes {
  readonly appendBytesMax: number
  readonly inflightMessagesMax: number
}

export interface WorldOptions {
  readonly seed: string
  readonly nodes: number
  readonly zookeeperClients: number
  readonly etcdClients: number
  /** Each client's. */
  readonly operations: number
  readonly placement: 'single' | 'split' | 'spread'
  readonly network: NetworkOptions
  readonly consensus: ConsensusSizes
  /** ZooKeeper clients only ping once they have prepared their znodes, and never sleep. */
  readonly idle: boolean
  /** What the state may hold, where that is to be little: etcd clients fill it, and are refused then. */
  readonly quotaBytes?: number
  readonly faults: readonly PlannedFault[]
  /** Clients work until then at least. */
  readonly busyUntilMillis: number
  /** When the last fault is over and all is healed. */
  readonly healedMillis: number
}

const nodes = 3
const etcdClientsMax = 3
const zookeeperClientsMax = 3
const firstFaultMillis = 600
const faultEveryMillis = 700

export function optionsFor(seed: string): WorldOptions {
  const random = seededRandom(deriveSeed(seed, 'options'))
  const someZookeeperClients = zookeeperClientsMax - below(random, 2)
  const someEtcdClients = 1 + below(random, etcdClientsMax)
  const refusals = planRefusals(seededRandom(deriveSeed(seed, 'refusals')))
  const longCuts = [...planLongCuts(seededRandom(deriveSeed(seed, 'cuts'))), ...refusals]
  const depositions =
    longCuts.length > 0 ? [] : planDepositions(seededRandom(deriveSeed(seed, 'depositions')))
  // Some of them hold locks and rest, while others want these.
  const zookeeperClients = longCuts.length > 0 ? zookeeperClientsMax : someZookeeperClients
  // Some of them write elsewhere while others read of a leader that is deposed.
  const etcdClients = depositions.length > 0 ? etcdClientsMax : someEtcdClients
  const cuts = [
    ...longCuts,
    ...depositions,
    ...planSlowQuorum(seededRandom(deriveSeed(seed, 'slow quorum'))),
  ]
  const planned = planFaults(random)
  // How late a command may come is known where no clock is set.
  const isAllowed = ({ fault }: PlannedFault): boolean =>
    refusals.length === 0 || fault.kind !== 'clock'
  const faults = [
    ...planned.filter(isAllowed),
    ...planDiskFaults(seededRandom(deriveSeed(seed, 'disks'))),
    ...cuts,
  ]
  return {
    seed,
    nodes,
    zookeeperClients,
    etcdClients,
    operations: Math.ceil(500 / (zookeeperClients + etcdClients)),
    placement: placementFor(seededRandom(deriveSeed(seed, 'placement'))),
    network: networkFor(random),
    consensus: sizesFor(seededRandom(deriveSeed(seed, 'sizes'))),
    idle: false,
    faults,
    busyUntilMillis: cuts.length === 0 ? 0 : Math.max(...cuts.map(endOf)) + 2000,
    healedMillis: Math.max(...faults.map(endOf)),
  }
}

/** Mostly the two threads of most installations. */
function placementFor(random: Random): WorldOptions['placement'] {
  return (['split', 'split', 'single', 'spread'] as const)[below(random, 4)]!
}

function sizesFor(random: Random): ConsensusSizes {
  if (below(random, 3) === 0) return { appendBytesMax: 1024 * 1024, inflightMessagesMax: 256 }
  return { appendBytesMax: 100 << below(random, 5), inflightMessagesMax: 1 + below(random, 8) }
}

function networkFor(random: Random): NetworkOptions {
  const slow = below(random, 4) === 0
  return {
    latencyMillisMin: slow ? 2 : 0.05,
    latencyMillisMax: slow ? 20 : 0.3 + 3 * random.fraction(),
    slowOneIn: below(random, 2) === 0 ? 200 : 0,
    resetOneIn: below(random, 3) === 0 ? 3000 : 0,
    piecesMax: 1 + below(random, 4),
  }
}

/** One crash and one partition at least, and some more of anything. */
function planFaults(random: Random): PlannedFault[] {
  const kinds: PlainFault[] = ['crash', 'isolate']
  const more = 2 + below(random, 7)
  const others = ['crash', 'crash', 'pause', 'isolate', 'reset', 'clock', 'outage'] as const
  for (let count = 0; count < more; count++) kinds.push(others[below(random, others.length)]!)
  shuffle(random, kinds)
  let atMillis = firstFaultMillis
  return kinds.map(kind => {
    atMillis += faultEveryMillis * (0.3 + random.fraction())
    return { atMillis, fault: planFault(random, kind) }
  })
}

/** In some seeds only: slow and full disks, one that is lost, and a state thread that stands still for long. */
function planDiskFaults(random: Random): PlannedFault[] {
  const planned: PlannedFault[] = []
  const plan = (oneIn: number, make: (node: Target, millis: number) => Fault): void => {
    const atMillis = firstFaultMillis + 4000 * random.fraction()
    const node = below(random, 2) === 0 ? 'leader' : 1 + below(random, nodes)
    const millis = 200 + 2000 * random.fraction()
    const fault = make(node, millis)
    if (below(random, oneIn) !== 0) return
    planned.push({ atMillis, fault })
    // Within one of its long syncs, as likely as not.
    const crash: Fault = { kind: 'crash', how: 'power', node, millis: 300 }
    if (fault.kind === 'diskSlow') planned.push({ atMillis: atMillis + millis / 2, fault: crash })
  }
  plan(3, (node, millis) => ({ kind: 'diskSlow', node, millis }))
  plan(4, (node, millis) => ({ kind: 'diskFull', node, millis: 2 * millis }))
  plan(6, (node, millis) => ({ kind: 'diskLost', node, millis }))
  // One that is away beside one that is lost would leave too few.
  if (!planned.some(({ fault }) => fault.kind === 'diskLost'))
    plan(6, (node, millis) => ({ kind: 'remember', node, millis }))
  plan(6, (node, millis) => ({ kind: 'pause', node, millis: 2 * millis, thread: 'state' }))
  plan(5, (node, millis) => ({ kind: 'diskStands', node, millis: 3 * millis }))
  plan(3, (node, millis) => ({ kind: 'diskFails', node, millis: millis / 2 }))
  return planned
}

/**
 * In a third of the seeds: cuts that last longer than sessions live, after all other faults as a rule. Whatever
 * the cut (one node, two from each other, one way, the leader), locks have one holder.
 */
function planLongCuts(random: Random): PlannedFault[] {
  if (below(random, 3) !== 0) return []
  const planned: PlannedFault[] = []
  let atMillis = 3000 + 4000 * random.fraction()
  for (let left = 1 + below(random, 2); left > 0; left--) {
    const node = (['leader', 'leader', 'holder', 1 + below(random, nodes)] as const)[
      below(random, 4)
    ]!
    const direction = (['both', 'both', 'both', 'in', 'out'] as const)[below(random, 5)]!
    const millis = 4500 + 7000 * random.fraction()
    const other = below(random, nodes - 1)
    if (below(random, 4) === 0) {
      // A leader that misses a client's touches, decides, and is deposed before it is heard.
      planned.push({
        atMillis,
        fault: { kind: 'apart', node: 'leader', other, direction: 'in', millis: 3600 },
      })
      const fault = { kind: 'isolate', node: 'leader', direction: 'both', millis: 2500 } as const
      planned.push({ atMillis: atMillis + 3500, fault })
    } else if (below(random, 3) === 0)
      planned.push({ atMillis, fault: { kind: 'apart', node, other, direction, millis } })
    else planned.push({ atMillis, fault: { kind: 'isolate', node, direction, millis } })
    atMillis += millis + 1000 + 1000 * random.fraction()
  }
  return planned
}

/**
 * In a third of the seeds without other long cuts, when most faults are over: leaders are cut off one after the other,
 * each before it has led for as long as the first one. What followers know of one leader says nothing about the
 * next, which may not know yet that it is none.
 */
function planDepositions(random: Random): PlannedFault[] {
  if (below(random, 3) !== 0) return []
  const planned: PlannedFault[] = []
  let atMillis = 6000 + 1500 * random.fraction()
  for (let left = 2 + below(random, 2); left > 0; left--) {
    // The links stand through all but the last one, so that the next leader has its majority at once.
    const millis = (left === 1 ? 2500 : 1600) + 300 * random.fraction()
    planned.push({
      atMillis,
      fault: { kind: 'isolate', node: 'leader', direction: 'both', millis },
    })
    // Its own time stands still: it takes itself for the leader when there is another one for long.
    const frozenMillis = 1000 * random.fraction()
    planned.push({
      atMillis,
      fault: { kind: 'pause', node: 'leader', thread: '', millis: frozenMillis },
    })
    atMillis += millis + 100 + 300 * random.fraction()
  }
  return planned
}

/** In some seeds, when most other faults are over: what ends is proposed for long before it is committed. */
function planSlowQuorum(random: Random): PlannedFault[] {
  if (below(random, 6) !== 0) return []
  const atMillis = 6000 + 1000 * random.fraction()
  return [{ atMillis, fault: { kind: 'quorumSlow', millis: 5000 + 3000 * random.fraction() } }]
}

/** In some seeds: a node is cut off for so long that whoever asks there is refused while others go on. */
function planRefusals(random: Random): PlannedFault[] {
  if (below(random, 8) !== 0) return []
  const atMillis = 2000 + 3000 * random.fraction()
  const node = below(random, 2) === 0 ? 'holder' : 1 + below(random, nodes)
  const millis = 10_000 + 4000 * random.fraction()
  return [{ atMillis, fault: { kind: 'isolate', node, direction: 'both', millis } }]
}

function planFault(random: Random, kind: PlainFault): Fault {
  const node = below(random, 2) === 0 ? 'leader' : 1 + below(random, nodes)
  const millis = 50 + 2000 * random.fraction() ** 2
  switch (kind) {
    case 'crash':
      return { kind, node, millis, how: below(random, 2) === 0 ? 'process' : 'power' }
    case 'pause':
      return { kind, node, millis, thread: ['', 'log', 'state'][below(random, 3)]! }
    case 'isolate':
      return {
        kind,
        node,
        millis: millis + 500,
        direction: (['both', 'in', 'out'] as const)[below(random, 3)]!,
      }
    case 'reset':
      return { kind, node }
    case 'clock':
      return { kind, node, millis: (random.fraction() - 0.5) * 20_000 }
    case 'outage':
      return { kind, millis: millis / 2 }
  }
}

function endOf({ atMillis, fault }: PlannedFault): number {
  return atMillis + lengthOf(fault)
}

function lengthOf(fault: Fault): number {
  return fault.kind === 'reset' || fault.kind === 'clock' ? 0 : fault.millis
}

function shuffle<Item>(random: Random, items: Item[]): void {
  for (let index = items.length - 1; index > 0; index--) {
    const other = below(random, index + 1)
    const item = items[index]!
    items[index] = items[other]!
    items[other] = item
  }
}

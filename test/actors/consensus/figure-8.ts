/**
 * Figure 8 of the Raft paper, with five nodes. In (c) node 1 has copied an entry of epoch 2 to a
 * majority in epoch 4; in (d) node 5, whose last entry is of epoch 3, can still lead and replace it.
 */
import { Cluster, type Envelope, storedOf, testLimits } from './cluster.ts'

export function figure8(): Cluster {
  const cluster = new Cluster({ nodes: 5, limits: { appendBytesMax: 1 } })
  cluster.startAll()
  cluster.stabilize()
  lead(cluster, 1, () => false)
  // (a) Node 1 copies an entry to node 2 alone.
  cluster.propose(1, 'two')
  cluster.stabilize(except([1, 2]))
  cluster.crash(1, false)
  // (b) Node 5 leads with the votes of 3 and 4, and appends something that it copies to nobody.
  lead(cluster, 5, except([3, 4, 5], ['append']))
  cluster.propose(5, 'three')
  cluster.stabilize(() => true)
  cluster.crash(5, false)
  // (c) Node 1 leads again and copies its old entry to node 3, but nothing of its new epoch.
  cluster.start(1)
  lead(cluster, 1, except([1, 2, 3], ['append']))
  const { epoch } = cluster.status(1)
  for (let ticks = 0; ticks < 8; ticks++) {
    cluster.tick(1)
    cluster.stabilize(envelope => except([1, 2, 3])(envelope) || isNewTo3(cluster, envelope, epoch))
  }
  cluster.crash(1, false)
  // (d) Node 5 comes back and leads with the votes of 2, 3 and 4.
  cluster.start(5)
  lead(cluster, 5, except([2, 3, 4, 5]))
  cluster.stabilize(except([2, 3, 4, 5]))
  return cluster
}

function lead(cluster: Cluster, id: number, drop: (envelope: Envelope) => boolean): void {
  for (let ticks = 0; ticks < 200; ticks++) {
    if (cluster.status(id).role === 'leader') return
    for (const node of cluster.running) {
      if (node.id === id) cluster.tick(id)
      else if (ticks < testLimits.electionTicksMin) cluster.tick(node.id)
    }
    if (ticks >= testLimits.electionTicksMin) cluster.stabilize(drop)
    else cluster.queue = []
  }
  throw new Error(`node ${id} does not lead`)
}

/** What node 3 would append of the leader's own epoch. Frames hold one entry each here. */
function isNewTo3(cluster: Cluster, { to, message }: Envelope, epoch: number): boolean {
  if (to !== 3 || message.kind !== 'append' || message.count === 0) return false
  if (message.previous > cluster.node(3).disk.entries.length) return false
  const [stored] = storedOf({ first: message.previous + 1, count: 1, bytes: message.entries })
  return stored?.epoch === epoch
}

/** Only these nodes hear each other, and none of the kinds named. */
function except(nodes: number[], kinds: string[] = []): (envelope: Envelope) => boolean {
  return ({ from, to, message }) =>
    !nodes.includes(from) || !nodes.includes(to) || kinds.includes(message.kind)
}

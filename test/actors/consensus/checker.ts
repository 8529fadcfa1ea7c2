/** What Raft promises, checked after every step of a cluster. */
import { bodyOf, type Cluster, type Stored, type TestNode } from './cluster.ts'

export class Checker {
  readonly #leaders = new Map<number, string>()
  /** What any node was told to be committed, by position. */
  readonly history = new Map<number, Stored>()
  readonly #epochs = new Map<string, number>()

  get committedPosition(): number {
    return this.history.size === 0 ? 0 : Math.max(...this.history.keys())
  }

  /** Election safety, and leader completeness: its durable log holds everything committed. */
  elected(cluster: Cluster, node: TestNode, epoch: number): void {
    const key = `${node.id}.${node.starts}`
    const other = this.#leaders.get(epoch)
    if (other !== undefined && other !== key) fail(`${other} and ${key} lead in epoch ${epoch}`)
    this.#leaders.set(epoch, key)
    for (const [position, stored] of this.history) {
      if (position <= node.disk.checkpoint.position) continue
      const own = entryAt(node, position)
      if (own?.epoch !== stored.epoch) {
        fail(`leader ${node.id} of epoch ${epoch} lacks ${position}, which is committed`)
      }
    }
    void cluster
  }

  /** State machine safety, and that commit means durable on a majority of some quorum's size. */
  committed(cluster: Cluster, node: TestNode, stored: Stored): void {
    const before = this.history.get(stored.position)
    if (before === undefined) {
      this.#requireDurable(cluster, stored)
      this.history.set(stored.position, stored)
    } else if (before.epoch !== stored.epoch || bodyOf(before) !== bodyOf(stored)) {
      fail(`node ${node.id} applies another entry at ${stored.position}`)
    }
    if (
      entryAt(node, stored.position)?.epoch !== stored.epoch &&
      stored.position > node.disk.checkpoint.position
    ) {
      fail(`node ${node.id} applies ${stored.position}, which is not durable there`)
    }
  }

  afterStep(cluster: Cluster): void {
    for (const node of cluster.running) {
      const { epoch } = node.machine!.status()
      const key = `${node.id}.${node.starts}`
      if (epoch < (this.#epochs.get(key) ?? 0)) fail(`the epoch of node ${node.id} goes back`)
      this.#epochs.set(key, epoch)
    }
  }

  /** Log matching over all disks: the same position and epoch mean the same log up to there. */
  logsMatch(cluster: Cluster): void {
    const nodes = [...cluster.nodes.values()]
    for (const [index, left] of nodes.entries()) {
      for (const right of nodes.slice(index + 1)) matching(left, right)
    }
  }

  #requireDurable(cluster: Cluster, stored: Stored): void {
    // A store that was lost may have held it when it was counted.
    let holders = cluster.disksLost
    for (const node of cluster.nodes.values()) {
      const covered = node.disk.checkpoint.position >= stored.position
      if (covered || entryAt(node, stored.position)?.epoch === stored.epoch) holders++
    }
    const voters = this.#votersMin(cluster)
    if (holders * 2 <= voters)
      fail(`${stored.position} is committed but durable on ${holders} only`)
  }

  /** The smallest membership in force anywhere: a bound that needs no knowledge of the protocol. */
  #votersMin(cluster: Cluster): number {
    const sizes = cluster.running.map(node => node.machine!.status().membership.voters.length)
    return Math.min(...sizes.filter(size => size > 0))
  }
}

function matching(left: TestNode, right: TestNode): void {
  const last = Math.min(lastOf(left), lastOf(right))
  const first = Math.max(left.disk.base, right.disk.base) + 1
  let same = false
  for (let position = last; position >= first; position--) {
    const one = entryAt(left, position)!
    const other = entryAt(right, position)!
    const equal = one.epoch === other.epoch && bodyOf(one) === bodyOf(other)
    if (one.epoch === other.epoch && !equal) fail(`logs differ at ${position} in one epoch`)
    if (same && !equal) fail(`logs differ at ${position} below a position where they agree`)
    same ||= equal
  }
}

function entryAt(node: TestNode, position: number): Stored | undefined {
  return node.disk.entries[position - node.disk.base - 1]
}

function lastOf(node: TestNode): number {
  return node.disk.base + node.disk.entries.length
}

function fail(sentence: string): never {
  throw new Error(`Raft's promise broken: ${sentence}`)
}

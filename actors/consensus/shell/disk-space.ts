/**
 * Who has room on its disk. Each node tells the others about itself, and each works out for its doors
 * whether writes can still become durable on a quorum: one node without space stops nobody, a leader
 * without space hands over, and where too few have space writes are refused at once instead of waiting.
 */
import type { Membership } from '../interface.ts'
import { reachedByQuorum } from '../quorum.ts'

export const spaceLevel = {
  enough: 0,
  /** No next segment of the journal or no checkpoint can be made: what grows is refused, the rest goes on. */
  low: 1,
  /** Nothing more can be written. */
  none: 2,
} as const

/** Of the node itself, as its journal and its checkpoints see it. */
export class DiskSpace {
  readonly #self: number
  #journal = 0
  #checkpoints = 0
  readonly #others = new Map<number, number>()
  #membership: Membership | undefined

  constructor(self: number) {
    this.#self = self
  }

  get own(): number {
    return Math.max(this.#journal, this.#checkpoints)
  }

  journal(level: number): void {
    this.#journal = level
  }

  checkpoints(areLacking: boolean): void {
    this.#checkpoints = areLacking ? spaceLevel.low : spaceLevel.enough
  }

  membershipChanged(membership: Membership): void {
    this.#membership = membership
  }

  heard(node: number, level: number): void {
    this.#others.set(node, level)
  }

  /** Its link is down: it is not to be counted on, whatever space it has. */
  lost(node: number): void {
    this.#others.delete(node)
  }

  levelOf(node: number): number {
    return node === this.#self ? this.own : (this.#others.get(node) ?? 0)
  }

  /** Nodes without enough space, this one included. */
  lacking(): number[] {
    const all = [this.#self, ...this.#others.keys()]
    return all.filter(node => this.levelOf(node) > 0).sort((one, other) => one - other)
  }

  /**
   * The least level that a quorum of those that are here has. Without a quorum there is nothing to say
   * about space: then it is the leader that is missed.
   */
  verdict(linked: ReadonlySet<number>): number {
    const membership = this.#membership
    if (membership === undefined || membership.voters.length === 0) return spaceLevel.enough
    const levels = [spaceLevel.enough, spaceLevel.low, spaceLevel.none]
    const reached = levels.find(level => {
      const isFit = (node: number): boolean =>
        (node === this.#self || linked.has(node)) && this.levelOf(node) <= level
      return reachedByQuorum(membership, { of: ({ node }) => (isFit(node) ? 1 : 0) }) >= 1
    })
    return reached ?? spaceLevel.enough
  }

  /** A linked voter with space, the furthest of `peers`; 0: none, or this node has space itself. */
  successor(
    linked: ReadonlySet<number>,
    peers: readonly { readonly node: number; readonly match: number }[],
  ): number {
    const membership = this.#membership
    if (this.own === 0 || membership === undefined) return 0
    const isVoter = (node: number): boolean => membership.voters.some(one => one.node === node)
    const fit = peers
      .filter(({ node }) => isVoter(node) && linked.has(node) && this.levelOf(node) === 0)
      .toSorted((one, other) => other.match - one.match)
    return fit[0]?.node ?? 0
  }

  /** '' or a sentence for operators. `verdict` as this node has worked it out. */
  sentence(verdict: number): string {
    const lacking = this.lacking()
    const which = lacking.length === 1 ? `node ${lacking[0]}` : `nodes ${lacking.join(', ')}`
    if (verdict > 0) return `writes are refused: no space on the disks of ${which}`
    if (this.own === 0) return ''
    const what =
      this.own === spaceLevel.none ? 'the log' : 'the next part of the log, or a checkpoint'
    return `no space on the disk of this node for ${what}`
  }
}

/**
 * Tells the peers actor which nodes there are, after each change of the membership: all that are in
 * force, and of the committed ones which store is whose. A node that leaves keeps its link for a
 * moment, to learn that it left.
 */
import type { Ref } from '../../../runtime/actor.ts'
import { splitAddress } from '../../../transport/peers/address.ts'
import type { PeersMessage } from '../../peers/messages.ts'
import type { Membership } from '../interface.ts'
import { emptyMembership } from '../membership.ts'

interface Placed {
  readonly membership: Membership
  /** At or above that of its entry; no other membership lies in between. */
  readonly position: number
}

export class MemberLinks {
  readonly #peers: Ref<PeersMessage>
  readonly #graceTicks: number
  /** Address by node, those that leave included. */
  readonly #addresses = new Map<number, string>()
  #membership = emptyMembership
  #committed: Placed = { membership: emptyMembership, position: 0 }
  /** In the order of the log, not committed yet as far as is known here. */
  #pending: Placed[] = []
  #ticksLeft = 0

  constructor(peers: Ref<PeersMessage>, graceTicks: number) {
    this.#peers = peers
    this.#graceTicks = graceTicks
  }

  /** The log is in memory: `committed` is of the checkpoint, `inForce` may be above it. */
  start(inForce: Membership, committed: Membership, position: number): void {
    this.#membership = inForce
    this.#committed = { membership: committed, position }
    this.#add(inForce)
    this.#tell()
  }

  changed(membership: Membership, position: number): void {
    this.#pending = this.#pending.filter(one => one.position < position)
    this.#pending.push({ membership, position })
    if (membership.voters.length === 0) return
    this.#membership = membership
    this.#ticksLeft = this.#graceTicks
    this.#add(membership)
    this.#tell()
  }

  committedTo(position: number): void {
    if (this.#pending.length === 0 || this.#pending[0]!.position > position) return
    while (this.#pending.length > 0 && this.#pending[0]!.position <= position) {
      this.#committed = this.#pending.shift()!
    }
    this.#tell()
  }

  tick(): void {
    if (this.#ticksLeft === 0 || --this.#ticksLeft > 0) return
    const known = this.#addresses.size
    this.#addresses.clear()
    this.#add(this.#membership)
    if (this.#addresses.size < known) this.#tell()
  }

  /** Is or was a member a moment ago: what others forward is none of the leader's business. */
  has(node: number): boolean {
    return this.#addresses.has(node)
  }

  #add({ voters, outgoing, learners }: Membership): void {
    for (const { node, address } of [...outgoing, ...voters, ...learners]) {
      this.#addresses.set(node, address)
    }
  }

  #tell(): void {
    const members = [...this.#addresses].map(([node, address]) => ({
      node,
      ...splitAddress(address),
    }))
    const { membership, position } = this.#committed
    const { voters, outgoing, learners } = membership
    const bound = [...outgoing, ...voters, ...learners].map(({ node, store }) => ({ node, store }))
    const { formation } = this.#membership
    this.#peers.tell({ kind: 'members', members, formation, position, bound })
  }
}

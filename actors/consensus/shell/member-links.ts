/**
 * Tells the peers actor which nodes there are, after each change of the membership. A node that
 * leaves keeps its link for a moment, to learn that it left.
 */
import type { Ref } from '../../../runtime/actor.ts'
import { splitAddress } from '../../../transport/peers/address.ts'
import type { PeersMessage } from '../../peers/messages.ts'
import type { Membership } from '../interface.ts'

export class MemberLinks {
  readonly #peers: Ref<PeersMessage>
  readonly #graceTicks: number
  /** Address by node, those that leave included. */
  readonly #addresses = new Map<number, string>()
  #membership: Membership | undefined
  #ticksLeft = 0

  constructor(peers: Ref<PeersMessage>, graceTicks: number) {
    this.#peers = peers
    this.#graceTicks = graceTicks
  }

  changed(membership: Membership): void {
    if (membership.voters.length === 0) return
    this.#membership = membership
    this.#ticksLeft = this.#graceTicks
    this.#add(membership)
    this.#tell()
  }

  tick(): void {
    if (this.#ticksLeft === 0 || --this.#ticksLeft > 0 || this.#membership === undefined) return
    const known = this.#addresses.size
    this.#addresses.clear()
    this.#add(this.#membership)
    if (this.#addresses.size < known) this.#tell()
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
    this.#peers.tell({ kind: 'members', members })
  }
}

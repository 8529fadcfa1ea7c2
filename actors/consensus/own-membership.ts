/**
 * Whether this node was removed. Only committed memberships count: one that is in force may be taken
 * back by another leader, and a node that was never a member is none that was removed.
 */
import type { Membership } from './interface.ts'
import { nodesOf } from './membership.ts'

export class OwnMembership {
  readonly #node: number
  /** In the order of the log, not committed yet as far as is known here. */
  #pending: { readonly position: number; readonly isIn: boolean }[] = []
  #isMember = false

  constructor(node: number) {
    this.#node = node
  }

  /** What is in force now; one at a lower position than before means that the log was truncated. */
  changed(membership: Membership, position: number): void {
    this.#pending = this.#pending.filter(one => one.position < position)
    this.#pending.push({ position, isIn: nodesOf(membership).includes(this.#node) })
  }

  /** Returns whether it has become known just now that this node is no member any more. */
  committedTo(position: number): boolean {
    const before = this.#isMember
    while (this.#pending.length > 0 && this.#pending[0]!.position <= position) {
      this.#isMember = this.#pending.shift()!.isIn
    }
    return before && !this.#isMember
  }
}

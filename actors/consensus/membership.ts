/**
 * The membership entry (D13): its bytes, the changes it can make, and the list of those still in the
 * log. Which one is in force at a position is the protocol's choice: the newest appended, or chosen.
 */
import { invariant } from './invariant.ts'
import type { Member, Membership, MembershipChange, MembershipRefusal } from './interface.ts'
import { votersMax } from './quorum.ts'

export const emptyMembership: Membership = {
  formation: '',
  voters: [],
  outgoing: [],
  learners: [],
}

const membershipFormat = 2

export function encodeMembership(membership: Membership): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ format: membershipFormat, ...membership }))
}

export function decodeMembership(bytes: Uint8Array): Membership {
  if (bytes.length === 0) return emptyMembership
  const value = JSON.parse(new TextDecoder().decode(bytes)) as Membership & { format: number }
  invariant(value.format === membershipFormat, 'a membership entry has a format that is known here')
  const { formation, voters, outgoing, learners } = value
  return { formation, voters, outgoing, learners }
}

/** Every node that receives the log, each once. */
export function nodesOf(membership: Membership): number[] {
  const nodes = new Set<number>()
  for (const member of membership.voters) nodes.add(member.node)
  for (const member of membership.outgoing) nodes.add(member.node)
  for (const member of membership.learners) nodes.add(member.node)
  return [...nodes].sort((a, b) => a - b)
}

export function hasMember(members: readonly Member[], node: number, store: string): boolean {
  return members.some(member => member.node === node && member.store === store)
}

/** A node speaks for the store it has now; bound means that the membership knows that one. */
export function isBound(membership: Membership, node: number, store: string): boolean {
  return isVoter(membership, node, store) || hasMember(membership.learners, node, store)
}

export function isVoter(membership: Membership, node: number, store: string): boolean {
  return hasMember(membership.voters, node, store) || hasMember(membership.outgoing, node, store)
}

export function isJoint(membership: Membership): boolean {
  return membership.outgoing.length > 0
}

export function withoutOutgoing(membership: Membership): Membership {
  return { ...membership, outgoing: [] }
}

/** The membership after one change, joint when the voters change; or why not. */
export function changed(
  membership: Membership,
  change: MembershipChange,
): { readonly membership: Membership } | { readonly refused: MembershipRefusal } {
  if (isJoint(membership)) return { refused: 'changePending' }
  switch (change.kind) {
    case 'addLearner':
      return addedLearner(membership, change.member)
    case 'promote':
      return promoted(membership, change.node)
    case 'remove':
      return removed(membership, change.node)
    case 'replace':
      return replaced(membership, change.member)
    case 'update':
      return updated(membership, change)
  }
}

type Changed = ReturnType<typeof changed>

function addedLearner(membership: Membership, member: Member): Changed {
  if (nodesOf(membership).includes(member.node)) return { refused: 'alreadyMember' }
  return { membership: { ...membership, learners: [...membership.learners, member] } }
}

function promoted(membership: Membership, node: number): Changed {
  const learner = membership.learners.find(member => member.node === node)
  if (learner === undefined) return { refused: 'notLearner' }
  if (membership.voters.length >= votersMax) return { refused: 'tooManyVoters' }
  return {
    membership: {
      ...membership,
      voters: [...membership.voters, learner],
      outgoing: membership.voters,
      learners: membership.learners.filter(member => member.node !== node),
    },
  }
}

function removed(membership: Membership, node: number): Changed {
  const learners = membership.learners.filter(member => member.node !== node)
  if (learners.length < membership.learners.length) {
    return { membership: { ...membership, learners } }
  }
  const voters = membership.voters.filter(member => member.node !== node)
  if (voters.length === membership.voters.length) return { refused: 'unknownNode' }
  if (voters.length === 0) return { refused: 'lastVoter' }
  return { membership: { ...membership, voters, outgoing: membership.voters, learners } }
}

/**
 * A voter's new store counts in the new set only, and its old one no more: the outgoing majority
 * that commits this is one of stores that are all still there.
 */
function replaced(membership: Membership, member: Member): Changed {
  const known = [...membership.voters, ...membership.learners].find(m => m.node === member.node)
  if (known === undefined) return { refused: 'unknownNode' }
  if (known.store === member.store) return { refused: 'alreadyMember' }
  const etcd = member.etcd ?? known.etcd
  const anew = etcd === undefined ? member : { ...member, etcd }
  const swap = (old: Member) => (old.node === member.node ? anew : old)
  const learners = membership.learners.map(swap)
  if (!membership.voters.includes(known)) return { membership: { ...membership, learners } }
  return {
    membership: {
      ...membership,
      voters: membership.voters.map(swap),
      outgoing: membership.voters,
      learners,
    },
  }
}

/** Who decides stays the same, so this needs no two sets. */
function updated(
  membership: Membership,
  { node, address, etcd }: Extract<MembershipChange, { kind: 'update' }>,
): Changed {
  const known = [...membership.voters, ...membership.learners].find(one => one.node === node)
  if (known === undefined) return { refused: 'unknownNode' }
  const anew = {
    ...known,
    ...(address === '' ? {} : { address }),
    ...(etcd === '' ? {} : { etcd }),
  }
  const swap = (one: Member) => (one === known ? anew : one)
  const [voters, learners] = [membership.voters.map(swap), membership.learners.map(swap)]
  return { membership: { ...membership, voters, learners } }
}

/** The membership entries of the log in memory, oldest first, above that of the checkpoint. */
export class MembershipHistory {
  #positions: number[]
  #memberships: Membership[]

  constructor(membership: Membership, position: number) {
    this.#positions = [position]
    this.#memberships = [membership]
  }

  get latest(): Membership {
    return this.#memberships[this.#memberships.length - 1]!
  }

  /** The one before the latest, while it is in the log. */
  get previous(): Membership {
    return this.#memberships[Math.max(0, this.#memberships.length - 2)]!
  }

  get latestPosition(): number {
    return this.#positions[this.#positions.length - 1]!
  }

  append(position: number, membership: Membership): void {
    invariant(position > this.latestPosition, 'membership entries come in the order of the log')
    this.#positions.push(position)
    this.#memberships.push(membership)
  }

  /** Returns whether another membership is in force now. */
  truncate(from: number): boolean {
    const before = this.#positions.length
    while (this.#positions.length > 1 && this.latestPosition >= from) {
      this.#positions.pop()
      this.#memberships.pop()
    }
    invariant(this.latestPosition < from, 'the membership of a checkpoint is never truncated')
    return this.#positions.length < before
  }

  compact(position: number): void {
    while (this.#positions.length > 1 && this.#positions[1]! <= position) {
      this.#positions.shift()
      this.#memberships.shift()
    }
  }
}

/** Changes of the membership in the words of operators: what they ask, and why it is refused. */
import type { Member, MembershipChange, MembershipRefusal } from '../consensus/interface.ts'
import { address, memberId } from './config-schema.ts'

export interface AskedChange {
  readonly change: string
  readonly node: number
  /** Where the others reach it, `host:port`. */
  readonly peer: string
  /** Empty: the store that the node itself has named to the leader. */
  readonly store: string
  /** Where etcd's clients reach it, `host:port`; empty: not said. */
  readonly etcd: string
}

/** What the leader knows of all nodes. */
export interface Known {
  /** By node, as it has heard them. */
  readonly stores: Readonly<Record<string, string>>
  readonly members: readonly Member[]
}

/** A sentence says what is missing. */
export function membershipChange(
  { change, node, peer, store, etcd }: AskedChange,
  { stores, members }: Known,
): MembershipChange | string {
  const before = members.find(member => member.node === node)
  const member = {
    node,
    // One that is replaced stays where it is, unless something else is said.
    address: peer === '' && change === 'replace' ? (before?.address ?? '') : peer,
    store: store === '' ? (stores[node] ?? '') : store,
    ...(etcd === '' ? {} : { etcd }),
  }
  switch (change) {
    case 'promote':
    case 'remove':
      return { kind: change, node }
    case 'add':
    case 'replace':
      return faultOf(member) ?? { kind: change === 'add' ? 'addLearner' : 'replace', member }
    case 'update':
      if (peer === '' && etcd === '') return 'what is to be updated is missing (--peer, --etcd)'
      return faultOfAddresses(peer, etcd) ?? { kind: 'update', node, address: peer, etcd }
    default:
      return `"${change}" is no change; add, promote, replace, update or remove`
  }
}

/** What is committed has to be good for every node, and for good. */
function faultOf({ node, address: peer, store, etcd = '' }: Member): string | undefined {
  if (!memberId.safeParse(node).success) return `the id of a node is from 1 to 254, not ${node}`
  if (peer === '') return `where the others reach node ${node} is missing (--peer)`
  const fault = faultOfAddresses(peer, etcd)
  if (fault !== undefined) return fault
  if (store === '') return storeMissing(node)
  return storePattern.test(store) ? undefined : `--store ${store}: must be 32 hexadecimal digits`
}

/** Empty ones are none. */
function faultOfAddresses(peer: string, etcd: string): string | undefined {
  for (const [option, value] of [
    ['--peer', peer],
    ['--etcd', etcd],
  ] as const) {
    const { error } = value === '' ? {} : address.safeParse(value)
    if (error !== undefined) return `${option} ${value}: ${error.issues[0]?.message}`
  }
  return undefined
}

const storePattern = /^[0-9a-f]{32}$/

/** An error of the consensus actor as a sentence: `refused: `, the reason, and the nodes that it is about. */
export function inWords(error: string): string {
  const [reason = '', nodes = ''] = error.replace(/^refused: /, '').split(' ')
  const sentence = sentences[reason as MembershipRefusal]
  if (sentence === undefined) return error
  return nodes === '' ? sentence : `${sentence} (silent: ${nodes})`
}

const sentences: Readonly<Record<MembershipRefusal, string>> = {
  notLeader: 'the leader has changed; try again',
  changePending: 'another change is under way; try again',
  leadershipLost: 'the leader has changed, and this change may have come about: list the members',
  unknownNode: 'that node is no member',
  alreadyMember: 'that node, with the store it has now, is a member already',
  notLearner: 'that node is no learner',
  notCaughtUp: 'that node has not caught up yet; try again in a while',
  lastVoter: 'that node is the last voter',
  unhealthyCluster:
    'unhealthy cluster: too few of the voters that there are, or would be then, have answered ' +
    'lately; bring them back first, or remove the one that is lost',
  tooManyVoters: 'there are as many voters as there can be; let it be a learner',
}

function storeMissing(node: number): string {
  return (
    `the leader has not heard of node ${node}: start it, with all members in its configuration, ` +
    'and try again in a few seconds, or name its store (--store; its log shows it)'
  )
}

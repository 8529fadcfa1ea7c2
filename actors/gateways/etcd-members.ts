/** The members of the cluster as etcd's clients see them: who is in force, and what was configured of each. */
import type { Member } from '../consensus/interface.ts'
import { decodeMembership } from '../consensus/membership.ts'
import type { EtcdMember, EtcdSetup } from './etcd-setup.ts'

type MembersSetup = Pick<EtcdSetup, 'members' | 'unknownMember'>

/** `membership` is the body of a membership entry; empty where the cluster has none yet. */
export function etcdMembers(setup: MembersSetup, membership: Uint8Array): readonly EtcdMember[] {
  if (membership.length === 0) return setup.members
  const { voters, learners } = decodeMembership(membership)
  const all = [
    ...voters.map(member => etcdMember(setup, member, false)),
    ...learners.map(member => etcdMember(setup, member, true)),
  ]
  return all.sort((one, other) => one.node - other.node)
}

function etcdMember(setup: MembersSetup, member: Member, isLearner: boolean): EtcdMember {
  const { node, address, etcd } = member
  const known = setup.members.find(one => one.node === node)
  // Where it is reached may have changed with the membership; its name does not.
  const unknown = setup.unknownMember(node, address, etcd)
  if (known === undefined) return { ...unknown, isLearner }
  const { peerUrls } = unknown
  const clientUrls = etcd === undefined ? known.clientUrls : unknown.clientUrls
  return { ...known, peerUrls, clientUrls, isLearner }
}

/**
 * Where a node's configuration and the membership say different things. The membership counts; but the
 * configuration is what people read, and what a node that starts anew begins with.
 */
import type { Member, Membership } from '../consensus/interface.ts'
import type { Config } from './config-schema.ts'

/** Of the consensus actor's status. */
export function membersOf(consensus: unknown): readonly Member[] {
  const { membership } = (consensus ?? {}) as { membership?: Membership }
  return [...(membership?.voters ?? []), ...(membership?.learners ?? [])]
}

/** One sentence each; none where the cluster has no members yet, or this node is none of them. */
export function memberDifferences(config: Config, members: readonly Member[]): string[] {
  const own = config.cluster.members.find(({ name }) => name === config.node)
  if (!members.some(({ node }) => node === own?.id)) return []
  const sentences: string[] = []
  for (const { id, name, peer, etcd } of config.cluster.members) {
    const member = members.find(({ node }) => node === id)
    if (member === undefined) {
      sentences.push(`${name} (${id}) is in the configuration of ${config.node}, and no member`)
      continue
    }
    const says = (who: string, here: string, there: string, option: string): string =>
      `${who}: ${name} is reached at ${here} by the configuration of ${config.node}, and at ${there} ` +
      `by the membership, which counts: quorate member update ${id} ${option} ${here} changes it`
    if (peer !== member.address) {
      sentences.push(says('the other nodes', peer, member.address, '--peer'))
    }
    if (etcd !== undefined && member.etcd !== undefined && etcd !== member.etcd) {
      sentences.push(says('etcd clients', etcd, member.etcd, '--etcd'))
    }
  }
  for (const { node, address } of members) {
    if (config.cluster.members.some(({ id }) => id === node)) continue
    sentences.push(
      `node ${node} at ${address} is a member, and not in the configuration of ${config.node}`,
    )
  }
  return sentences
}

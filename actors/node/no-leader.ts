/** Why a node that knows no leader knows none, in one sentence, from what its consensus says of itself. */
interface ConsensusStatus {
  readonly leader?: number
  readonly waiting?: string
  readonly membership?: { readonly voters: readonly { readonly node: number }[] }
  /** Nodes that there is a link to. */
  readonly links?: readonly number[]
}

/** Undefined where a leader is known, or nothing at all. */
export function whyNoLeader(node: number, status: unknown): string | undefined {
  const { leader, waiting = '', membership, links = [] } = (status ?? {}) as ConsensusStatus
  if (leader !== 0) return undefined
  const voters = membership?.voters ?? []
  if (voters.length === 0 || waiting !== '')
    return 'no leader is known: this node waits to take part'
  const reached = voters.filter(voter => voter.node === node || links.includes(voter.node)).length
  const needed = Math.floor(voters.length / 2) + 1
  if (reached >= needed) return 'no leader is known: there is an election'
  return `no leader is known: ${reached} of ${voters.length} voters are reached, and ${needed} are needed`
}

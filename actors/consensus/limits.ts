/** Limits and timings of consensus; times are counted in ticks. */
export interface ConsensusLimits {
  readonly heartbeatTicks: number
  /** A follower waits between this and twice this for its leader. */
  readonly electionTicksMin: number
  /** The first time-out after a start, when nobody is known to lead, and after a leader that is gone. */
  readonly eagerElectionTicksMin: number
  /** How much later each next voter campaigns once the leader's process has gone. */
  readonly campaignStaggerTicks: number
  readonly appendBytesMax: number
  readonly inflightMessagesMax: number
  readonly inflightBytesMax: number
  /** Beyond this much uncommitted, proposals are refused. */
  readonly uncommittedBytesMax: number
  /** Beyond this much log in memory (checkpoints do not keep up), proposals are refused. */
  readonly logBytesMax: number
  /** How much a compaction leaves below the checkpoint, for followers that are a little behind. */
  readonly retentionBytes: number
  /** A learner at most this many entries behind may be promoted. */
  readonly promotionLagMax: number
}

export const consensusLimits: ConsensusLimits = {
  heartbeatTicks: 10,
  electionTicksMin: 100,
  eagerElectionTicksMin: 6,
  campaignStaggerTicks: 3,
  appendBytesMax: 1024 * 1024,
  inflightMessagesMax: 256,
  inflightBytesMax: 16 * 1024 * 1024,
  uncommittedBytesMax: 64 * 1024 * 1024,
  logBytesMax: 256 * 1024 * 1024,
  retentionBytes: 32 * 1024 * 1024,
  promotionLagMax: 10_000,
}

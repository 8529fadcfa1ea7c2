/** Limits of the etcd gateway beyond those of its port (transport/etcd/limits.ts). */
export const limits = {
  /** Replies and events on their way to the gateway: one change may tell every stream. */
  gatewayMessagesMax: 4_194_304,
  /** Linearizable reads that wait for a confirmation; beyond it: too many requests. */
  readsWaitingMax: 100_000,
  /** Keep-alives and times to live that wait, of all clients; beyond it: too many requests. */
  leaseQuestionsMax: 1_000_000,
  /** Calls that wait until writes have applied or answers were taken, with what each costs to keep. */
  callsWaitingBytesMax: 64 * 1024 * 1024,
  /** A connection with more of them is granted no more window. */
  connectionCallsWaitingBytesMax: 1024 * 1024,
} as const

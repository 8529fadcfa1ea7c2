/**
 * Every span that Quorate makes below the one of a client's request, which has the name of what was
 * asked (`etcdserverpb.KV/Put`, `zookeeper setData`) and is the root, or a child of the client's.
 */
export const spanNames = {
  /** Proposed here until it is applied here. */
  proposal: 'quorate.proposal',
  /** Leader: appended to the log, until a quorum has it. */
  replicate: 'quorate.replicate',
  /** Journal: one write and sync; linked to every request in the batch. */
  journalBatch: 'quorate.journal.batch',
  /** A request's own share of a batch, linked to it. */
  journalWrite: 'quorate.journal.write',
  /** Follower: from the leader's message to the acknowledgement; its journal write is a child. */
  followerAppend: 'quorate.follower.append',
  apply: 'quorate.apply',
  reply: 'quorate.reply',
  /** A notification that the request's change caused. */
  watchEvent: 'quorate.watch.event',
  read: 'quorate.read',
} as const

export type SpanName = (typeof spanNames)[keyof typeof spanNames]

/** Limits of the ZooKeeper port. Names carry units. */
export const limits = {
  /** jute.maxbuffer: a longer frame closes its connection without an answer. */
  frameBytesMax: 1_048_575,
  /** A connection that sent no connect request by then is dropped. */
  unestablishedMillisMax: 10_000,
  /** Answers of one connection, taken by its client or not; beyond it we stop reading from that client. */
  connectionAnswerBytesMax: 4 << 20,
  /** The same where the memory of the port is nearly used up. */
  connectionAnswerBytesMin: 64 << 10,
  /** No answer of this length ever waits for room. */
  answerBytesMin: 1 << 10,
  /** Events for a client that takes nothing; beyond it the client is dropped: it comes back and catches up. */
  untakenEventBytesMax: 4 << 20,
  /** A client for which something waits, and which takes nothing for so long, is dropped. */
  untakenMillisMax: 120_000,
  /** The same where others wait for the memory that it takes. */
  untakenMillisMaxShort: 10_000,
  /** What is sent at the end of a connection has to be taken by then. */
  closingMillisMax: 10_000,
  /** A client that we do not listen to, for load, is not taken for silent; but no longer than this. */
  heldBackMillisMax: 60_000,
  /** Requests that are not whole yet, or not taken, over all connections. */
  inputBytesMax: 64 << 20,
  /** One connection may always have so much of it. */
  inputBytesMin: 16 << 10,
  /** Where there is too much of it, a long request has to be whole by then. */
  inputMillisMaxShort: 10_000,
  /** Requests that are taken from one connection before others have their turn. */
  requestsPerTurnMax: 256,
  /** The same where connections wait for their turns: a turn of all of them has to be short. */
  requestsPerTurnMaxQueueing: 64,
  /** Requests of one connection that are not answered yet; beyond it we stop reading from it. */
  outstandingRequestsMax: 1_000,
  /**
   * The same over all connections. Whoever asks next waits behind all of them: a read takes 10 to 15 µs, so
   * for some 50 ms, and what waits in mailboxes stays far below their bounds.
   */
  outstandingTotalMax: 4_096,
  /** Replies and events on their way to the gateway: one change may tell every connection. */
  gatewayMessagesMax: 4_194_304,
  /** auth packets add identities; each write carries all of them. */
  identitiesBytesMax: 16_384,
  /** Entries of an access list, also after `auth` stands for the caller's own identities. */
  aclEntriesMax: 1_000,
  aclSchemeBytesMax: 64,
  /** `user:hash`, an address, or a name out of a certificate. */
  aclIdBytesMax: 4_096,
  /** An access list as a whole, encoded. ZooKeeper bounds it by the frame alone. */
  aclBytesMax: 65_536,
} as const

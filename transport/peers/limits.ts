/** What a link between nodes may hold, wait for or send. Every limit has its unit in its name. */
export const limits = {
  /** A body before the other side has proven anything: a challenge or a proof. */
  strangerBytesMax: 64,
  /** A body before the handshake is done: room for a hello with its table of schemas. */
  helloBytesMax: 64 * 1024,
  /** A body of any later frame; one envelope has to fit. */
  frameBytesMax: 16 * 1024 * 1024,
  /** Bulk of one frame stops here once it holds an envelope, so that control frames get in between. */
  bulkFrameBytesMax: 1024 * 1024,
  /** Bytes sent that the peer has not yet reported as received; bulk waits beyond, control does not. */
  windowBytes: 2 * 1024 * 1024,
  /** The receiver reports at the latest after so many bytes, so that the window never closes for long. */
  reportBytes: 512 * 1024,
  bulkQueueBytesMax: 32 * 1024 * 1024,
  /** Control is never dropped: beyond this the link is given up, and its end is reported. */
  controlQueueBytesMax: 8 * 1024 * 1024,
  redialMillisMin: 10,
  redialMillisMax: 400,
  /** Refused so many times in a row for what only an operator can change, the next dial waits longer. */
  refusalsMax: 3,
  redialRefusedMillisMax: 5000,
  /** A link that was refused before, and has been up for so long, is news. */
  lastingLinkMillis: 2000,
  /** How often a node that is not dialled goes and says who it is: it may be no member yet. */
  introductionMillis: 2000,
  /** Links with nodes that are no members as far as is known here: one of them may lead (peers-actor.ts). */
  strangersMax: 16,
  /** From the dial to the end of the handshake. */
  greetingMillisMax: 2000,
  /** Callers that have not been greeted; beyond, the oldest of the address that has most is hung up on. */
  greetingsMax: 64,
  greetingsPerAddressMax: 16,
  /** After a farewell; then the socket is destroyed. */
  lingerMillis: 200,
  pingMillis: 250,
  silenceMillis: 2000,
  checkpointChunkBytes: 256 * 1024,
  checkpointSilenceMillis: 30_000,
  /** Between two attempts to send a checkpoint to one node. */
  checkpointRetryMillisMin: 100,
  checkpointRetryMillisMax: 10_000,
  /** A node that cannot be reached is news only after this long: clusters start one node after the other. */
  unreachableMillis: 3000,
} as const

/** Every limit of the actor system, with its unit. Limits of the service are configuration. */
export const limits = {
  /** Messages waiting for one actor; beyond it `tell` counts a dead letter. */
  mailboxMessagesMax: 65_536,
  /** Messages handled in one turn before the thread looks at its sockets again. */
  turnMessagesMax: 8_192,
  /**
   * Time of one turn before the thread looks at its sockets and timers again. By the wall: a thread that
   * others keep from running would write in ever smaller pieces if it were shorter.
   */
  turnMillisMax: 10,
  /** Rounds of one turn before the thread looks at its sockets again. */
  turnRoundsMax: 64,
  /** Bytes one side of a thread link may have sent beyond what the other has handled. */
  linkCreditBytes: 16 * 1024 * 1024,
  /** Bytes that wait on the sending side without credit; beyond it ordinary messages are dead letters. */
  linkHeldBytesMax: 32 * 1024 * 1024,
  /** Room beyond `linkHeldBytesMax` for completions, supervision and link-down, and for what a command tells of. */
  linkReservedBytes: 1024 * 1024 * 1024,
  /** A slab between threads; a message that does not fit gets one of its own size. */
  slabBytes: 64 * 1024,
  /** Shared memory of a thread link, each way; what does not fit goes through the port. */
  ringBytes: 4 * 1024 * 1024,
  ringSlabBytesMax: 1024 * 1024,
  /** Addresses of other machines, remembered from dial to dial. */
  nameCacheMillis: 30_000,
  namesMax: 1_000,
  /** One envelope, between nodes. */
  envelopeBytesMax: 64 * 1024 * 1024,
  /** The same between threads: answers to clients are as long as that, and a slab's memory moves uncopied. */
  threadEnvelopeBytesMax: 512 * 1024 * 1024,
  /** At most one line per actor in this time tells of dead letters. */
  deadLetterLogMillis: 1_000,
  deadLetterAddressesMax: 1_000,
  /** Spans that cannot be sent in this time, several attempts included, are lost. */
  exportMillisMax: 2_000,
  /** Between two lines that say that spans could not be sent. */
  failureLogMillis: 60_000,
  /** A restart waits longer each time within the period, but not longer than this. */
  backoffMillisMax: 30_000,
  /** Time for a thread to end after it was asked to; then it is terminated. */
  threadStopMillis: 5_000,
  /** Of it, for what is left to be sent when its actors have stopped: spans. */
  threadFlushMillis: 1_000,
} as const

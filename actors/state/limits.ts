/** Limits of the state machine, with their units. */
export const limits = {
  /** One answer to a client; a longer one is refused, whatever its command has changed. */
  replyBytesMax: 256 * 1024 * 1024,
  /** The answer to a write that takes none of the room lent for them (write-room.ts). */
  shortAnswerBytesMax: 4 * 1024,
  /** Changes of one revision go to the watch actor in parts of about this size. */
  changeBytesMax: 128 * 1024,
  /** A slice of history ends with the revision that takes it beyond this. */
  historyBytesMax: 1024 * 1024,
  /** Work that looks at more keys than this, or writes more bytes, goes in slices. */
  unslicedKeysMax: 256,
  unslicedBytesMax: 256 * 1024,
  /** For how many keys one counts whose value a command is answered with: it may be long. */
  answeredKeyUnits: 16,
  /** All compares of one transaction together; etcd has no bound. The same on all nodes: it decides what applies. */
  compareKeysMax: 4_194_304,
} as const

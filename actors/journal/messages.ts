/** What the journal actor (the one that owns the disk) accepts; it answers consensus with `persisted`. */
export type JournalMessage =
  /**
   * First of all: read what is on disk from `position` on (that of the newest checkpoint; whether its
   * own entry is there depends). Answered to consensus by `recoveredEntries`, none or more, in order,
   * and then one `recovered`.
   */
  | { readonly kind: 'recover'; readonly position: number }
  /** One `recoveredEntries` was taken: another may come. */
  | { readonly kind: 'recoverMore' }
  | {
      readonly kind: 'persist'
      readonly id: number
      /** One more with each `persist` and `reset`, from 1: one that is missing would be a hole on disk. */
      readonly order: number
      /** Drop everything from this position on first; 0: nothing (DESIGN.md D12). */
      readonly truncateFrom: number
      /** Entries (consensus/entry.ts), concatenated; may be empty. */
      readonly entries: Uint8Array
      readonly first: number
      readonly count: number
      /** The protocol's own durable state; empty: unchanged. */
      readonly hardState: Uint8Array
      /** Whose children the spans of these writes are (log-traces.ts); empty: those of the entries. */
      readonly spans: Uint8Array
    }
  /** Segments that lie wholly at or below this position may go. */
  | { readonly kind: 'compact'; readonly position: number }
  /** The log is replaced by a checkpoint: start anew above this position. */
  | {
      readonly kind: 'reset'
      readonly order: number
      readonly position: number
      readonly epoch: number
    }
  | { readonly kind: 'status'; readonly replyTo: string; readonly id: number }

export type JournalNotice =
  | { readonly kind: 'persisted'; readonly id: number }
  /**
   * No space: nothing of `id` is durable. The journal keeps it and tries again by itself:
   * `spaceReturned` follows, and then `persisted` as ever. Until then propose nothing new.
   */
  | { readonly kind: 'diskFull'; readonly id: number }
  | { readonly kind: 'spaceReturned' }
  /** How much room there is from now on: a `spaceLevel` (consensus/shell/disk-space.ts). */
  | { readonly kind: 'ownSpace'; readonly level: number }
  /** Entries `first` … `first + count - 1` as they were persisted, truncations already done. */
  | {
      readonly kind: 'recoveredEntries'
      readonly first: number
      readonly count: number
      readonly entries: Uint8Array
    }
  /**
   * The end of a recovery. `last` is the last position on disk (that of `recover` if there is none).
   * `damage` is '' or says what was lost: then this node neither votes nor counts (DESIGN.md D14),
   * `hardState` is empty, `last` is the position of `recover`, and nothing can be persisted.
   */
  | {
      readonly kind: 'recovered'
      readonly last: number
      readonly hardState: Uint8Array
      readonly damage: string
    }

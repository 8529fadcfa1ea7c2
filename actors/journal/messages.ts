/** What the journal actor (the one that owns the disk) accepts; it answers consensus with `persisted`. */
export type JournalMessage =
  | {
      readonly kind: 'persist'
      readonly id: number
      /** Drop everything from this position on first; 0: nothing (DESIGN.md D12). */
      readonly truncateFrom: number
      /** Entries (consensus/entry.ts), concatenated; may be empty. */
      readonly entries: Uint8Array
      readonly first: number
      readonly count: number
      /** The protocol's own durable state; empty: unchanged. */
      readonly hardState: Uint8Array
    }
  /** Segments that lie wholly at or below this position may go. */
  | { readonly kind: 'compact'; readonly position: number }
  /** The log is replaced by a checkpoint: start anew above this position. */
  | { readonly kind: 'reset'; readonly position: number; readonly epoch: number }
  | { readonly kind: 'status'; readonly replyTo: string; readonly id: number }

export type JournalNotice =
  | { readonly kind: 'persisted'; readonly id: number }
  /** No space: nothing of `id` is durable, and nothing was acknowledged; `spaceReturned` follows. */
  | { readonly kind: 'diskFull'; readonly id: number }
  | { readonly kind: 'spaceReturned' }

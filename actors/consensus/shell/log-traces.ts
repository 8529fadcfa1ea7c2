/**
 * Spans of what the log does for a request: on the leader from its append until a quorum has it, on
 * a follower from the leader's message until the acknowledgement. Only there where tracing is on.
 */
import { spanNames } from '../../../runtime/span-names.ts'
import type { Span, Tracing } from '../../../runtime/tracing.ts'
import { encodeSpans, type TracedEntry, tracedEntries } from '../../entry-traces.ts'
import type { Batch } from '../interface.ts'

export class LogTraces {
  readonly #tracing: Tracing
  /** Leader: not committed yet, in the order of their positions. */
  readonly #replicating: { readonly position: number; readonly span: Span }[] = []
  /** Follower: came in this round, by position. What is not new here is never persisted, nor ended. */
  readonly #received = new Map<number, Span>()
  /** Follower: on their way to the disk, by the id of the persist. */
  readonly #appending = new Map<number, Span[]>()

  constructor(tracing: Tracing) {
    this.#tracing = tracing
  }

  received(entries: Uint8Array): void {
    for (const { position, context } of tracedEntries(entries)) {
      const span = this.#tracing.startSpan(spanNames.followerAppend, context)
      span.set('position', position)
      this.#received.set(position, span)
    }
  }

  /** Returns the spans of a follower that its journal's belong to. */
  persisting(id: number, batches: readonly Batch[], leads: boolean): Uint8Array {
    const appending: TracedEntry[] = []
    for (const { bytes } of batches) {
      if (leads) this.#replicate(bytes)
      else appending.push(...this.#append(id, bytes))
    }
    this.#received.clear()
    return encodeSpans(appending)
  }

  /** Acknowledged. */
  persisted(id: number): void {
    const spans = this.#appending.get(id)
    if (spans === undefined) return
    this.#appending.delete(id)
    for (const span of spans) span.end()
  }

  committedTo(position: number): void {
    const replicating = this.#replicating
    let count = 0
    while (count < replicating.length && replicating[count]!.position <= position) {
      replicating[count]!.span.end()
      count += 1
    }
    replicating.splice(0, count)
  }

  leadershipLost(): void {
    for (const { span } of this.#replicating.splice(0)) {
      span.fail('leadership was lost before a quorum had it')
      span.end()
    }
  }

  #replicate(entries: Uint8Array): void {
    for (const { position, context } of tracedEntries(entries)) {
      const span = this.#tracing.startSpan(spanNames.replicate, context)
      span.set('position', position)
      this.#replicating.push({ position, span })
    }
  }

  #append(id: number, entries: Uint8Array): TracedEntry[] {
    const appending: TracedEntry[] = []
    if (this.#received.size === 0) return appending
    const spans = this.#appending.get(id) ?? []
    for (const { position } of tracedEntries(entries)) {
      const span = this.#received.get(position)
      if (span === undefined) continue
      spans.push(span)
      appending.push({ position, context: span.context })
    }
    if (spans.length > 0) this.#appending.set(id, spans)
    return appending
  }
}

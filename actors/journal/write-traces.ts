/**
 * Spans of the journal: one for each write and sync that serves a sampled request, linked to all
 * such requests, and for each of them its own share, in its own trace, linked to the write's.
 */
import { spanNames } from '../../runtime/span-names.ts'
import type { Span, Tracing } from '../../runtime/tracing.ts'
import { decodeSpans, type TracedEntry, tracedEntries } from '../entry-traces.ts'

export class WriteTraces {
  readonly #tracing: Tracing
  #gathered: { readonly id: number; readonly entry: TracedEntry }[] = []
  #writing: { readonly id: number; readonly span: Span }[] = []
  #batch: Span | undefined

  constructor(tracing: Tracing) {
    this.#tracing = tracing
  }

  /** `spans` of the same entries: where a follower's write belongs. */
  gathered(id: number, entries: Uint8Array, spans: Uint8Array): void {
    const traced = tracedEntries(entries)
    if (traced.length === 0) return
    const parents = decodeSpans(spans)
    for (const { position, context } of traced) {
      const spanId = parents.get(position) ?? context.spanId
      this.#gathered.push({ id, entry: { position, context: { ...context, spanId } } })
    }
  }

  /** What was gathered is written now. */
  begin(bytes: number, requests: number): void {
    const gathered = this.#gathered
    if (gathered.length === 0) return
    this.#gathered = []
    const contexts = gathered.map(({ entry }) => entry.context)
    const batch = this.#tracing.startSpan(spanNames.journalBatch, undefined, contexts)
    batch.set('bytes', bytes)
    batch.set('requests', requests)
    this.#batch = batch
    for (const { id, entry } of gathered) {
      const span = this.#tracing.startSpan(spanNames.journalWrite, entry.context, [batch.context])
      span.set('position', entry.position)
      this.#writing.push({ id, span })
    }
  }

  persisted(id: number): void {
    if (this.#batch === undefined) return
    this.#writing = this.#writing.filter(write => {
      if (write.id === id) write.span.end()
      return write.id !== id
    })
    if (this.#writing.length > 0) return
    this.#batch.end()
    this.#batch = undefined
  }
}

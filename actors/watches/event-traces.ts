/**
 * Spans of the notifications that a traced command causes: one for each change that somebody is told
 * of, until its events have been handed to the gateways. Only there where tracing is on.
 */
import { spanNames } from '../../runtime/span-names.ts'
import type { Span, TraceContext, Tracing } from '../../runtime/tracing.ts'

export class EventTraces {
  readonly #tracing: Tracing
  #cause: TraceContext | undefined
  #told: Span[] = []

  constructor(tracing: Tracing) {
    this.#tracing = tracing
  }

  /** Who the changes from here on belong to (messages.ts). */
  cause(trace: Uint8Array): void {
    this.#cause =
      trace.length === 0
        ? undefined
        : { traceId: trace.slice(0, 16), spanId: trace.slice(16, 24), sampled: true }
  }

  /** A change comes. A span that is never told of is never ended, and so never sent. */
  begin(): Span | undefined {
    if (this.#cause === undefined) return undefined
    return this.#tracing.startSpan(spanNames.watchEvent, this.#cause)
  }

  told(span: Span, changed: string, notifications: number): void {
    if (notifications === 0) return
    span.set('changed', changed)
    span.set('notifications', notifications)
    this.#told.push(span)
  }

  flushed(): void {
    if (this.#told.length === 0) return
    for (const span of this.#told) span.end()
    this.#told = []
  }
}

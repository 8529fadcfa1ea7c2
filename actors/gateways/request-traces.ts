/**
 * The spans of client requests in a gateway: the request itself, its proposal (or its read), which
 * is what entries carry through the log, and the reply. Only there where tracing is on.
 */
import { spanNames } from '../../runtime/span-names.ts'
import type { Span, SpanAttributes, TraceContext, Tracing } from '../../runtime/tracing.ts'

/** A request that is sampled and not answered yet. */
export interface RequestTrace {
  readonly request: Span
  /** The proposal or the read, once it has begun. */
  work: Span | undefined
}

export class RequestTraces {
  readonly #tracing: Tracing
  #current: RequestTrace | undefined
  /** Answered, but not written to their sockets yet. */
  #answered: { readonly request: Span; readonly reply: Span }[] = []

  constructor(tracing: Tracing) {
    this.#tracing = tracing
  }

  /** What the gateway does from here to `taken` belongs to this request. Nothing if it is not sampled. */
  begin(name: string, attributes: SpanAttributes, parent?: TraceContext): RequestTrace | undefined {
    const request = this.#tracing.startRequest(name, attributes, parent)
    if (!request.context.sampled) return undefined
    this.#current = { request, work: undefined }
    return this.#current
  }

  /** For Proposals: the context of the command that is made right now. */
  readonly propose = (): TraceContext | undefined => {
    const current = this.#current
    if (current === undefined) return undefined
    current.work = this.#tracing.startSpan(spanNames.proposal, current.request.context)
    return current.work.context
  }

  /** What was not proposed, and waits for its answer, is a read. */
  taken(waits: boolean): void {
    const current = this.#current
    this.#current = undefined
    if (current === undefined || !waits || current.work !== undefined) return
    current.work = this.#tracing.startSpan(spanNames.read, current.request.context)
  }

  /** `fault`: what went wrong in here, as opposed to what the client may not do; '' for nothing. */
  answered(trace: RequestTrace, outcome: SpanAttributes, fault: string): void {
    const { request, work } = trace
    work?.end()
    for (const name in outcome) request.set(name, outcome[name]!)
    if (fault !== '') request.fail(fault)
    const reply = this.#tracing.startSpan(spanNames.reply, request.context)
    this.#answered.push({ request, reply })
  }

  /** Nobody is there any more to answer. */
  dropped(trace: RequestTrace): void {
    trace.work?.end()
    trace.request.set('error.type', 'cancelled')
    trace.request.end()
  }

  /** All answers so far have been written. */
  flushed(): void {
    if (this.#answered.length === 0) return
    for (const { request, reply } of this.#answered) {
      reply.end()
      request.end()
    }
    this.#answered = []
  }
}

/**
 * Tracing with explicit context: a span's parent is handed over in messages, entries and frames, and
 * never looked up. One provider a thread. The SDK is loaded only where tracing is on; where it is
 * off, `tracing.enabled` is all that a hot path reads. With metrics.ts the only importer of
 * OpenTelemetry.
 */
import {
  diag,
  DiagLogLevel,
  type Link,
  ROOT_CONTEXT,
  type Span as ApiSpan,
  type SpanContext,
  SpanKind,
  type SpanOptions,
  TraceFlags,
  trace,
} from '@opentelemetry/api'
import { systemClock } from './clock.ts'
import { limits } from './limits.ts'
import type { SpanName } from './span-names.ts'
import { type TraceClock, traceClock } from './tracing-clock.ts'

/** Who a span belongs to: what an entry's header and W3C's `traceparent` carry. */
export interface TraceContext {
  /** 16 bytes. */
  readonly traceId: Uint8Array
  /** 8 bytes. */
  readonly spanId: Uint8Array
  readonly sampled: boolean
}

/** By OpenTelemetry's semantic conventions where they have a name. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>

export interface Span {
  /** For children, here or elsewhere. */
  readonly context: TraceContext
  set(attribute: string, value: string | number | boolean): void
  /** `message` becomes the span's error status. */
  fail(message: string): void
  end(): void
}

export interface Tracing {
  /** False: skip everything else. */
  readonly enabled: boolean
  /**
   * A child follows its parent's sampling, a root the ratio, unless it is linked to what is sampled.
   * A span that is not sampled costs next to nothing and still has a context to hand on.
   */
  startSpan(name: SpanName, parent?: TraceContext, links?: readonly TraceContext[]): Span
  /** What a client asked; `parent` is the client's own span. */
  startRequest(name: string, attributes: SpanAttributes, parent?: TraceContext): Span
  /** Sends what is left, if that can be done soon. */
  stop(): Promise<void>
}

export interface TracingOptions {
  readonly exporter: 'otlp' | 'console'
  /** OTLP over HTTP, for instance `http://127.0.0.1:4318/v1/traces`. */
  readonly endpoint?: string
  /** Share of the roots that are sampled, 0 to 1. */
  readonly ratio: number
  readonly serviceName: string
  /** Of whoever makes them: instance, version, node, thread. */
  readonly attributes: Readonly<Record<string, string | number>>
  /** Default: this thread's own. */
  readonly clock?: TraceClock
  /** Spans could not be sent, or something else of the SDK's went wrong; told once in a while. */
  readonly failed?: (reason: string) => void
}

const noContext: TraceContext = {
  traceId: new Uint8Array(16),
  spanId: new Uint8Array(8),
  sampled: false,
}

const noSpan: Span = { context: noContext, set() {}, fail() {}, end() {} }

export const tracingOff: Tracing = {
  enabled: false,
  startSpan: () => noSpan,
  startRequest: () => noSpan,
  stop: async () => {},
}

/** Once a thread. */
export async function createTracing(options: TracingOptions): Promise<Tracing> {
  const sdk = await import('@opentelemetry/sdk-trace')
  const { resourceFromAttributes } = await import('@opentelemetry/resources')
  if (options.failed !== undefined) tellFailures(options.failed)
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({
      'service.name': options.serviceName,
      ...options.attributes,
    }),
    sampler: new sdk.ParentBasedSampler({ root: rootSampler(sdk, options.ratio) }),
    spanProcessors: [await createProcessor(sdk, options)],
  })
  const tracer = provider.getTracer('quorate')
  const clock = options.clock ?? traceClock(undefined)
  const start = (name: string, how: SpanOptions, parent: TraceContext | undefined): Span => {
    const context =
      parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, remote(parent))
    const startTime = timeOf(clock)
    return new SdkSpan(tracer.startSpan(name, { ...how, startTime }, context), clock)
  }
  return {
    enabled: true,
    startSpan(name, parent, links = []) {
      return start(name, { kind: SpanKind.INTERNAL, links: links.map(linkTo) }, parent)
    },
    startRequest(name, attributes, parent) {
      return start(name, { kind: SpanKind.SERVER, attributes: { ...attributes } }, parent)
    },
    async stop() {
      await provider.shutdown().catch((error: Error) => options.failed?.(error.message))
    },
  }
}

/** The SDK tells of failures by its own logger, again and again: one a minute is enough. */
function tellFailures(failed: (reason: string) => void): void {
  let quietUntilMillis = 0
  const tell = (reason: string): void => {
    const now = systemClock.monotonicMillis()
    if (now < quietUntilMillis) return
    quietUntilMillis = now + limits.failureLogMillis
    failed(reason)
  }
  const ignore = (): void => {}
  const logger = { error: tell, warn: tell, info: ignore, debug: ignore, verbose: ignore }
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true })
}

type Sdk = typeof import('@opentelemetry/sdk-trace')
type Sampler = InstanceType<Sdk['ParentBasedSampler']>

/** A batch that serves a sampled request is sampled: the request's own span is linked to it. */
function rootSampler(sdk: Sdk, ratio: number): Pick<Sampler, 'shouldSample' | 'toString'> {
  const byRatio = new sdk.TraceIdRatioBasedSampler(ratio)
  const always = new sdk.AlwaysOnSampler()
  return {
    shouldSample(context, traceId, _name, _kind, _attributes, links) {
      const isLinked = links.some(link => (link.context.traceFlags & TraceFlags.SAMPLED) !== 0)
      return isLinked ? always.shouldSample() : byRatio.shouldSample(context, traceId)
    },
    toString: () => `LinkedOr{${byRatio.toString()}}`,
  }
}

async function createProcessor(
  sdk: Sdk,
  { exporter, endpoint }: TracingOptions,
): Promise<InstanceType<Sdk['BatchSpanProcessor']>> {
  if (exporter === 'console') {
    return new sdk.BatchSpanProcessor({ exporter: new sdk.ConsoleSpanExporter() })
  }
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http')
  const timeoutMillis = limits.exportMillisMax
  const url = endpoint === undefined ? {} : { url: endpoint }
  const otlp = new OTLPTraceExporter({ ...url, timeoutMillis })
  return new sdk.BatchSpanProcessor({ exporter: otlp, scheduledDelayMillis: 1_000 })
}

class SdkSpan implements Span {
  readonly context: TraceContext
  readonly #span: ApiSpan
  readonly #clock: TraceClock

  constructor(span: ApiSpan, clock: TraceClock) {
    this.#clock = clock
    const { traceId, spanId, traceFlags } = span.spanContext()
    this.#span = span
    this.context = {
      traceId: fromHex(traceId),
      spanId: fromHex(spanId),
      sampled: (traceFlags & TraceFlags.SAMPLED) !== 0,
    }
  }

  set(attribute: string, value: string | number | boolean): void {
    this.#span.setAttribute(attribute, value)
  }

  fail(message: string): void {
    this.#span.setStatus({ code: statusError, message })
  }

  end(): void {
    this.#span.end(timeOf(this.#clock))
  }
}

/** Seconds and nanoseconds: a number alone would be taken for one or the other of the SDK's clocks. */
function timeOf(clock: TraceClock): [number, number] {
  const millis = clock.nowMillis()
  const seconds = Math.floor(millis / 1000)
  return [seconds, Math.min(999_999_999, Math.round((millis - seconds * 1000) * 1e6))]
}

/** SpanStatusCode.ERROR. */
const statusError = 2

function remote({ traceId, spanId, sampled }: TraceContext): SpanContext {
  return {
    traceId: toHex(traceId),
    spanId: toHex(spanId),
    traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
  }
}

function linkTo(context: TraceContext): Link {
  return { context: remote(context) }
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')
}

function fromHex(hex: string): Uint8Array {
  return Buffer.from(hex, 'hex')
}

const traceparentForm = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/** W3C Trace Context; nothing for a header that is not valid. */
export function parseTraceparent(header: string): TraceContext | undefined {
  const match = traceparentForm.exec(header.trim())
  if (match === null) return undefined
  const [, version, traceId, spanId, flags, rest] = match
  // Version 00 has exactly four fields; later ones may have more.
  if (version === 'ff' || (version === '00' && rest !== undefined)) return undefined
  if (/^0+$/.test(traceId!) || /^0+$/.test(spanId!)) return undefined
  return {
    traceId: fromHex(traceId!),
    spanId: fromHex(spanId!),
    sampled: (Number.parseInt(flags!, 16) & 1) === 1,
  }
}

export function formatTraceparent({ traceId, spanId, sampled }: TraceContext): string {
  return `00-${toHex(traceId)}-${toHex(spanId)}-${sampled ? '01' : '00'}`
}

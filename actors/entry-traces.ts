/** Finds whom entries belong to: the trace context in their headers (consensus/entry.ts). */
import type { TraceContext } from '../runtime/tracing.ts'
import { offset, readUint64 } from './consensus/entry.ts'

export interface TracedEntry {
  readonly position: number
  readonly context: TraceContext
}

/** Those among concatenated entries that are sampled. Only where tracing is on: it walks them all. */
export function tracedEntries(entries: Uint8Array): readonly TracedEntry[] {
  let found = none
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength)
  for (let at = 0; at < entries.length; at += view.getUint32(at + offset.length, true)) {
    if (!isTraced(entries, at)) continue
    if (found === none) found = []
    found.push({ position: readUint64(view, at + offset.position), context: traceAt(entries, at) })
  }
  return found
}

/** Of the entry that begins at `at`. */
export function isTraced(entries: Uint8Array, at: number): boolean {
  return (entries[at + offset.flags]! & sampled) !== 0
}

/** A copy: the memory of entries is used again. */
export function traceAt(entries: Uint8Array, at: number): TraceContext {
  return {
    traceId: new Uint8Array(entries.subarray(at + offset.traceId, at + offset.spanId)),
    spanId: new Uint8Array(entries.subarray(at + offset.spanId, at + offset.deadline)),
    sampled: true,
  }
}

const spanBytes = 16

/** Position (u64) and span id (8 bytes) of each: what stands in a `persist`. */
export function encodeSpans(spans: readonly TracedEntry[]): Uint8Array {
  if (spans.length === 0) return noBytes
  const bytes = new Uint8Array(spans.length * spanBytes)
  const view = new DataView(bytes.buffer)
  spans.forEach(({ position, context }, index) => {
    view.setBigUint64(index * spanBytes, BigInt(position))
    bytes.set(context.spanId, index * spanBytes + 8)
  })
  return bytes
}

/** Span ids by position. */
export function decodeSpans(bytes: Uint8Array): ReadonlyMap<number, Uint8Array> {
  const spans = new Map<number, Uint8Array>()
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at < bytes.length; at += spanBytes) {
    const spanId = Uint8Array.from(bytes.subarray(at + 8, at + spanBytes))
    spans.set(Number(view.getBigUint64(at)), spanId)
  }
  return spans
}

const noBytes = new Uint8Array(0)
const sampled = 1
const none: TracedEntry[] = []

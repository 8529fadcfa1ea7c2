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

const sampled = 1
const none: TracedEntry[] = []

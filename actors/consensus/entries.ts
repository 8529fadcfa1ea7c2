/** Entries of a log as a program that repairs it makes and reads them. Pure. */
import { entryHeaderBytes, entryFormat, entryKind, offset, writeUint64 } from './entry.ts'
import type { Membership } from './interface.ts'
import { decodeMembership } from './membership.ts'

/** Stamped, as a leader of that epoch would have appended it. */
export function membershipEntry(
  body: Uint8Array,
  position: number,
  epoch: number,
  time: number,
): Uint8Array {
  const entry = new Uint8Array(entryHeaderBytes + body.length)
  const view = new DataView(entry.buffer)
  view.setUint32(offset.length, entry.length, true)
  entry[offset.format] = entryFormat
  entry[offset.kind] = entryKind.membership
  writeUint64(view, offset.position, position)
  writeUint64(view, offset.epoch, epoch)
  writeUint64(view, offset.time, time)
  entry.set(body, entryHeaderBytes)
  return entry
}

/** Of entries that are whole, in order. */
export function newestMembership(chunks: readonly Uint8Array[]): Membership | undefined {
  let newest: Uint8Array | undefined
  for (const chunk of chunks) {
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    for (let at = 0; at < chunk.length; ) {
      const length = view.getUint32(at + offset.length, true)
      if (chunk[at + offset.kind] === entryKind.membership)
        newest = chunk.subarray(at + entryHeaderBytes, at + length)
      at += length
    }
  }
  return newest === undefined ? undefined : decodeMembership(newest)
}

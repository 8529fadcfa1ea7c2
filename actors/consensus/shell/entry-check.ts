/** Whether a batch is what a stream may propose: whole entries, as many as it says, of its own kinds. */
import { entryFormat, entryHeaderBytes, entryKind, offset } from '../entry.ts'

export function isProposable(entries: Uint8Array, count: number): boolean {
  if (count <= 0) return false
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength)
  let at = 0
  for (let index = 0; index < count; index++) {
    if (at + entryHeaderBytes > entries.length) return false
    const length = view.getUint32(at + offset.length, true)
    const whole = length >= entryHeaderBytes && at + length <= entries.length
    const format = entries[at + offset.format] === entryFormat
    if (!whole || !format || entries[at + offset.kind]! < entryKind.register) return false
    at += length
  }
  return at === entries.length
}

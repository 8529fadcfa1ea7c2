/**
 * Which command of each stream applied last (DESIGN.md D6). Replicated: part of every checkpoint
 * and of the state hash. The next in sequence applies; an earlier one was applied before; one
 * beyond a gap does nothing and will be sent again.
 */
import { readUint64, writeUint64 } from '../consensus/entry.ts'

interface Origin {
  incarnation: number
  /** Last sequence by stream number; streams are few and small. */
  readonly last: number[]
}

export class Origins {
  readonly #origins = new Map<number, Origin>()

  /** True when the command is to be applied. A higher incarnation drops the older one's streams. */
  accept(node: number, incarnation: number, stream: number, sequence: number): boolean {
    let origin = this.#origins.get(node)
    if (origin === undefined || incarnation > origin.incarnation) {
      origin = { incarnation, last: [] }
      this.#origins.set(node, origin)
    }
    if (incarnation < origin.incarnation || sequence !== (origin.last[stream] ?? 0) + 1)
      return false
    while (origin.last.length <= stream) origin.last.push(0)
    origin.last[stream] = sequence
    return true
  }

  lastSequence(node: number, incarnation: number, stream: number): number {
    const origin = this.#origins.get(node)
    return origin?.incarnation === incarnation ? (origin.last[stream] ?? 0) : 0
  }

  /** Streams of this incarnation are numbered below this; 0: none of it has applied. */
  streamCount(node: number, incarnation: number): number {
    const origin = this.#origins.get(node)
    return origin?.incarnation === incarnation ? origin.last.length : 0
  }

  clear(): void {
    this.#origins.clear()
  }

  /** u32 count, then per node in order: u32 node, u64 incarnation, u32 streams, u64 each. */
  encode(): Uint8Array {
    const all = [...this.#origins].sort(([a], [b]) => a - b)
    const size = all.reduce((sum, [, origin]) => sum + 16 + 8 * origin.last.length, 4)
    const bytes = new Uint8Array(size)
    const view = new DataView(bytes.buffer)
    view.setUint32(0, all.length, true)
    let at = 4
    for (const [node, { incarnation, last }] of all) {
      view.setUint32(at, node, true)
      writeUint64(view, at + 4, incarnation)
      view.setUint32(at + 12, last.length, true)
      at += 16
      for (const sequence of last) {
        writeUint64(view, at, sequence)
        at += 8
      }
    }
    return bytes
  }

  decode(bytes: Uint8Array): void {
    this.clear()
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let at = 4
    for (let count = view.getUint32(0, true); count > 0; count -= 1) {
      const node = view.getUint32(at, true)
      const incarnation = readUint64(view, at + 4)
      const streams = view.getUint32(at + 12, true)
      at += 16
      const last: number[] = []
      for (let stream = 0; stream < streams; stream += 1) {
        last.push(readUint64(view, at))
        at += 8
      }
      this.#origins.set(node, { incarnation, last })
    }
  }
}

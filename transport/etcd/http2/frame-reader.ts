/** Cuts a byte stream into frames, whatever its chunks; a frame within one chunk is not copied. */
import { ConnectionError, errorCode, frameHeaderBytes, framePayloadBytesMax } from './protocol.ts'

export interface FrameSink {
  /** The payload is `bytes` from `start` to `end`, valid during the call. False: read no further. */
  frame(
    type: number,
    flags: number,
    stream: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): boolean
}

export class FrameReader {
  /** The beginning of a frame that the last chunk left unfinished. */
  #partial = new Uint8Array(0)
  #partialBytes = 0

  /** Throws ConnectionError for a frame above the size that we accept, before anything is kept of it. */
  read(chunk: Uint8Array, sink: FrameSink): void {
    let at = 0
    if (this.#partialBytes > 0) {
      at = this.#complete(chunk, sink)
      if (at < 0) return
    }
    while (chunk.length - at >= frameHeaderBytes) {
      const length = payloadBytes(chunk, at)
      const end = at + frameHeaderBytes + length
      if (end > chunk.length) break
      if (!deliver(chunk, at, end, sink)) return
      at = end
    }
    if (at < chunk.length) this.#keep(chunk, at, chunk.length)
  }

  /** Fills the unfinished frame; returns where the chunk goes on, -1 when there is nothing to go on with. */
  #complete(chunk: Uint8Array, sink: FrameSink): number {
    let at = 0
    if (this.#partialBytes < frameHeaderBytes) {
      at = Math.min(chunk.length, frameHeaderBytes - this.#partialBytes)
      this.#keep(chunk, 0, at)
      if (this.#partialBytes < frameHeaderBytes) return -1
    }
    const total = frameHeaderBytes + payloadBytes(this.#partial, 0)
    const taken = Math.min(chunk.length - at, total - this.#partialBytes)
    this.#keep(chunk, at, at + taken)
    if (this.#partialBytes < total) return -1
    this.#partialBytes = 0
    return deliver(this.#partial, 0, total, sink) ? at + taken : -1
  }

  #keep(chunk: Uint8Array, start: number, end: number): void {
    const bytes = this.#partialBytes + end - start
    if (bytes > this.#partial.length) {
      const larger = new Uint8Array(bytes <= 256 ? 256 : frameHeaderBytes + framePayloadBytesMax)
      larger.set(this.#partial.subarray(0, this.#partialBytes))
      this.#partial = larger
    }
    this.#partial.set(chunk.subarray(start, end), this.#partialBytes)
    this.#partialBytes = bytes
  }
}

function payloadBytes(bytes: Uint8Array, at: number): number {
  const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!
  if (length > framePayloadBytesMax)
    throw new ConnectionError(errorCode.frameSizeError, `a frame of ${length} bytes`)
  return length
}

function deliver(bytes: Uint8Array, at: number, end: number, sink: FrameSink): boolean {
  return sink.frame(
    bytes[at + 3]!,
    bytes[at + 4]!,
    uint31(bytes, at + 5),
    bytes,
    at + frameHeaderBytes,
    end,
  )
}

/** 31 bits; the reserved bit before them is ignored. */
export function uint31(bytes: Uint8Array, at: number): number {
  return uint32(bytes, at) & 0x7fff_ffff
}

export function uint32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  )
}

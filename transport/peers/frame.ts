/**
 * Frames between nodes. Pure: bytes in, frames or one typed fault out. Nothing that a peer claims
 * is believed before the checksum holds, and nothing is allocated for a length beyond the limit.
 * Numbers are little-endian:
 *
 *   0 u32 bytes of the body    4 u32 CRC32C of all that follows    8 u8 format (1)    9 u8 kind
 *  10 u16 zero    12 u32 envelope bytes received so far by the sender, modulo 2^32    16 body
 */
import { crc32c } from '../../runtime/crc32c.ts'

export const frameHeaderBytes = 16
export const frameFormat = 1

export const frameKind = {
  hello: 1,
  welcome: 2,
  /** The last frame of a connection: why its sender closes it. */
  farewell: 3,
  envelopes: 4,
  ping: 5,
  pong: 6,
  offer: 7,
  answer: 8,
  chunk: 9,
  end: 10,
  challenge: 11,
  proof: 12,
} as const

const kindMax = 12

export type FrameFault =
  | { readonly kind: 'badFormat'; readonly format: number }
  | { readonly kind: 'badKind'; readonly frameKind: number }
  | { readonly kind: 'badPadding'; readonly padding: number }
  | { readonly kind: 'tooLong'; readonly bodyBytes: number; readonly bodyBytesMax: number }
  | { readonly kind: 'badChecksum'; readonly expected: number; readonly actual: number }

export function describeFault(fault: FrameFault): string {
  switch (fault.kind) {
    case 'badFormat':
      return `frame format ${fault.format} is not ${frameFormat}: not a Quorate peer, or a newer one`
    case 'badKind':
      return `frame kind ${fault.frameKind} is unknown`
    case 'badPadding':
      return `frame header has ${fault.padding} in its reserved bytes, not 0`
    case 'tooLong':
      return `frame body of ${fault.bodyBytes} bytes is longer than ${fault.bodyBytesMax}`
    case 'badChecksum':
      return `frame checksum is ${hex(fault.actual)}, its header says ${hex(fault.expected)}`
  }
}

/** Fills the header before a body that already stands behind it; returns the bytes of the frame. */
export function sealFrame(
  target: Uint8Array,
  kind: number,
  bodyBytes: number,
  received = 0,
): number {
  writeUint32(target, 0, bodyBytes)
  target[8] = frameFormat
  target[9] = kind
  target[10] = 0
  target[11] = 0
  writeUint32(target, 12, received)
  const frameBytes = frameHeaderBytes + bodyBytes
  writeUint32(target, 4, crc32c(target, 0, 8, frameBytes))
  return frameBytes
}

export function encodeFrame(kind: number, body: Uint8Array, received = 0): Uint8Array {
  const frame = new Uint8Array(frameHeaderBytes + body.length)
  frame.set(body, frameHeaderBytes)
  sealFrame(frame, kind, body.length, received)
  return frame
}

/** The body belongs to the receiver only during the call. */
export type FrameSink = (kind: number, body: Uint8Array, received: number) => void

export interface FrameReader {
  /** Takes a chunk of any size. After a fault the reader is dead: every later push returns it again. */
  push(chunk: Uint8Array): FrameFault | undefined
  /** The handshake is done: longer bodies are believed. */
  allow(bodyBytesMax: number): void
  /** Takes nothing more, also not the rest of the chunk at hand. */
  stop(): void
}

export function createFrameReader(bodyBytesMaxAtFirst: number, sink: FrameSink): FrameReader {
  let bodyBytesMax = bodyBytesMaxAtFirst
  let fault: FrameFault | undefined
  let stopped = false
  /** A frame that began in an earlier chunk: its header, and later the whole of it. */
  let pending = new Uint8Array(frameHeaderBytes)
  let pendingBytes = 0

  return {
    push(chunk) {
      let at = 0
      while (at < chunk.length && fault === undefined && !stopped) {
        at = pendingBytes === 0 ? takeWhole(chunk, at) : takePart(chunk, at)
      }
      return fault
    },
    allow(bytes) {
      bodyBytesMax = bytes
    },
    stop() {
      stopped = true
    },
  }

  /** The usual case: a frame that lies wholly in the chunk is not copied. */
  function takeWhole(chunk: Uint8Array, at: number): number {
    const left = chunk.length - at
    if (left >= frameHeaderBytes) {
      fault = checkHeader(chunk, at, bodyBytesMax)
      if (fault !== undefined) return chunk.length
      const frameBytes = frameHeaderBytes + readUint32(chunk, at)
      if (left >= frameBytes) {
        deliver(chunk, at, frameBytes)
        return at + frameBytes
      }
    }
    return takePart(chunk, at)
  }

  function takePart(chunk: Uint8Array, at: number): number {
    let wanted = pendingBytes < frameHeaderBytes ? frameHeaderBytes : pendingFrameBytes()
    let next = copyInto(chunk, at, wanted)
    if (pendingBytes < frameHeaderBytes) return next
    if (wanted === frameHeaderBytes) {
      fault = checkHeader(pending, 0, bodyBytesMax)
      if (fault !== undefined) return chunk.length
      wanted = pendingFrameBytes()
      grow(wanted)
      next = copyInto(chunk, next, wanted)
    }
    if (pendingBytes === wanted) {
      pendingBytes = 0
      deliver(pending, 0, wanted)
      if (pending.length > keptBytesMax) pending = new Uint8Array(frameHeaderBytes)
    }
    return next
  }

  function pendingFrameBytes(): number {
    return frameHeaderBytes + readUint32(pending, 0)
  }

  function copyInto(chunk: Uint8Array, at: number, wanted: number): number {
    const count = Math.min(wanted - pendingBytes, chunk.length - at)
    pending.set(chunk.subarray(at, at + count), pendingBytes)
    pendingBytes += count
    return at + count
  }

  function grow(bytes: number): void {
    if (pending.length >= bytes) return
    const larger = new Uint8Array(bytes)
    larger.set(pending.subarray(0, pendingBytes))
    pending = larger
  }

  function deliver(source: Uint8Array, at: number, frameBytes: number): void {
    const expected = readUint32(source, at + 4)
    const actual = crc32c(source, 0, at + 8, at + frameBytes)
    if (actual !== expected) {
      fault = { kind: 'badChecksum', expected, actual }
      return
    }
    const body = source.subarray(at + frameHeaderBytes, at + frameBytes)
    sink(source[at + 9]!, body, readUint32(source, at + 12))
  }
}

/** A larger buffer than this is not kept for the next frame that arrives in parts. */
const keptBytesMax = 2 * 1024 * 1024

function checkHeader(source: Uint8Array, at: number, bodyBytesMax: number): FrameFault | undefined {
  const format = source[at + 8]!
  if (format !== frameFormat) return { kind: 'badFormat', format }
  const kind = source[at + 9]!
  if (kind === 0 || kind > kindMax) return { kind: 'badKind', frameKind: kind }
  const padding = source[at + 10]! | (source[at + 11]! << 8)
  if (padding !== 0) return { kind: 'badPadding', padding }
  const bodyBytes = readUint32(source, at)
  if (bodyBytes > bodyBytesMax) return { kind: 'tooLong', bodyBytes, bodyBytesMax }
  return undefined
}

function readUint32(source: Uint8Array, at: number): number {
  return (
    (source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16) | (source[at + 3]! << 24)) >>> 0
  )
}

function writeUint32(target: Uint8Array, at: number, value: number): void {
  target[at] = value
  target[at + 1] = value >>> 8
  target[at + 2] = value >>> 16
  target[at + 3] = value >>> 24
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0')
}

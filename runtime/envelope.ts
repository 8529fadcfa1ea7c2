/**
 * A message on its way to another thread or node. Little-endian:
 *
 *   0 u32 length of the body   4 u32 hash of the actor's name   8 u32 hash of `protocol.kind`   12 body
 *
 * Envelopes lie end to end. Names are hashed the same way everywhere (protocol.ts), so that an
 * envelope passes from a node link to a thread link as it is.
 */
import type { Message } from './actor.ts'
import { CodecError } from './codec.ts'
import { limits } from './limits.ts'
import type { KindCodec } from './protocol.ts'

export const envelopeHeaderBytes = 12

/** Returns the end, or minus the number of bytes that are missing in `target`. */
export function writeEnvelope(
  target: Buffer,
  at: number,
  actor: number,
  kind: KindCodec,
  message: Message,
  bytesMax: number = limits.envelopeBytesMax,
): number {
  const body = at + envelopeHeaderBytes
  const missing = body - target.length
  if (missing > 0) return -missing - 64
  const end = encodeBody(target, body, kind, message)
  if (end < 0) return end
  if (end - body > bytesMax) throw new CodecError(`${kind.name} is too long for an envelope`)
  target.writeUInt32LE(end - body, at)
  target.writeUInt32LE(actor, at + 4)
  target.writeUInt32LE(kind.id, at + 8)
  return end
}

/** Where the envelope at `at` ends; throws a CodecError when it is cut off or too long. */
export function envelopeEnd(source: Buffer, at: number, end: number): number {
  if (end - at < envelopeHeaderBytes) throw new CodecError('an envelope is cut off')
  const length = source.readUInt32LE(at)
  if (length > limits.threadEnvelopeBytesMax || length > end - at - envelopeHeaderBytes) {
    throw new CodecError('an envelope is longer than what holds it')
  }
  return at + envelopeHeaderBytes + length
}

export function envelopeActor(source: Buffer, at: number): number {
  return source.readUInt32LE(at + 4)
}

export function envelopeKind(source: Buffer, at: number): number {
  return source.readUInt32LE(at + 8)
}

function encodeBody(target: Buffer, at: number, kind: KindCodec, message: Message): number {
  try {
    return kind.codec.encode(message, target, at)
  } catch (cause) {
    throw new CodecError(
      `cannot encode ${kind.name}: ${cause instanceof Error ? cause.message : cause}`,
    )
  }
}

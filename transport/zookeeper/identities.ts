/**
 * Who a connection is: its address first, then what auth packets added. Every command carries them,
 * so that permission is judged at apply, the same on every node. Encoded compactly, since most
 * commands are world and address only: repeat { u8 length, scheme, u16 length, id }, big-endian.
 */
import type { Id } from './acl.ts'
import { readText } from './jute-reader.ts'

/** Whoever has this identity may do everything. */
export const superIdentity: Id = { scheme: 'super', id: '' }

export function encodeIdentities(identities: readonly Id[]): Uint8Array {
  const parts: Uint8Array[] = []
  let length = 0
  for (const { scheme, id } of identities) {
    const schemeBytes = utf8.encode(scheme)
    const idBytes = utf8.encode(id)
    const part = new Uint8Array(3 + schemeBytes.length + idBytes.length)
    part[0] = schemeBytes.length
    part.set(schemeBytes, 1)
    const at = 1 + schemeBytes.length
    part[at] = idBytes.length >>> 8
    part[at + 1] = idBytes.length
    part.set(idBytes, at + 2)
    parts.push(part)
    length += part.length
  }
  const bytes = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

export function decodeIdentities(bytes: Uint8Array, start: number, length: number): Id[] {
  const identities: Id[] = []
  const end = start + length
  for (let at = start; at < end; ) {
    const schemeLength = bytes[at]!
    const scheme = readText(bytes, at + 1, schemeLength)
    at += 1 + schemeLength
    const idLength = (bytes[at]! << 8) | bytes[at + 1]!
    identities.push({ scheme, id: readText(bytes, at + 2, idLength) })
    at += 2 + idLength
  }
  return identities
}

const utf8 = new TextEncoder()

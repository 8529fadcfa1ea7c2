/**
 * How two nodes prove to each other that they hold the secret of their cluster, before either says
 * who it is. Pure. Each side draws a nonce; from the secret and both nonces (HKDF-SHA256, so that no
 * key serves twice) come four keys, one for each proof and each hello. The dialler proves first: who
 * only dials learns nothing, not even bytes to try secrets on. The role is in the key, so that what one
 * side sent cannot be sent back to it; both nonces are, so that no earlier exchange can be repeated.
 *
 *   dialler  → challenge (nonce)        listener → challenge (nonce)
 *   dialler  → proof                    listener → proof
 *   dialler  → hello, sealed            listener → welcome, sealed
 *
 * The seal is an HMAC-SHA256 over the whole hello: ids, stores, cluster, schemas. What the secret does
 * not do: the bytes after the handshake are neither encrypted nor authenticated. Whoever can change
 * packets between two nodes needs TLS to be kept out (README, Security).
 */
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'

export const nonceBytes = 32
export const proofBytes = 32
/** u32 magic, u16 format, u16 zero, nonce. */
export const challengeBytes = 8 + nonceBytes
/** What nodes without a secret prove: nothing. Only for loopback, or where TLS has proved it already. */
export const noSecret = ''

const magic = 0x43505251
const format = 1

/** 32 bytes each. */
export interface SessionKeys {
  readonly diallerProof: Uint8Array
  readonly listenerProof: Uint8Array
  readonly diallerHello: Uint8Array
  readonly listenerHello: Uint8Array
}

export function sessionKeys(
  secret: string,
  diallerNonce: Uint8Array,
  listenerNonce: Uint8Array,
): SessionKeys {
  const salt = Buffer.concat([diallerNonce, listenerNonce])
  const key = (use: string): Uint8Array =>
    new Uint8Array(hkdfSync('sha256', secret, salt, `quorate peers 1 ${use}`, proofBytes))
  return {
    diallerProof: key('dialler proof'),
    listenerProof: key('listener proof'),
    diallerHello: key('dialler hello'),
    listenerHello: key('listener hello'),
  }
}

/** In a time that does not depend on where they differ. */
export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && timingSafeEqual(one, other)
}

export function encodeChallenge(nonce: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(challengeBytes)
  bytes.writeUInt32LE(magic, 0)
  bytes.writeUInt16LE(format, 4)
  bytes.set(nonce, 8)
  return bytes
}

/** The nonce, or the sentence that says what is wrong. */
export function decodeChallenge(body: Uint8Array): Uint8Array | string {
  if (body.length !== challengeBytes) return `challenge of ${body.length} bytes`
  const view = new DataView(body.buffer, body.byteOffset, body.length)
  if (view.getUint32(0, true) !== magic) return 'challenge does not begin with the magic number'
  const theirs = view.getUint16(4, true)
  if (theirs !== format) return `proof format ${theirs} is not ${format}`
  return Uint8Array.from(body.subarray(8))
}

export function seal(key: Uint8Array, body: Uint8Array): Uint8Array {
  return Buffer.concat([body, mac(key, body)])
}

/** The body, or nothing where the seal is not that of the key. */
export function unseal(key: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
  const bodyBytes = sealed.length - proofBytes
  if (bodyBytes < 0) return undefined
  const body = sealed.subarray(0, bodyBytes)
  return sameBytes(mac(key, body), sealed.subarray(bodyBytes)) ? body : undefined
}

function mac(key: Uint8Array, body: Uint8Array): Uint8Array {
  return createHmac('sha256', key).update(body).digest()
}

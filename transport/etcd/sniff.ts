/** Tells from the first bytes of a socket which HTTP it speaks. */
import { preface } from './http2/protocol.ts'

const openings: readonly Uint8Array[] = [
  'GET ',
  'POST ',
  'PUT ',
  'HEAD ',
  'DELETE ',
  'OPTIONS ',
  'PATCH ',
].map(opening => Buffer.from(opening))

/** `unknown`: too little has come to tell. */
export function protocolOf(read: Uint8Array): 'http2' | 'http1' | 'neither' | 'unknown' {
  if (startsWith(read, preface)) return 'http2'
  if (openings.some(opening => startsWith(read, opening))) return 'http1'
  const mayBecome = startsWith(preface, read) || openings.some(opening => startsWith(opening, read))
  return mayBecome ? 'unknown' : 'neither'
}

function startsWith(bytes: Uint8Array, beginning: Uint8Array): boolean {
  if (bytes.length < beginning.length) return false
  return beginning.every((byte, at) => bytes[at] === byte)
}

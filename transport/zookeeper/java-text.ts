/**
 * Bytes to text as Java's `new String(bytes, UTF_8)` does it: what is not UTF-8 becomes U+FFFD, as
 * everywhere, but half of a surrogate pair in three bytes, whole or cut, becomes one where the WHATWG
 * decoder makes one of each byte. ZooKeeper hashes digest passwords after this.
 */
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })
const surrogateLead = 0xed
const replacement = [0xef, 0xbf, 0xbd]

export function javaText(bytes: Uint8Array): string {
  for (let at = bytes.indexOf(surrogateLead); at >= 0; at = bytes.indexOf(surrogateLead, at + 1)) {
    if (isSurrogate(bytes, at)) return utf8.decode(withoutSurrogates(bytes))
  }
  return utf8.decode(bytes)
}

function withoutSurrogates(bytes: Uint8Array): Uint8Array {
  // At most three bytes for two.
  const replaced = new Uint8Array(bytes.length * 2)
  let end = 0
  for (let at = 0; at < bytes.length; ) {
    if (isSurrogate(bytes, at)) {
      replaced.set(replacement, end)
      end += replacement.length
      at += isContinuation(bytes[at + 2]) ? 3 : 2
    } else {
      replaced[end++] = bytes[at++] ?? 0
    }
  }
  return replaced.subarray(0, end)
}

/** 0xed leads nowhere else: no other sequence has it as a later byte. */
function isSurrogate(bytes: Uint8Array, at: number): boolean {
  const second = bytes[at + 1] ?? 0
  return bytes[at] === surrogateLead && second >= 0xa0 && second <= 0xbf
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80
}

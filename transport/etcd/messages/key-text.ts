/**
 * Keys as strings with one character a byte: they compare as the bytes do, and maps and sets can
 * hold them.
 */
export function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')
}

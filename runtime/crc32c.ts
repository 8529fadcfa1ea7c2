/**
 * CRC-32C (Castagnoli), sixteen bytes a step over sixteen tables. `seed` is the checksum of what came
 * before (0 at the start), so long data may come in pieces: crc(ab) = crc(b, seed = crc(a)).
 */
export function crc32c(bytes: Uint8Array, seed = 0, start = 0, end = bytes.length): number {
  let crc = ~seed
  let at = start
  if (end - start >= sliceBytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const last = end - sliceBytes
    for (; at <= last; at += sliceBytes) {
      const a = crc ^ view.getInt32(at, true)
      const b = view.getInt32(at + 4, true)
      const c = view.getInt32(at + 8, true)
      const d = view.getInt32(at + 12, true)
      crc =
        tables[3840 + (a & 255)]! ^
        tables[3584 + ((a >>> 8) & 255)]! ^
        tables[3328 + ((a >>> 16) & 255)]! ^
        tables[3072 + (a >>> 24)]! ^
        tables[2816 + (b & 255)]! ^
        tables[2560 + ((b >>> 8) & 255)]! ^
        tables[2304 + ((b >>> 16) & 255)]! ^
        tables[2048 + (b >>> 24)]! ^
        tables[1792 + (c & 255)]! ^
        tables[1536 + ((c >>> 8) & 255)]! ^
        tables[1280 + ((c >>> 16) & 255)]! ^
        tables[1024 + (c >>> 24)]! ^
        tables[768 + (d & 255)]! ^
        tables[512 + ((d >>> 8) & 255)]! ^
        tables[256 + ((d >>> 16) & 255)]! ^
        tables[d >>> 24]!
    }
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ tables[(crc ^ bytes[at]!) & 255]!
  return ~crc >>> 0
}

const sliceBytes = 16
const polynomialReversed = 0x82f63b78
const tables = makeTables()

/** Table n, at 256 n, is the effect of a byte that n zero bytes follow. */
function makeTables(): Int32Array {
  const made = new Int32Array(256 * sliceBytes)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomialReversed : crc >>> 1
    made[byte] = crc
  }
  for (let at = 256; at < made.length; at++) {
    const before = made[at - 256]!
    made[at] = (before >>> 8) ^ made[before & 255]!
  }
  return made
}

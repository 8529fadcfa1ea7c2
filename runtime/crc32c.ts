/**
 * CRC-32C (Castagnoli). `seed` is the checksum of what came before (0 at the start), so long data may
 * come in pieces: crc(ab) = crc(b, seed = crc(a)). Copying into WebAssembly's memory is paid back by
 * loops without checks of bounds: 1.5 times the speed of the same tables in JavaScript.
 */
import {
  type Crc32cExports,
  crc32cModule,
  memoryPages,
  stepBytes,
  tableBytes,
} from './crc32c-module.ts'

export function crc32c(bytes: Uint8Array, seed = 0, start = 0, end = bytes.length): number {
  let state = ~seed
  if (end - start < shortBytes) {
    for (let at = start; at < end; at++) state = (state >>> 8) ^ table[(state ^ bytes[at]!) & 255]!
    return ~state >>> 0
  }
  for (let at = start; at < end; at += chunkBytes) {
    const length = Math.min(end - at, chunkBytes)
    memory.set(bytes.subarray(at, at + length), chunkStart)
    state = advance(state, chunkStart, chunkStart + length)
  }
  return ~state >>> 0
}

/** Below this the call costs more than it saves. */
const shortBytes = 32
const polynomialReversed = 0x82f63b78
const chunkStart = stepBytes * tableBytes
const chunkBytes = 65_536 * memoryPages - chunkStart

/** Of the platform; its types come with a browser's, which this project does not include. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object
  readonly Instance: new (module: object) => { readonly exports: unknown }
}

const instance = new WebAssembly.Instance(new WebAssembly.Module(crc32cModule()))
const { memory: pages, advance } = instance.exports as Crc32cExports
const memory = new Uint8Array(pages.buffer)
const table = fillTables(new Int32Array(pages.buffer, 0, chunkStart / 4)).slice(0, 256)

function fillTables(tables: Int32Array): Int32Array {
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomialReversed : crc >>> 1
    tables[byte] = crc
  }
  for (let at = 256; at < tables.length; at++) {
    const before = tables[at - 256]!
    tables[at] = (before >>> 8) ^ tables[before & 255]!
  }
  return tables
}

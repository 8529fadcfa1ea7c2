/**
 * How one element of the state lies in a slab, and in a checkpoint as it is. 8-byte aligned; numbers
 * are little-endian 32-bit words; 64-bit values low word first, below 2^53.
 *
 *    0 size in bytes, padding included    1 u8 type, u8 flags, u8 padding bytes, u8 detail
 *    2 hash of the content, two words     4 id (local)         5 key length      6…19 by type, below
 *   80 key, value or data, zeros to a multiple of 8
 *
 * Words called local, and the flags, mean something only in the memory they are in: they are no part
 * of the content, may change in place while a checkpoint is being written, and are ignored by loading.
 */
export type Pointer = number

export const entryType = { version: 1, tombstone: 2, znode: 3, family: 4, gone: 5 } as const

export const keyByte = 80
export const headerWords = 20

export const sizeWord = 0
export const typeWord = 1
export const hashWord = 2
export const idWord = 4
export const keyLengthWord = 5

/** Of the flags byte: freed, still there only because its slab is. */
export const deadFlag = 1

export function padded(bytes: number): number {
  return (bytes + 7) & ~7
}

/** Units of 8 bytes: the slab's number above bit 17, the place in it below. */
export function slabOf(pointer: Pointer): number {
  return pointer >>> 17
}

export function wordOf(pointer: Pointer): number {
  return (pointer & 0x1ffff) << 1
}

export function byteOf(pointer: Pointer): number {
  return (pointer & 0x1ffff) << 3
}

const twoTo32 = 4294967296

export function readNumber(words: Uint32Array, at: number): number {
  return words[at]! + words[at + 1]! * twoTo32
}

export function writeNumber(words: Uint32Array, at: number, value: number): void {
  words[at] = value >>> 0
  words[at + 1] = (value / twoTo32) >>> 0
}

/**
 * Blocks of entries, the body of checkpoint files. A block is the entries themselves (entry.ts), one
 * after the other, as they lay in their slabs, local words and flags zero; all of one face, at most
 * `blockBytesMax` bytes, or one larger entry alone. A base is all entries: keys of each face mostly
 * in order, the versions of a key oldest first. A delta is what changed since the checkpoint before
 * it, each entry once: first `gone` for keys of the tree that went, then the rest. To load: the head,
 * the blocks of the base, those of each delta, in the order in which they were listed; `finishLoad`.
 *
 * This file is used on pool threads too: it may touch nothing but the memory it is given.
 */
import { invariant } from '../runtime/invariant.ts'
import {
  byteOf,
  entryType,
  idWord,
  keyByte,
  type Pointer,
  slabOf,
  sizeWord,
  typeWord,
  wordOf,
} from './entry.ts'
import type { Keyspace } from './keyspace.ts'
import { slabBytes } from './slabs.ts'
import type { Tree } from './tree.ts'

/** The format of entries and blocks; to be written into every file. */
export const entryFormat = 1

/** What fits behind the unused first unit of a slab. */
export const blockBytesMax = slabBytes - 8

export type Face = 'tree' | 'keyspace'

/** Entries in the order in which they have to be loaded. */
export interface EntryList {
  readonly face: Face
  readonly pointers: Uint32Array
}

/**
 * Copies listed entries into blocks and passes each on; a block is good during the call only.
 * `buffers` are the face's slabs by number, `scratch` is at least `blockBytesMax` long.
 */
export function gatherBlocks(
  buffers: readonly (SharedArrayBuffer | undefined)[],
  pointers: Uint32Array,
  scratch: Uint8Array,
  emit: (block: Uint8Array) => void,
): void {
  const slabs = buffers.map(buffer => (buffer === undefined ? undefined : new Uint32Array(buffer)))
  const target = new Uint32Array(scratch.buffer, scratch.byteOffset, scratch.byteLength >> 2)
  let used = 0
  for (const pointer of pointers) {
    const source = slabs[slabOf(pointer)]
    invariant(source !== undefined, 'the slab of a listed entry is there')
    const size = source[wordOf(pointer) + sizeWord]!
    if (used > 0 && used + size > blockBytesMax) {
      emit(scratch.subarray(0, used))
      used = 0
    }
    if (size > blockBytesMax) emit(copyAlone(source, pointer, size))
    else {
      copyEntry(source, wordOf(pointer), target, used >> 2, size >> 2)
      used += size
    }
  }
  if (used > 0) emit(scratch.subarray(0, used))
}

/** Takes a block over; `head` (revisions, access lists) is loaded before the first. @throws when it is no block. */
export function loadBlock(block: Uint8Array, tree: Tree, keyspace: Keyspace): void {
  const sizes = new DataView(block.buffer, block.byteOffset, block.byteLength)
  for (let at = 0; at < block.length; ) {
    const size = at + keyByte <= block.length ? sizes.getUint32(at, true) : 0
    const fits = size >= keyByte && size % 8 === 0 && at + size <= block.length
    if (!fits) throw new Error(`checkpoint block is damaged: entry of ${size} bytes at ${at}`)
    at += size
  }
  const type = block[4 * typeWord]
  const face = type === entryType.version || type === entryType.tombstone ? keyspace : tree
  loadEntries(block, face)
}

/** Ends the loading of blocks. */
export function finishLoad(tree: Tree, keyspace: Keyspace): void {
  tree.finishLoad()
  keyspace.finishLoad()
}

function loadEntries(block: Uint8Array, face: Tree | Keyspace): void {
  const { slabs } = face.index
  const first = slabs.load(block)
  const words = slabs.words[slabOf(first)]!
  for (let offset = 0; offset < block.length; ) {
    const pointer = (first + (offset >>> 3)) >>> 0
    // Loading may free the entry (a `gone`), but its words stay.
    offset += words[wordOf(pointer) + sizeWord]!
    face.load(pointer)
  }
}

function copyAlone(source: Uint32Array, pointer: Pointer, size: number): Uint8Array {
  const words = new Uint32Array(size >> 2)
  copyEntry(source, byteOf(pointer) >> 2, words, 0, size >> 2)
  return new Uint8Array(words.buffer)
}

function copyEntry(
  source: Uint32Array,
  from: number,
  target: Uint32Array,
  to: number,
  words: number,
): void {
  for (let index = 0; index < words; index++) target[to + index] = source[from + index]!
  target[to + typeWord]! &= ~0xff00
  target[to + idWord] = 0
  const type = target[to + typeWord]! & 0xff
  const versions = type === entryType.version || type === entryType.tombstone
  target.fill(0, to + firstLocalWord, to + (versions ? 11 : firstLocalWord + 1))
}

const firstLocalWord = 6

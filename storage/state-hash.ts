/**
 * A 64-bit hash of a set of entries, in two lanes, that does not depend on the order in which they
 * came: each entry's own hash is added when it comes and subtracted when it goes. Replicas at one
 * position are compared by it. Not meant against an adversary.
 */
import { hashWord, typeWord } from './entry.ts'

export class StateHash {
  /** Both lanes as uint32. */
  low = 0
  high = 0

  add(words: Uint32Array, at: number): void {
    this.low = (this.low + words[at + hashWord]!) >>> 0
    this.high = (this.high + words[at + hashWord + 1]!) >>> 0
  }

  subtract(words: Uint32Array, at: number): void {
    this.low = (this.low - words[at + hashWord]!) >>> 0
    this.high = (this.high - words[at + hashWord + 1]!) >>> 0
  }

  reset(low: number, high: number): void {
    this.low = low
    this.high = high
  }
}

/** Hashes type, details and the words from `first` (the key length aside: `keyLength`) into the entry's hash words. */
export function hashEntry(
  words: Uint32Array,
  at: number,
  first: number,
  sizeWords: number,
  keyLength: number,
): void {
  let low = 0x9e3779b9 ^ keyLength
  let high = 0x85ebca6b ^ (words[at + typeWord]! & 0xffff00ff)
  const end = at + sizeWords
  for (let index = at + first; index < end; index++) {
    low = Math.imul(((low << 13) | (low >>> 19)) ^ words[index]!, 0x9e3779b1)
    high = Math.imul((high ^ (high >>> 15)) + low, 0x85ebca6b)
  }
  words[at + hashWord] = finish(low ^ high)
  words[at + hashWord + 1] = finish(Math.imul(high, 0x27d4eb2f) + low)
}

function finish(lane: number): number {
  let value = Math.imul(lane ^ (lane >>> 16), 0x7feb352d)
  value = Math.imul(value ^ (value >>> 15), 0x846ca68b)
  return (value ^ (value >>> 16)) >>> 0
}

/**
 * The only source of randomness. `seededRandom` (xoshiro128**) repeats itself from its seed and
 * serves simulator and tests; `systemRandom` adds bytes from the operating system, fit for secrets.
 */
import { randomBytes, randomFillSync } from 'node:crypto'
import type { Random } from './host.ts'

export function seededRandom(seed: number | string): Random {
  const next = xoshiro128(seed)
  return {
    uint32: next,
    fraction: () => fraction(next),
    bytes(length) {
      const bytes = new Uint8Array(length)
      for (let index = 0; index < length; index++) bytes[index] = next() & 0xff
      return bytes
    },
  }
}

export function systemRandom(): Random {
  const words = new Uint32Array(4)
  randomFillSync(words)
  const next = xoshiro128(words.join())
  return {
    uint32: next,
    fraction: () => fraction(next),
    bytes: length => new Uint8Array(randomBytes(length)),
  }
}

/** A seed for a part of the whole: independent of how much the others draw. */
export function deriveSeed(seed: number | string, part: string): string {
  return `${seed}/${part}`
}

/** Uniform integer in [0, bound). */
export function below(random: Random, bound: number): number {
  return Math.floor(random.fraction() * bound)
}

function fraction(next: () => number): number {
  return ((next() >>> 5) * 67108864 + (next() >>> 6)) / 9007199254740992
}

/** Blackman and Vigna, xoshiro128** 1.1; its state is filled by hashing the seed. */
function xoshiro128(seed: number | string): () => number {
  const spread = hashWords(String(seed))
  let a = spread()
  let b = spread()
  let c = spread()
  let d = spread()
  if ((a | b | c | d) === 0) d = 1
  return () => {
    const times5 = Math.imul(b, 5)
    const result = Math.imul((times5 << 7) | (times5 >>> 25), 9) >>> 0
    const shifted = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = (d << 11) | (d >>> 21)
    return result
  }
}

/** FNV-1a over the text, then splitmix steps: words that differ in all bits for seeds that differ in one. */
function hashWords(text: string): () => number {
  let state = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    state = Math.imul(state ^ text.charCodeAt(index), 0x01000193)
  }
  return () => {
    state = (state + 0x9e3779b9) | 0
    let word = state ^ (state >>> 16)
    word = Math.imul(word, 0x21f0aaad)
    word ^= word >>> 15
    word = Math.imul(word, 0x735a2d97)
    return (word ^ (word >>> 15)) >>> 0
  }
}

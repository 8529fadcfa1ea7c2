/** Sorts in slices: pieces by the engine's own sort, then merges. Equal elements keep their order. */
import type { Slice } from './slices.ts'

const pieceSize = 128

export function* sortInSlices(
  items: number[],
  compare: (one: number, two: number) => number,
  slice: Pick<Slice, 'spent'>,
): Generator<void, number[], void> {
  let from = items
  for (let at = 0; at < from.length; at += pieceSize) {
    const piece = from.slice(at, at + pieceSize).sort(compare)
    for (let index = 0; index < piece.length; index += 1) from[at + index] = piece[index] as number
    if (slice.spent(pieceSize)) yield
  }
  let into = new Array<number>(0)
  for (let size = pieceSize; size < from.length; size *= 2) {
    into.length = 0
    for (let at = 0; at < from.length; at += 2 * size) {
      yield* merge(from, at, size, into, compare, slice)
    }
    ;[from, into] = [into, from]
  }
  return from
}

function* merge(
  from: readonly number[],
  at: number,
  size: number,
  into: number[],
  compare: (one: number, two: number) => number,
  slice: Pick<Slice, 'spent'>,
): Generator<void, void, void> {
  const middle = Math.min(at + size, from.length)
  const end = Math.min(at + 2 * size, from.length)
  let left = at
  let right = middle
  while (left < middle || right < end) {
    const takesLeft =
      right >= end || (left < middle && compare(from[left] as number, from[right] as number) <= 0)
    into.push((takesLeft ? from[left++] : from[right++]) as number)
    if (slice.spent(1)) yield
  }
}

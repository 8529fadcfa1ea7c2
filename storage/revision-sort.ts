/** Puts a revision log that was filled in another order (by loading a checkpoint) into its own. */
import type { Pointer } from './entry.ts'
import type { RevisionLog } from './revision-log.ts'
import type { VersionEntries } from './version-entry.ts'

export function sortByRevision(log: RevisionLog, entries: VersionEntries): void {
  if (isSorted(log, entries)) return
  const pointers = new Uint32Array(log.end - log.first)
  for (let index = 0; index < pointers.length; index++) pointers[index] = log.at(log.first + index)
  const sorted = sortByRadix(pointers, entries) ?? sortByPairs(pointers, entries)
  for (let index = 0; index < sorted.length; index++) log.set(log.first + index, sorted[index]!)
}

function isSorted(log: RevisionLog, entries: VersionEntries): boolean {
  let revision = 0
  let sub = 0
  for (let number = log.first; number < log.end; number++) {
    const nextRevision = entries.modRevision(log.at(number))
    const nextSub = entries.sub(log.at(number))
    if (nextRevision < revision || (nextRevision === revision && nextSub < sub)) return false
    revision = nextRevision
    sub = nextSub
  }
  return true
}

/** Revision and sub as one number of 32 bits each, if that fits: a million take some 50 ms. */
function sortByRadix(pointers: Uint32Array, entries: VersionEntries): Uint32Array | undefined {
  let low = Number.MAX_SAFE_INTEGER
  let high = 0
  let subMax = 0
  const revisions = new Float64Array(pointers.length)
  for (let index = 0; index < pointers.length; index++) {
    const revision = entries.modRevision(pointers[index]!)
    revisions[index] = revision
    if (revision < low) low = revision
    if (revision > high) high = revision
    subMax = Math.max(subMax, entries.sub(pointers[index]!))
  }
  const keyMax = (high - low + 1) * (subMax + 1)
  if (keyMax > 2 ** 32) return undefined
  const keys = new Uint32Array(pointers.length)
  for (let index = 0; index < pointers.length; index++) {
    const sub = subMax === 0 ? 0 : entries.sub(pointers[index]!)
    keys[index] = (revisions[index]! - low) * (subMax + 1) + sub
  }
  let from: Pairs = { keys, pointers }
  let to: Pairs = { keys: new Uint32Array(keys.length), pointers: new Uint32Array(keys.length) }
  for (let shift = 0; 2 ** shift < keyMax; shift += digitBits) {
    distribute(from, to, shift)
    ;[from, to] = [to, from]
  }
  return from.pointers
}

interface Pairs {
  readonly keys: Uint32Array
  readonly pointers: Uint32Array
}

const digitBits = 11

/** One pass, stable: by one digit. */
function distribute(from: Pairs, to: Pairs, shift: number): void {
  const mask = (1 << digitBits) - 1
  const places = new Uint32Array(mask + 1)
  for (const key of from.keys) places[(key >>> shift) & mask]!++
  let sum = 0
  for (let digit = 0; digit <= mask; digit++) {
    const count = places[digit]!
    places[digit] = sum
    sum += count
  }
  for (let index = 0; index < from.keys.length; index++) {
    const place = places[(from.keys[index]! >>> shift) & mask]!++
    to.keys[place] = from.keys[index]!
    to.pointers[place] = from.pointers[index]!
  }
}

function sortByPairs(pointers: Uint32Array, entries: VersionEntries): Pointer[] {
  return [...pointers].sort(
    (one, two) =>
      entries.modRevision(one) - entries.modRevision(two) || entries.sub(one) - entries.sub(two),
  )
}

/** Puts a revision log that was filled in another order (by loading a checkpoint) into its own. */
import type { Pointer } from './entry.ts'
import type { RevisionLog } from './revision-log.ts'
import type { VersionEntries } from './version-entry.ts'

export function sortByRevision(log: RevisionLog, entries: VersionEntries): void {
  if (isSorted(log, entries)) return
  const pointers: Pointer[] = []
  for (let number = log.first; number < log.end; number++) pointers.push(log.at(number))
  const sorted = sortAsNumbers(pointers, entries) ?? sortAsPairs(pointers, entries)
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

/** Revision, sub and index as one number each, if that fits: typed arrays sort without a comparator. */
function sortAsNumbers(pointers: Pointer[], entries: VersionEntries): Pointer[] | undefined {
  const count = pointers.length
  let low = Number.MAX_SAFE_INTEGER
  let high = 0
  let subMax = 0
  const numbers = new Float64Array(count)
  for (let index = 0; index < count; index++) {
    const revision = entries.modRevision(pointers[index]!)
    numbers[index] = revision
    low = Math.min(low, revision)
    high = Math.max(high, revision)
    subMax = Math.max(subMax, entries.sub(pointers[index]!))
  }
  if ((high - low + 1) * (subMax + 1) * count > Number.MAX_SAFE_INTEGER) return undefined
  for (let index = 0; index < count; index++) {
    const sub = subMax === 0 ? 0 : entries.sub(pointers[index]!)
    numbers[index] = ((numbers[index]! - low) * (subMax + 1) + sub) * count + index
  }
  numbers.sort()
  const sorted = new Array<Pointer>(count)
  for (let index = 0; index < count; index++) sorted[index] = pointers[numbers[index]! % count]!
  return sorted
}

function sortAsPairs(pointers: Pointer[], entries: VersionEntries): Pointer[] {
  return pointers.sort(
    (one, two) =>
      entries.modRevision(one) - entries.modRevision(two) || entries.sub(one) - entries.sub(two),
  )
}

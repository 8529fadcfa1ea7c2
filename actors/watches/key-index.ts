/**
 * Who watches a key: single keys by a map; prefixes, which nearly all ranges are, by a map for each
 * length of prefix; other ranges by a tree. What it costs to look a key up depends on how many
 * lengths there are, hardly on how many watches.
 */
import { IntervalTree, removeMember } from './interval-tree.ts'

/** `to` undefined: the key `from` alone; null: all keys from `from` on. */
export interface Watched {
  readonly from: string
  readonly to: string | null | undefined
}

export class KeyIndex<T extends Watched> {
  readonly #keys = new Map<string, T[]>()
  readonly #prefixes: Prefixes<T>[] = []
  readonly #ranges = new IntervalTree<T>()
  #rangeCount = 0

  add(member: T): void {
    const { from, to } = member
    if (to === undefined) addTo(this.#keys, from, member)
    else if (isPrefix(from, to)) addTo(this.#prefixesOf(from.length).members, from, member)
    else {
      this.#ranges.add(from, to, member)
      this.#rangeCount += 1
    }
  }

  remove(member: T): void {
    const { from, to } = member
    if (to === undefined) removeFrom(this.#keys, from, member)
    else if (isPrefix(from, to)) this.#removePrefix(from, member)
    else {
      this.#ranges.remove(from, to, member)
      this.#rangeCount -= 1
    }
  }

  /** Appends everyone who watches `key`. */
  collect(key: string, into: T[]): void {
    append(this.#keys.get(key), into)
    for (const { length, members } of this.#prefixes) {
      if (length > key.length) break
      append(members.get(key.slice(0, length)), into)
    }
    if (this.#rangeCount > 0) this.#ranges.collect(key, into)
  }

  #prefixesOf(length: number): Prefixes<T> {
    let at = 0
    while ((this.#prefixes[at]?.length ?? Number.POSITIVE_INFINITY) < length) at += 1
    const found = this.#prefixes[at]
    if (found?.length === length) return found
    const added: Prefixes<T> = { length, members: new Map() }
    this.#prefixes.splice(at, 0, added)
    return added
  }

  #removePrefix(from: string, member: T): void {
    const { length, members } = this.#prefixesOf(from.length)
    removeFrom(members, from, member)
    if (members.size > 0) return
    const at = this.#prefixes.findIndex(prefixes => prefixes.length === length)
    this.#prefixes.splice(at, 1)
  }
}

/** In order of length. */
interface Prefixes<T> {
  readonly length: number
  readonly members: Map<string, T[]>
}

/** [from, to) holds exactly the keys that begin with `from`. */
function isPrefix(from: string, to: string | null): boolean {
  if (to === null) return false
  const last = to.length - 1
  // The end of a prefix: its trailing 0xff cut off, and its last byte one more.
  for (let at = last + 1; at < from.length; at += 1) if (from.charCodeAt(at) !== 0xff) return false
  return (
    from.length > last &&
    to.charCodeAt(last) === from.charCodeAt(last) + 1 &&
    from.startsWith(to.slice(0, last))
  )
}

function addTo<T>(map: Map<string, T[]>, key: string, member: T): void {
  const members = map.get(key)
  if (members === undefined) map.set(key, [member])
  else members.push(member)
}

function removeFrom<T>(map: Map<string, T[]>, key: string, member: T): void {
  const members = map.get(key)
  if (members === undefined) return
  removeMember(members, member)
  if (members.length === 0) map.delete(key)
}

function append<T>(members: readonly T[] | undefined, into: T[]): void {
  if (members === undefined) return
  for (const member of members) into.push(member)
}

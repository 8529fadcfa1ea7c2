/**
 * Who watches a key: single keys by a map; prefixes, which nearly all ranges are, by a map for each
 * length of prefix; other ranges by a tree. What it costs to look a key up depends on how many
 * lengths there are, hardly on how many watches.
 */
import { addMember, IntervalTree, type Placed, removeMember } from './interval-tree.ts'

/** `to` undefined: the key `from` alone; null: all keys from `from` on. */
export interface Watched extends Placed {
  readonly from: string
  readonly to: string | null | undefined
}

export class KeyIndex<T extends Watched> {
  readonly #keys = new Groups<T>()
  readonly #prefixes: Prefixes<T>[] = []
  readonly #ranges = new IntervalTree<T>()
  #rangeCount = 0

  add(member: T): void {
    const { from, to } = member
    if (to === undefined) this.#keys.add(from, member)
    else if (isPrefix(from, to)) this.#prefixesOf(from.length).members.add(from, member)
    else {
      this.#ranges.add(from, to, member)
      this.#rangeCount += 1
    }
  }

  remove(member: T): void {
    const { from, to } = member
    if (to === undefined) this.#keys.remove(from, member)
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
    const added: Prefixes<T> = { length, members: new Groups() }
    this.#prefixes.splice(at, 0, added)
    return added
  }

  #removePrefix(from: string, member: T): void {
    const { length, members } = this.#prefixesOf(from.length)
    members.remove(from, member)
    if (!members.isEmpty) return
    const at = this.#prefixes.findIndex(prefixes => prefixes.length === length)
    this.#prefixes.splice(at, 1)
  }
}

/** In order of length. */
interface Prefixes<T extends Placed> {
  readonly length: number
  readonly members: Groups<T>
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

/**
 * Members by key. A key stays for a while when it has none any more: clients watch the same keys again
 * and again, and a map out of which one key is taken and put back all the time gets slow.
 */
class Groups<T extends Placed> {
  readonly #groups = new Map<string, T[]>()
  #idleCount = 0

  get isEmpty(): boolean {
    return this.#groups.size === this.#idleCount
  }

  get(key: string): readonly T[] | undefined {
    return this.#groups.get(key)
  }

  add(key: string, member: T): void {
    let members = this.#groups.get(key)
    if (members === undefined) this.#groups.set(key, (members = []))
    else if (members.length === 0) this.#idleCount -= 1
    addMember(members, member)
  }

  remove(key: string, member: T): void {
    const members = this.#groups.get(key)
    if (members === undefined) return
    removeMember(members, member)
    if (members.length > 0) return
    this.#idleCount += 1
    if (this.#idleCount <= this.#groups.size / 2 + idleMin) return
    for (const [idle, none] of this.#groups) if (none.length === 0) this.#groups.delete(idle)
    this.#idleCount = 0
  }
}

/** So many keys without members are kept in any case. */
const idleMin = 64

function append<T>(members: readonly T[] | undefined, into: T[]): void {
  if (members === undefined) return
  for (const member of members) into.push(member)
}

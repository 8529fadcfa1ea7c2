/** The keyspace as plainly as it can be said: what the tests compare the real one with. */
export type Pointer = number

export class PlainKeyspace {
  #versions: (Version | undefined)[] = [undefined]
  #byKey = new Map<string, Pointer[]>()
  #sorted: string[] | undefined = []
  #log: Pointer[] = []
  #revision = 1
  #compactRevision = 0
  #compactionPending = false
  #keyCount = 0
  #undo: (() => void)[] | undefined

  /** The newest revision; 1 while nothing was ever put. The first change of a revision sets it. */
  get revision(): number {
    return this.#revision
  }

  /** Reads below it are refused by the caller; 0 while nothing was compacted. */
  get compactRevision(): number {
    return this.#compactRevision
  }

  /** Keys that exist now. */
  get keyCount(): number {
    return this.#keyCount
  }

  /** Of what readers can see: versions from the compacted revision on, and those current at it. */
  get heldBytes(): number {
    let bytes = this.keyCount * 32
    for (const versions of this.#byKey.values()) {
      versions.forEach((pointer, index) => {
        const next = versions[index + 1]
        const obsolete = next !== undefined && this.modRevision(next) <= this.#compactRevision
        const gone = this.deleted(pointer) && this.modRevision(pointer) <= this.#compactRevision
        if (obsolete || gone) return
        const size = 80 + this.keyLength(pointer) + this.valueLength(pointer)
        bytes += Math.ceil(size / 8) * 8 + 8
      })
    }
    return bytes
  }

  /** The version that was current at `revision` (0: now); 0 when the key did not exist then. */
  get(key: Uint8Array, revision = 0): Pointer {
    return this.#at(text(key), revision)
  }

  /** `revision` is `keyspace.revision + 1` for a command's first change and the same for its others. */
  put(
    key: Uint8Array,
    value: Uint8Array,
    leaseHigh: number,
    leaseLow: number,
    revision: number,
    sub: number,
  ): Pointer {
    const old = this.#entry(this.get(key))
    return this.#append({
      key: key.slice(),
      value: value.slice(),
      deleted: false,
      create: old ? old.create : revision,
      mod: revision,
      version: old ? old.version + 1 : 1,
      sub,
      leaseHigh: leaseHigh >>> 0,
      leaseLow: leaseLow >>> 0,
    })
  }

  /** Returns the version that was deleted, still readable as `prev_kv`; 0 when there was no such key. */
  delete(key: Uint8Array, revision: number, sub: number): Pointer {
    const pointer = this.get(key)
    if (pointer === 0) return 0
    this.#append({
      key: key.slice(),
      value: new Uint8Array(0),
      deleted: true,
      create: 0,
      mod: revision,
      version: 0,
      sub,
      leaseHigh: 0,
      leaseLow: 0,
    })
    return pointer
  }

  /**
   * Appends to `into`, in key order, what existed at `revision` (0: now) in [from, to), at most
   * `limit` (0: all) of them; `to` null is the end of all keys. Returns how many.
   */
  range(
    from: Uint8Array,
    to: Uint8Array | null,
    revision: number,
    limit: number,
    into: Pointer[],
  ): number {
    this.#sorted ??= [...this.#byKey.keys()].sort()
    const low = text(from)
    const high = to === null ? undefined : text(to)
    let found = 0
    for (const key of this.#sorted) {
      if (key < low || (high !== undefined && key >= high)) continue
      const pointer = this.#at(key, revision)
      if (pointer === 0) continue
      into.push(pointer)
      if (++found === limit) break
    }
    return found
  }

  /** How many keys `range` would find without a limit. */
  count(from: Uint8Array, to: Uint8Array | null, revision: number): number {
    return this.range(from, to, revision, 0, [])
  }

  /**
   * Appends to `into` every change from `fromRevision` on, tombstones too, in the order of
   * (revision, sub), whole revisions only, at most `revisionsMax` distinct ones. Returns the
   * revision to go on from: all changes below it are in. `fromRevision` is not below
   * `compactRevision`.
   */
  changes(fromRevision: number, revisionsMax: number, into: Pointer[]): number {
    let revisions = 0
    let last = 0
    for (const pointer of this.#log) {
      const mod = this.modRevision(pointer)
      if (mod < fromRevision) continue
      if (mod !== last && ++revisions > revisionsMax) return mod
      last = mod
      into.push(pointer)
    }
    return Math.max(fromRevision, this.#revision + 1)
  }

  /** History below `revision` is gone for readers at once, and from memory by `compactStep`. */
  compact(revision: number): void {
    this.#compactRevision = revision
    this.#compactionPending = true
  }

  /** Frees compacted versions, looking at no more than `entriesMax`; true when nothing is left to do. */
  compactStep(entriesMax: number): boolean {
    if (!this.#compactionPending || entriesMax <= 0) return !this.#compactionPending
    for (const [key, versions] of this.#byKey) {
      const keep = versions.filter((pointer, index) => {
        const mod = this.modRevision(pointer)
        if (mod > this.#compactRevision) return true
        const next = versions[index + 1]
        if (next !== undefined && this.modRevision(next) <= this.#compactRevision) return false
        return !this.deleted(pointer) || mod === this.#compactRevision
      })
      if (keep.length === versions.length) continue
      const kept = new Set(keep)
      this.#log = this.#log.filter(pointer => !versions.includes(pointer) || kept.has(pointer))
      if (keep.length === 0) this.#byKey.delete(key)
      else this.#byKey.set(key, keep)
    }
    this.#sorted = undefined
    this.#compactionPending = false
    return true
  }

  /**
   * The version of the same key just before this one, for prev_kv; 0 when this one created the key,
   * or when that version is compacted.
   */
  previous(pointer: Pointer): Pointer {
    const version = this.#of(pointer)
    const versions = this.#byKey.get(text(version.key)) ?? []
    const before = versions[versions.indexOf(pointer) - 1] ?? 0
    return before === 0 || this.deleted(before) ? 0 : before
  }

  /** From here every change can be undone as one, until `commit` or `rollback`. Not nested. */
  begin(): void {
    this.#undo = []
  }

  commit(): void {
    this.#undo = undefined
  }

  rollback(): void {
    const undo = this.#undo ?? []
    this.#undo = undefined
    while (undo.length > 0) undo.pop()!()
  }

  /** Appends the keys attached to this lease to `into`, as pointers to their current versions, in key order. */
  leased(leaseHigh: number, leaseLow: number, into: Pointer[]): number {
    const all: Pointer[] = []
    this.range(new Uint8Array(0), null, 0, 0, all)
    let found = 0
    for (const pointer of all) {
      if (this.leaseHigh(pointer) !== leaseHigh >>> 0) continue
      if (this.leaseLow(pointer) !== leaseLow >>> 0) continue
      into.push(pointer)
      found++
    }
    return found
  }

  deleted(pointer: Pointer): boolean {
    return this.#of(pointer).deleted
  }

  /** 0 for a tombstone. */
  createRevision(pointer: Pointer): number {
    return this.#of(pointer).create
  }

  modRevision(pointer: Pointer): number {
    return this.#of(pointer).mod
  }

  sub(pointer: Pointer): number {
    return this.#of(pointer).sub
  }

  /** 0 for a tombstone. */
  version(pointer: Pointer): number {
    return this.#of(pointer).version
  }

  leaseHigh(pointer: Pointer): number {
    return this.#of(pointer).leaseHigh
  }

  leaseLow(pointer: Pointer): number {
    return this.#of(pointer).leaseLow
  }

  /** The memory that key and value lie in, at the offsets below; never write to it. */
  bytes(pointer: Pointer): Uint8Array {
    const version = this.#of(pointer)
    const bytes = new Uint8Array(version.key.length + version.value.length)
    bytes.set(version.key)
    bytes.set(version.value, version.key.length)
    return bytes
  }

  keyOffset(_pointer: Pointer): number {
    return 0
  }

  keyLength(pointer: Pointer): number {
    return this.#of(pointer).key.length
  }

  valueOffset(pointer: Pointer): number {
    return this.#of(pointer).key.length
  }

  valueLength(pointer: Pointer): number {
    return this.#of(pointer).value.length
  }

  /** A copy of the key. */
  key(pointer: Pointer): Uint8Array {
    return this.#of(pointer).key.slice()
  }

  /** A copy of the value. */
  value(pointer: Pointer): Uint8Array {
    return this.#of(pointer).value.slice()
  }

  #of(pointer: Pointer): Version {
    return this.#versions[pointer]!
  }

  #entry(pointer: Pointer): Version | undefined {
    return this.#versions[pointer]
  }

  #at(key: string, revision: number): Pointer {
    const versions = this.#byKey.get(key) ?? []
    for (let index = versions.length - 1; index >= 0; index--) {
      const pointer = versions[index]!
      if (revision > 0 && this.modRevision(pointer) > revision) continue
      return this.deleted(pointer) ? 0 : pointer
    }
    return 0
  }

  #append(version: Version): Pointer {
    const pointer = this.#versions.push(version) - 1
    const key = text(version.key)
    const versions = this.#byKey.get(key) ?? []
    if (versions.length === 0) this.#sorted = undefined
    const revisionBefore = this.#revision
    const countBefore = this.#keyCount
    if (version.deleted) this.#keyCount--
    else if (version.version === 1) this.#keyCount++
    this.#byKey.set(key, versions)
    versions.push(pointer)
    this.#log.push(pointer)
    this.#revision = version.mod
    this.#undo?.push(() => {
      versions.pop()
      if (versions.length === 0) this.#byKey.delete(key)
      this.#sorted = undefined
      this.#log.pop()
      this.#revision = revisionBefore
      this.#keyCount = countBefore
    })
    return pointer
  }
}

interface Version {
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly deleted: boolean
  readonly create: number
  readonly mod: number
  readonly version: number
  readonly sub: number
  readonly leaseHigh: number
  readonly leaseLow: number
}

/** One character a byte, so that strings compare as the bytes do. */
function text(bytes: Uint8Array): string {
  let result = ''
  for (const byte of bytes) result += String.fromCharCode(byte)
  return result
}

/**
 * The ZooKeeper face of the store: znodes by path. Applies happen in order, on one thread; nothing
 * is checked here that a command may get wrong (existence, versions and permissions are the apply's
 * part). `/`, `/zookeeper`, `/zookeeper/quota` and `/zookeeper/config` are there from the start.
 *
 * A `Znode` is a handle, good as long as the node exists (changes of its data included); 0 = none.
 * Bytes stay readable until the next `maintain`, which belongs between commands.
 * Zxids and times are below 2^53; an owner is two uint32 halves, 0/0 = not ephemeral.
 */
import { type AclId, AclTable, openAcl, readOnlyAcl } from './acl-table.ts'
import { ChangeTracker } from './change-tracker.ts'
import {
  byteOf,
  entryType,
  idWord,
  keyByte,
  keyLengthWord,
  type Pointer,
  padded,
  sizeWord,
  slabOf,
  typeWord,
  wordOf,
} from './entry.ts'
import { EntryIndex, indexedEntryBytes } from './entry-index.ts'
import { KeyWalk } from './key-walk.ts'
import { OwnerIndex } from './owner-index.ts'
import type { Mover } from './slabs.ts'
import { StateHash } from './state-hash.ts'
import { nameStart, pathOfKey, TreeKey, textOf } from './tree-keys.ts'
import { UndoLog, undoStep } from './undo-log.ts'
import {
  aclWord,
  aversionWord,
  childrenWord,
  creationsWord,
  ctimeWord,
  czxidWord,
  mtimeWord,
  mzxidWord,
  ownerHighWord,
  ownerLowWord,
  pzxidWord,
  relativeWord,
  versionWord,
  ZnodeEntries,
  znodeKind,
} from './znode-entry.ts'

export { znodeKind } from './znode-entry.ts'

export type Znode = number

export interface NewZnode {
  readonly data: Uint8Array | null
  readonly acl: AclId
  readonly ownerHigh: number
  readonly ownerLow: number
  readonly kind: number
  /** Milliseconds, of kind `timeToLive` only; else 0. */
  readonly ttl: number
  readonly zxid: number
  /** Milliseconds since 1970. */
  readonly time: number
}

export class Tree implements Mover {
  readonly acls = new AclTable()
  readonly index: EntryIndex
  readonly hash = new StateHash()
  readonly tracker = new ChangeTracker()
  readonly #entries: ZnodeEntries
  readonly #owners = new OwnerIndex()
  readonly #undo = new UndoLog()
  readonly #key = new TreeKey()
  #nodeCount = 0
  #textBytes = 0
  #entryBytes = 0
  #loading = false

  constructor(seed = 0) {
    this.index = new EntryIndex(seed)
    this.#entries = new ZnodeEntries(this.index.slabs)
    const acl = this.acls.intern(openAcl)
    const born = { data: empty, acl, ownerHigh: 0, ownerLow: 0, kind: 0, ttl: 0, zxid: 0, time: 0 }
    this.#key.setPath('/')
    const root = this.#addNode(born)
    const zookeeper = this.#addInitial(root, '/zookeeper', born)
    this.#addInitial(zookeeper, '/zookeeper/quota', born)
    const readOnly = this.acls.intern(readOnlyAcl)
    const config = this.#addInitial(zookeeper, '/zookeeper/config', { ...born, acl: readOnly })
    this.#change(config, pointer => {
      this.#entries.setWord(pointer, versionWord, -1)
      this.#entries.setWord(pointer, aversionWord, -1)
    })
  }

  get root(): Znode {
    return this.index.find(this.#key.bytes, 0)
  }

  /** Nodes there are, the four from the start included. */
  get nodeCount(): number {
    return this.#nodeCount
  }

  get ephemeralCount(): number {
    return this.#owners.count
  }

  /** All paths and data, about. */
  get textBytes(): number {
    return this.#textBytes
  }

  /** Bytes of nodes and access lists, with what their indexes take: the same on all replicas. */
  get heldBytes(): number {
    return this.#entryBytes + this.acls.heldBytes
  }

  /** Bytes of memory taken, holes and what is not given back yet included. */
  get reservedBytes(): number {
    return this.index.slabs.reservedBytes + this.index.indexBytes + this.acls.heldBytes
  }

  /** How much larger a new node makes what is held, its parent's family included where it is the first child. */
  createBytes(parent: Znode, path: string, dataLength: number): number {
    const bytes = padded(keyByte + Buffer.byteLength(path) + dataLength) + indexedEntryBytes
    if (this.#family(parent) !== 0) return bytes
    const parentKey = this.#entries.word(this.index.table.get(parent), keyLengthWord)
    return bytes + padded(keyByte + parentKey + 8) + indexedEntryBytes
  }

  /** How much larger other data makes what is held; negative where it is shorter. */
  setDataBytes(node: Znode, dataLength: number): number {
    const pointer = this.index.table.get(node)
    const keyLength = this.#entries.word(pointer, keyLengthWord)
    return padded(keyByte + keyLength + dataLength) - this.#entries.word(pointer, sizeWord)
  }

  get hashLow(): number {
    return this.hash.low
  }

  get hashHigh(): number {
    return this.hash.high
  }

  /** The node at this path (UTF-8 when bytes), or 0. */
  find(path: string | Uint8Array): Znode {
    if (!this.#key.setPath(path)) return 0
    return this.#findNode()
  }

  /** The last part of `path` must be new under `parent`, which must be its parent. */
  create(parent: Znode, path: string | Uint8Array, node: NewZnode): Znode {
    this.#updateFamily(parent, 1, 1, node.zxid)
    this.#key.setPath(path)
    return this.#addNode(node)
  }

  /** The node must have no children. */
  delete(node: Znode, zxid: number, parent = this.parent(node)): void {
    const family = this.#entries.word(this.index.table.get(node), relativeWord)
    if (family !== 0) this.#remove(family)
    this.acls.release(this.acl(node))
    this.#undo.note(undoStep.aclReleased, this.acl(node), 0)
    this.#remove(node)
    this.#updateFamily(parent, 0, -1, zxid)
  }

  setData(node: Znode, data: Uint8Array | null, zxid: number, time: number): void {
    if (this.#overwrite(node, data, zxid, time)) return
    const entries = this.#entries
    const old = this.index.table.get(node)
    const bytes = this.index.slabs.bytes[slabOf(old)]!
    const keyLength = entries.word(old, keyLengthWord)
    const pointer = entries.allocate(
      bytes,
      byteOf(old) + keyByte,
      keyLength,
      data,
      entries.kind(old),
    )
    const source = this.index.slabs.words[slabOf(old)]!
    const target = this.index.slabs.words[slabOf(pointer)]!
    const from = wordOf(old)
    const at = wordOf(pointer)
    for (let word = relativeWord; word <= aclWord; word++) target[at + word] = source[from + word]!
    entries.setNumber(pointer, mzxidWord, zxid)
    entries.setNumber(pointer, mtimeWord, time)
    target[at + versionWord] = (source[from + versionWord]! + 1) >>> 0
    this.#replace(node, old, pointer)
  }

  /** Counts `aversion` only. */
  setAcl(node: Znode, acl: AclId): void {
    const before = this.acl(node)
    this.acls.retain(acl)
    this.#undo.note(undoStep.aclRetained, acl, 0)
    this.acls.release(before)
    this.#undo.note(undoStep.aclReleased, before, 0)
    this.#change(node, pointer => {
      this.#entries.setWord(pointer, aclWord, acl)
      this.#entries.setWord(pointer, aversionWord, this.#entries.word(pointer, aversionWord) + 1)
    })
  }

  /** From here every change can be undone as one, until `commit` or `rollback`. Not nested. */
  begin(): void {
    this.#undo.begin()
  }

  commit(): void {
    this.#undo.commit()
  }

  rollback(): void {
    this.#undo.rollback((step, id, pointer) => this.#undoOne(step, id, pointer))
  }

  /** Keeps memory dense, a little at a time; to be called between commands. */
  maintain(): void {
    this.index.slabs.reclaim()
    this.index.slabs.compactStep(this)
    this.acls.sweep()
  }

  /** The parent; 0 for the root. */
  parent(node: Znode): Znode {
    const pointer = this.index.table.get(node)
    const length = this.#entries.word(pointer, keyLengthWord)
    if (length === 0) return 0
    const bytes = this.index.slabs.bytes[slabOf(pointer)]!
    this.#key.setParentOf(bytes, byteOf(pointer) + keyByte, length)
    return this.#findNode()
  }

  path(node: Znode): string {
    const pointer = this.index.table.get(node)
    const bytes = this.index.slabs.bytes[slabOf(pointer)]!
    return pathOfKey(bytes, byteOf(pointer) + keyByte, this.#entries.word(pointer, keyLengthWord))
  }

  /** The last part of the path; '' for the root. */
  name(node: Znode): string {
    const start = this.nameOffset(node)
    return textOf(this.bytes(node), start, start + this.nameLength(node))
  }

  /** Where in `bytes` the last part of the path lies, as UTF-8. */
  nameOffset(node: Znode): number {
    const pointer = this.index.table.get(node)
    const at = byteOf(pointer) + keyByte
    return nameStart(this.bytes(node), at, this.#entries.word(pointer, keyLengthWord))
  }

  nameLength(node: Znode): number {
    const pointer = this.index.table.get(node)
    const end = byteOf(pointer) + keyByte + this.#entries.word(pointer, keyLengthWord)
    return end - this.nameOffset(node)
  }

  /** Appends the children to `into` in the order of their names' bytes; costs what there are children. */
  children(node: Znode, into: Znode[]): number {
    if (this.childCount(node) === 0) return 0
    this.#setFamilyKey(node)
    return this.#collect(1, 0, into)
  }

  /** The ids of the children in the order of their names' bytes, with pauses; some ids are no nodes. */
  walkChildren(node: Znode): KeyWalk {
    this.#setFamilyKey(node)
    const from = this.#key.bytes.slice(0, this.#key.length)
    const to = from.slice()
    to[to.length - 1] = 1
    return new KeyWalk(this.index, from, to)
  }

  isNode(id: number): boolean {
    return this.#entries.type(this.index.table.get(id)) === entryType.znode
  }

  /** How many ephemeral nodes this owner has. */
  ownedCount(ownerHigh: number, ownerLow: number): number {
    return this.#owners.of(ownerHigh >>> 0, ownerLow >>> 0).length
  }

  /** The same, in no order; a copy. */
  ownedUnsorted(ownerHigh: number, ownerLow: number): Znode[] {
    return [...this.#owners.of(ownerHigh >>> 0, ownerLow >>> 0)]
  }

  /** Negative, 0 or positive: an order of nodes that is the same everywhere. */
  compareNodes(one: Znode, two: Znode): number {
    const { table } = this.index
    return this.index.compareKeys(table.get(one), table.get(two))
  }

  /** Appends all nodes below `node`, itself not, at most `limit` (0: all), in an order that is the same everywhere. */
  descendants(node: Znode, limit: number, into: Znode[]): number {
    this.#setFamilyKey(node)
    const children = this.#collect(1, limit, into)
    if (limit > 0 && children === limit) return children
    this.#key.setLast(slash)
    return children + this.#collect(slash + 1, limit === 0 ? 0 : limit - children, into)
  }

  /** How many nodes there are below `node`, itself not counted. */
  descendantCount(node: Znode): number {
    return this.descendants(node, 0, [])
  }

  /** Appends the ephemeral nodes of this owner to `into`, in an order that is the same everywhere. */
  owned(ownerHigh: number, ownerLow: number, into: Znode[]): number {
    const nodes = [...this.#owners.of(ownerHigh >>> 0, ownerLow >>> 0)]
    const { table } = this.index
    nodes.sort((one, two) => this.index.compareKeys(table.get(one), table.get(two)))
    for (const node of nodes) into.push(node)
    return nodes.length
  }

  /** The memory that the data lies in, from `dataOffset`, `dataLength` bytes; never write to it, nor keep it past a change. */
  bytes(node: Znode): Uint8Array {
    return this.index.slabs.bytes[slabOf(this.index.table.get(node))]!
  }

  dataOffset(node: Znode): number {
    const pointer = this.index.table.get(node)
    return byteOf(pointer) + keyByte + this.#entries.word(pointer, keyLengthWord)
  }

  /** −1 when the data is null, which is not the same as empty. */
  dataLength(node: Znode): number {
    return this.#entries.dataLength(this.index.table.get(node))
  }

  /** A copy of the data. */
  data(node: Znode): Uint8Array | null {
    const length = this.dataLength(node)
    if (length < 0) return null
    const at = this.dataOffset(node)
    return new Uint8Array(this.bytes(node).subarray(at, at + length))
  }

  acl(node: Znode): AclId {
    return this.#entries.word(this.index.table.get(node), aclWord)
  }

  czxid(node: Znode): number {
    return this.#entries.number(this.index.table.get(node), czxidWord)
  }

  mzxid(node: Znode): number {
    return this.#entries.number(this.index.table.get(node), mzxidWord)
  }

  ctime(node: Znode): number {
    return this.#entries.number(this.index.table.get(node), ctimeWord)
  }

  mtime(node: Znode): number {
    return this.#entries.number(this.index.table.get(node), mtimeWord)
  }

  version(node: Znode): number {
    return this.#entries.word(this.index.table.get(node), versionWord) | 0
  }

  /** What clients see: creations of children twice, less the children there are. */
  cversion(node: Znode): number {
    return (2 * this.creations(node) - this.childCount(node)) | 0
  }

  aversion(node: Znode): number {
    return this.#entries.word(this.index.table.get(node), aversionWord) | 0
  }

  ownerHigh(node: Znode): number {
    return this.#owner(this.index.table.get(node), ownerHighWord)
  }

  ownerLow(node: Znode): number {
    return this.#owner(this.index.table.get(node), ownerLowWord)
  }

  isEphemeral(node: Znode): boolean {
    return (this.ownerHigh(node) | this.ownerLow(node)) !== 0
  }

  pzxid(node: Znode): number {
    const family = this.#family(node)
    return family === 0 ? this.czxid(node) : this.#entries.number(family, pzxidWord)
  }

  childCount(node: Znode): number {
    const family = this.#family(node)
    return family === 0 ? 0 : this.#entries.word(family, childrenWord)
  }

  /** The same; 0 where there is no node. */
  childCountAt(node: Znode): number {
    return node === 0 ? 0 : this.childCount(node)
  }

  /** Children ever created, an int32 that wraps: the number of the next sequential name. */
  creations(node: Znode): number {
    const family = this.#family(node)
    return family === 0 ? 0 : this.#entries.word(family, creationsWord) | 0
  }

  kind(node: Znode): number {
    return this.#entries.kind(this.index.table.get(node))
  }

  ttl(node: Znode): number {
    if (this.kind(node) !== znodeKind.timeToLive) return 0
    return this.#entries.number(this.index.table.get(node), ownerHighWord)
  }

  /** Takes over one entry of a checkpoint's block; the access lists are there already. */
  load(pointer: Pointer): void {
    if (!this.#loading) this.#beginLoad()
    const words = this.index.slabs.words[slabOf(pointer)]!
    words[wordOf(pointer) + typeWord]! &= ~0xff00
    const above = this.index.isAboveAll(pointer)
    const id = above ? 0 : this.index.findKeyOf(pointer)
    const type = this.#entries.type(pointer)
    if (type === entryType.gone) this.#loadGone(id, pointer)
    else if (type === entryType.family) this.#loadFamily(id, pointer)
    else this.#loadNode(id, pointer, above)
  }

  /** Ends a sequence of `load`s. */
  finishLoad(): void {
    this.#loading = false
    this.tracker.loaded()
  }

  /** A checkpoint has been listed; its `gone` entries are not needed any more. */
  endListing(gone: readonly Pointer[], succeeded: boolean): void {
    for (const pointer of gone) this.index.slabs.free(pointer)
    this.tracker.end(succeeded)
    this.index.slabs.unstick()
  }

  movable(pointer: Pointer): boolean {
    if (this.#entries.type(pointer) !== entryType.gone) return true
    return this.tracker.holdsGone(this.#entries.word(pointer, idWord), pointer)
  }

  moved(from: Pointer, to: Pointer): void {
    const id = this.#entries.word(to, idWord)
    if (this.#entries.type(to) === entryType.gone) this.tracker.goneMoved(id, to)
    else if (this.index.table.get(id) === from) this.index.table.set(id, to)
  }

  #findNode(): Znode {
    const id = this.index.find(this.#key.bytes, this.#key.length)
    if (id === 0) return 0
    return this.#entries.type(this.index.table.get(id)) === entryType.znode ? id : 0
  }

  #owner(pointer: Pointer, word: number): number {
    return this.#entries.kind(pointer) === znodeKind.ordinary
      ? this.#entries.word(pointer, word)
      : 0
  }

  #family(node: Znode): Pointer {
    const id = this.#entries.word(this.index.table.get(node), relativeWord)
    return id === 0 ? 0 : this.index.table.get(id)
  }

  #setFamilyKey(node: Znode): void {
    const pointer = this.index.table.get(node)
    const bytes = this.index.slabs.bytes[slabOf(pointer)]!
    const length = this.#entries.word(pointer, keyLengthWord)
    this.#key.setFamilyOf(bytes, byteOf(pointer) + keyByte, length)
  }

  /** Nodes from the key on, up to the key with `end` for its last byte; what is no node is left out. */
  #collect(end: number, limit: number, into: Znode[]): number {
    const { order, table } = this.index
    const first = this.#key.bytes[this.#key.length - 1]!
    let position = order.seek(this.#key.bytes, 0, this.#key.length)
    this.#key.setLast(end)
    const stop = order.seek(this.#key.bytes, 0, this.#key.length)
    this.#key.setLast(first)
    let found = 0
    for (; position !== stop; position = order.next(position)) {
      const id = order.id(position)
      if (this.#entries.type(table.get(id)) !== entryType.znode) continue
      into.push(id)
      if (++found === limit) break
    }
    return found
  }

  #addInitial(parent: Znode, path: string, node: NewZnode): Znode {
    this.#updateFamily(parent, 0, 1, 0)
    this.#key.setPath(path)
    return this.#addNode(node)
  }

  /** Adds a node with the key in hand. */
  #addNode(node: NewZnode): Znode {
    const entries = this.#entries
    const pointer = entries.allocate(this.#key.bytes, 0, this.#key.length, node.data, node.kind)
    entries.setWord(pointer, relativeWord, 0)
    entries.setNumber(pointer, czxidWord, node.zxid)
    entries.setNumber(pointer, mzxidWord, node.zxid)
    entries.setNumber(pointer, ctimeWord, node.time)
    entries.setNumber(pointer, mtimeWord, node.time)
    entries.setWord(pointer, versionWord, 0)
    entries.setWord(pointer, aversionWord, 0)
    entries.setWord(pointer, ownerHighWord, node.ownerHigh)
    entries.setWord(pointer, ownerLowWord, node.ownerLow)
    if (node.kind === znodeKind.timeToLive) entries.setNumber(pointer, ownerHighWord, node.ttl)
    entries.setWord(pointer, aclWord, node.acl)
    this.acls.retain(node.acl)
    this.#undo.note(undoStep.aclRetained, node.acl, 0)
    entries.seal(pointer, this.acls.hash(node.acl))
    return this.#add(pointer)
  }

  #updateFamily(parent: Znode, created: number, more: number, zxid: number): void {
    const entries = this.#entries
    const old = this.#family(parent)
    if (old === 0) {
      this.#setFamilyKey(parent)
      const pointer = entries.family(this.#key.bytes, this.#key.length, zxid, created, more)
      entries.setWord(pointer, relativeWord, parent)
      const family = this.#add(pointer)
      entries.setWord(this.index.table.get(parent), relativeWord, family)
      return
    }
    const family = entries.word(this.index.table.get(parent), relativeWord)
    const creations = entries.word(old, creationsWord) + created
    const children = entries.word(old, childrenWord) + more
    if (this.#mayEdit(family)) {
      this.#beginEdit(family, old)
      entries.fillFamily(old, zxid, creations, children)
      this.#endEdit(old)
    } else {
      const pointer = entries.allocateCopy(old)
      entries.fillFamily(pointer, zxid, creations, children)
      this.#replace(family, old, pointer)
    }
  }

  /** Data that takes the same room goes where the old one is, when nobody else needs that any more. */
  #overwrite(node: Znode, data: Uint8Array | null, zxid: number, time: number): boolean {
    if (!this.#mayEdit(node)) return false
    const entries = this.#entries
    const pointer = this.index.table.get(node)
    this.#beginEdit(node, pointer)
    const fits = entries.overwrite(pointer, data)
    if (fits) {
      entries.setNumber(pointer, mzxidWord, zxid)
      entries.setNumber(pointer, mtimeWord, time)
      entries.setWord(pointer, versionWord, entries.word(pointer, versionWord) + 1)
      entries.seal(pointer, this.acls.hash(entries.word(pointer, aclWord)))
    }
    this.#endEdit(pointer)
    return fits
  }

  #mayEdit(id: number): boolean {
    return !this.#undo.active && this.tracker.mayEdit(id)
  }

  #beginEdit(id: number, pointer: Pointer): void {
    this.tracker.changed(id, pointer)
    this.#uncount(pointer)
  }

  #endEdit(pointer: Pointer): void {
    this.#count(pointer)
  }

  /** Replaces a node's entry by a copy that `edit` changes. */
  #change(node: Znode, edit: (pointer: Pointer) => void): void {
    const old = this.index.table.get(node)
    const pointer = this.#entries.allocateCopy(old)
    edit(pointer)
    this.#replace(node, old, pointer)
  }

  #add(pointer: Pointer): number {
    const id = this.index.add(pointer)
    this.tracker.added(id)
    this.#undo.note(undoStep.added, id, pointer)
    this.#become(id, pointer)
    return id
  }

  #replace(id: number, old: Pointer, pointer: Pointer): void {
    if (this.#entries.type(pointer) === entryType.znode) {
      this.#entries.seal(pointer, this.acls.hash(this.#entries.word(pointer, aclWord)))
    }
    this.tracker.changed(id, old)
    this.#undo.note(undoStep.replaced, id, old)
    this.#exchange(id, old, pointer)
  }

  #remove(id: number): void {
    const pointer = this.index.table.get(id)
    this.tracker.changed(id, pointer)
    const gone = this.#entries.gone(pointer)
    this.#entries.setWord(gone, idWord, this.tracker.removed(gone))
    this.#undo.note(undoStep.removed, id, pointer)
    this.#drop(id, pointer)
  }

  #drop(id: number, pointer: Pointer): void {
    this.#leave(id, pointer)
    this.index.remove(id)
    this.index.slabs.free(pointer)
  }

  /** Of the same node or family: its owner is the same. */
  #exchange(id: number, old: Pointer, pointer: Pointer): void {
    this.#uncount(old)
    this.#count(pointer)
    this.index.replace(id, pointer)
    this.index.slabs.free(old)
  }

  #count(pointer: Pointer): void {
    this.hash.add(this.index.slabs.words[slabOf(pointer)]!, wordOf(pointer))
    this.#textBytes += this.#textBytesOf(pointer)
    this.#entryBytes += this.#entries.word(pointer, sizeWord) + indexedEntryBytes
  }

  #uncount(pointer: Pointer): void {
    this.hash.subtract(this.index.slabs.words[slabOf(pointer)]!, wordOf(pointer))
    this.#textBytes -= this.#textBytesOf(pointer)
    this.#entryBytes -= this.#entries.word(pointer, sizeWord) + indexedEntryBytes
  }

  #textBytesOf(pointer: Pointer): number {
    const entries = this.#entries
    if (entries.type(pointer) !== entryType.znode) return 0
    // The key of the root is empty, its path is not.
    const pathBytes = Math.max(1, entries.word(pointer, keyLengthWord))
    return pathBytes + Math.max(0, entries.dataLength(pointer))
  }

  /** This entry counts from now on. */
  #become(id: number, pointer: Pointer): void {
    this.#count(pointer)
    if (this.#entries.type(pointer) !== entryType.znode) return
    this.#nodeCount++
    const high = this.#owner(pointer, ownerHighWord)
    this.#owners.add(high, this.#owner(pointer, ownerLowWord), id)
  }

  #leave(id: number, pointer: Pointer): void {
    this.#uncount(pointer)
    if (this.#entries.type(pointer) !== entryType.znode) return
    this.#nodeCount--
    const high = this.#owner(pointer, ownerHighWord)
    this.#owners.remove(high, this.#owner(pointer, ownerLowWord), id)
  }

  #undoOne(step: number, id: number, pointer: Pointer): void {
    if (step === undoStep.aclRetained) this.acls.release(id)
    else if (step === undoStep.aclReleased) this.acls.retain(id)
    else if (step === undoStep.added) this.#undoAdded(id)
    else {
      this.index.slabs.revive(pointer)
      this.tracker.restored(id)
      if (step === undoStep.replaced) this.#exchange(id, this.index.table.get(id), pointer)
      else {
        this.index.restore(id, pointer)
        this.#become(id, pointer)
      }
    }
  }

  #undoAdded(id: number): void {
    const pointer = this.index.table.get(id)
    if (this.#entries.type(pointer) === entryType.family) {
      const node = this.#entries.word(pointer, relativeWord)
      this.#entries.setWord(this.index.table.get(node), relativeWord, 0)
    }
    this.#drop(id, pointer)
  }

  /** What every tree has from the start would stand in the way of entries that arrive in order. */
  #beginLoad(): void {
    this.#loading = true
    for (let position = this.index.order.first(); position !== 0; ) {
      const id = this.index.order.id(position)
      this.#drop(id, this.index.table.get(id))
      position = this.index.order.first()
    }
  }

  #loadGone(id: number, pointer: Pointer): void {
    if (id !== 0) {
      const old = this.index.table.get(id)
      const relative = this.#entries.word(old, relativeWord)
      if (relative !== 0) this.#entries.setWord(this.index.table.get(relative), relativeWord, 0)
      this.#drop(id, old)
    }
    this.index.slabs.free(pointer)
  }

  #loadFamily(id: number, pointer: Pointer): void {
    if (id !== 0) {
      const old = this.index.table.get(id)
      this.#entries.setWord(pointer, relativeWord, this.#entries.word(old, relativeWord))
      this.#exchange(id, old, pointer)
      return
    }
    const bytes = this.index.slabs.bytes[slabOf(pointer)]!
    const at = byteOf(pointer) + keyByte
    this.#key.setNodeOf(bytes, at, this.#entries.word(pointer, keyLengthWord))
    const node = this.#findNode()
    const family = this.index.add(pointer)
    this.#become(family, pointer)
    this.#relate(node, family)
  }

  #loadNode(id: number, pointer: Pointer, above: boolean): void {
    if (id !== 0) {
      const old = this.index.table.get(id)
      this.#entries.setWord(pointer, relativeWord, this.#entries.word(old, relativeWord))
      this.#leave(id, old)
      this.index.replace(id, pointer)
      this.index.slabs.free(old)
      this.#become(id, pointer)
      return
    }
    const node = this.index.add(pointer, above)
    this.#become(node, pointer)
    this.#entries.setWord(pointer, relativeWord, 0)
    // A family has a larger key than its node: in a base it comes later, and finds the node itself.
    if (above) return
    this.#setFamilyKey(node)
    this.#relate(node, this.index.find(this.#key.bytes, this.#key.length))
  }

  #relate(node: Znode, family: number): void {
    const { table } = this.index
    if (family !== 0) this.#entries.setWord(table.get(family), relativeWord, node)
    if (node !== 0) this.#entries.setWord(table.get(node), relativeWord, family)
  }
}

const empty = new Uint8Array(0)
const slash = 0x2f

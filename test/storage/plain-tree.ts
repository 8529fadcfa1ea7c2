/** The tree as plainly as it can be said: what the tests compare the real one with. */
import { type AclId, AclTable, openAcl, readOnlyAcl } from '../../storage/acl-table.ts'

import type { NewZnode, Znode } from '../../storage/tree.ts'

export class PlainTree {
  readonly acls = new AclTable()
  #nodes: (Node | undefined)[] = [undefined]
  #byPath = new Map<string, Znode>()
  #undo: (() => void)[] | undefined

  constructor() {
    const open = this.acls.intern(openAcl)
    const born = {
      data: empty,
      acl: open,
      ownerHigh: 0,
      ownerLow: 0,
      kind: 0,
      ttl: 0,
      zxid: 0,
      time: 0,
    }
    this.#add('/', 0, born)
    this.#add('/zookeeper', this.root, born)
    const zookeeper = this.find('/zookeeper')
    this.#add('/zookeeper/quota', zookeeper, born)
    this.#add('/zookeeper/config', zookeeper, { ...born, acl: this.acls.intern(readOnlyAcl) })
    this.#of(this.find('/zookeeper/config')).version = -1
    this.#of(this.find('/zookeeper/config')).aversion = -1
  }

  get root(): Znode {
    return this.find('/')
  }

  /** Nodes there are, the four from the start included. */
  get nodeCount(): number {
    return this.#byPath.size
  }

  /** The node at this path (UTF-8 when bytes), or 0. */
  find(path: string | Uint8Array): Znode {
    return this.#byPath.get(pathText(path)) ?? 0
  }

  /** The last part of `path` must be new under `parent`, which must be its parent. */
  create(parent: Znode, path: string | Uint8Array, node: NewZnode): Znode {
    const created = this.#add(pathText(path), parent, node)
    const family = this.#of(parent)
    this.#remember(family)
    family.creations = (family.creations + 1) | 0
    family.pzxid = node.zxid
    return created
  }

  /** The node must have no children. */
  delete(node: Znode, zxid: number): void {
    const gone = this.#of(node)
    const parent = this.#of(gone.parent)
    this.#remember(parent)
    parent.children.delete(gone.name)
    parent.pzxid = zxid
    this.#byPath.delete(gone.path)
    this.#nodes[node] = undefined
    if (this.#undo === undefined) this.acls.release(gone.acl)
    this.#undo?.push(() => {
      this.#byPath.set(gone.path, node)
      this.#nodes[node] = gone
      parent.children.set(gone.name, node)
    })
  }

  setData(node: Znode, data: Uint8Array | null, zxid: number, time: number): void {
    const record = this.#of(node)
    this.#remember(record)
    record.data = data === null ? null : data.slice()
    record.mzxid = zxid
    record.mtime = time
    record.version = (record.version + 1) | 0
  }

  /** Counts `aversion` only. */
  setAcl(node: Znode, acl: AclId): void {
    const record = this.#of(node)
    this.#remember(record)
    this.acls.retain(acl)
    if (this.#undo === undefined) this.acls.release(record.acl)
    record.acl = acl
    record.aversion = (record.aversion + 1) | 0
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

  /** The parent; 0 for the root. */
  parent(node: Znode): Znode {
    return this.#of(node).parent
  }

  path(node: Znode): string {
    return this.#of(node).path
  }

  /** The last part of the path; '' for the root. */
  name(node: Znode): string {
    return this.#of(node).name
  }

  /** Appends the children to `into` in the order of their names' bytes; costs what there are children. */
  children(node: Znode, into: Znode[]): number {
    const names = [...this.#of(node).children.keys()].sort()
    for (const name of names) into.push(this.#of(node).children.get(name)!)
    return names.length
  }

  /** Appends all nodes below `node`, itself not, at most `limit` (0: all), in no promised order but the same everywhere. */
  descendants(node: Znode, limit: number, into: Znode[]): number {
    const path = this.path(node)
    const prefix = path === '/' ? '/' : `${path}/`
    let found = 0
    for (const candidate of [...this.#byPath.keys()].sort()) {
      if (candidate === '/' || !candidate.startsWith(prefix)) continue
      into.push(this.#byPath.get(candidate)!)
      if (++found === limit) break
    }
    return found
  }

  /** How many nodes there are below `node`, itself not counted. */
  descendantCount(node: Znode): number {
    return this.descendants(node, 0, [])
  }

  /** Appends the ephemeral nodes of this owner to `into`, in the order of their paths' bytes. */
  owned(ownerHigh: number, ownerLow: number, into: Znode[]): number {
    let found = 0
    for (const path of [...this.#byPath.keys()].sort()) {
      const node = this.#byPath.get(path)!
      if (this.ownerHigh(node) !== ownerHigh >>> 0) continue
      if (this.ownerLow(node) !== ownerLow >>> 0) continue
      into.push(node)
      found++
    }
    return found
  }

  /** The memory that the data lies in, from `dataOffset`, `dataLength` bytes; never write to it, nor keep it past a change. */
  bytes(node: Znode): Uint8Array {
    return this.#of(node).data ?? empty
  }

  dataOffset(_node: Znode): number {
    return 0
  }

  /** −1 when the data is null, which is not the same as empty. */
  dataLength(node: Znode): number {
    return this.#of(node).data?.length ?? -1
  }

  /** A copy of the data. */
  data(node: Znode): Uint8Array | null {
    return this.#of(node).data?.slice() ?? null
  }

  acl(node: Znode): AclId {
    return this.#of(node).acl
  }

  czxid(node: Znode): number {
    return this.#of(node).czxid
  }

  mzxid(node: Znode): number {
    return this.#of(node).mzxid
  }

  ctime(node: Znode): number {
    return this.#of(node).ctime
  }

  mtime(node: Znode): number {
    return this.#of(node).mtime
  }

  version(node: Znode): number {
    return this.#of(node).version
  }

  /** What clients see: creations of children twice, less the children there are. */
  cversion(node: Znode): number {
    return (2 * this.creations(node) - this.childCount(node)) | 0
  }

  aversion(node: Znode): number {
    return this.#of(node).aversion
  }

  ownerHigh(node: Znode): number {
    return this.#of(node).ownerHigh
  }

  ownerLow(node: Znode): number {
    return this.#of(node).ownerLow
  }

  isEphemeral(node: Znode): boolean {
    return (this.ownerHigh(node) | this.ownerLow(node)) !== 0
  }

  pzxid(node: Znode): number {
    return this.#of(node).pzxid
  }

  childCount(node: Znode): number {
    return this.#of(node).children.size
  }

  /** Children ever created, an int32 that wraps: the number of the next sequential name. */
  creations(node: Znode): number {
    return this.#of(node).creations
  }

  kind(node: Znode): number {
    return this.#of(node).kind
  }

  ttl(node: Znode): number {
    return this.#of(node).ttl
  }

  #add(path: string, parent: Znode, node: NewZnode): Znode {
    const handle = this.#nodes.length
    const name = path.slice(path.lastIndexOf('/') + 1)
    const { acl, zxid, time } = node
    this.acls.retain(acl)
    const data = node.data === null ? null : node.data.slice()
    this.#nodes.push({
      path,
      name,
      parent,
      data,
      acl,
      czxid: zxid,
      mzxid: zxid,
      pzxid: zxid,
      ctime: time,
      mtime: time,
      version: 0,
      aversion: 0,
      creations: 0,
      children: new Map(),
      ownerHigh: node.ownerHigh >>> 0,
      ownerLow: node.ownerLow >>> 0,
      kind: node.kind,
      ttl: node.ttl,
    })
    this.#byPath.set(path, handle)
    this.#nodes[parent]?.children.set(name, handle)
    this.#undo?.push(() => {
      this.#byPath.delete(path)
      this.#nodes[parent]?.children.delete(name)
      this.#nodes[handle] = undefined
      this.acls.release(acl)
    })
    return handle
  }

  #remember(record: Node): void {
    const { data, acl, mzxid, pzxid, mtime, version, aversion, creations } = record
    this.#undo?.push(() => {
      Object.assign(record, { data, acl, mzxid, pzxid, mtime, version, aversion, creations })
    })
  }

  #of(node: Znode): Node {
    const record = this.#nodes[node]
    if (record === undefined) throw new Error(`there is no znode with handle ${node}`)
    return record
  }
}

interface Node {
  readonly path: string
  readonly name: string
  readonly parent: Znode
  data: Uint8Array | null
  acl: AclId
  readonly czxid: number
  mzxid: number
  pzxid: number
  readonly ctime: number
  mtime: number
  version: number
  aversion: number
  creations: number
  readonly children: Map<string, Znode>
  readonly ownerHigh: number
  readonly ownerLow: number
  readonly kind: number
  readonly ttl: number
}

const empty = new Uint8Array(0)
const decoder = new TextDecoder()

function pathText(path: string | Uint8Array): string {
  return typeof path === 'string' ? path : decoder.decode(path)
}

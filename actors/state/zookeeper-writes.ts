/**
 * The writes on the tree, one function each: they read their record, check in ZooKeeper's order
 * (facts 1.11) and either change the tree or return the error and change nothing. What they did
 * stands in fields afterwards, for the answer; changes gather until the command has succeeded.
 */
import type { AclId } from '../../storage/acl-table.ts'
import { type Tree, type Znode, znodeKind } from '../../storage/tree.ts'
import { errorCode } from '../../transport/zookeeper/errors.ts'
import { skipAcls } from '../../transport/zookeeper/acl.ts'
import { type JuteReader, readText } from '../../transport/zookeeper/jute-reader.ts'
import {
  createMode,
  eventType,
  isCreateMode,
  permission,
} from '../../transport/zookeeper/operations.ts'
import { isValidPath, parentOf, sequenceSuffix } from '../../transport/zookeeper/paths.ts'
import type { ZnodeChanged } from '../watches/messages.ts'
import type { Space } from './space.ts'
import { Access } from './zookeeper-access.ts'

export class TreeWrites {
  readonly access: Access
  /** The node that the last write made or changed, and the path of a created one. */
  node: Znode = 0
  path = ''
  /** Set before a command. */
  zxid = 0
  time = 0
  ownerHigh = 0
  ownerLow = 0
  watched = false
  changes: ZnodeChanged[] = []
  readonly #tree: Tree
  readonly #space: Space
  readonly #pathReader = new PathReader()

  constructor(tree: Tree, space: Space) {
    this.#tree = tree
    this.#space = space
    this.access = new Access(tree.acls)
  }

  create(reader: JuteReader): number {
    const tree = this.#tree
    let path = reader.string()
    reader.span()
    const data = dataOf(reader)
    const aclAt = reader.at
    skipAcls(reader)
    const flags = reader.int()
    const end = reader.at
    if (!isCreateMode(flags)) return errorCode.badArguments
    if (flags > createMode.ephemeralSequential) return errorCode.unimplemented
    if (!path.includes('/') || path.includes('\0')) return errorCode.badArguments
    reader.at = aclAt
    const acl = this.access.accept(reader)
    reader.at = end
    if (acl === undefined) return errorCode.invalidAcl
    const parent = tree.find(parentOf(path))
    if (parent === 0) return errorCode.noNode
    if (!this.access.permits(tree.acl(parent), permission.create)) return errorCode.noAuth
    if ((flags & createMode.persistentSequential) !== 0) {
      path += sequenceSuffix(tree.creations(parent))
    }
    if (!isValidPath(path)) return errorCode.badArguments
    if (tree.find(path) !== 0) return errorCode.nodeExists
    if (tree.isEphemeral(parent)) return errorCode.noChildrenForEphemerals
    const list = tree.acls.intern(acl)
    const growthBytes = tree.createBytes(parent, path, lengthOf(data)) + tree.acls.growthBytes(list)
    if (!this.#space.admits(growthBytes)) return errorCode.quotaExceeded
    this.#create(parent, path, data, list, (flags & createMode.ephemeral) !== 0)
    return errorCode.ok
  }

  delete(reader: JuteReader): number {
    const tree = this.#tree
    const path = reader.string()
    const version = reader.int()
    if (!path.includes('/') || path.includes('\0') || isSpecial(path)) return errorCode.badArguments
    const parent = tree.find(parentOf(path))
    if (parent === 0) return errorCode.noNode
    if (!this.access.permits(tree.acl(parent), permission.delete)) return errorCode.noAuth
    const node = tree.find(path)
    if (node === 0) return errorCode.noNode
    if (version !== -1 && version !== tree.version(node)) return errorCode.badVersion
    if (tree.childCount(node) > 0) return errorCode.notEmpty
    this.remove(node, parent)
    return errorCode.ok
  }

  setData(reader: JuteReader): number {
    const tree = this.#tree
    const node = this.#pathReader.find(tree, reader)
    reader.span()
    const data = dataOf(reader)
    const version = reader.int()
    if (node === 0) return this.#pathReader.absent(reader)
    const acl = tree.acl(node)
    if (!this.access.permits(acl, permission.write)) return errorCode.noAuth
    if (!this.#space.admits(tree.setDataBytes(node, lengthOf(data)))) return errorCode.quotaExceeded
    if (version !== -1 && version !== tree.version(node)) return errorCode.badVersion
    tree.setData(node, data, this.zxid, this.time)
    this.node = node
    if (this.watched) this.#changed(eventType.dataChanged, tree.path(node), acl, acl)
    return errorCode.ok
  }

  setAcl(reader: JuteReader): number {
    const tree = this.#tree
    const node = this.#pathReader.find(tree, reader)
    const acl = this.access.accept(reader)
    const version = reader.int()
    if (node === 0 && !isValidPath(this.#pathReader.text(reader))) return errorCode.badArguments
    if (acl === undefined) return errorCode.invalidAcl
    if (node === 0) return errorCode.noNode
    if (!this.access.permits(tree.acl(node), permission.admin)) return errorCode.noAuth
    if (version !== -1 && version !== tree.aversion(node)) return errorCode.badVersion
    const list = tree.acls.intern(acl)
    if (!this.#space.admits(tree.acls.growthBytes(list))) return errorCode.quotaExceeded
    tree.setAcl(node, list)
    this.node = node
    return errorCode.ok
  }

  check(reader: JuteReader): number {
    const tree = this.#tree
    const node = this.#pathReader.find(tree, reader)
    const version = reader.int()
    if (node === 0) return this.#pathReader.absent(reader)
    if (!this.access.permits(tree.acl(node), permission.read)) return errorCode.noAuth
    return version !== -1 && version !== tree.version(node) ? errorCode.badVersion : errorCode.ok
  }

  /** Without any check; also for the ephemerals of a session that ends. */
  remove(node: Znode, parent: Znode): void {
    const tree = this.#tree
    if (this.watched) {
      this.#changed(eventType.deleted, tree.path(node), tree.acl(node), tree.acl(parent))
    }
    tree.delete(node, this.zxid)
  }

  #create(parent: Znode, path: string, data: Uint8Array | null, acl: AclId, owned: boolean): void {
    const tree = this.#tree
    this.path = path
    this.node = tree.create(parent, path, {
      data,
      acl,
      ownerHigh: owned ? this.ownerHigh : 0,
      ownerLow: owned ? this.ownerLow : 0,
      kind: znodeKind.ordinary,
      ttl: 0,
      zxid: this.zxid,
      time: this.time,
    })
    if (this.watched) this.#changed(eventType.created, path, acl, tree.acl(parent))
  }

  #changed(event: 1 | 2 | 3, path: string, acl: AclId, parentAcl: AclId): void {
    this.changes.push({
      kind: 'znodeChanged',
      event,
      path,
      zxid: this.zxid,
      acl: this.access.readersOf(acl),
      parentAcl: this.access.readersOf(parentAcl),
    })
  }
}

/** Finds nodes by the bytes of a record, and makes a string only of what is not there. */
export class PathReader {
  #start = 0
  #length = 0

  find(tree: Tree, reader: JuteReader): Znode {
    reader.span()
    this.#start = reader.start
    this.#length = reader.length
    if (reader.length <= 0) return 0
    return tree.find(reader.bytes.subarray(reader.start, reader.start + reader.length))
  }

  text(reader: JuteReader): string {
    return this.#length <= 0 ? '' : readText(reader.bytes, this.#start, this.#length)
  }

  /** What a write at a path without a node is answered. */
  absent(reader: JuteReader): number {
    return isValidPath(this.text(reader)) ? errorCode.noNode : errorCode.badArguments
  }
}

/** The buffer that the reader has just taken; a view. */
function dataOf(reader: JuteReader): Uint8Array | null {
  const { bytes, start, length } = reader
  return length < 0 ? null : bytes.subarray(start, start + length)
}

function lengthOf(data: Uint8Array | null): number {
  return data === null ? 0 : data.length
}

/** What ZooKeeper itself relies on. */
function isSpecial(path: string): boolean {
  return (
    path === '/' ||
    path === '/zookeeper' ||
    path === '/zookeeper/quota' ||
    path === '/zookeeper/config'
  )
}

/** Permission as it stands in the tree: lists decoded once, identities only where they matter. */
import { type AclId, type AclTable, openAcl } from '../../storage/acl-table.ts'
import {
  type AccessList,
  acceptedAcls,
  accessList,
  permits,
} from '../../transport/zookeeper/access.ts'
import { decodeAcls, encodeAcls, type Id, isAclSizeAllowed } from '../../transport/zookeeper/acl.ts'
import { decodeIdentities } from '../../transport/zookeeper/identities.ts'
import type { JuteReader } from '../../transport/zookeeper/jute-reader.ts'
import { JuteWriter } from '../../transport/zookeeper/jute-writer.ts'
import { limits } from '../../transport/zookeeper/limits.ts'
import { permission } from '../../transport/zookeeper/operations.ts'
import type { CommandHeader } from './zookeeper-commands.ts'

/** What a change says about a list that everybody may read. */
const worldReadable = new Uint8Array(0)

export class Access {
  readonly #table: AclTable
  /** By id; an id may come to stand for another list, whose bytes are others then. */
  readonly #lists: (AccessList | undefined)[] = []
  readonly #writer = new JuteWriter(1024)
  #bytes: Uint8Array = worldReadable
  #start = 0
  #length = 0
  #identities: readonly Id[] | undefined

  constructor(table: AclTable) {
    this.#table = table
  }

  /** Whose command or read follows. The bytes must stay as they are until the next one. */
  callerIs(header: CommandHeader, bytes: Uint8Array): void {
    this.#bytes = bytes
    this.#start = header.identitiesStart
    this.#length = header.identitiesLength
    this.#identities = undefined
  }

  permits(acl: AclId, wanted: number): boolean {
    const list = this.list(acl)
    return (list.worldPermissions & wanted) !== 0 || permits(list, this.identities(), wanted)
  }

  list(acl: AclId): AccessList {
    const bytes = this.#table.bytes(acl)
    const known = this.#lists[acl]
    if (known !== undefined && known.bytes === bytes) return known
    const list = accessList(bytes)
    this.#lists[acl] = list
    return list
  }

  identities(): readonly Id[] {
    this.#identities ??= decodeIdentities(this.#bytes, this.#start, this.#length)
    return this.#identities
  }

  /** A copy, for messages that outlive the bytes they are in. */
  identitiesBytes(): Uint8Array {
    return this.#bytes.slice(this.#start, this.#start + this.#length)
  }

  /** The list that a client wants to set, as it will be kept; `undefined`: not acceptable. */
  accept(reader: JuteReader): Uint8Array | undefined {
    if (isOpen(reader)) {
      reader.at += openAcl.length
      return openAcl
    }
    const { at } = reader
    if (!isAclSizeAllowed(reader)) return undefined
    reader.at = at
    const accepted = acceptedAcls(decodeAcls(reader), () => this.identities())
    if (accepted === undefined) return undefined
    this.#writer.begin()
    encodeAcls(this.#writer, accepted)
    const list = this.#writer.finish()
    return list.length <= limits.aclBytesMax ? list : undefined
  }

  /** For the filter at delivery: empty where everybody may read. The table's own bytes, never written to. */
  readersOf(acl: AclId): Uint8Array {
    const list = this.list(acl)
    return (list.worldPermissions & permission.read) !== 0 ? worldReadable : list.bytes
  }
}

/** Nearly all lists are this one. */
function isOpen(reader: JuteReader): boolean {
  const { bytes, at, end } = reader
  if (end - at < openAcl.length) return false
  for (let index = 0; index < openAcl.length; index += 1) {
    if (bytes[at + index] !== openAcl[index]) return false
  }
  return true
}

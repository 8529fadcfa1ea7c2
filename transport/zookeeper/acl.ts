/**
 * ACL vector: int count (-1 = null), then per entry int perms, ustring scheme, ustring id.
 */
import type { JuteReader } from './jute-reader.ts'
import type { JuteWriter } from './jute-writer.ts'
import { limits } from './limits.ts'

export interface Id {
  readonly scheme: string
  readonly id: string
}

export interface Acl extends Id {
  readonly perms: number
}

export const aclBytesMin = 12

export function decodeAcls(reader: JuteReader): Acl[] {
  const acls: Acl[] = []
  for (let left = reader.count(aclBytesMin); left > 0; left -= 1) {
    const perms = reader.int()
    const scheme = reader.string()
    acls.push({ perms, scheme, id: reader.string() })
  }
  return acls
}

export function encodeAcls(writer: JuteWriter, acls: readonly Acl[]): void {
  writer.int(acls.length)
  for (const acl of acls) {
    writer.int(acl.perms)
    writer.string(acl.scheme)
    writer.string(acl.id)
  }
}

/** Passes over a vector that nobody needs to look at now. */
export function skipAcls(reader: JuteReader): void {
  for (let left = reader.count(aclBytesMin); left > 0; left -= 1) {
    reader.int()
    reader.span()
    reader.span()
  }
}

/** Passes over a vector; false: it is longer than an access list may be, in one way or another. */
export function isAclSizeAllowed(reader: JuteReader): boolean {
  const { at } = reader
  const count = reader.count(aclBytesMin)
  let allowed = count <= limits.aclEntriesMax
  for (let left = count; left > 0; left -= 1) {
    reader.int()
    reader.span()
    if (reader.length > limits.aclSchemeBytesMax) allowed = false
    reader.span()
    if (reader.length > limits.aclIdBytesMax) allowed = false
  }
  return allowed && reader.at - at <= limits.aclBytesMax
}

/**
 * The bodies of requests, and the check that one decodes. The gateway only checks; whoever carries
 * the request out reads the fields in place.
 *
 *   create, create2       ustring path, buffer data, vector<ACL> acl, int flags
 *   createContainer       the same;   createTTL the same and long ttl
 *   delete, check         ustring path, int version
 *   exists, getData, getChildren, getChildren2            ustring path, boolean watch
 *   setData               ustring path, buffer data, int version
 *   getACL, sync          ustring path
 *   setACL                ustring path, vector<ACL> acl, int version
 *   multi                 see multi.ts
 *   auth                  int type, ustring scheme, buffer auth
 *   setWatches            long relativeZxid, vector<ustring> data, exist, child
 */
import { skipAcls } from './acl.ts'
import { MalformedRecord } from './errors.ts'
import type { JuteReader } from './jute-reader.ts'
import { limits } from './limits.ts'
import { decodeMultiHeader } from './multi.ts'
import { operation } from './operations.ts'

/** Throws `MalformedRecord` if the body at the reader is not one of this operation. */
export function checkRequest(reader: JuteReader, type: number): void {
  if (type !== operation.multi && type !== operation.setWatches) checkPath(reader, type)
  switch (type) {
    case operation.create:
    case operation.create2:
      checkCreate(reader)
      return
    case operation.delete:
    case operation.check:
      reader.int()
      return
    case operation.exists:
    case operation.getData:
    case operation.getChildren:
    case operation.getChildren2:
      reader.boolean()
      return
    case operation.setData:
      reader.span()
      reader.int()
      return
    case operation.setAcl:
      skipAcls(reader)
      reader.int()
      return
    case operation.multi:
      checkMulti(reader)
      return
    case operation.setWatches:
      checkSetWatches(reader)
      return
    default:
      return
  }
}

/** What may stand in a multi here; container and TTL creation come later. */
export function isMultiOperation(type: number): boolean {
  return (
    type === operation.create ||
    type === operation.create2 ||
    type === operation.delete ||
    type === operation.setData ||
    type === operation.check
  )
}

export interface AuthRequest {
  readonly scheme: string
  readonly auth: Uint8Array
}

export function decodeAuth(reader: JuteReader): AuthRequest {
  reader.int()
  const scheme = reader.string()
  return { scheme, auth: reader.buffer() ?? new Uint8Array(0) }
}

/** All but these two begin with a path, and only sync takes a null one. */
function checkPath(reader: JuteReader, type: number): void {
  reader.span()
  if (reader.length < 0 && type !== operation.sync) throw new MalformedRecord('path is null')
}

function checkCreate(reader: JuteReader): void {
  reader.span()
  skipAcls(reader)
  reader.int()
}

function checkMulti(reader: JuteReader): void {
  for (let count = 0; ; count += 1) {
    const type = decodeMultiHeader(reader)
    if (type === undefined) return
    if (!isMultiOperation(type)) throw new MalformedRecord(`operation ${type} in a multi`)
    if (count === limits.multiOperationsMax) throw new MalformedRecord('too many operations')
    checkRequest(reader, type)
  }
}

function checkSetWatches(reader: JuteReader): void {
  reader.long()
  for (let list = 0; list < 3; list += 1) {
    for (let left = reader.count(4); left > 0; left -= 1) reader.span()
  }
}

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
import { isAclSizeAllowed, skipAcls } from './acl.ts'
import { MalformedRecord } from './errors.ts'
import type { JuteReader } from './jute-reader.ts'
import { decodeMultiHeader } from './multi.ts'
import { isCreateMode, operation } from './operations.ts'

/** Throws `MalformedRecord` if the body at the reader is not one of this operation. */
export function checkRequest(reader: JuteReader, type: number): void {
  if (!checksItself(type)) checkPath(reader, type)
  switch (type) {
    case operation.create:
    case operation.create2:
    case operation.createContainer:
      checkCreate(reader)
      return
    case operation.createTtl:
      checkCreate(reader)
      reader.long()
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

/** Of a body that decodes: whether the access list in it, if there is one, is not too long. */
export function isListAllowed(reader: JuteReader, type: number): boolean {
  if (type !== operation.create && type !== operation.create2 && type !== operation.setAcl)
    return true
  reader.span()
  if (type !== operation.setAcl) reader.span()
  return isAclSizeAllowed(reader)
}

/** Of a body that decodes: whether it may leave more behind than there was. */
export function mayGrow(reader: JuteReader, type: number): boolean {
  if (type !== operation.multi) return type !== operation.delete
  for (;;) {
    const part = decodeMultiHeader(reader)
    if (part === undefined) return false
    if (isCreate(part) || part === operation.setData) return true
    checkMultiOperation(reader, part)
  }
}

function checksItself(type: number): boolean {
  return isCreate(type) || type === operation.multi || type === operation.setWatches
}

function isCreate(type: number): boolean {
  return (
    type === operation.create ||
    type === operation.create2 ||
    type === operation.createContainer ||
    type === operation.createTtl
  )
}

/** What may stand in a multi. */
export function isMultiOperation(type: number): boolean {
  return (
    isCreate(type) ||
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

/** A null path is as good as any for sync, and for these two one that is not valid. */
function checkPath(reader: JuteReader, type: number): void {
  reader.span()
  if (reader.length >= 0 || type === operation.sync) return
  if (type !== operation.setData && type !== operation.setAcl) throw nullPath()
}

function checkCreate(reader: JuteReader): void {
  reader.span()
  const isNull = reader.length < 0
  reader.span()
  skipAcls(reader)
  if (isCreateMode(reader.int()) && isNull) throw nullPath()
}

function checkMulti(reader: JuteReader): void {
  for (;;) {
    const type = decodeMultiHeader(reader)
    if (type === undefined) return
    if (!isMultiOperation(type)) throw new MalformedRecord(`operation ${type} in a multi`)
    checkMultiOperation(reader, type)
  }
}

/** Here what would fail by itself voids the whole: null paths, null lists, flags that there are not. */
function checkMultiOperation(reader: JuteReader, type: number): void {
  const { at } = reader
  reader.span()
  if (reader.length < 0) throw nullPath()
  if (isCreate(type)) checkMultiCreate(reader, type)
  else checkRequest(reader.reset(reader.bytes, at, reader.end), type)
}

function checkMultiCreate(reader: JuteReader, type: number): void {
  reader.span()
  const { at } = reader
  if (reader.int() === -1) throw new MalformedRecord('list is null')
  skipAcls(reader.reset(reader.bytes, at, reader.end))
  const flags = reader.int()
  if (!isCreateMode(flags)) throw new MalformedRecord(`create with flags ${flags}`)
  if (type === operation.createTtl) reader.long()
}

function nullPath(): MalformedRecord {
  return new MalformedRecord('path is null')
}

function checkSetWatches(reader: JuteReader): void {
  reader.long()
  for (let list = 0; list < 3; list += 1) {
    for (let left = reader.count(4); left > 0; left -= 1) reader.span()
  }
}

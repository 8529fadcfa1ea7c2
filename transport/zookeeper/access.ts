/**
 * Access control (facts 1.12): which lists a client may set, and whether one permits an operation.
 * Used where commands apply and where watch events are delivered.
 */
import { type Acl, decodeAcls, type Id } from './acl.ts'
import { addressRange, isInRange } from './addresses.ts'
import { JuteReader } from './jute-reader.ts'

/** A list as it stands in the store, decoded once. */
export interface AccessList {
  /** The encoded list that this was made from. */
  readonly bytes: Uint8Array
  readonly entries: readonly Acl[]
  /** What everybody may do: most lists are decided by this alone. */
  readonly worldPermissions: number
}

export function accessList(bytes: Uint8Array): AccessList {
  const entries = bytes.length === 0 ? [] : decodeAcls(reader.reset(bytes, 0, bytes.length))
  let worldPermissions = entries.length === 0 ? -1 : 0
  for (const { perms, scheme, id } of entries) {
    if (scheme === 'world' && id === 'anyone') worldPermissions |= perms
  }
  return { bytes, entries, worldPermissions }
}

/** Whether one of the wanted permissions is granted to one of the identities. */
export function permits(list: AccessList, identities: readonly Id[], wanted: number): boolean {
  if ((list.worldPermissions & wanted) !== 0) return true
  for (const identity of identities) {
    if (identity.scheme === 'super') return true
    for (const entry of list.entries) {
      if ((entry.perms & wanted) !== 0 && matches(entry, identity)) return true
    }
  }
  return false
}

/**
 * The list as it will be kept: duplicates removed, scheme `auth` replaced by the caller's own
 * identities. `undefined` if it is not acceptable.
 */
export function acceptedAcls(
  wanted: readonly Acl[],
  identities: () => readonly Id[],
): Acl[] | undefined {
  const accepted: Acl[] = []
  for (const [index, acl] of wanted.entries()) {
    if (wanted.findIndex(other => isSame(other, acl)) < index) continue
    if (acl.scheme === 'auth') {
      const own = identities().filter(({ scheme }) => scheme === 'digest')
      if (own.length === 0) return undefined
      for (const { scheme, id } of own) accepted.push({ perms: acl.perms, scheme, id })
    } else if (isValidId(acl)) {
      accepted.push(acl)
    } else {
      return undefined
    }
  }
  return accepted.length === 0 ? undefined : accepted
}

/** As shown to someone who may not administer the node: no password hashes. */
export function maskedAcls(list: AccessList): Acl[] {
  return list.entries.map(({ perms, scheme, id }) => ({
    perms,
    scheme,
    id: scheme === 'digest' ? `${id.split(':', 1)[0]}:x` : id,
  }))
}

const reader = new JuteReader()

function matches(entry: Acl, identity: Id): boolean {
  if (entry.scheme !== identity.scheme) return false
  if (entry.scheme !== 'ip') return entry.id === identity.id
  const range = addressRange(entry.id)
  return range !== undefined && isInRange(identity.id, range)
}

function isSame(left: Acl, right: Acl): boolean {
  return left.perms === right.perms && left.scheme === right.scheme && left.id === right.id
}

function isValidId({ scheme, id }: Id): boolean {
  if (scheme === 'world') return id === 'anyone'
  if (scheme === 'ip') return addressRange(id) !== undefined
  // As Java's split counts: empty parts at the end are none.
  return scheme === 'digest' && id.replace(/:+$/, '').split(':').length === 2
}

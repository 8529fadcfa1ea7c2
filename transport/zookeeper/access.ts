/**
 * Access control (facts 1.12): which lists a client may set, and whether one permits an operation.
 * Used where commands apply and where watch events are delivered.
 */
import { type Acl, decodeAcls, type Id } from './acl.ts'
import { addressBytes, type AddressRange, addressRange, isInRange } from './addresses.ts'
import { JuteReader } from './jute-reader.ts'
import { limits } from './limits.ts'

/** A list as it stands in the store, decoded once. */
export interface AccessList {
  /** The encoded list that this was made from. */
  readonly bytes: Uint8Array
  readonly entries: readonly Acl[]
  /** What everybody may do: most lists are decided by this alone. */
  readonly worldPermissions: number
  /** Of all entries that name somebody, `ip` left out: what scheme and id together may do. */
  readonly named: ReadonlyMap<string, number>
  readonly ranges: readonly RangePermissions[]
}

interface RangePermissions {
  readonly range: AddressRange
  readonly perms: number
}

export function accessList(bytes: Uint8Array): AccessList {
  const entries = bytes.length === 0 ? [] : decodeAcls(reader.reset(bytes, 0, bytes.length))
  const named = new Map<string, number>()
  const ranges: RangePermissions[] = []
  for (const entry of entries) {
    if (entry.scheme !== 'ip') {
      const name = nameOf(entry)
      named.set(name, (named.get(name) ?? 0) | entry.perms)
    } else {
      const range = addressRange(entry.id)
      if (range !== undefined) ranges.push({ range, perms: entry.perms })
    }
  }
  const worldPermissions = entries.length === 0 ? -1 : (named.get(nameOf(world)) ?? 0)
  return { bytes, entries, worldPermissions, named, ranges }
}

/** Whether one of the wanted permissions is granted to one of the identities. */
export function permits(list: AccessList, identities: readonly Id[], wanted: number): boolean {
  if ((list.worldPermissions & wanted) !== 0) return true
  for (const identity of identities) {
    if (identity.scheme === 'super') return true
    if (identity.scheme === 'ip') {
      if (permitsAddress(list, identity.id, wanted)) return true
    } else if (((list.named.get(nameOf(identity)) ?? 0) & wanted) !== 0) return true
  }
  return false
}

/**
 * The list as it will be kept: duplicates removed, scheme `auth` replaced by the caller's own
 * identities. `undefined` if it is not acceptable, or longer than a list may be.
 */
export function acceptedAcls(
  wanted: readonly Acl[],
  identities: () => readonly Id[],
): Acl[] | undefined {
  const accepted: Acl[] = []
  const seen = new Set<string>()
  for (const acl of wanted) {
    const name = `${acl.perms} ${nameOf(acl)}`
    if (seen.has(name)) continue
    seen.add(name)
    if (acl.scheme === 'auth') {
      const own = identities().filter(({ scheme }) => scheme === 'digest')
      if (own.length === 0) return undefined
      for (const { scheme, id } of own) accepted.push({ perms: acl.perms, scheme, id })
    } else if (isValidId(acl)) {
      accepted.push(acl)
    } else {
      return undefined
    }
    if (accepted.length > limits.aclEntriesMax) return undefined
  }
  return accepted.length === 0 ? undefined : accepted
}

/** As shown to someone who may not administer the node: no password hashes. */
export function maskedAcls(list: AccessList): Acl[] {
  return list.entries.map(({ perms, scheme, id }) => ({
    perms,
    scheme,
    id: scheme === 'digest' ? `${userOf(id)}:x` : id,
  }))
}

const reader = new JuteReader()

function userOf(id: string): string {
  const at = id.indexOf(':')
  return at < 0 ? id : id.slice(0, at)
}

/** No two pairs have the same. */
function nameOf({ scheme, id }: Id): string {
  return `${scheme.length} ${scheme} ${id}`
}

function permitsAddress(list: AccessList, address: string, wanted: number): boolean {
  if (list.ranges.length === 0) return false
  const bytes = addressBytes(address)
  if (bytes === undefined) return false
  for (const { range, perms } of list.ranges) {
    if ((perms & wanted) !== 0 && isInRange(bytes, range)) return true
  }
  return false
}

function isValidId({ scheme, id }: Id): boolean {
  if (scheme === 'world') return id === 'anyone'
  if (scheme === 'ip') return addressRange(id) !== undefined
  return scheme === 'digest' && hasTwoParts(id)
}

/** As Java's split at colons counts: empty parts at the end are none. One pass, however many colons. */
function hasTwoParts(id: string): boolean {
  let end = id.length
  while (end > 0 && id.charCodeAt(end - 1) === colon) end -= 1
  const first = id.indexOf(':')
  return first >= 0 && first < end && id.lastIndexOf(':', end - 1) === first
}

const colon = 0x3a
const world: Id = { scheme: 'world', id: 'anyone' }

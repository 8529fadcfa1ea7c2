/** A change as it comes from the command line: JSON, checked by hand since it is small. */
import type { Member, MembershipChange } from '../interface.ts'

export function decodeChange(bytes: Uint8Array): MembershipChange | string {
  let value: Record<string, unknown>
  try {
    value = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>
  } catch {
    return 'the membership change is not JSON'
  }
  const { kind, node, member } = value ?? {}
  if (kind === 'promote' || kind === 'remove') {
    return isNode(node) ? { kind, node } : `${kind} needs a node`
  }
  if (kind === 'addLearner' || kind === 'replace') {
    return isMember(member) ? { kind, member } : `${kind} needs a node, its store and its address`
  }
  return 'the membership change is none of addLearner, promote, remove, replace'
}

function isNode(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) < 2 ** 31
}

function isMember(value: unknown): value is Member {
  if (typeof value !== 'object' || value === null) return false
  const { node, store, address } = value as Partial<Member>
  const words = typeof store === 'string' && store !== '' && typeof address === 'string'
  return isNode(node) && words
}

/** A change as it comes from the command line: JSON, checked by hand since it is small. */
import type { Member, MembershipChange } from '../interface.ts'

export function decodeChange(bytes: Uint8Array): MembershipChange | string {
  let value: Record<string, unknown>
  try {
    value = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>
  } catch {
    return 'the membership change is not JSON'
  }
  const { kind, node, member, address, etcd } = value ?? {}
  if (kind === 'promote' || kind === 'remove') {
    return isNode(node) ? { kind, node } : `${kind} needs a node`
  }
  if (kind === 'addLearner' || kind === 'replace') {
    return isMember(member) ? { kind, member } : `${kind} needs a node, its store and its address`
  }
  if (kind === 'update') {
    const isUpdate = isNode(node) && typeof address === 'string' && typeof etcd === 'string'
    return isUpdate ? { kind, node, address, etcd } : 'update needs a node and its addresses'
  }
  return 'the membership change is none of addLearner, promote, remove, replace, update'
}

function isNode(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) < 2 ** 31
}

function isMember(value: unknown): value is Member {
  if (typeof value !== 'object' || value === null) return false
  const { node, store, address, etcd = '' } = value as Partial<Member>
  const areTexts = [store, address, etcd].every(text => typeof text === 'string')
  const words = areTexts && store !== ''
  return isNode(node) && words
}

/**
 * Half-open intervals of keys, and which of them hold a given key: a treap in order of the
 * intervals' starts, where each node knows the greatest end below it. Equal intervals share a node.
 * Keys are strings with one character a byte; the end of all keys is `null`.
 */
import { invariant } from '../../runtime/invariant.ts'

type End = string | null

interface Node<T extends Placed> {
  readonly from: string
  readonly to: End
  readonly members: T[]
  readonly priority: number
  greatestEnd: End
  left: Node<T> | undefined
  right: Node<T> | undefined
}

/** `place`: where it stands among the members of its key or interval; it is in one list at a time. */
export interface Placed {
  place?: number
}

export class IntervalTree<T extends Placed> {
  #root: Node<T> | undefined
  /** Shapes the tree; it need not be unpredictable, since a member costs what it costs anywhere. */
  #seed = 0x2545f491

  add(from: string, to: End, member: T): void {
    this.#root = this.#insert(this.#root, from, to, member)
  }

  remove(from: string, to: End, member: T): void {
    this.#root = this.#delete(this.#root, from, to, member)
  }

  /** Appends the members of every interval that holds `key`. */
  collect(key: string, into: T[]): void {
    collectFrom(this.#root, key, into)
  }

  #insert(node: Node<T> | undefined, from: string, to: End, member: T): Node<T> {
    if (node === undefined) {
      const priority = this.#nextPriority()
      member.place = 0
      return {
        from,
        to,
        members: [member],
        priority,
        greatestEnd: to,
        left: undefined,
        right: undefined,
      }
    }
    const order = compareIntervals(from, to, node)
    if (order === 0) {
      addMember(node.members, member)
      return node
    }
    if (order < 0) {
      node.left = this.#insert(node.left, from, to, member)
      if (node.left.priority > node.priority) return rotateRight(node, node.left)
    } else {
      node.right = this.#insert(node.right, from, to, member)
      if (node.right.priority > node.priority) return rotateLeft(node, node.right)
    }
    updateEnd(node)
    return node
  }

  #delete(node: Node<T> | undefined, from: string, to: End, member: T): Node<T> | undefined {
    invariant(node !== undefined, 'what is removed from the tree is in it')
    const order = compareIntervals(from, to, node)
    if (order < 0) node.left = this.#delete(node.left, from, to, member)
    else if (order > 0) node.right = this.#delete(node.right, from, to, member)
    else {
      removeMember(node.members, member)
      if (node.members.length === 0) return merge(node.left, node.right)
    }
    updateEnd(node)
    return node
  }

  #nextPriority(): number {
    this.#seed ^= this.#seed << 13
    this.#seed ^= this.#seed >>> 17
    this.#seed ^= this.#seed << 5
    return this.#seed >>> 0
  }
}

export function addMember<T extends Placed>(members: T[], member: T): void {
  member.place = members.length
  members.push(member)
}

/** Order is not kept. */
export function removeMember<T extends Placed>(members: T[], member: T): void {
  const at = member.place ?? -1
  invariant(members[at] === member, 'what is removed was there')
  const last = members.pop() as T
  if (at === members.length) return
  members[at] = last
  last.place = at
}

function collectFrom<T extends Placed>(node: Node<T> | undefined, key: string, into: T[]): void {
  while (node !== undefined && isBefore(key, node.greatestEnd)) {
    collectFrom(node.left, key, into)
    // To the right everything starts later still.
    if (key < node.from) return
    if (isBefore(key, node.to)) for (const member of node.members) into.push(member)
    node = node.right
  }
}

function isBefore(key: string, end: End): boolean {
  return end === null || key < end
}

function compareIntervals<T extends Placed>(from: string, to: End, node: Node<T>): number {
  if (from !== node.from) return from < node.from ? -1 : 1
  if (to === node.to) return 0
  if (to === null) return 1
  return node.to === null || to < node.to ? -1 : 1
}

function merge<T extends Placed>(
  left: Node<T> | undefined,
  right: Node<T> | undefined,
): Node<T> | undefined {
  if (left === undefined) return right
  if (right === undefined) return left
  if (left.priority > right.priority) {
    left.right = merge(left.right, right)
    updateEnd(left)
    return left
  }
  right.left = merge(left, right.left)
  updateEnd(right)
  return right
}

function rotateRight<T extends Placed>(node: Node<T>, left: Node<T>): Node<T> {
  node.left = left.right
  left.right = node
  updateEnd(node)
  updateEnd(left)
  return left
}

function rotateLeft<T extends Placed>(node: Node<T>, right: Node<T>): Node<T> {
  node.right = right.left
  right.left = node
  updateEnd(node)
  updateEnd(right)
  return right
}

function updateEnd<T extends Placed>(node: Node<T>): void {
  node.greatestEnd = later(later(node.to, node.left), node.right)
}

function later<T extends Placed>(end: End, node: Node<T> | undefined): End {
  if (node === undefined) return end
  if (end === null || node.greatestEnd === null) return null
  return end > node.greatestEnd ? end : node.greatestEnd
}

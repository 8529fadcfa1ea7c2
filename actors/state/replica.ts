/**
 * All that is replicated, in one place: what a checkpoint holds and what the state hash covers.
 * Keys and znodes lie in the slabs of storage/; the rest is small and makes up a checkpoint's head.
 */
import { Keyspace } from '../../storage/keyspace.ts'
import { Tree } from '../../storage/tree.ts'
import { readUint64, writeUint64 } from '../consensus/entry.ts'
import { lifetime } from '../sessions/messages.ts'
import { Lifetimes } from './lifetimes.ts'
import { Origins } from './origins.ts'
import { Space } from './space.ts'
import type { Numbers } from './world.ts'

export class Replica {
  keyspace: Keyspace
  tree: Tree
  readonly lifetimes = new Lifetimes()
  readonly origins = new Origins()
  readonly numbers: Numbers = { zxid: 0, level: 1 }
  readonly space = new Space(this)
  /** The last entry applied, its epoch, and its time in milliseconds since 1970. */
  position = 0
  epoch = 0
  time = 0
  /** All of the entry at `position` is applied, not only a part of it. */
  isWhole = true
  /** Body of the last membership entry. */
  membership: Uint8Array = new Uint8Array(0)

  readonly #seed: number

  /** `seed` keeps clients from guessing where keys fall; it shows in nothing that is replicated. */
  constructor(seed: number) {
    this.#seed = seed
    this.keyspace = new Keyspace(seed)
    this.tree = new Tree(seed)
  }

  /** As new, for a checkpoint to be loaded into. */
  clear(): void {
    this.keyspace = new Keyspace(this.#seed)
    this.tree = new Tree(this.#seed)
    this.lifetimes.clear()
    this.origins.clear()
    this.numbers.zxid = 0
    this.numbers.level = 1
    this.space.clear()
    this.advance(0, 0, 0)
    this.membership = new Uint8Array(0)
  }

  advance(position: number, epoch: number, time: number): void {
    this.position = position
    this.epoch = epoch
    this.time = time
  }

  /** Two 32-bit lanes; equal on all replicas at one position. */
  hash(): { low: number; high: number } {
    const { keyspace, tree, lifetimes, numbers, space } = this
    let low = (keyspace.hashLow + tree.hashLow + lifetimes.hashLow) | 0
    let high = (keyspace.hashHigh + tree.hashHigh + lifetimes.hashHigh) | 0
    const revisions = [keyspace.revision, keyspace.compactRevision]
    const bytes = [space.heldBytes, space.quotaBytes, space.alarmBytes]
    const counters = [numbers.zxid, numbers.level, ...revisions, ...bytes]
    for (const counter of counters) {
      low = Math.imul(low ^ (counter | 0), 0x9e3779b1)
      high = Math.imul(high ^ (counter / 4294967296), 0x85ebca77) ^ (low >>> 15)
    }
    for (const byte of this.origins.encode()) {
      low = Math.imul(low ^ byte, 0x01000193)
      high = Math.imul(high + byte, 0x27d4eb2f)
    }
    return { low, high }
  }

  /**
   * Head of a checkpoint: format u32, zxid, level, position, epoch, time, revision, compact revision,
   * quota and alarm as u64, then length-prefixed (u32): membership, origins, access lists; then u32 count
   * of lifetimes and each: u8 kind, i64 id, f64 ttl, u32 node, f64 connection, f64 position at which
   * it was opened, 16 bytes password where it is a session.
   */
  encodeHead(): Uint8Array {
    const parts = [this.membership, this.origins.encode(), this.tree.acls.encode()]
    const lifetimes = [...this.lifetimes.all()]
    const partBytes = parts.reduce((sum, part) => sum + 4 + part.length, 0)
    const bytes = new Uint8Array(
      4 + wordCount * 8 + partBytes + 4 + lifetimes.length * lifetimeBytes,
    )
    const view = new DataView(bytes.buffer)
    view.setUint32(0, headFormat, true)
    const { numbers, keyspace, space } = this
    const words = [
      numbers.zxid,
      numbers.level,
      this.position,
      this.epoch,
      this.time,
      keyspace.revision,
      keyspace.compactRevision,
      space.quotaBytes,
      space.alarmBytes,
    ]
    for (const [index, word] of words.entries()) writeUint64(view, 4 + 8 * index, word)
    let at = 4 + wordCount * 8
    for (const part of parts) {
      view.setUint32(at, part.length, true)
      bytes.set(part, at + 4)
      at += 4 + part.length
    }
    view.setUint32(at, lifetimes.length, true)
    at += 4
    for (const one of lifetimes) {
      view.setUint8(at, one.kind)
      view.setBigInt64(at + 1, one.id, true)
      view.setFloat64(at + 9, one.ttlMillis, true)
      view.setUint32(at + 17, one.node, true)
      view.setFloat64(at + 21, one.connection, true)
      view.setFloat64(at + 29, one.openedAt, true)
      bytes.set(one.password, at + 37)
      at += lifetimeBytes
    }
    return bytes
  }

  /** Before the entries of the checkpoint are loaded. @throws Error on a format of a later version. */
  decodeHead(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const format = view.getUint32(0, true)
    if (format !== headFormat)
      throw new Error(`checkpoint head has format ${format}, this version reads ${headFormat}`)
    const word = (index: number): number => readUint64(view, 4 + 8 * index)
    this.numbers.zxid = word(0)
    this.numbers.level = word(1)
    this.advance(word(2), word(3), word(4))
    this.keyspace.restoreRevisions(word(5), word(6))
    this.space.quotaBytes = word(7)
    this.space.alarmBytes = word(8)
    let at = 4 + wordCount * 8
    const part = (): Uint8Array => {
      const length = view.getUint32(at, true)
      at += 4 + length
      return bytes.slice(at - length, at)
    }
    this.membership = part()
    this.origins.decode(part())
    this.tree.acls.decode(part())
    this.lifetimes.clear()
    let count = view.getUint32(at, true)
    for (at += 4; count > 0; count -= 1, at += lifetimeBytes) {
      const kind = view.getUint8(at)
      // A lease has none, and the hash of the state tells none from zeros.
      const passwordBytes = kind === lifetime.session ? 16 : 0
      const password = bytes.slice(at + 37, at + 37 + passwordBytes)
      const id = view.getBigInt64(at + 1, true)
      const ttlMillis = view.getFloat64(at + 9, true)
      const openedAt = view.getFloat64(at + 29, true)
      const opened = this.lifetimes.open(kind, id, openedAt, ttlMillis, password)
      const node = view.getUint32(at + 17, true)
      if (node !== 0) this.lifetimes.attach(opened, node, view.getFloat64(at + 21, true))
    }
  }
}

/** What the head of a checkpoint says of the log. @throws Error on a format of another version. */
export function logOfHead(head: Uint8Array): {
  readonly time: number
  readonly membership: Uint8Array
} {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
  const format = view.getUint32(0, true)
  if (format !== headFormat)
    throw new Error(`checkpoint head has format ${format}, this version reads ${headFormat}`)
  const at = 4 + wordCount * 8
  const length = view.getUint32(at, true)
  return { time: readUint64(view, 4 + 8 * 4), membership: head.slice(at + 4, at + 4 + length) }
}

const headFormat = 3
const wordCount = 9
const lifetimeBytes = 53

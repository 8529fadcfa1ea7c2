/**
 * The quota (facts/etcd.md 2.9): how many bytes the replicated state may hold, both faces and history
 * together. Every replica comes to the same verdict at the same command: the quota is replicated (the
 * leader proposes its own where it differs), and what is counted is what readers can see, not how far
 * a node has come with freeing memory. What would grow the state beyond it is refused and raises an
 * alarm, which ends by itself once what was refused would fit; what shrinks it is never refused.
 */
import type { Keyspace } from '../../storage/keyspace.ts'
import type { Tree } from '../../storage/tree.ts'
import { type Lifetimes, lifetimeBytes } from './lifetimes.ts'

/** An alarm ends when this part of the quota is free again, and at least what was refused. */
const reserveShare = 1 / 16
const reserveBytesMax = 8 * 1024 * 1024
/** Sessions may take this much more: who cannot connect cannot delete anything either. */
const sessionsShare = 1 / 16

interface Held {
  readonly keyspace: Keyspace
  readonly tree: Tree
  readonly lifetimes: Lifetimes
}

export class Space {
  /** 0: none was agreed on yet, and nothing is refused. */
  quotaBytes = 0
  /** So much has to be free for the alarm to end; 0: there is none. */
  alarmBytes = 0
  readonly #held: Held

  constructor(held: Held) {
    this.#held = held
  }

  /** The same on all replicas at one position. */
  get heldBytes(): number {
    const { keyspace, tree, lifetimes } = this.#held
    return keyspace.heldBytes + tree.heldBytes + lifetimes.heldBytes
  }

  /** Of this node's memory, with holes and what is not given back yet. */
  get reservedBytes(): number {
    const { keyspace, tree, lifetimes } = this.#held
    return keyspace.reservedBytes + tree.reservedBytes + lifetimes.heldBytes
  }

  get isFull(): boolean {
    return this.alarmBytes > 0
  }

  /** Whether a command may make the state so much larger; raises the alarm if not. */
  admits(growthBytes: number): boolean {
    return growthBytes <= 0 || this.#admits(growthBytes, this.quotaBytes)
  }

  admitsSession(): boolean {
    return this.#admits(lifetimeBytes, this.quotaBytes * (1 + sessionsShare))
  }

  /** After a command: the alarm ends when there is room again. */
  settle(): void {
    if (this.alarmBytes > 0 && this.heldBytes + this.alarmBytes <= this.quotaBytes)
      this.alarmBytes = 0
  }

  setQuota(bytes: number): void {
    this.quotaBytes = bytes
    this.settle()
  }

  clear(): void {
    this.quotaBytes = 0
    this.alarmBytes = 0
  }

  #admits(growthBytes: number, quotaBytes: number): boolean {
    if (quotaBytes === 0 || this.heldBytes + growthBytes <= quotaBytes) return true
    const reserveBytes = Math.min(this.quotaBytes * reserveShare, reserveBytesMax)
    // What is larger than half of all there is would keep the alarm for ever.
    const wantedBytes = Math.min(growthBytes, this.quotaBytes / 2)
    this.alarmBytes = Math.ceil(Math.max(reserveBytes, wantedBytes))
    return false
  }
}

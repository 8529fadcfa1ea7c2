/**
 * Room for the answers to reads: what clients have left untaken (the port's), and what is set aside
 * for answers that are being made. A read goes to the state machine with a little room; one that needs
 * more waits there, unmade, until it is granted here. Connections take turns, and none holds more than
 * its share.
 */
import { FifoMap } from '../../runtime/fifo-map.ts'
import { limits } from '../state/limits.ts'

export interface AnswerRoomSetup {
  /** All connections together, and one of them. */
  readonly bytesMax: number
  readonly connectionBytesMax: number
  /** What a waiting read may wait. */
  readonly timeoutMillis: number
  /** What the state machine may spend on answers to writes, beside all that. */
  readonly lentBytes: number
  readonly lend: (bytes: number) => void
  readonly heldBytes: (connection: number) => number
  readonly heldBytesOfAll: () => number
  readonly granted: (connection: number, tag: number, bytes: number) => void
  /** It waited too long; the state machine has it still. */
  readonly late: (connection: number, tag: number) => void
}

interface Need {
  readonly bytes: number
  readonly untilMillis: number
}

interface Connection {
  /** Set aside for its answers, those of `granted` included. */
  reservedBytes: number
  /** By tag. */
  readonly granted: Map<number, number>
  readonly waiting: FifoMap<number, Need>
}

/** What a read brings along: most answers are shorter. */
export const readRoomBytes = 32 * 1024
/** Longer answers leave the last quarter of the room to others, shorter ones the last eighth to the small. */
const longBytesMin = 4 * 1024 * 1024
const longShare = 0.75
const shortShare = 0.875

export class AnswerRoom {
  readonly #setup: AnswerRoomSetup
  readonly #connections = new Map<number, Connection>()
  /** Connections with waiting reads, in the order of their turns. */
  readonly #turns = new Set<number>()
  #reservedBytes = 0
  /** Somebody waits for memory that other connections hold. */
  isPressed = false
  #wasRefused = false
  /** Answers to writes that were made from what is lent, which is not lent again yet. */
  #owedBytes = 0

  constructor(setup: AnswerRoomSetup) {
    this.#setup = setup
    setup.lend(setup.lentBytes)
  }

  get reservedBytes(): number {
    return this.#reservedBytes
  }

  get waitingCount(): number {
    let count = 0
    for (const connection of this.#turns) count += this.#connections.get(connection)!.waiting.size
    return count
  }

  /** Sets the room of one read aside, to be given back by `answered`; else who has too much lying. */
  take(connection: number): 'taken' | 'connectionFull' | 'full' {
    const { bytesMax, connectionBytesMax, heldBytes, heldBytesOfAll } = this.#setup
    const own = this.#connections.get(connection)
    const ownBytes = heldBytes(connection) + (own?.reservedBytes ?? 0)
    if (ownBytes > connectionBytesMax) return 'connectionFull'
    if (heldBytesOfAll() + this.#reservedBytes + readRoomBytes > bytesMax) {
      this.#wasRefused = true
      return 'full'
    }
    this.takeAnyway(connection)
    return 'taken'
  }

  takeAnyway(connection: number): void {
    let own = this.#connections.get(connection)
    if (own === undefined) {
      own = { reservedBytes: 0, granted: new Map(), waiting: new FifoMap() }
      this.#connections.set(connection, own)
    }
    own.reservedBytes += readRoomBytes
    this.#reservedBytes += readRoomBytes
  }

  /** Whether the client has left so much lying that it is asked for nothing more. */
  isFull(connection: number): boolean {
    return this.#setup.heldBytes(connection) > this.#setup.connectionBytesMax
  }

  /** The state machine waits for room. Returns whether it did so for this read before. */
  needed(connection: number, tag: number, bytes: number, nowMillis: number): boolean {
    const own = this.#connections.get(connection)
    if (own === undefined) return true
    const before = own.granted.get(tag)
    if (before !== undefined) {
      own.granted.delete(tag)
      this.#giveBack(own, before)
    }
    own.waiting.set(tag, { bytes, untilMillis: nowMillis + this.#setup.timeoutMillis })
    this.#turns.add(connection)
    this.grant()
    return before !== undefined
  }

  /** The answer to a read has come: from here on the port holds it. Returns whether it had waited. */
  answered(connection: number, tag: number): boolean {
    const own = this.#connections.get(connection)
    if (own === undefined) return false
    const granted = own.granted.get(tag)
    if (granted !== undefined) own.granted.delete(tag)
    this.#giveBack(own, readRoomBytes + (granted ?? 0))
    if (own.reservedBytes === 0) this.#connections.delete(connection)
    return granted !== undefined
  }

  /** True: the read waited for room, and nobody waits for it any more. */
  cancelled(connection: number, tag: number): boolean {
    const own = this.#connections.get(connection)
    if (own?.waiting.delete(tag) !== true) return false
    if (own.waiting.size === 0) this.#turns.delete(connection)
    this.answered(connection, tag)
    return true
  }

  /** True: reads of it are on their way. */
  connectionGone(connection: number): boolean {
    const own = this.#connections.get(connection)
    if (own === undefined) return false
    this.#reservedBytes -= own.reservedBytes
    this.#connections.delete(connection)
    this.#turns.delete(connection)
    return true
  }

  /** Gives what is free to those who wait: a turn each, as long as anybody gets anything. */
  grant(): void {
    this.isPressed = this.#wasRefused
    if (this.#owedBytes > 0) this.#lendAgain()
    if (this.#turns.size === 0) return
    for (let granted = true; granted; ) {
      granted = false
      for (const connection of [...this.#turns]) {
        if (this.#grantOne(connection)) granted = true
      }
    }
  }

  /** The answer to a write has come, of so many bytes: from here on the port holds it. */
  writeAnswered(bytes: number): void {
    if (bytes > limits.shortAnswerBytesMax) this.#owedBytes += bytes
  }

  tick(nowMillis: number): void {
    this.grant()
    this.#wasRefused = false
    for (const connection of [...this.#turns]) {
      const waiting = this.#connections.get(connection)?.waiting
      for (;;) {
        const tag = waiting?.oldestKey()
        if (tag === undefined || waiting!.get(tag)!.untilMillis > nowMillis) break
        this.cancelled(connection, tag)
        this.#setup.late(connection, tag)
      }
    }
  }

  #lendAgain(): void {
    if (!this.#fitsShare(this.#owedBytes, longShare)) return
    this.#setup.lend(this.#owedBytes)
    this.#owedBytes = 0
  }

  #grantOne(connection: number): boolean {
    const own = this.#connections.get(connection)!
    const tag = own.waiting.oldestKey()
    if (tag === undefined) return false
    const { bytes } = own.waiting.get(tag)!
    if (!this.#fits(connection, own, bytes)) return false
    own.waiting.delete(tag)
    this.#turns.delete(connection)
    if (own.waiting.size > 0) this.#turns.add(connection)
    own.granted.set(tag, bytes)
    own.reservedBytes += bytes
    this.#reservedBytes += bytes
    this.#setup.granted(connection, tag, bytes)
    return true
  }

  /** An answer that is longer than all the room has it nearly to itself. */
  #fits(connection: number, own: Connection, bytes: number): boolean {
    const { connectionBytesMax, heldBytes } = this.#setup
    const ownBytes = heldBytes(connection) + own.reservedBytes
    if (ownBytes + Math.min(bytes, connectionBytesMax * 0.75) > connectionBytesMax) return false
    return this.#fitsShare(bytes, bytes >= longBytesMin ? longShare : shortShare)
  }

  /** Into this share of all the room, with what is held and set aside. */
  #fitsShare(bytes: number, share: number): boolean {
    const { bytesMax, heldBytesOfAll } = this.#setup
    const shareBytes = bytesMax * share
    const allBytes = heldBytesOfAll() + this.#reservedBytes
    const fits = allBytes + Math.min(bytes, shareBytes * 0.75) <= shareBytes
    if (!fits) this.isPressed = true
    return fits
  }

  #giveBack(own: Connection, bytes: number): void {
    own.reservedBytes -= bytes
    this.#reservedBytes -= bytes
  }
}

/**
 * The memory that answers may take which clients have not taken yet: one budget for all connections
 * of a door, and a share of it for each. Room is reserved before an answer is made, and what is held
 * until its client takes it counts with the memory that it pins. A connection may always do a
 * little; beyond that its share shrinks with what is free, so that a few that take nothing leave
 * room for the others, however many they are.
 */
export interface AnswerRoomLimits {
  /** Of the whole door. */
  readonly bytesMax: number
  /** Of one connection, while much is free. */
  readonly connectionBytesMax: number
  /** Of one connection, however little is free. */
  readonly connectionBytesMin: number
  /** Every answer may take so much: a small one is never parked. */
  readonly answerBytesMin: number
}

/** A guess may take at most these parts of what the door, and what the connection, has left. */
const doorPart = 1 / 8192
const connectionPart = 1 / 64
/** One connection may hold this part of what is free. */
const heldPart = 1 / 8

export class AnswerRoom {
  readonly limits: AnswerRoomLimits
  usedBytes = 0
  /** Some was given back since this was last set to false. */
  hasFreed = false

  constructor(limits: AnswerRoomLimits) {
    this.limits = limits
  }

  get freeBytes(): number {
    return this.limits.bytesMax - this.usedBytes
  }

  get connectionBytesMax(): number {
    const { connectionBytesMax, connectionBytesMin } = this.limits
    return Math.max(connectionBytesMin, Math.min(connectionBytesMax, this.freeBytes * heldPart))
  }
}

/** The part of one connection. */
export class ConnectionRoom {
  readonly #door: AnswerRoom
  #reservedBytes = 0
  #heldBytes = 0

  constructor(door: AnswerRoom) {
    this.#door = door
  }

  /** Room set aside for answers that are not there yet. */
  get reservedBytes(): number {
    return this.#reservedBytes
  }

  /** Answers that are here, with the memory that they pin. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  get usedBytes(): number {
    return this.#reservedBytes + this.#heldBytes
  }

  /** It has what may wait of it: nothing more is to be asked for it. */
  get isFull(): boolean {
    return this.usedBytes >= this.#door.connectionBytesMax
  }

  /** What a read whose answer nobody knows yet is given. */
  guess(): number {
    const { limits, freeBytes } = this.#door
    const ownBytes = (limits.connectionBytesMax - this.usedBytes) * connectionPart
    return Math.max(limits.answerBytesMin, Math.min(ownBytes, freeBytes * doorPart) | 0)
  }

  /** Whether an answer of so many bytes may be made now: with nothing held, a connection may have any. */
  mayHave(bytes: number): boolean {
    const { limits, freeBytes } = this.#door
    if (bytes > freeBytes) return false
    return this.#heldBytes === 0 || this.#heldBytes + bytes <= limits.connectionBytesMax
  }

  reserve(bytes: number): void {
    this.#reservedBytes += bytes
    this.#door.usedBytes += bytes
  }

  release(bytes: number): void {
    this.#reservedBytes -= bytes
    this.#door.usedBytes -= bytes
    this.#door.hasFreed = true
  }

  hold(bytes: number): void {
    this.#heldBytes += bytes
    this.#door.usedBytes += bytes
  }

  /** What is held now, in all. */
  setHeld(bytes: number): void {
    if (bytes === this.#heldBytes) return
    if (bytes < this.#heldBytes) this.#door.hasFreed = true
    this.#door.usedBytes += bytes - this.#heldBytes
    this.#heldBytes = bytes
  }

  /** The connection is gone: nothing more will be answered. */
  releaseAll(): void {
    this.release(this.#reservedBytes)
  }
}

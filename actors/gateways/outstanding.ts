/**
 * Requests of one connection that are not answered yet, in the order in which the answers must go
 * out: for each the sequence of its command (0: a read), when it came, and the room that is set aside
 * for its answer. A ring that grows.
 */
import { invariant } from '../../runtime/invariant.ts'

const capacityInitial = 8

export class Outstanding {
  /** The lowest byte of the operation's code: of what is pushed from now on, and of what was shifted last. */
  operation = 0
  shiftedOperation = 0
  #sequences = new Float64Array(capacityInitial)
  #arrivals = new Float64Array(capacityInitial)
  #rooms = new Float64Array(capacityInitial)
  #operations = new Float64Array(capacityInitial)
  #head = 0
  #count = 0
  #lastWrite = 0
  #writes = 0
  /** Room in bytes of the one that `shift` took last. */
  shiftedRoomBytes = 0

  get count(): number {
    return this.#count
  }

  /** The sequence of the last command that is not answered; 0: there is none. */
  get lastWrite(): number {
    return this.#writes === 0 ? 0 : this.#lastWrite
  }

  /** What has to be answered next; -1: nothing. */
  get next(): number {
    return this.#count === 0 ? -1 : this.#sequences[this.#head]!
  }

  push(sequence: number, nowMillis: number, roomBytes: number): void {
    if (this.#count === this.#sequences.length) this.#grow()
    const at = (this.#head + this.#count) & (this.#sequences.length - 1)
    this.#sequences[at] = sequence
    this.#arrivals[at] = nowMillis
    this.#rooms[at] = roomBytes
    this.#operations[at] = this.operation
    this.#count += 1
    if (sequence === 0) return
    this.#writes += 1
    this.#lastWrite = sequence
  }

  /** The next one has been answered; returns when it came. */
  shift(): number {
    invariant(this.#count > 0, 'only what is outstanding is answered')
    const at = this.#head
    this.#head = (at + 1) & (this.#sequences.length - 1)
    this.#count -= 1
    if (this.#sequences[at] !== 0) this.#writes -= 1
    this.shiftedRoomBytes = this.#rooms[at]!
    this.shiftedOperation = this.#operations[at]!
    return this.#arrivals[at]!
  }

  /** Whether a command up to this sequence is among them. */
  hasThrough(sequence: number): boolean {
    for (let index = 0; index < this.#count; index += 1) {
      const one = this.#sequences[(this.#head + index) & (this.#sequences.length - 1)]!
      if (one !== 0) return one <= sequence
    }
    return false
  }

  #grow(): void {
    this.#sequences = this.#unrolled(this.#sequences)
    this.#arrivals = this.#unrolled(this.#arrivals)
    this.#rooms = this.#unrolled(this.#rooms)
    this.#operations = this.#unrolled(this.#operations)
    this.#head = 0
  }

  #unrolled(ring: Float64Array): Float64Array<ArrayBuffer> {
    const larger = new Float64Array(ring.length * 2)
    larger.set(ring.subarray(this.#head))
    larger.set(ring.subarray(0, this.#head), ring.length - this.#head)
    return larger
  }
}

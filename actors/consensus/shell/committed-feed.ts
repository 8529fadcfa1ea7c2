/**
 * Hands committed entries to the state machine within a credit of bytes, which `applied` gives back:
 * a state machine that is behind has its log here, not in its mailbox.
 */
import type { Batch } from '../interface.ts'

export const feedBatchBytesMax = 1024 * 1024
export const feedCreditBytes = 4 * 1024 * 1024

export class CommittedFeed {
  #committed: number
  #told: number
  #applied: number
  #bytes = 0
  readonly #under: { last: number; bytes: number }[] = []

  constructor(position: number) {
    this.#committed = position
    this.#told = position
    this.#applied = position
  }

  get applied(): number {
    return this.#applied
  }

  committedTo(position: number): void {
    this.#committed = position
  }

  release(position: number): void {
    if (position > this.#applied) this.#applied = position
    while (this.#under.length > 0 && this.#under[0]!.last <= position) {
      this.#bytes -= this.#under.shift()!.bytes
    }
  }

  /** The state machine stands on a checkpoint. */
  jumpTo(position: number): void {
    this.#committed = Math.max(this.#committed, position)
    this.#told = Math.max(this.#told, position)
    this.release(position)
  }

  /** What may be told next, if there is anything and room for it. */
  next(read: (first: number, bytesMax: number) => Batch): Batch | undefined {
    if (this.#told >= this.#committed || this.#bytes >= feedCreditBytes) return undefined
    const batch = read(this.#told + 1, feedBatchBytesMax)
    this.#told += batch.count
    this.#bytes += batch.bytes.length
    this.#under.push({ last: this.#told, bytes: batch.bytes.length })
    return batch
  }
}

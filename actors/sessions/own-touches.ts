/**
 * Touches of this node's clients on their way to the leader: in batches, each kept until the leader has
 * confirmed it, and sent again where it did not; a late answer counts all the same, since where all are late none
 * would count otherwise. A touch says when its client was heard; so a session that
 * the leader confirms lives for its time-out from then on, whatever happens to the leader. Pure: time is given.
 */

/** Per touch: i64 id, u32 milliseconds since its client was heard; big-endian. */
export const touchBytes = 12
const ageMillisMax = 0xffff_ffff

export interface OwnTouchesSetup {
  readonly firstBatch: number
  /** A batch goes out this often, */
  readonly touchMillis: number
  /** and an empty one this often: its answer says that there is a leader. */
  readonly emptyMillis: number
  /** What was not confirmed in this time is sent again, in a later batch. */
  readonly againMillis: number
  readonly send: (batch: number, touches: Uint8Array) => void
}

/** Of those under way; beyond it the oldest are no longer waited for. */
const batchesMax = 256

interface Batch {
  readonly sentMillis: number
  isSentAgain: boolean
  readonly heardMillis: ReadonlyMap<bigint, number>
}

export interface ConfirmedTouches {
  /** When this was asked: at some time since there was a leader that a quorum follows. */
  readonly askedMillis: number
  readonly heardMillis: ReadonlyMap<bigint, number>
}

export class OwnTouches {
  readonly #setup: OwnTouchesSetup
  #heardMillis = new Map<bigint, number>()
  readonly #batches = new Map<number, Batch>()
  #lastBatch: number
  #sentMillis = Number.NEGATIVE_INFINITY

  constructor(setup: OwnTouchesSetup) {
    this.#setup = setup
    this.#lastBatch = setup.firstBatch
  }

  heard(id: bigint, nowMillis: number): void {
    this.#heardMillis.set(id, nowMillis)
  }

  /** What the last leader did not confirm goes to the next one. */
  leaderChanged(): void {
    for (const batch of this.#batches.values()) this.#putBack(batch)
    this.#batches.clear()
    this.#sentMillis = Number.NEGATIVE_INFINITY
  }

  /** To be called while there is a leader. */
  tick(nowMillis: number): void {
    const { touchMillis, emptyMillis, againMillis, send } = this.#setup
    for (const [number, batch] of this.#batches) {
      if (nowMillis - batch.sentMillis < againMillis) break
      if (!batch.isSentAgain) this.#putBack(batch)
      if (this.#batches.size > batchesMax) this.#batches.delete(number)
    }
    const periodMillis = this.#heardMillis.size === 0 ? emptyMillis : touchMillis
    if (nowMillis - this.#sentMillis < periodMillis) return
    this.#sentMillis = nowMillis
    const heardMillis = this.#heardMillis
    this.#heardMillis = new Map()
    this.#lastBatch += 1
    this.#batches.set(this.#lastBatch, { sentMillis: nowMillis, isSentAgain: false, heardMillis })
    send(this.#lastBatch, encoded(heardMillis, nowMillis))
  }

  /** `lost`: ids of sessions that the leader does not know, or that are about to end. */
  confirmed(number: number, lost: Uint8Array): ConfirmedTouches | undefined {
    const batch = this.#batches.get(number)
    if (batch === undefined) return undefined
    this.#batches.delete(number)
    const heardMillis = new Map(batch.heardMillis)
    const view = new DataView(lost.buffer, lost.byteOffset, lost.byteLength)
    for (let at = 0; at + 8 <= lost.length; at += 8) heardMillis.delete(view.getBigInt64(at))
    return { askedMillis: batch.sentMillis, heardMillis }
  }

  #putBack(batch: Batch): void {
    batch.isSentAgain = true
    for (const [id, heardMillis] of batch.heardMillis) {
      if (!this.#heardMillis.has(id)) this.#heardMillis.set(id, heardMillis)
    }
  }
}

function encoded(heardMillis: ReadonlyMap<bigint, number>, nowMillis: number): Uint8Array {
  const bytes = new Uint8Array(heardMillis.size * touchBytes)
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const [id, heard] of heardMillis) {
    view.setBigInt64(at, id)
    view.setUint32(at + 8, Math.min(ageMillisMax, Math.ceil(nowMillis - heard)))
    at += touchBytes
  }
  return bytes
}

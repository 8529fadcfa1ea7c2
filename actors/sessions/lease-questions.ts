/**
 * Questions about leases, in batches: keep-alives and times to live. Those of this node's clients go
 * to the leader, again and again until it answers or their time is over; the leader answers them, and
 * those of other nodes, once its leadership is confirmed. A batch costs what its leases cost, and one
 * look-up: nothing here searches through all batches but the tick. Pure: time is given.
 */

import { BatchedQuestions } from '../batched-questions.ts'

/** Per lease of a batch: f64 remaining and f64 granted milliseconds, little-endian; −1: no such lease. */
export const leaseTimesBytes = 16

/** Batches of all nodes that wait at once; beyond it those of others are dropped, and come again. */
const batchesMax = 1024

export interface LeaseBatch {
  /** Whose clients ask. */
  readonly node: number
  readonly tag: number
  /** 8 bytes each, big-endian. */
  readonly ids: Uint8Array
  readonly renew: boolean
}

interface Waiting extends LeaseBatch {
  readonly untilMillis: number
  /** When it went to the leader last. */
  askedMillis: number
}

export interface LeaseQuestionsSetup {
  readonly node: number
  /** A batch that no leader answered in this time has failed. */
  readonly questionMillis: number
  /** A question without an answer is asked again after this. */
  readonly againMillis: number
  /** To the leader, which is another node. */
  readonly askLeader: (batch: LeaseBatch) => void
  /** Answered by `confirmed` or `unconfirmed` with this id. */
  readonly confirm: (id: number) => void
  /** This node leads, and has just been confirmed as the leader. */
  readonly answer: (batch: LeaseBatch) => void
  /** To whom asked on this node. */
  readonly failed: (batch: LeaseBatch) => void
}

export class LeaseQuestions {
  readonly #setup: LeaseQuestionsSetup
  readonly #batches = new Map<number, Waiting>()
  #leader = 0
  /** Only while this node leads: those that wait until that is confirmed. */
  readonly #unconfirmed: BatchedQuestions<Waiting>

  constructor(setup: LeaseQuestionsSetup) {
    this.#setup = setup
    this.#unconfirmed = new BatchedQuestions({ ask: setup.confirm })
  }

  get count(): number {
    return this.#batches.size
  }

  ask(batch: LeaseBatch, nowMillis: number): void {
    const isOwn = batch.node === this.#setup.node
    const key = keyOf(batch.node, batch.tag)
    // Others ask again: what waits already need not wait twice, and who does not lead cannot say.
    if (!isOwn && (!this.#leads || this.#batches.has(key))) return
    if (this.#batches.size >= batchesMax) {
      if (isOwn) this.#setup.failed(batch)
      return
    }
    const untilMillis = nowMillis + this.#setup.questionMillis
    const waiting = { ...batch, untilMillis, askedMillis: nowMillis }
    this.#batches.set(key, waiting)
    this.#route(waiting, nowMillis)
  }

  /** The leader's answer has come; false: to nothing that waits here. */
  answered(tag: number, ids: Uint8Array): boolean {
    const key = keyOf(this.#setup.node, tag)
    const batch = this.#batches.get(key)
    // Tags of an earlier life of this node may still be answered.
    if (batch === undefined || Buffer.compare(batch.ids, ids) !== 0) return false
    return this.#batches.delete(key)
  }

  /** Whatever the last leader was asked is asked of the new one; what others asked here they ask there. */
  leaderChanged(leader: number, nowMillis: number): void {
    this.#leader = leader
    this.#unconfirmed.clear()
    for (const [key, batch] of this.#batches) {
      if (batch.node === this.#setup.node) this.#route(batch, nowMillis)
      else this.#batches.delete(key)
    }
  }

  confirmed(id: number, nowMillis: number): void {
    if (!this.#leads) return
    for (const batch of this.#unconfirmed.takeAnswered(id)) {
      if (!this.#batches.delete(keyOf(batch.node, batch.tag))) continue
      this.#setup.answer(batch)
    }
    this.#unconfirmed.begin(nowMillis)
  }

  /** The tick asks again. */
  unconfirmed(id: number): void {
    if (this.#unconfirmed.isStanding(id)) this.#unconfirmed.putBack()
  }

  tick(nowMillis: number): void {
    this.#failOld(nowMillis)
    const { againMillis, node, askLeader } = this.#setup
    if (this.#leads) {
      if (this.#unconfirmed.isLate(nowMillis, againMillis)) this.#unconfirmed.askAgain(nowMillis)
      else this.#unconfirmed.begin(nowMillis)
      return
    }
    if (this.#leader === 0) return
    for (const batch of this.#batches.values()) {
      if (batch.node !== node || nowMillis - batch.askedMillis < againMillis) continue
      batch.askedMillis = nowMillis
      askLeader(batch)
    }
  }

  get #leads(): boolean {
    return this.#leader === this.#setup.node
  }

  #route(batch: Waiting, nowMillis: number): void {
    if (this.#leads) {
      this.#unconfirmed.add(batch)
      this.#unconfirmed.begin(nowMillis)
    } else if (this.#leader !== 0) {
      batch.askedMillis = nowMillis
      this.#setup.askLeader(batch)
    }
  }

  #failOld(nowMillis: number): void {
    for (const [key, batch] of this.#batches) {
      if (batch.untilMillis > nowMillis) continue
      this.#batches.delete(key)
      if (batch.node === this.#setup.node) this.#setup.failed(batch)
    }
    this.#unconfirmed.takeOut(batch => batch.untilMillis <= nowMillis)
  }
}

/** Tags stay below 2^44. */
function keyOf(node: number, tag: number): number {
  return node * 2 ** 44 + tag
}

/** What carries slabs between two virtual threads: in order, late by a random little. */
import type { Carrier, CarrierHandlers } from '../../runtime/carrier.ts'
import type { Random } from '../../runtime/host.ts'
import type { Scheduler } from './scheduler.ts'
import type { VirtualThread } from './thread.ts'

export function carrierBetween(
  scheduler: Scheduler,
  random: Random,
  left: VirtualThread,
  right: VirtualThread,
): [Carrier, Carrier] {
  const ends: [End, End] = [new End(scheduler, random, left), new End(scheduler, random, right)]
  ends[0].other = ends[1]
  ends[1].other = ends[0]
  return ends
}

const poison = 0xdb
const delayMillisMin = 0.01
const delayMillisMax = 0.05

class End implements Carrier {
  other: End | undefined
  readonly #scheduler: Scheduler
  readonly #random: Random
  readonly #thread: VirtualThread
  #handlers: CarrierHandlers | undefined
  #early: Uint8Array[] = []
  #lastArrivalMillis = 0

  constructor(scheduler: Scheduler, random: Random, thread: VirtualThread) {
    this.#scheduler = scheduler
    this.#random = random
    this.#thread = thread
  }

  open(handlers: CarrierHandlers): void {
    this.#handlers = handlers
    for (const slab of this.#early.splice(0)) this.#thread.post(() => handlers.slab(slab, true))
  }

  send(slab: Uint8Array): void {
    const copy = new Uint8Array(slab)
    // It may be used again, or is given away: the sender has no business with it any more.
    slab.fill(poison)
    this.#deliver(other => other.#arrived(copy))
  }

  close(): void {
    this.#deliver(other => other.#handlers?.lost())
    this.other = undefined
  }

  #deliver(action: (other: End) => void): void {
    const { other } = this
    if (other === undefined) return
    const delay = delayMillisMin + (delayMillisMax - delayMillisMin) * this.#random.fraction()
    this.#thread.leave(() => {
      this.#lastArrivalMillis = Math.max(this.#lastArrivalMillis, this.#scheduler.nowMillis + delay)
      this.#scheduler.at(this.#lastArrivalMillis, () => other.#thread.post(() => action(other)))
    })
  }

  #arrived(slab: Uint8Array): void {
    if (this.#handlers === undefined) this.#early.push(slab)
    else this.#handlers.slab(slab, true)
  }
}

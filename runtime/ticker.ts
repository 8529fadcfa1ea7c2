/** A periodic timer of an actor. While its tick waits in the mailbox no other is added. */
import type { Message } from './actor.ts'
import type { Host, Timer } from './host.ts'

export class Ticker implements Message, Timer {
  readonly kind = 'tick'
  readonly #host: Host
  readonly #periodMillis: number
  readonly #message: Message
  readonly #deliver: (tick: Ticker) => void
  #timer: Timer
  #dueMillis: number
  #waiting = false
  readonly #fire = (): void => this.#fired()

  constructor(host: Host, periodMillis: number, message: Message, deliver: (tick: Ticker) => void) {
    this.#host = host
    this.#periodMillis = periodMillis
    this.#message = message
    this.#deliver = deliver
    this.#dueMillis = host.clock.monotonicMillis() + periodMillis
    this.#timer = host.timers.after(periodMillis, this.#fire)
  }

  /** The mailbox has given it out: the next one may be added. */
  taken(): Message {
    this.#waiting = false
    return this.#message
  }

  cancel(): void {
    this.#timer.cancel()
  }

  #fired(): void {
    const now = this.#host.clock.monotonicMillis()
    // Keeps the rhythm; periods that were missed as a whole are left out.
    this.#dueMillis += this.#periodMillis
    if (this.#dueMillis <= now) this.#dueMillis = now + this.#periodMillis
    this.#timer = this.#host.timers.after(this.#dueMillis - now, this.#fire)
    if (this.#waiting) return
    this.#waiting = true
    this.#deliver(this)
  }
}

/** Asks a client that has been silent for long whether it is still there. */
import type { EtcdServerLimits } from '../limits.ts'
import type { Output } from './output.ts'

const ping = Buffer.from('thereyet')

export class KeepAlive {
  readonly #limits: EtcdServerLimits
  #heardSinceTick = false
  #heardMillis: number
  /** -1: no question is open. */
  #askedMillis = -1

  constructor(limits: EtcdServerLimits, nowMillis: number) {
    this.#limits = limits
    this.#heardMillis = nowMillis
  }

  heard(): void {
    this.#heardSinceTick = true
  }

  tick(now: number, output: Output): 'alive' | 'lost' {
    if (this.#heardSinceTick) {
      this.#heardSinceTick = false
      this.#heardMillis = now
      this.#askedMillis = -1
    } else if (this.#askedMillis >= 0) {
      if (now - this.#askedMillis > this.#limits.keepaliveTimeoutMillis) return 'lost'
    } else if (now - this.#heardMillis > this.#limits.keepaliveIdleMillis) {
      this.#askedMillis = now
      output.ping(ping, false)
    }
    return 'alive'
  }
}

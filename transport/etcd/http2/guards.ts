/** What a connection may ask of us without use: each guard throws when it is too much. */
import type { Clock } from '../../../runtime/host.ts'
import type { EtcdServerLimits } from '../limits.ts'
import { Budget } from './budget.ts'
import { PingGuard } from './ping-guard.ts'
import { ConnectionError, errorCode } from './protocol.ts'

/** Window updates for stream and connection, and a PING, with some to spare. */
const framesPerAnswer = 4

export class Guards {
  readonly #resets: Budget
  readonly #controls: Budget
  readonly #pings: PingGuard
  readonly #abandonedMax: number

  constructor(clock: Clock, limits: EtcdServerLimits) {
    this.#resets = new Budget(clock, limits.resetBurstMax, limits.resetsPerSecond)
    this.#controls = new Budget(clock, limits.controlBurstMax, limits.controlsPerSecond)
    this.#abandonedMax = limits.abandonedCallsMax
    this.#pings = new PingGuard(clock, limits.pingMillisMin, limits.pingStrikesMax)
  }

  /** A stream that the client reset before anything came of it, or made us reset. */
  reset(): void {
    if (!this.#resets.spend()) throw tooMuch('too many resets', 'resetBurstMax')
  }

  /** A frame that carries neither a request nor a part of one. */
  control(): void {
    if (!this.#controls.spend()) throw tooMuch('too many control frames', 'controlBurstMax')
  }

  /** Calls that were reset and that nobody has answered yet are work without a reader. */
  abandoned(count: number): void {
    if (count > this.#abandonedMax) throw tooMuch('too many resets', 'abandonedCallsMax')
  }

  ping(): void {
    this.control()
    if (!this.#pings.allow()) throw tooMuch('too_many_pings', 'pingStrikesMax')
  }

  requested(): void {
    this.#controls.earn(1)
  }

  /** We sent something useful: it allows the client some frames about it. */
  answered(): void {
    this.#pings.excuse()
    this.#controls.earn(framesPerAnswer)
    this.#resets.earn(1)
  }
}

function tooMuch(message: string, limit: string): ConnectionError {
  return new ConnectionError(errorCode.enhanceYourCalm, message, limit)
}

/**
 * Who calls at the peer port until it has been greeted: nodes, and whoever else can reach it. Slow ones
 * are ended by the greeting itself; here their number is bounded, and what the log says of them.
 */
import type { Context } from '../../runtime/actor.ts'
import type { Socket } from '../../runtime/host.ts'
import { CallerBound } from '../../runtime/caller-bound.ts'
import { LimitedLog } from '../../runtime/limited-log.ts'
import type { Connection } from '../../transport/peers/connection.ts'
import { awaitGreeting, type Greeter, type GreetingResult } from '../../transport/peers/greeting.ts'
import type { Hello } from '../../transport/peers/handshake.ts'
import { limits } from '../../transport/peers/limits.ts'
import type { PeersMessage } from './messages.ts'

export class Callers {
  readonly #context: Context<PeersMessage>
  readonly #greeter: Greeter
  readonly #greeted: (connection: Connection, hello: Hello) => void
  readonly #waiting = new CallerBound({
    callersMax: limits.greetingsMax,
    perAddressMax: limits.greetingsPerAddressMax,
  })
  /** Why nodes of the cluster were refused last, by node: only news is logged. */
  readonly #refused = new Map<number, string>()
  readonly #strangers: LimitedLog

  constructor(
    context: Context<PeersMessage>,
    greeter: Greeter,
    greeted: (connection: Connection, hello: Hello) => void,
  ) {
    this.#context = context
    this.#greeter = greeter
    this.#greeted = greeted
    this.#strangers = new LimitedLog(context.log)
  }

  take(socket: Socket): void {
    const address = socket.remoteAddress
    const giveUp = awaitGreeting(this.#context.host, socket, this.#greeter, result => {
      done()
      if (result.kind === 'greeted') this.#greeted(result.connection, result.hello)
      else this.#log(result, address)
    })
    const done = this.#waiting.add(address, giveUp)
  }

  /** Before it became a connection: the certificate of a caller is not one that we take. */
  failed(address: string, error: Error): void {
    const code = 'code' in error ? String(error.code) : 'noTls'
    const reason = error.message
    // Codes are those of the machine's TLS: few.
    this.#turnedAway(address, code, reason)
  }

  /** It is linked: what it is refused for from now on is news. */
  linked(node: number): void {
    this.#refused.delete(node)
  }

  #turnedAway(address: string, code: string, reason: string): void {
    const what = 'A stranger is turned away from the peer port'
    const now = this.#context.host.clock.monotonicMillis()
    this.#strangers.warn(what, { address, code, reason }, now, code)
  }

  #log(result: GreetingResult & { kind: 'failed' }, address: string): void {
    const { from, proven, end } = result
    const { code, why: reason } = end
    if (!proven) {
      this.#turnedAway(address, code, reason)
      return
    }
    if (from !== 0 && this.#refused.get(from) === code) return
    if (this.#refused.size >= limits.greetingsMax) this.#refused.clear()
    this.#refused.set(from, code)
    this.#context.log.warn('A peer is refused', { from, address, code, reason })
  }
}

/**
 * Keep-alives and times to live. The leader's sessions actor answers the questions; what its answer
 * is wrapped in comes from this node's state: the header of a keep-alive is read before the question
 * is asked, so that no keep-alive shows a revision after the end of its lease.
 */
import type { LeaseAnswer, SessionsMessage } from '../sessions/messages.ts'

export interface LeasesSetup {
  readonly ask: (question: Extract<SessionsMessage, { kind: 'leaseQuestion' }>) => void
  /** Answered by a call of `headerReady` with the header of a response. */
  readonly askHeader: () => void
  readonly answerKeepAlive: (one: KeepAlive, header: Uint8Array, ttlSeconds: number) => void
  readonly answerTimeToLive: (one: TimeToLive, answer: LeaseAnswer) => void
  /** No leader could say. */
  readonly fail: (connection: number, call: number) => void
}

export interface KeepAlive {
  readonly kind: 'keepAlive'
  readonly connection: number
  readonly call: number
  readonly id: bigint
}

export interface TimeToLive {
  readonly kind: 'timeToLive'
  readonly connection: number
  readonly call: number
  readonly id: bigint
  /** LeaseTimeToLiveRequest. */
  readonly message: Uint8Array
}

const none = new Uint8Array(0)

export class Leases {
  readonly #setup: LeasesSetup
  /** Keep-alives that wait for a header; those for which it is on its way. */
  #arrived: KeepAlive[] = []
  #headerFor: KeepAlive[] = []
  readonly #asked = new Map<
    number,
    { readonly one: KeepAlive | TimeToLive; readonly header: Uint8Array }
  >()
  #questions = 0

  constructor(setup: LeasesSetup) {
    this.#setup = setup
  }

  get count(): number {
    return this.#arrived.length + this.#headerFor.length + this.#asked.size
  }

  keepAlive(one: KeepAlive): void {
    this.#arrived.push(one)
  }

  timeToLive(one: TimeToLive): void {
    this.#ask(one, none, false)
  }

  /** At the end of a round. */
  flush(): void {
    if (this.#arrived.length === 0 || this.#headerFor.length > 0) return
    this.#headerFor = this.#arrived
    this.#arrived = []
    this.#setup.askHeader()
  }

  headerReady(header: Uint8Array): void {
    const ready = this.#headerFor
    this.#headerFor = []
    for (const one of ready) this.#ask(one, header, true)
  }

  answered(answer: LeaseAnswer): void {
    const asked = this.#asked.get(answer.tag)
    if (asked === undefined) return
    this.#asked.delete(answer.tag)
    const { one, header } = asked
    if (answer.failed) this.#setup.fail(one.connection, one.call)
    else if (one.kind === 'timeToLive') this.#setup.answerTimeToLive(one, answer)
    else {
      const ttlSeconds = answer.remainingMillis < 0 ? 0 : Math.floor(answer.ttlMillis / 1000)
      this.#setup.answerKeepAlive(one, header, ttlSeconds)
    }
  }

  #ask(one: KeepAlive | TimeToLive, header: Uint8Array, renew: boolean): void {
    this.#questions += 1
    const tag = this.#questions
    this.#asked.set(tag, { one, header })
    const id = new Uint8Array(8)
    new DataView(id.buffer).setBigInt64(0, one.id)
    this.#setup.ask({ kind: 'leaseQuestion', connection: one.connection, tag, id, renew })
  }
}

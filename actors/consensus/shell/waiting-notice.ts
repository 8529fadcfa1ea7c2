/** Says in the log why a node neither votes nor counts, and what an operator can do (D14): once, and not at once. */
import type { Logger } from '../../../runtime/log.ts'
import type { Role, WaitingReason } from '../interface.ts'

export class WaitingNotice {
  readonly #log: Logger
  readonly #store: string
  readonly #delayTicks: number
  #reason: WaitingReason = 'notFormed'
  /** Until it is said; 0: nothing is to be said. */
  #ticksLeft = 0

  constructor(log: Logger, store: string, delayTicks: number) {
    this.#log = log
    this.#store = store
    this.#delayTicks = delayTicks
  }

  waits(reason: WaitingReason): void {
    this.#reason = reason
    this.#ticksLeft = this.#delayTicks
  }

  tick(role: Role): void {
    if (this.#ticksLeft === 0 || --this.#ticksLeft > 0) return
    if (role !== 'forming' && role !== 'waiting') return
    const reason = this.#reason
    this.#log.warn('This node neither votes nor counts', {
      reason,
      store: this.#store,
      help: help[reason],
    })
  }
}

export const help: Readonly<Record<WaitingReason, string>> = {
  notFormed:
    'the cluster forms when all members of the configuration run; a node that joins one is added by `quorate member add`',
  storeNotBound:
    'the cluster does not know the data directory of this node: `quorate member replace` binds a lost one anew, `quorate member add` a new node',
  membersDiffer: 'cluster.members is not the same in the configurations of all nodes',
}

/** What waits, in its order, while work is in slices: an apply, a fan-out of events. */
import type { StateMessage } from './messages.ts'

export class HeldMail<M = StateMessage> {
  #messages: M[] = []
  #at = 0

  get isEmpty(): boolean {
    return this.#at === this.#messages.length
  }

  get count(): number {
    return this.#messages.length - this.#at
  }

  push(message: M): void {
    this.#messages.push(message)
  }

  shift(): M | undefined {
    const message = this.#messages[this.#at]
    if (message === undefined) return undefined
    this.#at += 1
    if (this.#at >= this.#messages.length) {
      this.#messages = []
      this.#at = 0
    }
    return message
  }
}

/** Does not wait: it neither reads nor changes what commands change, or belongs between any two of them. */
export function passes(message: StateMessage): boolean {
  switch (message.kind) {
    case 'propose':
    case 'leader':
    case 'hash':
    case 'level':
    case 'status':
    case 'tick':
    case 'goOn':
    case 'readReady':
    case 'readFailed':
      return true
    default:
      return false
  }
}

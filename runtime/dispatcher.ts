/**
 * One per thread: decides who runs. Input only fills mailboxes; the turn runs after the poll phase
 * (`Host.defer`), so all input of one poll is one turn. A turn is rounds: drain the mailboxes, then
 * the round ends of the actors that handled something, in the order in which they became dirty;
 * mail from those makes another round. At the end of the turn the links flush once. A turn ends by
 * time as well as by the number of its messages, so that sockets and timers have theirs.
 */
import type { Clock, Host } from './host.ts'
import { limits } from './limits.ts'

/** What the dispatcher runs: an actor with mail. */
export interface Runnable {
  /**
   * Handles up to `messagesMax` messages, fewer once the turn `isOver`, and returns how many; more
   * mail: it schedules itself.
   */
  run(messagesMax: number): number
  endRound(): void
}

/** No actor keeps the others of its thread waiting for longer than this many messages. */
const sliceMessagesMax = 1_024
/** Messages between two looks at the clock: one takes a microsecond as a rule, some take a hundred. */
export const messagesPerLook = 16

export class Dispatcher {
  turns = 0
  /** Calls of `run`: mail of one actor that is handled together counts once. */
  runs = 0
  messages = 0
  readonly #defer: Host['defer']
  readonly #clock: Clock
  readonly #ready: Runnable[] = []
  #readyStart = 0
  readonly #dirty: Runnable[] = []
  readonly #urgent: (() => void)[] = []
  readonly #turnEnds: (() => void)[] = []
  #armed = false
  #running = false
  /** The turn's callbacks for its end run; what they take in wants another turn. */
  #ending = false
  #woken = false
  #turnEndMillis = Number.POSITIVE_INFINITY
  readonly #turn = (): void => this.#runTurn()

  constructor(defer: Host['defer'], clock: Clock) {
    this.#defer = defer
    this.#clock = clock
  }

  /** The thread is to look at its sockets and timers; costs a look at the clock. */
  get isOver(): boolean {
    return this.#clock.monotonicMillis() >= this.#turnEndMillis
  }

  /** Once per runnable until its `run` has been called. */
  schedule(runnable: Runnable): void {
    this.#ready.push(runnable)
    if (!this.#armed && !this.#running) this.#arm()
  }

  /** The runnable handled something in this round: its `endRound` is due. */
  markDirty(runnable: Runnable): void {
    this.#dirty.push(runnable)
  }

  /** Before the next actor runs, and never inside of one: supervision. */
  urgent(task: () => void): void {
    this.#urgent.push(task)
    if (!this.#armed && !this.#running) this.#arm()
  }

  onTurnEnd(callback: () => void): void {
    this.#turnEnds.push(callback)
  }

  /** Something outside of actors wrote to a link, or came by one: there is a turn end to come. */
  wake(): void {
    if (this.#ending) this.#woken = true
    else if (!this.#armed && !this.#running) this.#arm()
  }

  #arm(): void {
    this.#armed = true
    this.#defer(this.#turn)
  }

  #runTurn(): void {
    this.#armed = false
    this.#running = true
    this.turns++
    let messagesLeft: number = limits.turnMessagesMax
    let roundsLeft: number = limits.turnRoundsMax
    this.#turnEndMillis = this.#clock.monotonicMillis() + limits.turnMillisMax
    do {
      messagesLeft = this.#drain(messagesLeft)
      this.#endRound()
    } while (this.#hasWork() && messagesLeft > 0 && --roundsLeft > 0 && !this.isOver)
    this.#ending = true
    for (let index = 0; index < this.#turnEnds.length; index++) this.#turnEnds[index]!()
    this.#ending = false
    this.#running = false
    if (this.#woken || this.#hasWork()) this.#arm()
    this.#woken = false
  }

  #hasWork(): boolean {
    return this.#readyStart < this.#ready.length || this.#urgent.length > 0
  }

  #drain(messagesLeft: number): number {
    const ready = this.#ready
    let left = messagesLeft
    let unlooked = 0
    if (this.#urgent.length > 0) this.#runUrgent()
    while (this.#readyStart < ready.length && left > 0) {
      const handled = ready[this.#readyStart++]!.run(Math.min(left, sliceMessagesMax))
      this.runs++
      this.messages += handled
      left -= handled
      unlooked += handled
      if (this.#urgent.length > 0) this.#runUrgent()
      if (this.#readyStart === ready.length || this.#readyStart > 1_024) this.#compact()
      if (unlooked < messagesPerLook) continue
      unlooked = 0
      if (this.isOver) break
    }
    return left
  }

  #compact(): void {
    if (this.#readyStart === this.#ready.length) this.#ready.length = 0
    else this.#ready.splice(0, this.#readyStart)
    this.#readyStart = 0
  }

  #endRound(): void {
    const dirty = this.#dirty
    for (let index = 0; index < dirty.length; index++) dirty[index]!.endRound()
    dirty.length = 0
  }

  #runUrgent(): void {
    const tasks = this.#urgent
    for (let index = 0; index < tasks.length; index++) tasks[index]!()
    tasks.length = 0
  }
}

/**
 * Reads that take longer than a slice. They share the time fairly, a slice each in turn; applies and
 * short reads pass between their slices. Reads of keys see one revision, which is pinned for them;
 * listings of znodes begin again when what they list has changed, and at last have the tree stand
 * still. What a ZooKeeper connection asks later waits behind its own long read.
 */
import { doorOf, stream } from './messages.ts'
import type { Steps } from './slices.ts'
import type { ReadRoom } from './world.ts'
import type { WaitingRead } from './waiting-reads.ts'

export const longReadLimits = {
  /** Under way at once; others wait as they came, small as a request is. */
  runningMax: 16,
  /** What the answers under way take together, one alone excepted. */
  answerBytesMax: 256 * 1024 * 1024,
  /** After so long no new one begins until memory was put in order once. */
  pinnedMillisMax: 1_000,
} as const

interface LongRead {
  readonly read: WaitingRead
  readonly steps: Steps
  /** It has pinned the revision that it sees. */
  hasBegun: boolean
}

export class LongReads {
  readonly room = new Room()
  /** In the order of their turns. */
  #running: LongRead[] = []
  #waiting: LongRead[] = []
  /** Of each ZooKeeper connection with a long read: what it asked later, in order. */
  readonly #behind = new Map<number, WaitingRead[]>()
  readonly #run: (read: WaitingRead) => void
  #pinnedSinceMillis = 0
  #mustTidy = false

  /** `run` is called for reads that waited behind a long one. */
  constructor(run: (read: WaitingRead) => void) {
    this.#run = run
  }

  get count(): number {
    return this.#running.length + this.#waiting.length
  }

  get isIdle(): boolean {
    return this.#running.length === 0 && this.#waiting.length === 0
  }

  /** A read that was found to be long; it has not begun. */
  add(read: WaitingRead, steps: Steps): void {
    this.#waiting.push({ read, steps, hasBegun: false })
    if (isOrdered(read)) this.#behind.set(read.connection, [])
  }

  /** True: it waits behind a long read of its own connection, and will be run. */
  waitsBehind(read: WaitingRead): boolean {
    if (this.#behind.size === 0 || !isOrdered(read)) return false
    const behind = this.#behind.get(read.connection)
    behind?.push(read)
    return behind !== undefined
  }

  /** Whether a write of this ZooKeeper connection has to wait: an earlier read of it is not answered yet. */
  mustPrecede(connection: number): boolean {
    if (!this.#behind.has(connection)) return false
    const found = [...this.#running, ...this.#waiting].find(
      ({ read }) => isOrdered(read) && read.connection === connection,
    )
    if (found !== undefined) this.room.insist(found.read)
    return true
  }

  /**
   * One slice for the next. While a command is half applied only reads of keys go on, and none begins:
   * the newest revision, which it would pin, has only some of its changes.
   */
  step(nowMillis: number, stateIsWhole: boolean): void {
    this.#begin(nowMillis)
    const at = this.#next(stateIsWhole)
    if (at < 0) return
    const [next] = this.#running.splice(at, 1)
    if (next === undefined) return
    next.hasBegun = true
    if (next.steps.next().done !== true) this.#running.push(next)
    else this.#ended(next.read)
  }

  /** Memory was put in order, as far as nothing is pinned. */
  tidied(): void {
    if (this.#running.length === 0) this.#mustTidy = false
  }

  /** The state is another one: all begin again. */
  restart(): void {
    const all = [...this.#running, ...this.#waiting]
    const behind = new Map(this.#behind)
    this.#clear()
    for (const { read, steps } of all) {
      steps.return()
      this.#run(read)
      if (isOrdered(read)) for (const later of behind.get(read.connection) ?? []) this.#run(later)
    }
  }

  /** Reads of the same door in other generations: who asked is gone. */
  forgetOthers(ofStream: number): void {
    this.#keep(({ read }) => read.stream === ofStream || doorOf(read.stream) !== doorOf(ofStream))
  }

  /** Nobody waits for its answers any more. */
  forgetConnection(ofStream: number, connection: number): void {
    this.#keep(({ read }) => read.stream !== ofStream || read.connection !== connection)
  }

  #keep(stays: (one: LongRead) => boolean): void {
    for (const one of [...this.#running, ...this.#waiting]) {
      if (stays(one)) continue
      one.steps.return()
      this.room.forget(one.read)
      if (isOrdered(one.read)) this.#behind.delete(one.read.connection)
    }
    this.#running = this.#running.filter(stays)
    this.#waiting = this.#waiting.filter(stays)
  }

  #begin(nowMillis: number): void {
    if (this.#running.length === 0) this.#pinnedSinceMillis = nowMillis
    else if (nowMillis - this.#pinnedSinceMillis > longReadLimits.pinnedMillisMax)
      this.#mustTidy = true
    while (!this.#mustTidy && this.#running.length < longReadLimits.runningMax) {
      const first = this.#waiting.shift()
      if (first === undefined) return
      this.#running.push(first)
    }
  }

  #next(stateIsWhole: boolean): number {
    const { preferred } = this.room
    if (preferred !== undefined && stateIsWhole) {
      const at = this.#running.findIndex(({ read }) => read === preferred)
      if (at >= 0) return at
      const waiting = this.#waiting.findIndex(({ read }) => read === preferred)
      if (waiting >= 0) return this.#running.push(...this.#waiting.splice(waiting, 1)) - 1
    }
    return this.#running.findIndex(
      ({ read, hasBegun }) => stateIsWhole || (hasBegun && !isOrdered(read)),
    )
  }

  #ended(read: WaitingRead): void {
    this.room.forget(read)
    if (!isOrdered(read)) return
    const behind = this.#behind.get(read.connection) ?? []
    this.#behind.delete(read.connection)
    // One of them may be long itself: those after it wait behind it then.
    for (const later of behind) if (!this.waitsBehind(later)) this.#run(later)
  }

  #clear(): void {
    this.#running = []
    this.#waiting = []
    this.#behind.clear()
  }
}

/** What long reads share: bytes for answers, and the right to have the tree stand still. */
class Room implements ReadRoom {
  #bytes = 0
  #stillFor: object | undefined
  #insisting: object | undefined
  /** Something was applied since the tree last stood still for somebody. */
  #mayStandStill = true

  /** Applies wait for it. */
  get standsStill(): boolean {
    return this.#stillFor !== undefined
  }

  /** Who is to have its slices before all others. */
  get preferred(): object | undefined {
    return this.#insisting ?? this.#stillFor
  }

  takeBytes(bytes: number): boolean {
    if (this.#bytes > 0 && this.#bytes + bytes > longReadLimits.answerBytesMax) return false
    this.#bytes += bytes
    return true
  }

  giveBytes(bytes: number): void {
    this.#bytes -= bytes
  }

  standStill(forWhom: object): boolean {
    if (this.#stillFor === forWhom) return true
    if (this.#stillFor !== undefined || !this.#mayStandStill) return false
    this.#stillFor = forWhom
    this.#mayStandStill = false
    return true
  }

  /** A write waits for this read. */
  insist(read: object): void {
    this.#insisting = read
  }

  /** Applies had their turn. */
  applied(): void {
    this.#mayStandStill = true
  }

  forget(whom: object): void {
    if (this.#stillFor === whom) this.#stillFor = undefined
    if (this.#insisting === whom) this.#insisting = undefined
  }
}

/** Answers of a ZooKeeper connection come in the order of its requests. */
function isOrdered(read: WaitingRead): boolean {
  return doorOf(read.stream) === stream.zookeeper
}

/**
 * When each read runs: behind the write of its own session that came before it, at the log position
 * that makes it linearizable, and only once there is room for its answer (the contract: messages.ts).
 */
import { connectionKey, doorOf, stream } from './messages.ts'
import { ParkedReads } from './parked-reads.ts'
import { type WaitingRead, WaitingReads } from './waiting-reads.ts'

export interface ReadScheduleEffects {
  /** Answers it, or calls `park`. */
  run(read: WaitingRead): void
  /** The last command of this stream of this node that has applied here. */
  ownSequence(ofStream: number): number
  /** The last position that has applied here. */
  position(): number
  /** Asks the gateway for so much room for the answer to this read. */
  needsRoom(read: WaitingRead, bytes: number): void
  /** `run`, where an answer beyond the read's own room is made from what is lent; returns its bytes. */
  runLent(read: WaitingRead, ownRoomBytes: number): number
  /** A write of this connection applies before a read that was sent earlier could be made. */
  overtaken(ofStream: number, connection: number): void
}

export class ReadSchedule {
  readonly #effects: ReadScheduleEffects
  readonly #waiting = new WaitingReads()
  readonly #parked = new ParkedReads()
  /** Connections that are gone since the last tick: what waits of them is dropped. */
  readonly #gone = new Set<number>()
  /** What the gateway has lent for reads that cannot wait. */
  #lentBytes = 0
  #lacksRoom = false
  #isLending = false

  constructor(effects: ReadScheduleEffects) {
    this.#effects = effects
  }

  get waitingCount(): number {
    return this.#waiting.count
  }

  get parkedCount(): number {
    return this.#parked.count
  }

  /** The least position that a read waits for; Infinity: none. */
  get nextPosition(): number {
    return this.#waiting.nextPosition
  }

  arrived(read: WaitingRead): void {
    if (read.after > this.#effects.ownSequence(read.stream)) this.#waiting.waitForSequence(read)
    else this.#atPosition(read)
  }

  /** It waited elsewhere, behind a long read of its connection. */
  again(read: WaitingRead): void {
    this.#run(read)
  }

  /** Called by whoever runs `read`: its answer would have so many bytes, more than it has room for. */
  park(read: WaitingRead, bytes: number): void {
    this.#lacksRoom = true
    if (this.#isLending) return
    this.#parked.park(read)
    this.#effects.needsRoom(read, bytes)
  }

  /** The gateway has set so many bytes aside for the answer that waits for them. */
  granted(ofStream: number, connection: number, tag: number, bytes: number): void {
    const read = this.#parked.take(ofStream, connection, tag)
    if (read === undefined) return
    const roomBytes = Math.max(bytes, read.roomBytes)
    this.#effects.run({ ...read, roomBytes })
    for (;;) {
      const next = this.#parked.next(ofStream, connection)
      if (next === undefined) return
      this.#effects.run(next)
    }
  }

  /** Nobody waits any more for the answer to a read of etcd's that waits for room. */
  cancelled(ofStream: number, connection: number, tag: number): void {
    this.#parked.take(ofStream, connection, tag)
  }

  /** Nobody waits for its answers any more. */
  connectionGone(ofStream: number, connection: number): void {
    const key = connectionKey(ofStream, connection)
    this.#parked.forgetConnection(key)
    this.#gone.add(key)
  }

  lent(bytes: number): void {
    this.#lentBytes += bytes
  }

  /** A command of this connection is about to change what its earlier reads are to see. */
  beforeWrite(ofStream: number, connection: number): void {
    if (!this.#parked.hasOrdered(ofStream, connection)) return
    this.#isLending = true
    const isDone = this.#runAllLent(ofStream, connection)
    this.#isLending = false
    if (isDone) return
    this.connectionGone(ofStream, connection)
    this.#effects.overtaken(ofStream, connection)
  }

  /** False: too little is lent. */
  #runAllLent(ofStream: number, connection: number): boolean {
    for (;;) {
      const read = this.#parked.first(ofStream, connection)
      if (read === undefined) return true
      this.#lacksRoom = false
      const roomBytes = Math.max(read.roomBytes, this.#lentBytes)
      this.#lentBytes -= this.#effects.runLent({ ...read, roomBytes }, read.roomBytes)
      if (this.#lacksRoom) return false
    }
  }

  sequenceApplied(ofStream: number, sequence: number): void {
    for (const read of this.#waiting.takeSequence(ofStream, sequence)) this.#atPosition(read)
  }

  sequencesCovered(ofStream: number, through: number): void {
    for (const read of this.#waiting.takeThroughSequence(ofStream, through)) this.#atPosition(read)
  }

  positionApplied(position: number): void {
    for (const read of this.#waiting.takeThroughPosition(position)) this.#run(read)
  }

  /** The gateway of this stream has taken the place of another. */
  forgetOthers(ofStream: number): void {
    if (doorOf(ofStream) === stream.zookeeper) this.#lentBytes = 0
    this.#waiting.forgetOthers(ofStream)
    this.#parked.forgetOthers(ofStream)
  }

  /** Requests of connections that are gone give their memory back. */
  tick(): void {
    if (this.#gone.size === 0) return
    this.#waiting.forgetConnections(this.#gone)
    this.#gone.clear()
  }

  #atPosition(read: WaitingRead): void {
    if (read.position > this.#effects.position()) this.#waiting.waitForPosition(read)
    else this.#run(read)
  }

  #run(read: WaitingRead): void {
    if (this.#gone.size > 0 && this.#isGone(read)) return
    if (!this.#parked.joined(read)) this.#effects.run(read)
  }

  #isGone(read: WaitingRead): boolean {
    return this.#gone.has(connectionKey(read.stream, read.connection))
  }
}

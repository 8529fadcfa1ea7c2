/**
 * One ordered stream of commands of this node (DESIGN.md D6): numbers them, holds each until it has
 * been seen applied here, hands them to consensus once a round, and hands all of them in again, in
 * order, when the leader changed, when some were dropped on their way, or nothing moved for too long. Bounded by entries and bytes, and
 * by time (pace.ts): while `full`, its owner takes no more from its clients.
 *
 * A command for which somebody waits only so long carries a deadline in the log's own time, written
 * when it is handed in; past it, it is void at apply. One that is still held past it keeps its place in the
 * stream, and of its bytes only what the answer needs: nothing else is sent of it any more.
 */
import { invariant } from '../../runtime/invariant.ts'
import type { TraceContext } from '../../runtime/tracing.ts'
import { entryFormat, entryHeaderBytes, offset, writeUint64 } from '../consensus/entry.ts'
import type { ConsensusMessage } from '../consensus/messages.ts'
import { Pace } from './pace.ts'

export interface ProposalsSetup {
  readonly node: number
  readonly incarnation: number
  readonly stream: number
  readonly entriesMax: number
  readonly bytesMax: number
  /** All waiting entries are handed in again after this long without any applied. */
  readonly resendMillis: number
  /** Monotonic milliseconds. */
  readonly clock: () => number
  readonly tell: (message: Propose) => void
  /** Only where tracing is on: whom the command that is made now belongs to, if it is sampled. */
  readonly trace?: () => TraceContext | undefined
}

/** How long somebody waits for a command. */
export interface CommandLife {
  /** By this node's monotonic clock. */
  readonly untilMillis: number
  /** Bytes at the beginning of the body that its refusal needs. */
  readonly headBytes: number
}

type Propose = Extract<ConsensusMessage, { kind: 'propose' }>

interface Chunk {
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly firstSequence: number
  count: number
  used: number
  /** Bytes and entries already handed to consensus in this epoch. */
  sentBytes: number
  sentCount: number
  /** Bytes and entries that have applied. */
  appliedBytes: number
  appliedCount: number
  /** Of each entry: until when somebody waits for it, and how much of its body its refusal needs. */
  readonly untilMillis: number[]
  readonly headBytes: number[]
}

const chunkBytes = 256 * 1024
/** Of what may wait at all: room that is kept for what has to pass whatever load others make. */
const urgentShare = 1 / 4
/** Before the first attempt after a refusal; each in a row doubles it, up to `resendMillis`. */
const refusalMillisMin = 50
/** In the log's time: long ago for every leader, and not none. */
const longAgo = 1
const endless: CommandLife = { untilMillis: Number.POSITIVE_INFINITY, headBytes: 0 }
/** Instead of the time until which somebody waited. */
const overdue = Number.MIN_SAFE_INTEGER

export class Proposals {
  readonly #setup: ProposalsSetup
  readonly #pace: Pace
  #chunks: Chunk[] = []
  #lastSequence = 0
  #appliedSequence = 0
  #bytes = 0
  /** Of the command that was made last. */
  #lastBytes = 0
  /** What was made up to the end of the last round. */
  #roundSequence = 0
  #leaderKnown = false
  #progressMillis = 0
  /** The log's time less the monotonic clock's; NaN: not known yet. */
  #logTimeAhead = Number.NaN
  /** After a refusal, when all are handed in again. */
  #againAtMillis = Number.POSITIVE_INFINITY
  /** In a row, without anything applied. */
  #refusals = 0

  constructor(setup: ProposalsSetup) {
    this.#setup = setup
    this.#pace = new Pace(setup.clock)
  }

  get full(): boolean {
    return this.isBeyond(0)
  }

  /** For what has to pass whatever load others make. */
  get fullForUrgent(): boolean {
    return this.isBeyond(urgentShare)
  }

  /** Whether there is no room left although this share of all that may wait is added to what may wait now. */
  isBeyond(spareShare: number): boolean {
    return this.#usedShare >= this.#pace.share + spareShare
  }

  /** What a command that is made now has to expect, at least. */
  get expectedMillis(): number {
    return this.#pace.expectedMillis()
  }

  get #usedShare(): number {
    return this.#shareWithout(0, 0)
  }

  #shareWithout(count: number, bytes: number): number {
    const { entriesMax, bytesMax } = this.#setup
    return Math.max((this.waitingCount - count) / entriesMax, (this.#bytes - bytes) / bytesMax)
  }

  get waitingCount(): number {
    return this.#lastSequence - this.#appliedSequence
  }

  get lastSequence(): number {
    return this.#lastSequence
  }

  /**
   * Room for a body of at most `bodyBytesMax` bytes: write it into `target` from `start`, then
   * `commit`. Nothing else may be reserved in between.
   */
  reserve(bodyBytesMax: number): {
    readonly target: Uint8Array
    readonly view: DataView
    readonly start: number
  } {
    const needed = entryHeaderBytes + bodyBytesMax
    let chunk = this.#chunks.at(-1)
    if (chunk === undefined || chunk.bytes.length - chunk.used < needed) {
      chunk = newChunk(this.#lastSequence + 1, Math.max(chunkBytes, needed))
      this.#chunks.push(chunk)
    }
    return { target: chunk.bytes, view: chunk.view, start: chunk.used + entryHeaderBytes }
  }

  /** Completes what was reserved; returns the sequence that the reply will carry. */
  commit(kind: number, bodyBytes: number, life: CommandLife = endless): number {
    const chunk = this.#chunks.at(-1)
    const length = entryHeaderBytes + bodyBytes
    invariant(
      chunk !== undefined && chunk.used + length <= chunk.bytes.length,
      'commit follows reserve',
    )
    const sequence = ++this.#lastSequence
    const at = chunk.used
    const { view } = chunk
    chunk.bytes.fill(0, at, at + entryHeaderBytes)
    view.setUint32(at + offset.length, length, true)
    view.setUint8(at + offset.format, entryFormat)
    view.setUint8(at + offset.kind, kind)
    view.setUint32(at + offset.node, this.#setup.node, true)
    view.setUint32(at + offset.stream, this.#setup.stream, true)
    writeUint64(view, at + offset.incarnation, this.#setup.incarnation)
    writeUint64(view, at + offset.sequence, sequence)
    const trace = this.#setup.trace?.()
    if (trace !== undefined) {
      view.setUint8(at + offset.flags, 1)
      chunk.bytes.set(trace.traceId, at + offset.traceId)
      chunk.bytes.set(trace.spanId, at + offset.spanId)
    }
    chunk.untilMillis.push(life.untilMillis)
    chunk.headBytes.push(life.headBytes)
    if (!Number.isNaN(this.#logTimeAhead)) this.#stamp(chunk, chunk.count, at)
    chunk.used += length
    chunk.count += 1
    this.#bytes += length
    this.#lastBytes = length
    return sequence
  }

  /** At the end of a round: what was committed since goes to consensus in one message (a chunk). */
  flush(): void {
    if (!this.#leaderKnown) return
    this.#watchLast()
    for (const chunk of this.#chunks) {
      if (chunk.sentCount === chunk.count) continue
      if (Number.isNaN(this.#logTimeAhead) && chunk.untilMillis.some(Number.isFinite)) return
      const entries = chunk.bytes.subarray(chunk.sentBytes, chunk.used)
      this.#setup.tell({ kind: 'propose', entries, count: chunk.count - chunk.sentCount })
      chunk.sentBytes = chunk.used
      chunk.sentCount = chunk.count
    }
  }

  /** Of those that this round made, the last: all that is under way is ahead of it. */
  #watchLast(): void {
    const isNew = this.#lastSequence > this.#roundSequence
    this.#roundSequence = this.#lastSequence
    if (isNew && !this.#pace.isWatching)
      this.#pace.watch(this.#lastSequence, this.#shareWithout(1, this.#lastBytes), this.#usedShare)
  }

  /** The command with this sequence, and so all before it, has applied on this node. */
  applied(sequence: number, nowMillis: number): void {
    if (sequence <= this.#appliedSequence) return
    invariant(sequence <= this.#lastSequence, 'only what was proposed can apply')
    this.#appliedSequence = sequence
    this.#progressMillis = nowMillis
    this.#refusals = 0
    this.#pace.applied(sequence)
    while (this.#chunks.length > 0) {
      const chunk = this.#chunks[0]
      invariant(chunk !== undefined, 'there is a first chunk')
      this.#bytes -= stepOver(chunk, sequence)
      if (chunk.appliedCount < chunk.count) return
      // The last one stays to be filled further, unless it was made for one large command.
      if (this.#chunks.length === 1 && chunk.bytes.length <= chunkBytes) return
      this.#chunks.shift()
    }
  }

  /** A `leader` notice came: 0 means none, and everything waits. */
  leaderChanged(leader: number, nowMillis: number): void {
    this.#leaderKnown = leader !== 0
    this.#sendAgain(nowMillis)
  }

  /** A `logTime` notice came: commands with a deadline wait for the first. */
  logTime(time: number, nowMillis: number): void {
    const isFirst = Number.isNaN(this.#logTimeAhead)
    this.#logTimeAhead = time - nowMillis
    if (isFirst) this.#sendAgain(nowMillis)
  }

  /** Some were dropped on their way: what was handed in after them does not apply before they do. */
  refused(nowMillis: number): void {
    if (this.waitingCount === 0 || Number.isFinite(this.#againAtMillis)) return
    const doubled = refusalMillisMin * 2 ** Math.min(this.#refusals, 10)
    this.#refusals += 1
    this.#againAtMillis = nowMillis + Math.min(doubled, this.#setup.resendMillis)
  }

  tick(nowMillis: number): void {
    if (nowMillis >= this.#againAtMillis) this.#sendAgain(nowMillis)
    if (this.waitingCount === 0) this.#progressMillis = nowMillis
    else if (nowMillis - this.#progressMillis >= this.#setup.resendMillis)
      this.#sendAgain(nowMillis)
  }

  #sendAgain(nowMillis: number): void {
    this.#progressMillis = nowMillis
    this.#againAtMillis = Number.POSITIVE_INFINITY
    this.#pace.forget()
    this.#roundSequence = this.#lastSequence
    this.#chunks = this.#chunks.map(chunk => this.#withoutOverdue(chunk, nowMillis))
    for (const chunk of this.#chunks) {
      chunk.sentBytes = 0
      chunk.sentCount = 0
      let at = 0
      for (let index = 0; index < chunk.count; index += 1) {
        const length = chunk.view.getUint32(at + offset.length, true)
        if (chunk.firstSequence + index <= this.#appliedSequence) {
          // What has applied already is stepped over.
          chunk.sentBytes += length
          chunk.sentCount += 1
        } else if (!Number.isNaN(this.#logTimeAhead)) this.#stamp(chunk, index, at)
        at += length
      }
    }
    this.flush()
  }

  #stamp({ view, untilMillis }: Chunk, index: number, at: number): void {
    const until = untilMillis[index]!
    if (!Number.isFinite(until)) return
    const deadline = Math.max(longAgo, Math.floor(until + this.#logTimeAhead))
    writeUint64(view, at + offset.deadline, until === overdue ? longAgo : deadline)
  }

  /** What nobody waits for any more is cut short, in memory of its own: what was told may still be read. */
  #withoutOverdue(chunk: Chunk, nowMillis: number): Chunk {
    const { bytes, view, firstSequence, count, untilMillis, headBytes } = chunk
    const isOverdue = (index: number): boolean =>
      untilMillis[index]! <= nowMillis && firstSequence + index > this.#appliedSequence
    if (!untilMillis.some((until, index) => until !== overdue && isOverdue(index))) return chunk
    const lengths: [length: number, kept: number][] = []
    for (let index = 0, at = 0; index < count; index += 1) {
      const length = view.getUint32(at + offset.length, true)
      const short = Math.min(length, entryHeaderBytes + headBytes[index]!)
      lengths.push([length, isOverdue(index) ? short : length])
      at += length
    }
    const shorter = newChunk(
      firstSequence,
      lengths.reduce((sum, [, kept]) => sum + kept, 0),
    )
    let at = 0
    for (const [index, [length, kept]] of lengths.entries()) {
      shorter.bytes.set(bytes.subarray(at, at + kept), shorter.used)
      shorter.view.setUint32(shorter.used + offset.length, kept, true)
      shorter.untilMillis.push(isOverdue(index) ? overdue : untilMillis[index]!)
      shorter.headBytes.push(headBytes[index]!)
      shorter.used += kept
      at += length
    }
    shorter.count = count
    shorter.appliedCount = chunk.appliedCount
    shorter.appliedBytes = chunk.appliedBytes
    this.#bytes -= chunk.used - shorter.used
    return shorter
  }
}

/** What has applied up to this command: bytes that no longer wait. */
function stepOver(chunk: Chunk, sequence: number): number {
  const before = chunk.appliedBytes
  const count = Math.min(chunk.count, sequence - chunk.firstSequence + 1)
  while (chunk.appliedCount < count) {
    chunk.appliedBytes += chunk.view.getUint32(chunk.appliedBytes + offset.length, true)
    chunk.appliedCount += 1
  }
  return chunk.appliedBytes - before
}

function newChunk(firstSequence: number, bytesMax: number): Chunk {
  const bytes = new Uint8Array(bytesMax)
  return {
    bytes,
    view: new DataView(bytes.buffer),
    firstSequence,
    count: 0,
    used: 0,
    sentBytes: 0,
    sentCount: 0,
    appliedBytes: 0,
    appliedCount: 0,
    untilMillis: [],
    headBytes: [],
  }
}

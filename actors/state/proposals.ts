/**
 * One ordered stream of commands of this node (DESIGN.md D6): numbers them, holds each until it has
 * been seen applied here, hands them to consensus once a round, and hands all of them in again, in
 * order, when the leader changed or nothing moved for too long. Bounded by entries and bytes: while
 * `full`, its owner takes no more from its clients.
 */
import { invariant } from '../../runtime/invariant.ts'
import type { TraceContext } from '../../runtime/tracing.ts'
import { entryFormat, entryHeaderBytes, offset, writeUint64 } from '../consensus/entry.ts'
import type { ConsensusMessage } from '../consensus/messages.ts'

export interface ProposalsSetup {
  readonly node: number
  readonly incarnation: number
  readonly stream: number
  readonly entriesMax: number
  readonly bytesMax: number
  /** All waiting entries are handed in again after this long without any applied. */
  readonly resendMillis: number
  readonly tell: (message: Propose) => void
  /** Only where tracing is on: whom the command that is made now belongs to, if it is sampled. */
  readonly trace?: () => TraceContext | undefined
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
}

const chunkBytes = 256 * 1024

export class Proposals {
  readonly #setup: ProposalsSetup
  readonly #chunks: Chunk[] = []
  #lastSequence = 0
  #appliedSequence = 0
  #bytes = 0
  #leaderKnown = false
  #progressMillis = 0

  constructor(setup: ProposalsSetup) {
    this.#setup = setup
  }

  get full(): boolean {
    return (
      this.#lastSequence - this.#appliedSequence >= this.#setup.entriesMax ||
      this.#bytes >= this.#setup.bytesMax
    )
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
      chunk = this.#addChunk(needed)
    }
    return { target: chunk.bytes, view: chunk.view, start: chunk.used + entryHeaderBytes }
  }

  /** Completes what was reserved; returns the sequence that the reply will carry. */
  commit(kind: number, bodyBytes: number): number {
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
    chunk.used += length
    chunk.count += 1
    this.#bytes += length
    return sequence
  }

  /** At the end of a round: what was committed since goes to consensus in one message (a chunk). */
  flush(): void {
    if (!this.#leaderKnown) return
    for (const chunk of this.#chunks) {
      if (chunk.sentCount === chunk.count) continue
      const entries = chunk.bytes.subarray(chunk.sentBytes, chunk.used)
      this.#setup.tell({ kind: 'propose', entries, count: chunk.count - chunk.sentCount })
      chunk.sentBytes = chunk.used
      chunk.sentCount = chunk.count
    }
  }

  /** The command with this sequence, and so all before it, has applied on this node. */
  applied(sequence: number, nowMillis: number): void {
    if (sequence <= this.#appliedSequence) return
    invariant(sequence <= this.#lastSequence, 'only what was proposed can apply')
    this.#appliedSequence = sequence
    this.#progressMillis = nowMillis
    while (this.#chunks.length > 0) {
      const chunk = this.#chunks[0]
      invariant(chunk !== undefined, 'there is a first chunk')
      if (chunk.firstSequence + chunk.count - 1 > sequence) return
      // The last one stays to be filled further, unless it alone is much of what may wait.
      if (this.#chunks.length === 1 && this.#bytes < this.#setup.bytesMax / 2) return
      this.#bytes -= chunk.used
      this.#chunks.shift()
    }
  }

  /** A `leader` notice came: 0 means none, and everything waits. */
  leaderChanged(leader: number, nowMillis: number): void {
    this.#leaderKnown = leader !== 0
    this.#sendAgain(nowMillis)
  }

  tick(nowMillis: number): void {
    if (this.waitingCount === 0) this.#progressMillis = nowMillis
    else if (nowMillis - this.#progressMillis >= this.#setup.resendMillis)
      this.#sendAgain(nowMillis)
  }

  #sendAgain(nowMillis: number): void {
    this.#progressMillis = nowMillis
    for (const chunk of this.#chunks) {
      chunk.sentBytes = 0
      chunk.sentCount = 0
      // Lengths lead from entry to entry; what has applied already is stepped over.
      while (
        chunk.sentCount < chunk.count &&
        chunk.firstSequence + chunk.sentCount <= this.#appliedSequence
      ) {
        chunk.sentBytes += chunk.view.getUint32(chunk.sentBytes + offset.length, true)
        chunk.sentCount += 1
      }
    }
    this.flush()
  }

  #addChunk(neededBytes: number): Chunk {
    const bytes = new Uint8Array(Math.max(chunkBytes, neededBytes))
    const chunk = {
      bytes,
      view: new DataView(bytes.buffer),
      firstSequence: this.#lastSequence + 1,
      count: 0,
      used: 0,
      sentBytes: 0,
      sentCount: 0,
    }
    this.#chunks.push(chunk)
    return chunk
  }
}

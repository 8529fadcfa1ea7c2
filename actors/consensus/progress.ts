/**
 * What a leader knows of one peer. Probe: one append at a time until the logs meet. Replicate: a
 * pipeline, bounded by messages and bytes. Checkpoint: the log does not reach back far enough, only
 * heartbeats until a checkpoint is in place there.
 */
import { invariant } from './invariant.ts'

export type ProgressState = 'probe' | 'replicate' | 'checkpoint'

export class Progress {
  readonly node: number
  /** The store that the peer last spoke for; '' until it spoke. */
  store = ''
  state: ProgressState = 'probe'
  /** Durable there, and the same as here. 0 <= match < next. */
  match = 0
  /** The first entry to be sent next. */
  next: number
  /** The commit position that it was told. */
  commitTold = 0
  /** Highest read confirmation counter that it returned. */
  confirmed = 0
  /** Heard from since the last check of the quorum. */
  active = false
  /** Since it was last heard of, as the link tells too; infinite before the first word. */
  silentTicks = Number.POSITIVE_INFINITY
  /** An append is under way in state probe; the next heartbeat sends another. */
  probing = false
  /** In state checkpoint: the checkpoint that was the newest when it was asked for. */
  checkpointAt = 0
  /** In state checkpoint: it was sent, and has so many ticks to show. */
  checkpointInTicks = Number.POSITIVE_INFINITY
  /** No longer a member: dropped once it knows, or after this many ticks. Infinity for members. */
  departsInTicks = Number.POSITIVE_INFINITY
  readonly inflight: Inflight

  constructor(node: number, next: number, messagesMax: number, bytesMax: number) {
    this.node = node
    this.next = next
    this.inflight = new Inflight(messagesMax, bytesMax)
  }

  becomeProbe(): void {
    this.state = 'probe'
    this.next = this.match + 1
    this.probing = false
    this.inflight.clear()
  }

  /** What was under way is lost. Of a peer that never answered nothing is known: ask at the end. */
  restart(last: number): void {
    this.becomeProbe()
    if (this.match === 0) this.next = last + 1
  }

  becomeCheckpoint(checkpoint: number): void {
    this.state = 'checkpoint'
    this.checkpointAt = checkpoint
    this.checkpointInTicks = Number.POSITIVE_INFINITY
    this.probing = false
    this.inflight.clear()
  }

  sent(last: number, bytes: number): void {
    invariant(this.state !== 'checkpoint', 'no entries leave while a checkpoint is under way')
    if (this.state === 'probe') {
      this.probing = true
      return
    }
    invariant(last >= this.next, 'what was sent goes forward')
    this.next = last + 1
    this.inflight.add(last, bytes)
  }

  mayReceiveEntries(): boolean {
    if (this.state === 'replicate') return !this.inflight.full
    return this.state === 'probe' && !this.probing
  }

  /** Returns whether `match` grew. */
  acknowledged(match: number): boolean {
    this.inflight.releaseTo(match)
    const grew = match > this.match
    if (grew) this.match = match
    if (this.next <= match) this.next = match + 1
    if (this.state === 'probe') {
      this.state = 'replicate'
      this.probing = false
      this.next = this.match + 1
    }
    invariant(this.match < this.next, 'match stays below next')
    return grew
  }

  /** The peer's log differs at `refused`; `retry` is where both may agree. */
  refused(refused: number, retry: number): boolean {
    const stale = refused <= this.match || (this.state === 'probe' && refused !== this.next - 1)
    if (stale || this.state === 'checkpoint') return false
    this.becomeProbe()
    this.next = Math.max(this.match + 1, Math.min(refused, retry + 1))
    return true
  }
}

/** A ring of what was sent and not acknowledged: its end and size, by message. */
export class Inflight {
  readonly #lasts: Float64Array
  readonly #sizes: Float64Array
  readonly #bytesMax: number
  #start = 0
  #bytes = 0
  count = 0

  constructor(messagesMax: number, bytesMax: number) {
    this.#lasts = new Float64Array(messagesMax)
    this.#sizes = new Float64Array(messagesMax)
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  get full(): boolean {
    return this.count === this.#lasts.length || this.#bytes >= this.#bytesMax
  }

  add(last: number, bytes: number): void {
    invariant(this.count < this.#lasts.length, 'nothing is sent into a full window')
    const at = (this.#start + this.count) % this.#lasts.length
    this.#lasts[at] = last
    this.#sizes[at] = bytes
    this.#bytes += bytes
    this.count++
  }

  releaseTo(position: number): void {
    while (this.count > 0 && this.#lasts[this.#start]! <= position) {
      this.#bytes -= this.#sizes[this.#start]!
      this.#start = (this.#start + 1) % this.#lasts.length
      this.count--
    }
  }

  clear(): void {
    this.#start = 0
    this.#bytes = 0
    this.count = 0
  }
}

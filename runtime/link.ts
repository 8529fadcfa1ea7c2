/**
 * One end of the link to another thread. Envelopes are written straight into a slab, which leaves
 * once a turn; what does not fit gets a slab of its own size, which belongs to the carrier from then
 * on. The receiver grants credit in bytes as it handles them; without credit slabs wait here, and
 * beyond a bound ordinary messages are lost and counted; completions, supervision and link-down have
 * room of their own (DESIGN.md D3, D4).
 *
 * A slab: 0 u32 bytes handled since the last slab (credit given back)   4 u32 format (1)   8 envelopes
 */
import { threadPool } from './buffer-pool.ts'
import type { Carrier } from './carrier.ts'
import { invariant } from './invariant.ts'
import { limits } from './limits.ts'

export interface LinkLimits {
  readonly linkCreditBytes: number
  readonly linkHeldBytesMax: number
  readonly linkReservedBytes: number
}

export interface LinkHandlers {
  /** Envelopes from `start` on, end to end, valid during the call, or for good when `owned`. */
  envelopes(source: Buffer, start: number, owned: boolean): void
  lost(): void
  /** Something has to leave at the end of a turn. */
  wake(): void
}

export const slabHeaderBytes = 8
const slabFormat = 1

export class ThreadLink {
  /** Where the room that was reserved begins: in `buffer` at `at`. Valid until the next call. */
  buffer: Buffer
  at = slabHeaderBytes
  isLost = false
  slabsSent = 0
  bytesSent = 0
  slabsReceived = 0
  /** Reused turn after turn. */
  readonly #slab = Buffer.allocUnsafeSlow(limits.slabBytes)
  readonly #carrier: Carrier
  readonly #handlers: LinkHandlers
  readonly #limits: LinkLimits
  /** Sent and not yet handled by the other side. */
  #unhandledBytes = 0
  #held: Held[] = []
  #heldBytes = 0
  /** Received and not yet granted again. */
  #toGrantBytes = 0

  constructor(carrier: Carrier, handlers: LinkHandlers, linkLimits: LinkLimits = limits) {
    this.buffer = this.#slab
    this.#carrier = carrier
    this.#handlers = handlers
    this.#limits = linkLimits
  }

  open(): void {
    this.#carrier.open({
      slab: (bytes, owned) => this.#received(bytes, owned),
      lost: () => this.#lost(),
    })
  }

  /** False: there is no room for another message of this class. */
  reserve(bytes: number, reserved: boolean): boolean {
    if (this.isLost) return false
    const { linkHeldBytesMax, linkReservedBytes } = this.#limits
    const boundBytes = reserved ? linkHeldBytesMax + linkReservedBytes : linkHeldBytesMax
    if (this.#heldBytes + this.at > boundBytes) return false
    // A large slab holds one message, so that its memory can be recycled with it.
    const isLarge = this.buffer !== this.#slab && this.at > slabHeaderBytes
    if (isLarge || this.at + bytes > this.buffer.length) this.#makeRoom(bytes)
    return true
  }

  /** The message ends at `end` of `buffer`. */
  commit(end: number): void {
    if (this.at === slabHeaderBytes) this.#handlers.wake()
    this.at = end
  }

  /** Sent and not handled by the other side, and waiting for credit to be sent. */
  get unhandledBytes(): number {
    return this.#unhandledBytes
  }

  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Half of what may be under way is not: producers need not pause. */
  get hasRoom(): boolean {
    const pendingBytes = this.#unhandledBytes + this.#heldBytes + this.at
    return !this.isLost && pendingBytes < this.#limits.linkCreditBytes / 2
  }

  poll(): void {
    if (!this.isLost) this.#carrier.poll?.()
  }

  /** At the end of a turn. `grant`: all that came has been handled. */
  endTurn(grant: boolean): void {
    if (this.isLost) return
    if (this.at > slabHeaderBytes) this.flush(grant)
    // Credit rides along; alone it is sent only when the other side may be waiting for it.
    else if (grant && this.#toGrantBytes >= this.#limits.linkCreditBytes / 4)
      this.#send(this.buffer.subarray(0, slabHeaderBytes), false, true)
  }

  flush(grant = false): void {
    const slab = this.buffer.subarray(0, this.at)
    const owned = this.buffer !== this.#slab
    this.buffer = this.#slab
    this.at = slabHeaderBytes
    if (this.#held.length === 0 && this.#hasCredit(slab.length)) this.#send(slab, owned, grant)
    else this.#hold({ slab: owned ? slab : copyOf(slab), owned })
  }

  close(): void {
    this.isLost = true
    this.#carrier.close()
  }

  /** A slab larger than half of all credit passes like one of half: it may not wait for ever. */
  #hasCredit(bytes: number): boolean {
    const { linkCreditBytes } = this.#limits
    return this.#unhandledBytes + Math.min(bytes, linkCreditBytes / 2) <= linkCreditBytes
  }

  #hold(held: Held): void {
    this.#held.push(held)
    this.#heldBytes += held.slab.length
  }

  #send(slab: Buffer, owned: boolean, grant: boolean): void {
    const granted = grant ? this.#toGrantBytes : 0
    this.#toGrantBytes -= granted
    slab.writeUInt32LE(granted, 0)
    slab.writeUInt32LE(slabFormat, 4)
    // Nothing but credit: it needs none itself.
    if (slab.length > slabHeaderBytes) this.#unhandledBytes += slab.length
    this.slabsSent++
    this.bytesSent += slab.length
    this.#carrier.send(slab, owned)
  }

  #received(bytes: Uint8Array, owned: boolean): void {
    if (this.isLost) return
    const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    invariant(source.length >= slabHeaderBytes, 'a slab has a header')
    invariant(source.readUInt32LE(4) === slabFormat, 'threads of one process speak one slab format')
    this.slabsReceived++
    this.#unhandledBytes -= source.readUInt32LE(0)
    invariant(this.#unhandledBytes >= 0, 'credit comes back once')
    if (source.length > slabHeaderBytes) {
      this.#toGrantBytes += source.length
      this.#handlers.envelopes(source, slabHeaderBytes, owned)
    }
    this.#releaseHeld()
    this.#handlers.wake()
  }

  #releaseHeld(): void {
    while (this.#held.length > 0 && this.#hasCredit(this.#held[0]!.slab.length)) {
      const { slab, owned } = this.#held.shift()!
      this.#heldBytes -= slab.length
      this.#send(slab, owned, false)
    }
  }

  #makeRoom(bytes: number): void {
    if (this.at > slabHeaderBytes) this.flush()
    if (slabHeaderBytes + bytes > this.buffer.length) {
      this.buffer = largeSlab(slabHeaderBytes + bytes)
    }
  }

  #lost(): void {
    if (this.isLost) return
    this.isLost = true
    this.#held = []
    this.#heldBytes = 0
    this.#handlers.lost()
  }
}

/** Waits for credit. `owned`: it holds one message, and its memory goes with it. */
interface Held {
  readonly slab: Buffer
  readonly owned: boolean
}

/** Not of Node's own pool, as `Buffer.from` of a small slab would be. */
function copyOf(slab: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(slab.length)
  copy.set(slab)
  return copy
}

function largeSlab(bytes: number): Buffer {
  return threadPool.fits(bytes) ? threadPool.take(bytes) : Buffer.allocUnsafeSlow(bytes)
}

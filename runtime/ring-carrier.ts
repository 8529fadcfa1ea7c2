/**
 * Carries slabs between threads through two rings of shared memory; a message port wakes the reader
 * when it rests, tells of the end, and takes slabs that are too large or for which a ring has no room:
 * their memory moves. Sequence numbers put the two ways together again. Compared with slabs moved
 * through the port this saves two allocations a slab and most of the wakes (benchmarks/hop/README.md).
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { giveBack } from './buffer-pool.ts'
import type { Carrier, CarrierHandlers } from './carrier.ts'
import { limits } from './limits.ts'
import { createRing, RingReader, RingWriter } from './ring.ts'

/** One end, as it is handed to a thread (`port` in its transfer list). */
export interface CarrierEnd {
  readonly port: MessagePort
  readonly incoming: SharedArrayBuffer
  readonly outgoing: SharedArrayBuffer
}

export function createCarrierEnds(): [CarrierEnd, CarrierEnd] {
  const { port1, port2 } = new MessageChannel()
  const there = createRing(limits.ringBytes)
  const back = createRing(limits.ringBytes)
  return [
    { port: port1, incoming: back, outgoing: there },
    { port: port2, incoming: there, outgoing: back },
  ]
}

export function ringCarrier(end: CarrierEnd): Carrier {
  return new RingCarrier(end)
}

/** What goes through the port: nothing but a wake, or a slab with its sequence. */
type PortMessage = 0 | { readonly sequence: number; readonly slab: Uint8Array }

class RingCarrier implements Carrier {
  readonly #port: MessagePort
  readonly #writer: RingWriter
  readonly #reader: RingReader
  readonly #spilled = new Map<number, Uint8Array>()
  #handlers: CarrierHandlers | undefined = undefined
  #sent = 0
  #received = 0
  #closed = false

  constructor({ port, incoming, outgoing }: CarrierEnd) {
    this.#port = port
    this.#reader = new RingReader(incoming)
    this.#writer = new RingWriter(outgoing)
  }

  open(handlers: CarrierHandlers): void {
    this.#handlers = handlers
    this.#port.on('message', (message: PortMessage) => {
      if (message !== 0) this.#spilled.set(message.sequence, message.slab)
      this.#reader.awake()
      if (!this.#takeAll()) this.#rest()
    })
    this.#port.on('close', () => {
      this.#takeAll()
      this.#closed = true
      handlers.lost()
    })
    if (!this.#takeAll()) this.#rest()
  }

  send(slab: Uint8Array, owned: boolean): void {
    const sequence = this.#sent
    this.#sent = (sequence + 1) >>> 0
    if (slab.length <= limits.ringSlabBytesMax && this.#writer.write(slab, sequence)) {
      if (owned) giveBack(slab)
      if (this.#writer.mustWake()) this.#port.postMessage(0)
      return
    }
    // The memory of a large one leaves for good, and is missing in this thread's pool: the ring first.
    const moved = owned ? slab : new Uint8Array(slab)
    this.#port.postMessage({ sequence, slab: moved }, [moved.buffer as ArrayBuffer])
  }

  /** While slabs keep coming, each turn finds them here and nobody is woken. */
  poll(): void {
    if (this.#handlers !== undefined && !this.#takeAll()) this.#rest()
  }

  close(): void {
    this.#closed = true
    this.#port.close()
  }

  /** True: there was something. */
  #takeAll(): boolean {
    const before = this.#received
    while (!this.#closed) {
      const slab = this.#spilled.get(this.#received)
      if (slab !== undefined) {
        this.#spilled.delete(this.#received)
        this.#received = (this.#received + 1) >>> 0
        this.#handlers!.slab(slab, true)
      } else if (this.#reader.next() === this.#received) {
        this.#received = (this.#received + 1) >>> 0
        this.#handlers!.slab(this.#reader.peek(), false)
        this.#reader.release()
      } else break
    }
    return this.#received !== before
  }

  /** What came between the last look and the sleep has not woken anybody. */
  #rest(): void {
    this.#reader.sleep()
    this.#takeAll()
  }
}

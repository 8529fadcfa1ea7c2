/**
 * What carries slabs between two threads, one end of it. Exchangeable: message ports in production
 * (port-carrier.ts), delayed queues in the simulator, a direct pair in tests.
 */
export interface Carrier {
  /** Once. Slabs that were sent before wait. */
  open(handlers: CarrierHandlers): void
  /**
   * In order, and never lost while both threads live. The bytes may be reused after the call, except
   * `owned` ones: their memory is given away.
   */
  send(slab: Uint8Array, owned: boolean): void
  /** Takes in what is there already, at the end of a turn: sooner than by a wake. */
  poll?(): void
  close(): void
}

export interface CarrierHandlers {
  /** The bytes are valid during the call, `owned` ones for good. A turn follows, and with it a `poll`. */
  slab(bytes: Uint8Array, owned: boolean): void
  /** The other thread is gone, or has closed its end. */
  lost(): void
}

/** Two ends in one thread: slabs are copied and arrive when `deliver` runs them. */
export function carrierPair(deliver: (callback: () => void) => void): [Carrier, Carrier] {
  const left = new MemoryCarrier(deliver)
  const right = new MemoryCarrier(deliver)
  left.other = right
  right.other = left
  return [left, right]
}

class MemoryCarrier implements Carrier {
  other: MemoryCarrier | undefined = undefined
  readonly #deliver: (callback: () => void) => void
  #handlers: CarrierHandlers | undefined = undefined
  #early: Uint8Array[] = []

  constructor(deliver: (callback: () => void) => void) {
    this.#deliver = deliver
  }

  open(handlers: CarrierHandlers): void {
    this.#handlers = handlers
    for (const slab of this.#early.splice(0)) handlers.slab(slab, true)
  }

  send(slab: Uint8Array): void {
    // A Buffer's own `slice` would not copy.
    const copy = new Uint8Array(slab)
    const { other } = this
    this.#deliver(() => other?.arrived(copy))
  }

  close(): void {
    const { other } = this
    this.other = undefined
    if (other !== undefined) this.#deliver(() => other.lost())
  }

  arrived(slab: Uint8Array): void {
    if (this.#handlers === undefined) this.#early.push(slab)
    else this.#handlers.slab(slab, true)
  }

  lost(): void {
    if (this.other === undefined) return
    this.other = undefined
    this.#handlers?.lost()
  }
}

/** Carries slabs over a message port: each is copied once into memory of its own, which moves over. */
import type { MessagePort } from 'node:worker_threads'
import type { Carrier } from './carrier.ts'

export function portCarrier(port: MessagePort): Carrier {
  return {
    open(handlers) {
      port.on('message', (slab: Uint8Array) => handlers.slab(slab))
      port.on('close', () => handlers.lost())
    },
    send(slab) {
      const copy = new Uint8Array(slab)
      port.postMessage(copy, [copy.buffer])
    },
    close: () => port.close(),
  }
}

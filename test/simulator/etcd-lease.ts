/** The one lease that an etcd client holds at a time, kept alive on a stream of its connection. */
import type { Host } from '../../runtime/host.ts'
import { type Decoded, decodeFull, encode } from '../transport/etcd/messages/schema.ts'
import { endOf, type EtcdHistory, type Lease } from './etcd-history.ts'
import type { GrpcConnection } from './grpc-client.ts'

interface LeaseSetup {
  readonly id: number
  readonly host: Host
  readonly history: EtcdHistory
}

/** A node that is cut off ends the stream after its request time-out of 7 s; without a leader it may take longer. */
const waitMillisMax = 8500

export class EtcdLease {
  current: Lease | undefined
  isGranting = false
  readonly #setup: LeaseSetup
  readonly #violate: (sentence: string) => void
  #count = 0
  #send: ((message: Uint8Array) => void) | undefined
  /** Renewals on this stream that are not answered yet. */
  #sentMillis: { readonly lease: Lease; readonly millis: number }[] = []

  constructor(setup: LeaseSetup, violate: (sentence: string) => void) {
    this.#setup = setup
    this.#violate = violate
  }

  open(connection: GrpcConnection): void {
    this.#sentMillis = []
    this.#send = connection.stream('/etcdserverpb.Lease/LeaseKeepAlive', {
      message: bytes => this.#renewed(decodeFull('LeaseKeepAliveResponse', bytes)),
      ended: () => {
        // A stream that the server ended is opened again with the next connection.
        if (connection.isOpen) connection.destroy()
      },
    })
  }

  closed(): void {
    this.#send = undefined
  }

  renew(): void {
    const lease = this.current
    if (lease === undefined || this.#send === undefined) return
    const oldest = this.#sentMillis[0]
    const waited = oldest === undefined ? 0 : this.#setup.history.waitedMillis(oldest.millis)
    if (waited > waitMillisMax) this.#violate(`a lease was not renewed for ${waited} ms`)
    this.#sentMillis.push({ lease, millis: this.#now() })
    this.#send(encode('LeaseKeepAliveRequest', { ID: lease.id }))
  }

  /** The request for a new one, and what its answer means. */
  grant(ttlSeconds: number): {
    request: object
    granted: (response: Decoded) => void
    failed: () => void
  } {
    const id = this.#setup.id * 10_000 + ++this.#count
    const sentMillis = this.#now()
    this.isGranting = true
    return {
      request: { TTL: ttlSeconds, ID: id },
      granted: response => {
        this.isGranting = false
        const ttlMillis = Number(response.TTL) * 1000
        const lease = {
          id,
          ttlMillis,
          renewedMillis: sentMillis,
          revokedMillis: Number.POSITIVE_INFINITY,
        }
        if (Number(response.ID) !== id) this.#violate(`asked for lease ${id}, got ${response.ID}`)
        this.#setup.history.granted(lease)
        this.current = lease
      },
      failed: () => {
        this.isGranting = false
      },
    }
  }

  /** It is not renewed any more. */
  leave(lease = this.current): void {
    if (lease === this.current) this.current = undefined
  }

  #renewed({ ID, TTL }: Decoded): void {
    const at = this.#sentMillis.findIndex(sent => sent.lease.id === Number(ID))
    if (at < 0) return this.#violate(`lease ${ID} was renewed, which was not asked for`)
    const { lease, millis } = this.#sentMillis.splice(at, 1)[0]!
    if (Number(TTL) > 0) lease.renewedMillis = Math.max(lease.renewedMillis, millis)
    else {
      this.leave(lease)
      const now = this.#now()
      if (now < endOf(lease))
        this.#violate(`lease ${ID} had ended at ${now}, before ${endOf(lease)}`)
    }
  }

  #now(): number {
    return this.#setup.host.clock.monotonicMillis()
  }
}

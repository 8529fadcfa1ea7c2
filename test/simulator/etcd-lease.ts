/** The one lease that an etcd client holds at a time, kept alive on a stream of its connection. */
import type { Host, Random } from '../../runtime/host.ts'
import { below } from '../../runtime/random.ts'
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
/** How late the renewals of some leases are: the leader may have proposed their ends. */
const lateMillisMin = 100
const lateMillisMax = 500

export class EtcdLease {
  current: Lease | undefined
  isGranting = false
  /** The one that is held now is renewed when its time is over, by a timer of its own; so it is kept for longer. */
  isRenewedLate = false
  readonly #setup: LeaseSetup
  readonly #random: Random
  readonly #violate: (sentence: string) => void
  #count = 0
  #send: ((message: Uint8Array) => void) | undefined
  /** Renewals on this stream that are not answered yet. */
  #sentMillis: { readonly lease: Lease; readonly millis: number }[] = []

  constructor(setup: LeaseSetup, random: Random, violate: (sentence: string) => void) {
    this.#setup = setup
    this.#random = random
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

  /** To be called now and then. */
  tick(): void {
    if (!this.isRenewedLate) this.#renew()
  }

  #renewLate(lease: Lease): void {
    const late = lateMillisMin + (lateMillisMax - lateMillisMin) * this.#random.fraction()
    const millis = lease.ttlMillis + late
    this.#setup.host.timers.after(millis, () => {
      if (this.current !== lease) return
      this.#renew()
      this.#renewLate(lease)
    })
  }

  #renew(): void {
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
        this.isRenewedLate = below(this.#random, 2) === 0
        if (this.isRenewedLate) this.#renewLate(lease)
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

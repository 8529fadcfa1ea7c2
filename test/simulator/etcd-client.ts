/**
 * One etcd client of a simulated world: some calls in flight on one connection to whatever node it
 * reaches, one lease at a time, and one watch on all keys, which goes on after every reconnect. What it
 * is told goes to the history that all clients share.
 */
import type { Random } from '../../runtime/host.ts'
import { below, deriveSeed, seededRandom } from '../../runtime/random.ts'
import { grpcStatus } from '../../transport/etcd/grpc.ts'
import { type Decoded, decodeFull, encode } from '../transport/etcd/messages/schema.ts'
import { type ClientSetup, pace } from './client-setup.ts'
import { type Answer, endOf, type EtcdHistory, type KeyRange, type Lease } from './etcd-history.ts'
import { EtcdLease } from './etcd-lease.ts'
import { EtcdWatch, keyValue } from './etcd-watch.ts'
import { GrpcConnection, lostStatus } from './grpc-client.ts'

export interface EtcdClientSetup extends ClientSetup {
  readonly history: EtcdHistory
  /** A write was refused for lack of space. */
  readonly refused: () => void
}

const inFlightMax = 4
const { burstMillisMin, burstMillisMax, pingMillis, silenceMillis, reconnectMillis } = pace
const sharedKeys = 3
const ownKeys = 4
const everything: KeyRange = { from: 'e/', to: 'e0' }
/** Where the state is to become full. */
const largeValueBytes = 32_768
/** A lease that is begun later might not end in time. */
const lastLeaseAt = 20
const restMillis = 3000

export class EtcdClient {
  readonly watch: EtcdWatch
  acknowledged = 0
  readonly #setup: EtcdClientSetup
  readonly #random: Random
  readonly #lease: EtcdLease
  #connection: GrpcConnection | undefined
  #inFlight = 0
  #values = 0
  #left: number
  /** Until then it only reads: no write of it takes the place of a read, or waits for a leader. */
  #restsUntilMillis = 0
  /** Where shared keys were last seen modified. */
  readonly #modified = new Map<string, number>()

  constructor(setup: EtcdClientSetup) {
    this.#setup = setup
    this.#left = setup.operations
    this.#random = seededRandom(deriveSeed(setup.seed, `etcd${setup.id}`))
    const violate = (sentence: string): void => this.#violate(sentence)
    this.watch = new EtcdWatch(everything, violate)
    this.#lease = new EtcdLease(setup, this.#random, violate)
  }

  get name(): string {
    return `etcd client ${this.#setup.id}`
  }

  get done(): boolean {
    return this.#left === 0
  }

  start(): void {
    this.#connect()
    this.#ping()
    this.#burst()
  }

  #burst(): void {
    const millis = burstMillisMin + (burstMillisMax - burstMillisMin) * this.#random.fraction()
    this.#setup.host.timers.after(millis, () => {
      // Who fills the state goes on.
      if (!this.#setup.hasQuota && below(this.#random, 20) === 0) this.#rest()
      while (this.#connection?.isOpen && this.#inFlight < Math.min(inFlightMax, this.#left)) {
        this.#next(this.#connection)
        if (below(this.#random, 4) === 0) break
      }
      this.#burst()
    })
  }

  #rest(): void {
    const { host, busyUntilMillis } = this.#setup
    const millis = host.clock.monotonicMillis() + restMillis * (1 + this.#random.fraction())
    this.#restsUntilMillis = Math.min(millis, busyUntilMillis)
  }

  #connect(): void {
    const { host, machines, port } = this.#setup
    const machine = machines[below(this.#random, machines.length)]!
    const connection: GrpcConnection = new GrpcConnection(
      host,
      { host: machine, port },
      {
        opened: () => {
          this.watch.open(connection)
          this.#lease.open(connection)
        },
        lost: () => {
          this.#connection = undefined
          this.#lease.closed()
          const millis = reconnectMillis * (1 + this.#random.fraction())
          host.timers.after(millis, () => this.#connect())
        },
      },
    )
    this.#connection = connection
  }

  /** Also notices a connection from which nothing comes any more, and renews the lease. */
  #ping(): void {
    const { host } = this.#setup
    host.timers.after(pingMillis, () => this.#ping())
    const connection = this.#connection
    if (connection === undefined) return
    if (host.clock.monotonicMillis() - connection.heardMillis > silenceMillis) connection.destroy()
    else if (connection.isOpen) {
      connection.ping()
      this.#lease.tick()
    }
  }

  #next(connection: GrpcConnection): void {
    const isResting = this.#setup.host.clock.monotonicMillis() < this.#restsUntilMillis
    if (isResting) return this.#range(connection)
    const dice = below(this.#random, 20)
    if (dice < 7) this.#put(connection)
    else if (dice < 12) this.#range(connection)
    else if (dice < 15) this.#swap(connection)
    else if (dice < 17) this.#delete(connection)
    else this.#useLease(connection)
  }

  #put(connection: GrpcConnection): void {
    const key = below(this.#random, 3) === 0 ? this.#sharedKey() : this.#ownKey()
    const value = this.#value(key)
    const request = { key: bytes(key), value: bytes(value) }
    const answer = (): Answer => ({ kind: 'put', key, value })
    this.#call(connection, 'KV/Put', request, answer, { value })
  }

  #range(connection: GrpcConnection): void {
    const serializable = below(this.#random, 2) === 0
    const keys = below(this.#random, 2) === 0 ? everything : { from: this.#sharedKey(), to: '' }
    const request = { key: bytes(keys.from), range_end: bytes(keys.to), serializable }
    const answer = ({ kvs }: Decoded): Answer => ({ kind: 'range', keys, found: kvs.map(keyValue) })
    this.#call(connection, 'KV/Range', request, answer, { isLocal: serializable })
  }

  /** Puts a shared key if it is as this client saw it last, or else looks at it. */
  #swap(connection: GrpcConnection): void {
    const key = this.#sharedKey()
    const modified = this.#modified.get(key) ?? 0
    const value = this.#value(key)
    const put = { request_put: { key: bytes(key), value: bytes(value) } }
    const look = { request_range: { key: bytes(key) } }
    const compare = { target: 2, key: bytes(key), mod_revision: modified }
    const request = { compare: [compare], success: [put], failure: [look] }
    const answer = ({ header, succeeded, responses }: Decoded): Answer => {
      const found = responses[0]?.response_range?.kvs?.[0]
      this.#modified.set(
        key,
        succeeded ? Number(header.revision) : Number(found?.mod_revision ?? 0),
      )
      return { kind: 'swap', key, modified, value, succeeded }
    }
    this.#call(connection, 'KV/Txn', request, answer, { value })
  }

  #delete(connection: GrpcConnection): void {
    const own = `e/${this.#setup.id}/`
    const dice = below(this.#random, 3)
    const keys: KeyRange =
      dice === 0
        ? { from: `${own}0`, to: `${own}9` }
        : { from: dice === 1 ? this.#sharedKey() : this.#ownKey(), to: '' }
    const request = { key: bytes(keys.from), range_end: bytes(keys.to) }
    this.#call(connection, 'KV/DeleteRange', request, ({ deleted }) => ({
      kind: 'delete',
      keys,
      deleted: Number(deleted),
    }))
  }

  /** Grants one, attaches keys to it, and some time revokes it or leaves it to itself. */
  #useLease(connection: GrpcConnection): void {
    const lease = this.#lease.current
    const isLate = this.#left <= lastLeaseAt
    if (lease === undefined) {
      if (isLate || this.#lease.isGranting) this.#range(connection)
      else this.#grant(connection)
      return
    }
    const dice = isLate ? 0 : below(this.#random, this.#lease.isRenewedLate ? 40 : 6)
    if (dice > 1) this.#putLeased(connection, lease)
    else if (dice === 1) {
      this.#lease.leave()
      this.#range(connection)
    } else this.#revoke(connection, lease)
  }

  #grant(connection: GrpcConnection): void {
    const { request, granted, failed } = this.#lease.grant(2 + below(this.#random, 2))
    this.#send(connection, 'Lease/LeaseGrant', request, {
      answered: granted,
      failed: () => failed(),
    })
  }

  #putLeased(connection: GrpcConnection, lease: Lease): void {
    const key = `e/${this.#setup.id}/lease-${lease.id}-${below(this.#random, 2)}`
    const value = this.#value(key)
    const floor = this.#setup.history.floor
    const request = { key: bytes(key), value: bytes(value), lease: lease.id }
    this.#send(connection, 'KV/Put', request, {
      answered: ({ header }) => this.#tell({ kind: 'put', key, value }, header, floor, false),
      failed: status => this.#leaseFailed(lease, status),
    })
  }

  #revoke(connection: GrpcConnection, lease: Lease): void {
    lease.revokedMillis = this.#setup.host.clock.monotonicMillis()
    this.#lease.leave()
    this.#send(
      connection,
      'Lease/LeaseRevoke',
      { ID: lease.id },
      {
        answered() {},
        // It may have ended by itself, or an earlier try may have come through.
        failed: status => this.#leaseFailed(lease, status),
      },
    )
  }

  #leaseFailed(lease: Lease, status: number): void {
    if (status !== grpcStatus.notFound) return this.#failed(status)
    this.#answeredOne()
    this.#lease.leave(lease)
    const now = this.#setup.host.clock.monotonicMillis()
    if (now < endOf(lease))
      this.#violate(`lease ${lease.id} was gone at ${now}, before ${endOf(lease)}`)
  }

  /** A call whose answer the history checks. */
  #call(
    connection: GrpcConnection,
    method: string,
    request: object,
    answer: (response: Decoded) => Answer,
    { isLocal = false, value = '' } = {},
  ): void {
    const floor = this.#setup.history.floor
    this.#send(connection, method, request, {
      answered: response => this.#tell(answer(response), response.header, floor, isLocal),
      failed: status => {
        const { history, host } = this.#setup
        if (status !== lostStatus && value !== '')
          history.refused(value, host.clock.monotonicMillis())
        this.#failed(status)
      },
    })
  }

  #tell(answer: Answer, header: Decoded, floor: number, isLocal: boolean): void {
    const { history, note } = this.#setup
    const revision = Number(header.revision)
    if (isLocal) history.answeredLocally(answer, revision)
    else history.answered(answer, revision, floor, sentence => this.#violate(sentence))
    note(`${this.name} ${answer.kind} at ${revision}`)
  }

  #send(
    connection: GrpcConnection,
    method: string,
    request: object,
    handlers: { answered(response: Decoded): void; failed(status: number): void },
  ): void {
    const type = method.slice(method.indexOf('/') + 1)
    let response: Decoded
    this.#inFlight++
    connection.unary(`/etcdserverpb.${method}`, encode(`${type}Request`, request), {
      message: message => {
        response = decodeFull(`${type}Response`, message)
      },
      ended: status => {
        this.#inFlight--
        if (status === grpcStatus.resourceExhausted) this.#refused(method)
        if (status !== grpcStatus.ok || response === undefined) return handlers.failed(status)
        this.#answeredOne()
        handlers.answered(response)
      },
    })
  }

  /** For lack of space in the state; on a disk that is full everything may be. */
  #refused(method: string): void {
    if (!this.#setup.hasQuota) return
    if (method === 'KV/DeleteRange' || method === 'Lease/LeaseRevoke')
      this.#violate(`${method} makes the state smaller, and was refused`)
    this.#left = Math.max(0, this.#left - 1)
    this.#setup.refused()
  }

  /** Nobody knows whether it was done. */
  #failed(status: number): void {
    const isKnown =
      status === lostStatus ||
      status === grpcStatus.unavailable ||
      status === grpcStatus.deadlineExceeded ||
      status === grpcStatus.resourceExhausted
    if (!isKnown) this.#violate(`got the status ${status}`)
  }

  #answeredOne(): void {
    this.acknowledged++
    const { busyUntilMillis, host } = this.#setup
    const isBusy = host.clock.monotonicMillis() < busyUntilMillis
    if (this.#left > (isBusy ? lastLeaseAt + inFlightMax : 0)) this.#left--
    if (this.#left === 0) this.#lease.leave()
  }

  #sharedKey(): string {
    return `e/shared/${below(this.#random, sharedKeys)}`
  }

  #ownKey(): string {
    return `e/${this.#setup.id}/${below(this.#random, ownKeys)}`
  }

  #value(key: string): string {
    const filling = this.#setup.hasQuota ? '.'.repeat(below(this.#random, largeValueBytes)) : ''
    const value = `${this.#setup.id}-${++this.#values}${filling}`
    this.#setup.history.sends(key, value, this.#setup.host.clock.monotonicMillis())
    return value
  }

  #violate(sentence: string): void {
    this.#setup.violate(`${this.name}: ${sentence}`)
  }
}

function bytes(text: string): Buffer {
  return Buffer.from(text)
}

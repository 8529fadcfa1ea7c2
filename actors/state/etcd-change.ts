/**
 * The changes of one command: all have the same revision, one more than the last, and count up in
 * `sub`. Collects events where somebody watches.
 */
import type { Keyspace, Pointer } from '../../storage/keyspace.ts'
import type { DeleteRangeRequest } from '../../transport/etcd/messages/delete-range.ts'
import { keyValueBytes, writeKeyValueFields } from '../../transport/etcd/messages/key-value.ts'
import type { PutRequest } from '../../transport/etcd/messages/put.ts'
import { OwnRooms, Writer } from '../../transport/etcd/messages/writer.ts'
import type { KeyEvent } from '../watches/messages.ts'
import { intervalEnd, isInterval } from './etcd-range.ts'
import { EtcdTally } from './etcd-tally.ts'
import type { Lifetime } from './lifetimes.ts'
import { limits } from './limits.ts'
import type { Slice, Steps } from './slices.ts'
import { sortInSlices } from './sort-slices.ts'
import type { World } from './world.ts'

const nothing = new Uint8Array(0)

export class Change {
  readonly tally: EtcdTally
  readonly #writer = new Writer(new OwnRooms())
  readonly #world: World
  readonly #keyspace: Keyspace
  /** Of the first change of this command. */
  #revision = 0
  #sub = 0
  #events: KeyEvent[] = []
  #eventBytes = 0
  /** Of this command's changes some were told. */
  #isParted = false

  constructor(world: World) {
    this.#world = world
    this.#keyspace = world.keyspace
    this.tally = world.tally ?? new EtcdTally()
  }

  begin(): void {
    this.#revision = this.#keyspace.revision + 1
    this.#sub = 0
  }

  /** Tells the watches; returns the revision that the command's answer shows. */
  end(): number {
    if (this.#events.length > 0 || this.#isParted) this.#tell(false)
    return this.#keyspace.revision
  }

  /** That its lease and what it ignores exist has been checked. Returns the version before, or 0. */
  put(request: PutRequest): Pointer {
    const keyspace = this.#keyspace
    let { value, leaseHigh, leaseLow } = request
    if (request.ignoreValue || request.ignoreLease) {
      const current = keyspace.get(request.key)
      if (request.ignoreValue) value = keyspace.value(current)
      if (request.ignoreLease) {
        leaseHigh = keyspace.leaseHigh(current)
        leaseLow = keyspace.leaseLow(current)
      }
    }
    const pointer = keyspace.put(request.key, value, leaseHigh, leaseLow, this.#revision, this.#sub)
    this.#sub += 1
    this.tally.puts += 1
    this.tally.putBytes += request.key.length + value.length
    const previous = keyspace.previous(pointer)
    if (this.#world.emitter.keysWatched) this.#noteEvent(request.key, pointer, previous)
    return previous
  }

  /** What `request` covers now, in the order of the keys; good until the command ends. */
  *found(
    request: DeleteRangeRequest,
    slice: Pick<Slice, 'spent'>,
  ): Generator<void, readonly Pointer[], void> {
    const { key, rangeEnd } = request
    const found: Pointer[] = []
    if (rangeEnd.length === 0) {
      const pointer = this.#keyspace.get(key)
      if (pointer !== 0) found.push(pointer)
    } else if (isInterval(key, rangeEnd)) {
      const walk = this.#keyspace.walk(key, intervalEnd(rangeEnd))
      walk.resume()
      // Nothing changes until all is found, whatever is done between the slices: no pause is needed.
      for (let id = walk.next(); id !== 0; id = walk.next()) {
        const pointer = this.#keyspace.existingAt(id, 0)
        if (pointer !== 0) found.push(pointer)
        if (slice.spent(1)) yield
      }
    }
    return found
  }

  /** `pointer` is the current version of a key: the key goes. */
  remove(pointer: Pointer): void {
    const key = this.#keyspace.key(pointer)
    const previous = this.#keyspace.delete(key, this.#revision, this.#sub)
    this.#sub += 1
    if (this.#world.emitter.keysWatched) this.#noteEvent(key, 0, previous)
  }

  /** Deletes what is attached to a lease, and the lease. */
  *revoke(lease: Lifetime, slice: Pick<Slice, 'spent'>): Steps {
    for (const pointer of yield* leasedKeys(this.#keyspace, lease.id, slice)) {
      this.remove(pointer)
      if (slice.spent(2)) yield
    }
    this.tally.leasesRevoked += 1
    this.#world.lifetimes.close(lease)
    this.#world.emitter.lifetimeClosed(lease)
  }

  #noteEvent(key: Uint8Array, pointer: Pointer, previous: Pointer): void {
    const before = this.#before(key, pointer, previous)
    const event = {
      deleted: pointer === 0,
      key: key.slice(),
      current: pointer === 0 ? this.#tombstone(key) : this.#encode(pointer),
      previous: before === 0 ? nothing : this.#encode(before),
    }
    this.#events.push(event)
    this.#eventBytes += eventBytes(event)
    if (this.#eventBytes >= limits.changeBytesMax) this.#tell(true)
  }

  /**
   * As etcd: a put that created the key shows no value before it, even where the same command
   * deleted one; else what was there before the command, though it may have changed the key twice.
   */
  #before(key: Uint8Array, pointer: Pointer, previous: Pointer): Pointer {
    const keyspace = this.#keyspace
    if (pointer !== 0 && isCreation(keyspace, pointer)) return 0
    return this.#sub > 1 ? keyspace.get(key, this.#revision - 1) : previous
  }

  #tell(more: boolean): void {
    const { emitter, identity } = this.#world
    const { epoch } = identity
    const events = this.#events
    emitter.emit({ kind: 'keysChanged', revision: this.#revision, epoch, events, more })
    this.#events = []
    this.#eventBytes = 0
    this.#isParted = more
  }

  #encode(pointer: Pointer): Uint8Array {
    const writer = this.#writer.begin(keyValueBytes(this.#keyspace, pointer) + 64)
    writeKeyValueFields(writer, this.#keyspace, pointer)
    return writer.finish()
  }

  #tombstone(key: Uint8Array): Uint8Array {
    const writer = this.#writer.begin(key.length + 32)
    writer.field(0x0a, key, 0, key.length)
    writer.number(0x18, this.#revision)
    return writer.finish()
  }
}

/** Whether this put made the key, which was not there or had just been deleted. Not for a tombstone. */
export function isCreation(keyspace: Keyspace, pointer: Pointer): boolean {
  return keyspace.version(pointer) === 1
}

/** What an event takes on its way, roughly. */
export function eventBytes({ key, current, previous }: KeyEvent): number {
  return 16 + key.length + current.length + previous.length
}

/** Versions that are attached to a lease now, in the order of their keys; good until the next change. */
export function* leasedKeys(
  keyspace: Keyspace,
  id: bigint,
  slice: Pick<Slice, 'spent'>,
): Generator<void, readonly Pointer[], void> {
  const found = keyspace.leasedUnsorted(...halvesOf(id))
  return yield* sortInSlices(found, (one, two) => keyspace.compareKeys(one, two), slice)
}

export function leasedCount(keyspace: Keyspace, id: bigint): number {
  return keyspace.leasedCount(...halvesOf(id))
}

function halvesOf(id: bigint): [high: number, low: number] {
  const bits = BigInt.asUintN(64, id)
  return [Number(bits >> 32n), Number(bits & 0xffffffffn)]
}

/** Undefined for none (0) and for one that does not exist. */
export function leaseOf(
  world: Pick<World, 'lifetimes'>,
  leaseHigh: number,
  leaseLow: number,
): Lifetime | undefined {
  if (leaseHigh === 0 && leaseLow === 0) return undefined
  return world.lifetimes.lease(BigInt.asIntN(64, (BigInt(leaseHigh) << 32n) | BigInt(leaseLow)))
}

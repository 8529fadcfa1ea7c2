/** Random requests of every kind and with every option, sensible ones and others. */
import { below } from '../../../runtime/random.ts'
import type { Random } from '../../../runtime/host.ts'

const keys = [
  'a',
  'a/',
  'a/1',
  'a/2',
  'a0',
  'b',
  'b\xff',
  'b\xff\xff',
  '\0',
  'c\0',
  'd',
  '\xff',
  '\xff\xff',
]
const ends = ['\0', 'a/1', 'a/3', 'a0', 'b', 'c', '\xff', '\xff\xff\xff', 'a', '\0\0']
const values = ['', '0', '1', '2', '10', 'x', '\xff', '\0', 'long value '.repeat(20)]
const outside = ['-1', '-9223372036854775808', '9223372036854775807', '4611686018427387905']
export const leaseIds = ['1', '2', '3', '77', '-5', '9223372036854775807', '4611686018427387905']

export class Requests {
  readonly #random: Random
  /** As the answers have shown. */
  revision = 1
  compacted = 0

  constructor(random: Random) {
    this.#random = random
  }

  next(): [method: string, request: object] {
    const at = below(this.#random, 100)
    if (at < 30) return ['Range', this.range()]
    if (at < 55) return ['Put', this.put()]
    if (at < 63) return ['DeleteRange', this.deleteRange()]
    if (at < 87) return ['Txn', this.txn(3)]
    if (at < 89) return ['Compact', this.compact()]
    if (at < 94) return ['LeaseGrant', this.leaseGrant()]
    if (at < 96) return ['LeaseRevoke', { ID: this.leaseId() }]
    if (at < 99) return ['LeaseTimeToLive', { ID: this.leaseId(), ...this.#maybe({ keys: true }) }]
    return ['LeaseLeases', {}]
  }

  range(): object {
    return {
      ...this.#key(),
      ...this.#end(),
      ...this.#maybe({ limit: this.#pick([1, 2, 3, 5, 100, -1, ...outside]) }, 3),
      ...this.#maybe({ revision: this.#revision() }, 3),
      ...this.#maybe({
        sort_order: this.#rarely(this.#pick([3, -1, 99]), () => below(this.#random, 3)),
      }),
      ...this.#maybe({
        sort_target: this.#rarely(this.#pick([5, -1, 77]), () => below(this.#random, 5)),
      }),
      ...this.#maybe({ serializable: true }),
      ...this.#maybe({ keys_only: true }, 4),
      ...this.#maybe({ count_only: true }, 6),
      ...this.#maybe({ min_mod_revision: this.#near() }, 6),
      ...this.#maybe({ max_mod_revision: this.#near() }, 6),
      ...this.#maybe({ min_create_revision: this.#near() }, 6),
      ...this.#maybe({ max_create_revision: this.#near() }, 6),
    }
  }

  put(): object {
    return {
      ...this.#key(),
      ...this.#maybe({ value: this.#bytes(values) }, 1.2),
      ...this.#maybe({ lease: this.leaseId() }, 4),
      ...this.#maybe({ prev_kv: true }),
      ...this.#maybe({ ignore_value: true }, 8),
      ...this.#maybe({ ignore_lease: true }, 8),
    }
  }

  deleteRange(): object {
    return { ...this.#key(), ...this.#end(), ...this.#maybe({ prev_kv: true }) }
  }

  txn(depth: number): object {
    const sometimes = this.#pick([0, 1, 1, 2, 3])
    return {
      compare: this.#list(sometimes, () => this.#compare()),
      success: this.#operations(depth),
      failure: this.#operations(depth),
    }
  }

  compact(): object {
    return { revision: this.#revision(), ...this.#maybe({ physical: true }) }
  }

  leaseGrant(): object {
    // None so short that it ends meanwhile.
    const odd = ['9000000001', '4611686018427387905', '9223372036854775807']
    return {
      TTL: this.#rarely(this.#pick(odd), () => this.#pick(['300', '1000', '9000000000'])),
      ID: this.leaseId(),
    }
  }

  leaseId(): string {
    return this.#pick(leaseIds)
  }

  watch(): object {
    return {
      ...this.#rarely({}, () => this.#key()),
      ...this.#end(),
      ...this.#maybe({ start_revision: this.#revision() }),
      ...this.#maybe({ filters: this.#pick([[0], [1], [0, 1], [1, 1], [7]]) }, 4),
      ...this.#maybe({ prev_kv: true }),
      ...this.#maybe({ watch_id: this.#pick([1, 2, 3, 7, -3, ...outside]) }, 4),
      ...this.#maybe({ fragment: true }, 4),
      ...this.#maybe({ progress_notify: true }, 8),
    }
  }

  pick<T>(from: readonly T[]): T {
    return this.#pick(from)
  }

  #operations(depth: number): object[] {
    const count = this.#pick([0, 1, 1, 2, 2, 3])
    return this.#list(count, () => {
      const at = below(this.#random, 20)
      if (at < 6) return { request_range: this.range() }
      if (at < 14) return { request_put: this.put() }
      if (at < 16) return { request_delete_range: this.deleteRange() }
      if (at === 19 && depth === 1) return this.#rarely({}, () => ({ request_range: this.range() }))
      return depth > 0 ? { request_txn: this.txn(depth - 1) } : { request_put: this.put() }
    })
  }

  #compare(): object {
    const given = this.#pick([
      { version: this.#pick([0, 1, 2, -1]) },
      { create_revision: this.#near() },
      { mod_revision: this.#near() },
      { value: this.#bytes(values) },
      { lease: this.leaseId() },
      {},
    ])
    const target = ['version', 'create_revision', 'mod_revision', 'value', 'lease'].indexOf(
      Object.keys(given)[0] ?? '',
    )
    const other = () => this.#pick([0, 1, 2, 3, 4, 5, -1])
    return {
      result: this.#rarely(this.#pick([4, -1]), () => below(this.#random, 4)),
      target: this.#rarely(other(), () => Math.max(0, target)),
      ...this.#key(),
      ...given,
      ...this.#maybe({ range_end: this.#bytes(ends) }, 4),
    }
  }

  #key(): object {
    return this.#rarely({}, () => ({ key: this.#bytes(keys) }))
  }

  #end(): object {
    return this.#maybe({ range_end: this.#bytes(ends) }, 1.8)
  }

  /** Of the past, mostly; compacted ones, the present and the future too. */
  #revision(): number | string {
    const { revision, compacted } = this
    const edges = [
      0,
      compacted,
      compacted - 1,
      compacted + 1,
      revision,
      revision + 1,
      revision - 1,
      ...outside,
    ]
    return this.#rarely(this.#pick(edges), () =>
      this.#pick([revision - below(this.#random, 12), this.#pick(edges)]),
    )
  }

  #near(): number | string {
    return this.#rarely(this.#pick(outside), () => this.revision - below(this.#random, 20))
  }

  #maybe<T extends object>(what: T, oneIn = 2): T | object {
    return below(this.#random, 1000) * oneIn < 1000 ? what : {}
  }

  #rarely<T, U>(odd: T, usual: () => U): T | U {
    return below(this.#random, 25) === 0 ? odd : usual()
  }

  #list<T>(length: number, make: () => T): T[] {
    return Array.from({ length }, make)
  }

  #bytes(from: readonly string[]): Buffer {
    return Buffer.from(this.#pick(from), 'latin1')
  }

  #pick<T>(from: readonly T[]): T {
    return from[below(this.#random, from.length)] as T
  }
}

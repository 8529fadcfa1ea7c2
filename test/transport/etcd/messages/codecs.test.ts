import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { writeMembers } from '../../../../transport/etcd/messages/cluster.ts'
import { HeaderEncoder, writeInnerHeader } from '../../../../transport/etcd/messages/header.ts'
import {
  decodeLease,
  decodeLeaseGrant,
  writeLeaseGrant,
} from '../../../../transport/etcd/messages/lease.ts'
import { type Status, writeStatus } from '../../../../transport/etcd/messages/maintenance.ts'
import { decodePut } from '../../../../transport/etcd/messages/put.ts'
import { decodeRange } from '../../../../transport/etcd/messages/range.ts'
import { MalformedMessage, Reader } from '../../../../transport/etcd/messages/reader.ts'
import { decodeTxn } from '../../../../transport/etcd/messages/txn.ts'
import { decodeWatch } from '../../../../transport/etcd/messages/watch.ts'
import {
  halvesBytes,
  OwnRooms,
  varintBytes,
  Writer,
} from '../../../../transport/etcd/messages/writer.ts'
import { decode, encode } from './schema.ts'

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const safe = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const bytes = fc.uint8Array({ maxLength: 300 })

function written(write: (writer: Writer) => void, guess = 8): Uint8Array {
  const writer = new Writer(new OwnRooms(64)).begin(guess)
  write(writer)
  return writer.finish()
}

function halves(value: bigint): { leaseHigh: number; leaseLow: number } {
  const bits = BigInt.asUintN(64, value)
  return { leaseHigh: Number(bits >> 32n), leaseLow: Number(bits & 0xffffffffn) }
}

describe('requests are read as protobufjs writes them', () => {
  test('put, with all bits of the lease', () => {
    fc.assert(
      fc.property(bytes, bytes, int64, fc.boolean(), (key, value, lease, flag) => {
        const message = {
          key,
          value,
          lease: lease.toString(),
          prev_kv: flag,
          ignore_value: !flag,
          ignore_lease: flag,
        }
        expect(decodePut(new Reader().open(encode('PutRequest', message)))).toEqual({
          key,
          value,
          ...halves(lease),
          prevKv: flag,
          ignoreValue: !flag,
          ignoreLease: flag,
        })
      }),
    )
  })

  test('range, with every option', () => {
    fc.assert(
      fc.property(
        bytes,
        bytes,
        fc.array(safe, { minLength: 6, maxLength: 6 }),
        (key, range_end, numbers) => {
          const [limit, revision, minMod, maxMod, minCreate, maxCreate] = numbers
          const message = {
            key,
            range_end,
            limit,
            revision,
            sort_order: 2,
            sort_target: 4,
            serializable: true,
            keys_only: true,
            count_only: true,
            min_mod_revision: minMod,
            max_mod_revision: maxMod,
            min_create_revision: minCreate,
            max_create_revision: maxCreate,
          }
          expect(decodeRange(new Reader().open(encode('RangeRequest', message)))).toEqual({
            key,
            rangeEnd: range_end,
            limit,
            revision,
            sortOrder: 2,
            sortTarget: 4,
            serializable: true,
            keysOnly: true,
            countOnly: true,
            minModRevision: minMod,
            maxModRevision: maxMod,
            minCreateRevision: minCreate,
            maxCreateRevision: maxCreate,
          })
        },
      ),
    )
  })

  test('integers keep sign and order beyond 2^53', () => {
    for (const [limit, read] of [
      ['-1', -1],
      ['-9223372036854775808', -(2 ** 63)],
      ['9223372036854775807', 2 ** 63],
      ['9007199254740991', Number.MAX_SAFE_INTEGER],
      ['4294967296', 2 ** 32],
    ] as const) {
      expect(decodeRange(new Reader().open(encode('RangeRequest', { limit }))).limit).toBe(read)
    }
  })

  test('a transaction inside a transaction, with each kind of comparison and operation', () => {
    const inner = {
      compare: [{ result: 3, target: 4, key: Buffer.from('l'), lease: '-5' }],
      success: [
        {
          request_delete_range: {
            key: Buffer.from('d'),
            range_end: Buffer.from('e'),
            prev_kv: true,
          },
        },
      ],
      failure: [],
    }
    const message = {
      compare: [
        { result: 0, target: 0, key: Buffer.from('v'), version: 7, range_end: Buffer.from('w') },
        { result: 1, target: 1, key: Buffer.from('c'), create_revision: 8 },
        { result: 2, target: 2, key: Buffer.from('m'), mod_revision: 9 },
        { result: 0, target: 3, key: Buffer.from('x'), value: Buffer.from('value') },
        { target: 3, key: Buffer.from('none') },
      ],
      success: [{ request_txn: inner }, { request_range: { key: Buffer.from('r') } }],
      failure: [{ request_put: { key: Buffer.from('p'), value: Buffer.from('q') } }, {}],
    }
    const txn = decodeTxn(new Reader().open(encode('TxnRequest', message)))
    expect(
      txn.compare.map(one => [
        one.result,
        one.target,
        text(one.key),
        one.given,
        one.number,
        text(one.value),
      ]),
    ).toEqual([
      [0, 0, 'v', 0, 7, ''],
      [1, 1, 'c', 1, 8, ''],
      [2, 2, 'm', 2, 9, ''],
      [0, 3, 'x', 3, 0, 'value'],
      [0, 3, 'none', -1, 0, ''],
    ])
    expect(text(txn.compare[0]!.rangeEnd)).toBe('w')
    const [nested, range] = txn.success
    expect(nested).toMatchObject({
      kind: 'txn',
      txn: {
        compare: [{ given: 4, lease: -5n }],
        success: [{ kind: 'deleteRange', deleteRange: { prevKv: true } }],
      },
    })
    expect(range).toMatchObject({ kind: 'range' })
    expect(txn.failure.map(one => one.kind)).toEqual(['put', 'none'])
  })

  test('watch requests; packed and single filters; ids beyond 2^53 exactly', () => {
    const create = encode('WatchRequest', {
      create_request: {
        key: Buffer.from('k'),
        range_end: Buffer.from([0]),
        start_revision: 5,
        progress_notify: true,
        filters: [0, 1],
        prev_kv: true,
        watch_id: '9007199254740993',
        fragment: true,
      },
    })
    expect(decodeWatch(new Reader().open(create))).toEqual({
      kind: 'create',
      key: bytesOf('k'),
      rangeEnd: Uint8Array.of(0),
      startRevision: 5,
      progressNotify: true,
      noPut: true,
      noDelete: true,
      prevKv: true,
      watchId: 9007199254740993n,
      fragment: true,
    })
    const single = Uint8Array.of(0x0a, 4, 0x28, 1, 0x38, 3)
    expect(decodeWatch(new Reader().open(single))).toMatchObject({
      noPut: false,
      noDelete: true,
      watchId: 3,
    })
    const cancel = encode('WatchRequest', { cancel_request: { watch_id: -4 } })
    expect(decodeWatch(new Reader().open(cancel))).toEqual({ kind: 'cancel', watchId: -4 })
    const progress = encode('WatchRequest', { progress_request: {} })
    expect(decodeWatch(new Reader().open(progress))).toEqual({ kind: 'progress' })
    expect(decodeWatch(new Reader().open(new Uint8Array(0)))).toEqual({ kind: 'none' })
  })

  test('leases', () => {
    fc.assert(
      fc.property(int64, safe, (id, ttl) => {
        const grant = encode('LeaseGrantRequest', { TTL: ttl, ID: id.toString() })
        const decoded = decodeLeaseGrant(new Reader().open(grant))
        expect(decoded).toEqual({ ttlSeconds: ttl, id })
        expect(written(writer => writeLeaseGrant(writer, decoded))).toEqual(grant)
        const question = encode('LeaseTimeToLiveRequest', { ID: id.toString(), keys: true })
        expect(decodeLease(new Reader().open(question))).toEqual({ id, keys: true })
      }),
    )
  })

  test('unknown fields of every wire type are stepped over', () => {
    const unknown = [
      0xa0,
      0x06,
      0x96,
      0x01, // field 100, varint
      0xa1,
      0x06,
      1,
      2,
      3,
      4,
      5,
      6,
      7,
      8, // fixed64
      0xa2,
      0x06,
      3,
      0x0a,
      0xff,
      0xff, // bytes
      0xa3,
      0x06,
      0x08,
      1,
      0xa4,
      0x06, // a group
      0xa5,
      0x06,
      1,
      2,
      3,
      4, // fixed32
    ]
    const message = Uint8Array.from([...unknown, 0x0a, 1, 0x6b, ...unknown])
    expect(text(decodePut(new Reader().open(message)).key)).toBe('k')
  })
})

describe('malformed requests are refused', () => {
  for (const [name, message] of [
    ['a length beyond the end', [0x0a, 5, 1, 2]],
    ['a length beyond 2^31', [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]],
    ['a negative length', [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]],
    ['an integer that does not end', [0x18, 0xff]],
    [
      'an integer of more than ten bytes',
      [0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    ],
    ['field number zero', [0x00, 0x01]],
    ['a wire type that does not exist', [0xa6, 0x06]],
    ['the end of a group that was not begun', [0xa4, 0x06]],
    ['a group that does not end', [0xa3, 0x06, 0x08, 1]],
    ['fixed64 cut short', [0xa1, 0x06, 1, 2]],
  ] as const) {
    test(name, () => {
      expect(() => decodePut(new Reader().open(Uint8Array.from(message)))).toThrow(MalformedMessage)
    })
  }

  test('a known field of another wire type, with etcd’s text', () => {
    for (const [decode, message, text] of [
      [decodePut, [0x08, 1], '0 for field Key'],
      [decodeRange, [0x1a, 0], '2 for field Limit'],
      [decodeLeaseGrant, [0x0a, 0], '2 for field TTL'],
      [decodeLease, [0x15, 0, 0, 0, 0], '5 for field Keys'],
      [decodeTxn, [0x12, 2, 0x10, 1], '0 for field RequestPut'],
      [decodeTxn, [0x0a, 2, 0x1d, 1], '5 for field Key'],
      [decodeWatch, [0x0a, 2, 0x3a, 0], '2 for field WatchId'],
    ] as const) {
      const reader = new Reader().open(Uint8Array.from(message))
      expect(() => decode(reader)).toThrow(`proto: wrong wireType = ${text}`)
    }
  })

  test('a nested message may not reach beyond the one around it', () => {
    const message = Uint8Array.of(0x12, 3, 0x12, 4, 0x0a, 1, 0x6b, 0)
    expect(() => decodeTxn(new Reader().open(message))).toThrow(MalformedMessage)
  })

  test('transactions nested too deep', () => {
    let message: Uint8Array = new Uint8Array(0)
    for (let depth = 0; depth < 300; depth += 1) {
      message = written(writer => {
        const operation = writer.open(0x12)
        writer.element(0x22, message, 0, message.length)
        writer.close(operation)
      })
    }
    expect(() => decodeTxn(new Reader().open(message))).toThrow(MalformedMessage)
  })

  test('whatever the bytes are, reading ends with a value or MalformedMessage', () => {
    const decoders = [decodePut, decodeRange, decodeTxn, decodeWatch, decodeLease] as const
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 60 }),
        fc.constantFrom(...decoders),
        (random, decoder) => {
          try {
            decoder(new Reader().open(random))
          } catch (error) {
            expect(error).toBeInstanceOf(MalformedMessage)
          }
        },
      ),
      { numRuns: 2000 },
    )
  })
})

describe('responses read back with protobufjs', () => {
  test('the header, with ids of 64 bits', () => {
    fc.assert(
      fc.property(uint64, uint64, safe, safe, (cluster, member, revision, epoch) => {
        const header = new HeaderEncoder(bigEndian(cluster), bigEndian(member))
        const response = decode(
          'PutResponse',
          written(writer => header.write(writer, revision, epoch)),
        )
        const expected = {
          cluster_id: cluster.toString(),
          member_id: member.toString(),
          revision: revision.toString(),
          raft_term: epoch.toString(),
        }
        for (const [name, value] of Object.entries(expected)) {
          expect(response.header[name] ?? '0').toBe(value)
        }
        expect(encode('PutResponse', { header: expected })).toEqual(
          new Uint8Array(written(writer => header.write(writer, revision, epoch))),
        )
      }),
    )
  })

  test('an inner header holds the revision alone', () => {
    expect(written(writer => writeInnerHeader(writer, 7))).toEqual(Uint8Array.of(0x0a, 2, 0x18, 7))
  })

  test('nested messages of any size close with the right length', () => {
    fc.assert(
      fc.property(fc.nat({ max: 40_000 }), fc.nat({ max: 300 }), (size, before) => {
        const value = new Uint8Array(size).fill(7)
        const message = written(writer => {
          writer.element(0x0a, value, 0, before % (size + 1))
          const outer = writer.open(0x12)
          const inner = writer.open(0x0a)
          writer.element(0x0a, value, 0, size)
          writer.close(inner)
          writer.close(outer)
        })
        const reader = new Reader().open(message)
        reader.tag()
        reader.view()
        for (const tag of [0x12, 0x0a]) {
          expect(reader.tag()).toBe(tag)
          reader.enter()
        }
        expect(reader.tag()).toBe(0x0a)
        expect(reader.view().length).toBe(size)
        expect(reader.done).toBe(true)
        expect(reader.at).toBe(message.length)
      }),
    )
  })

  test('integers, negative and large', () => {
    fc.assert(
      fc.property(int64, value => {
        const { leaseHigh, leaseLow } = halves(value)
        const message = written(writer => writer.halves(0x18, leaseHigh, leaseLow))
        expect(encode('PutRequest', { lease: value.toString() })).toEqual(message)
        expect(written(writer => writer.bigint(0x18, value))).toEqual(message)
        if (value !== 0n) expect(halvesBytes(leaseHigh, leaseLow)).toBe(message.length - 1)
        const near = Number(value)
        if (Number.isSafeInteger(near))
          expect(written(writer => writer.number(0x18, near))).toEqual(message)
        if (near >= 0 && Number.isSafeInteger(near))
          expect(varintBytes(near)).toBe(Math.max(1, message.length - 1))
      }),
      {
        examples: [
          [0n],
          [127n],
          [128n],
          [-1n],
          [2n ** 31n],
          [2n ** 35n - 1n],
          [2n ** 35n],
          [2n ** 53n - 1n],
        ],
      },
    )
  })

  test('status and members', () => {
    const status: Status = {
      sizeBytes: 4096,
      sizeInUseBytes: 1024,
      sizeQuotaBytes: 2147483648,
      leaderId: 2n ** 63n + 9n,
      position: 12,
      appliedPosition: 11,
      epoch: 3,
      errors: ['etcdserver: no leader'],
      isLearner: true,
    }
    expect(
      decode(
        'StatusResponse',
        written(writer => writeStatus(writer, status)),
      ),
    ).toEqual({
      version: '3.6.14',
      dbSize: '4096',
      leader: '9223372036854775817',
      raftIndex: '12',
      raftTerm: '3',
      raftAppliedIndex: '11',
      errors: ['etcdserver: no leader'],
      dbSizeInUse: '1024',
      isLearner: true,
      storageVersion: '3.6.0',
      dbSizeQuota: '2147483648',
      downgradeInfo: {},
    })
    const members = [
      {
        id: 2n ** 64n - 1n,
        name: 'one',
        peerUrls: ['http://a:1'],
        clientUrls: ['http://a:2', 'http://b:3'],
        isLearner: false,
      },
      { id: 5n, name: '', peerUrls: [], clientUrls: [], isLearner: true },
    ]
    expect(
      decode(
        'MemberListResponse',
        written(writer => writeMembers(writer, members)),
      ),
    ).toEqual({
      members: [
        {
          ID: '18446744073709551615',
          name: 'one',
          peerURLs: ['http://a:1'],
          clientURLs: ['http://a:2', 'http://b:3'],
        },
        { ID: '5', isLearner: true },
      ],
    })
  })
})

function text(value: Uint8Array): string {
  return Buffer.from(value).toString('latin1')
}

function bytesOf(value: string): Uint8Array {
  return new Uint8Array(Buffer.from(value, 'latin1'))
}

function bigEndian(value: bigint): Uint8Array {
  const buffer = Buffer.alloc(8)
  buffer.writeBigUInt64BE(value)
  return buffer
}

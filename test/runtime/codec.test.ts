import { createRequire } from 'node:module'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CodecError, createCodec, type RecordSchema } from '../../runtime/codec.ts'

const schema: RecordSchema = {
  type: 'record',
  name: 'sample',
  fields: [
    { name: 'count', type: 'long' },
    { name: 'small', type: 'int' },
    { name: 'text', type: 'string' },
    { name: 'body', type: 'bytes' },
    { name: 'session', type: 'id64' },
    { name: 'sure', type: 'boolean' },
    { name: 'maybe', type: ['null', 'long'] },
    {
      name: 'items',
      type: {
        type: 'array',
        items: {
          type: 'record',
          name: 'item',
          fields: [
            { name: 'key', type: 'bytes' },
            { name: 'weight', type: 'double' },
          ],
        },
      },
    },
  ],
}
const codec = createCodec(schema)

const sample = fc.record({
  count: fc.integer({ min: -(2 ** 52), max: 2 ** 53 - 2 }),
  small: fc.integer(),
  text: fc.string({ unit: 'grapheme' }),
  body: fc.uint8Array({ maxLength: 300 }),
  session: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  sure: fc.boolean(),
  maybe: fc.option(fc.integer()),
  items: fc.array(fc.record({ key: fc.uint8Array(), weight: fc.double({ noNaN: true }) }), {
    maxLength: 9,
  }),
})

function encode(value: object): Buffer {
  const target = Buffer.alloc(16_384)
  return Buffer.from(target.subarray(0, codec.encode(value, target, 0)))
}

/** Avro gives Buffers; compare what they hold. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return [...value]
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]))
}

describe('round trip', () => {
  test('every value comes back, at any offset', () => {
    fc.assert(
      fc.property(sample, fc.nat(50), (value, at) => {
        const target = Buffer.alloc(16_384)
        const end = codec.encode(value, target, at)
        expect(plain(codec.decode(target, at, end))).toEqual(plain(value))
      }),
    )
  })

  test('a target without room says how much is missing, and nothing is written beyond it', () => {
    fc.assert(
      fc.property(sample, fc.nat(), (value, cut) => {
        const whole = encode(value)
        const room = cut % whole.length
        expect(codec.encode(value, Buffer.alloc(room), 0)).toBe(room - whole.length)
      }),
    )
  })

  test('the bytes are Avro', () => {
    const avro = createRequire(import.meta.url)('avsc')
    const plainSchema = {
      ...schema,
      fields: schema.fields.filter(field => field.name !== 'session'),
    }
    const own = createCodec(plainSchema)
    const value = {
      count: -3,
      small: 7,
      text: 'é',
      body: Buffer.from('ab'),
      sure: true,
      maybe: null,
      items: [{ key: Buffer.from('k'), weight: 0.5 }],
    }
    const target = Buffer.alloc(100)
    const end = own.encode(value, target, 0)
    expect(target.subarray(0, end)).toEqual(avro.Type.forSchema(plainSchema).toBuffer(value))
  })

  test('bulk of a source that is given away is not copied; anything else is', () => {
    const blob = createCodec({
      type: 'record',
      name: 'blob',
      fields: [{ name: 'body', type: 'bytes' }],
    })
    const source = Buffer.alloc(40_004)
    const end = blob.encode({ body: new Uint8Array(40_000) }, source, 0)
    const taken = blob.decode(source, 0, end, true) as { body: Uint8Array }
    const copied = blob.decode(source, 0, end) as { body: Uint8Array }
    source.fill(9, 10)
    expect(taken.body[100]).toBe(9)
    expect(copied.body[100]).toBe(0)
  })

  test('what is kept of decoded bytes outlives them, given away or not', () => {
    const blob = createCodec({
      type: 'record',
      name: 'blob',
      fields: [{ name: 'body', type: 'bytes' }],
    })
    const source = Buffer.alloc(40_004)
    const end = blob.encode({ body: new Uint8Array(40_000) }, source, 0)
    for (const owned of [false, true]) {
      const { body } = blob.decode(source, 0, end, owned) as { body: Uint8Array }
      const kept = body.slice(100, 110)
      body.fill(0xdb)
      expect(kept).toEqual(new Uint8Array(10))
    }
  })
})

describe('what cannot be encoded is an error of the sender', () => {
  test.each([
    ['a long above 2^53 - 2', { count: 2 ** 53 - 1 }],
    ['a negative long that avsc would read back wrong', { count: -(2 ** 52) - 1 }],
    ['a fraction', { count: 1.5 }],
    ['bytes that are none', { body: 'text' }],
    ['a missing field', { text: undefined }],
  ])('%s', (_what, wrong) => {
    const right = {
      count: 1,
      small: 1,
      text: '',
      body: new Uint8Array(),
      session: 0n,
      sure: false,
      maybe: null,
      items: [],
    }
    expect(() => encode({ ...right, ...wrong })).toThrow()
    expect(() => encode(right)).not.toThrow()
  })
})

describe('hostile input', () => {
  test('any bytes decode or are refused with a CodecError, in time that their length bounds', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
        refusedOrDecoded(Buffer.from(bytes))
      }),
      { numRuns: 2_000 },
    )
  })

  test('a valid record with some bytes changed does too', () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(sample, changes, (value, edits) => {
        const bytes = encode(value)
        for (const [at, byte] of edits) bytes[at % bytes.length] = byte
        refusedOrDecoded(bytes)
      }),
      { numRuns: 2_000 },
    )
  })

  test('every prefix of a record is refused', () => {
    fc.assert(
      fc.property(sample, value => {
        const bytes = encode(value)
        for (let end = 0; end < bytes.length; end++) {
          expect(() => codec.decode(bytes, 0, end)).toThrow(CodecError)
        }
      }),
      { numRuns: 20 },
    )
  })

  const list = createCodec({
    type: 'record',
    name: 'list',
    fields: [{ name: 'items', type: { type: 'array', items: 'null' } }],
  })
  const numbers = createCodec({
    type: 'record',
    name: 'numbers',
    fields: [{ name: 'value', type: 'long' }],
  })

  test.each([
    ['an array of five million nulls', list, [0x80, 0xad, 0xe2, 0x04, 0x00]],
    ['a negative block count', list, [0x01, 0x02, 0x00]],
    [
      'a number that does not end',
      numbers,
      [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    ],
    ['a number beyond 2^53', numbers, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
    ['bytes after the record', numbers, [0x02, 0x02]],
    ['nothing', numbers, []],
  ])('%s is refused', (_what, target, bytes) => {
    expect(() => target.decode(Buffer.from(bytes), 0, bytes.length)).toThrow(CodecError)
  })

  test('a skipped array with a negative block size does not run for ever', () => {
    const reader = createCodec({ type: 'record', name: 'list', fields: [] })
    const decoder = reader.resolve(list.json)
    expect(() => decoder.decode(Buffer.from([0x01, 0x05, 0x00]), 0, 3)).toThrow(CodecError)
  })
})

describe('older schemas', () => {
  const older = createCodec({
    type: 'record',
    name: 'thing',
    fields: [
      { name: 'gone', type: 'string' },
      { name: 'kept', type: 'int' },
    ],
  })
  const newer = createCodec({
    type: 'record',
    name: 'thing',
    fields: [
      { name: 'kept', type: 'long' },
      { name: 'added', type: 'bytes', default: '' },
    ],
  })

  test('are resolved: fields that went are skipped, new ones take their default', () => {
    const bytes = Buffer.alloc(50)
    const end = older.encode({ gone: 'x', kept: 5 }, bytes, 0)
    const value = newer.resolve(older.json).decode(bytes, 0, end)
    expect(plain(value)).toEqual({ kept: 5, added: [] })
    expect(newer.fingerprint).not.toBe(older.fingerprint)
  })

  test('are refused when they do not fit', () => {
    const other = createCodec({
      type: 'record',
      name: 'thing',
      fields: [{ name: 'kept', type: 'string' }],
    })
    expect(() => newer.resolve(other.json)).toThrow()
  })
})

function refusedOrDecoded(bytes: Buffer): void {
  try {
    codec.decode(bytes, 0, bytes.length)
  } catch (error) {
    expect(error).toBeInstanceOf(CodecError)
  }
}

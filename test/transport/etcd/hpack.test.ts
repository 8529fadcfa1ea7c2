import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HpackDecoder } from '../../../transport/etcd/http2/hpack-decoder.ts'
import { HpackEncoder } from '../../../transport/etcd/http2/hpack-encoder.ts'
import {
  huffmanBytes,
  huffmanDecode,
  huffmanEncode,
} from '../../../transport/etcd/http2/huffman.ts'
import { ConnectionError } from '../../../transport/etcd/http2/protocol.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')
const decode = (decoder: HpackDecoder, bytes: Uint8Array) => decoder.decode(bytes, 0, bytes.length)

/** RFC 7541, appendix C: a sequence of blocks on one connection, and the table's size after each. */
const requests = [
  [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com'],
  [
    ...[':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com'],
    ...['cache-control', 'no-cache'],
  ],
  [
    ...[':method', 'GET', ':scheme', 'https', ':path', '/index.html'],
    ...[':authority', 'www.example.com', 'custom-key', 'custom-value'],
  ],
]
const location = ['location', 'https://www.example.com']
const responses = [
  [
    ...[':status', '302', 'cache-control', 'private'],
    ...['date', 'Mon, 21 Oct 2013 20:13:21 GMT', ...location],
  ],
  [
    ...[':status', '307', 'cache-control', 'private'],
    ...['date', 'Mon, 21 Oct 2013 20:13:21 GMT', ...location],
  ],
  [
    ...[':status', '200', 'cache-control', 'private', 'date', 'Mon, 21 Oct 2013 20:13:22 GMT'],
    ...[...location, 'content-encoding', 'gzip'],
    ...['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
  ],
]
const vectors = [
  {
    name: 'C.3 requests without Huffman',
    tableBytes: 4096,
    blocks: [
      '828684410f7777772e6578616d706c652e636f6d',
      '828684be58086e6f2d6361636865',
      '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565',
    ],
    fields: requests,
    sizes: [57, 110, 164],
  },
  {
    name: 'C.4 requests with Huffman',
    tableBytes: 4096,
    blocks: [
      '828684418cf1e3c2e5f23a6ba0ab90f4ff',
      '828684be5886a8eb10649cbf',
      '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
    ],
    fields: requests,
    sizes: [57, 110, 164],
  },
  {
    name: 'C.5 responses without Huffman, with evictions',
    tableBytes: 256,
    blocks: [
      '4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54' +
        '6e1768747470733a2f2f7777772e6578616d706c652e636f6d',
      '4803333037c1c0bf',
      '88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a697077' +
        '38666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d' +
        '333630303b2076657273696f6e3d31',
    ],
    fields: responses,
    sizes: [222, 222, 215],
  },
  {
    name: 'C.6 responses with Huffman, with evictions',
    tableBytes: 256,
    blocks: [
      '488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff' +
        '6e919d29ad171863c78f0b97c8e9ae82ae43d3',
      '4883640effc1c0bf',
      '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad' +
        '94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
    ],
    fields: responses,
    sizes: [222, 222, 215],
  },
]

describe('HPACK decoding', () => {
  it.each(vectors)('RFC 7541 $name', ({ tableBytes, blocks, fields, sizes }) => {
    const decoder = new HpackDecoder(tableBytes, 4096)
    blocks.forEach((block, at) => {
      expect(decode(decoder, hex(block)).fields).toEqual(fields[at])
      expect(decoder.table.bytes).toBe(sizes[at])
    })
  })

  it.each([
    ['400a637573746f6d2d6b65790d637573746f6d2d686561646572', ['custom-key', 'custom-header'], 55],
    ['040c2f73616d706c652f70617468', [':path', '/sample/path'], 0],
    ['100870617373776f726406736563726574', ['password', 'secret'], 0],
    ['82', [':method', 'GET'], 0],
  ] as const)('RFC 7541 C.2 %s', (block, fields, size) => {
    const decoder = new HpackDecoder(4096, 4096)
    expect(decode(decoder, hex(block)).fields).toEqual(fields)
    expect(decoder.table.bytes).toBe(size)
  })

  it.each([
    ['an index of 0', '80'],
    ['an index beyond the tables', 'be'],
    ['a name index beyond the tables', '7f00 01 61'],
    ['a block that ends in an integer', 'ff'],
    ['an integer without end', 'ffffffffffffffff01'],
    ['a text beyond the block', '4005 6162'],
    ['a block that ends before the value', '4001 61'],
    ['a table size above the limit', '3fe21f'],
    ['a size update after a field', '82 20'],
    ['three size updates', '20 20 20 82'],
    ['Huffman padding of zeros', '4001 61 81 18'],
    ['Huffman padding of eight bits', '4001 61 82 1fff'],
    ['the coded end of string', '4001 61 84 ffffffff'],
  ])('refuses %s', (_, block) => {
    expect(() => decode(new HpackDecoder(4096, 4096), hex(block))).toThrow(ConnectionError)
  })

  it('gives the very same block for the same bytes until the table changes', () => {
    const decoder = new HpackDecoder(4096, 4096)
    decode(decoder, hex('4001610162'))
    const first = decode(decoder, hex('82be'))
    expect(decode(decoder, hex('82be'))).toBe(first)
    decode(decoder, hex('4001630164'))
    expect(decode(decoder, hex('82be')).fields).toEqual([':method', 'GET', 'c', 'd'])
  })

  it('does not mistake a block by the buffer that it came in', () => {
    const decoder = new HpackDecoder(4096, 4096)
    const bytes = hex('82')
    decode(decoder, bytes)
    bytes[0] = 0x83
    expect(decode(decoder, hex('82')).fields).toEqual([':method', 'GET'])
  })

  it('drops the fields of a list that is too large, and keeps the table right', () => {
    const decoder = new HpackDecoder(4096, 100)
    const bomb = Buffer.concat([hex('4001 61 14'), Buffer.alloc(20, 'b'), Buffer.alloc(5000, 0xbe)])
    const block = decode(decoder, bomb)
    expect(block).toMatchObject({ tooLarge: true, fields: [] })
    expect(decode(decoder, hex('be')).fields).toEqual(['a', 'b'.repeat(20)])
  })

  it('ends with a value or its error on any bytes, the table within its bounds', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 8 }), blocks => {
        const decoder = new HpackDecoder(512, 1024)
        try {
          for (const block of blocks) {
            const { fields } = decode(decoder, block)
            expect(fields.join('').length).toBeLessThanOrEqual(1024)
            expect(decoder.table.bytes).toBeLessThanOrEqual(512)
          }
        } catch (error) {
          expect(error).toBeInstanceOf(ConnectionError)
        }
      }),
      { numRuns: 2000 },
    )
  })
})

const text = fc.uint8Array({ maxLength: 60 }).map(bytes => Buffer.from(bytes).toString('latin1'))
const fieldName = fc.constantFrom(':status', 'content-type', 'grpc-status', 'x-name', 'via', 'x')
const fields = fc.array(fc.tuple(fieldName, text), { maxLength: 8 }).map(pairs => pairs.flat())

describe('HPACK encoding', () => {
  it('is undone by the decoder, through any sequence of blocks and table sizes', () => {
    const step = fc.oneof(
      fc.record({ fields, repeated: fc.boolean() }),
      fc.record({ limit: fc.integer({ min: 0, max: 600 }) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), steps => {
        const encoder = new HpackEncoder()
        const decoder = new HpackDecoder(4096, 1 << 20)
        for (const step of steps) {
          if ('limit' in step) encoder.limitTable(step.limit)
          else
            expect(decode(decoder, encoder.encode(step.fields, step.repeated)).fields).toEqual(
              step.fields,
            )
        }
      }),
    )
  })

  it('makes one byte of a repeated field, and nothing lasting of others', () => {
    const encoder = new HpackEncoder()
    encoder.encode(['grpc-status', '0'], true)
    const generation = encoder.generation
    expect(encoder.encode(['grpc-status', '0'], true)).toHaveLength(1)
    encoder.encode(['grpc-status', '5'], false)
    expect(encoder.generation).toBe(generation)
  })

  it('announces the smallest size and the last one, once', () => {
    const encoder = new HpackEncoder()
    encoder.limitTable(0)
    encoder.limitTable(100)
    expect(Buffer.from(encoder.encode([':status', '200'], true)).toString('hex')).toBe('203f4588')
    expect(Buffer.from(encoder.encode([':status', '200'], true)).toString('hex')).toBe('88')
  })
})

describe('Huffman code', () => {
  it('is undone for every text', () => {
    fc.assert(
      fc.property(text, original => {
        const target = new Uint8Array(huffmanBytes(original))
        expect(huffmanEncode(original, target, 0)).toBe(target.length)
        expect(huffmanDecode(target, 0, target.length)).toBe(original)
      }),
    )
  })

  it('covers every byte', () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, at) => at)).toString('latin1')
    const target = new Uint8Array(huffmanBytes(all))
    huffmanEncode(all, target, 0)
    expect(huffmanDecode(target, 0, target.length)).toBe(all)
  })
})

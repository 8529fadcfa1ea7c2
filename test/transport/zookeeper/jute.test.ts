import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MalformedRecord } from '../../../transport/zookeeper/errors.ts'
import { JuteReader } from '../../../transport/zookeeper/jute-reader.ts'
import { JuteWriter } from '../../../transport/zookeeper/jute-writer.ts'

const readerOf = (bytes: Uint8Array) => new JuteReader().reset(bytes, 0, bytes.length)

function written(write: (writer: JuteWriter) => void, chunkBytes = 64): Uint8Array {
  const writer = new JuteWriter(chunkBytes)
  writer.begin()
  write(writer)
  return writer.finish()
}

describe('jute', () => {
  test('ints and longs are big-endian two’s complement', () => {
    const bytes = written(writer => {
      writer.int(-2)
      writer.long(-1)
      writer.long(0x1f_ffff_ffff_ffff)
      writer.bigLong(-0x7fff_ffff_ffff_fffen)
    })
    expect(Buffer.from(bytes).toString('hex')).toBe(
      'fffffffe' + 'ffffffffffffffff' + '001fffffffffffff' + '8000000000000002',
    )
    const reader = readerOf(bytes)
    expect(reader.int()).toBe(-2)
    expect(reader.long()).toBe(-1)
    expect(reader.long()).toBe(Number.MAX_SAFE_INTEGER)
    expect(reader.bigLong()).toBe(-0x7fff_ffff_ffff_fffen)
  })

  test('null and empty buffers differ, null and empty strings do not', () => {
    const bytes = written(writer => {
      writer.buffer(undefined)
      writer.buffer(new Uint8Array(0))
      writer.int(-1)
      writer.string('')
    })
    const reader = readerOf(bytes)
    expect(reader.buffer()).toBeUndefined()
    expect(reader.buffer()).toHaveLength(0)
    expect(reader.string()).toBe('')
    expect(reader.string()).toBe('')
  })

  test('whatever is written is read again, over any chunk size', () => {
    const value = fc.oneof(
      fc.record({ kind: fc.constant('int' as const), value: fc.integer() }),
      fc.record({ kind: fc.constant('long' as const), value: fc.maxSafeInteger() }),
      fc.record({
        kind: fc.constant('big' as const),
        value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      }),
      fc.record({
        kind: fc.constant('string' as const),
        value: fc.string({ unit: 'binary', maxLength: 100 }),
      }),
      fc.record({
        kind: fc.constant('buffer' as const),
        value: fc.option(fc.uint8Array({ maxLength: 200 }), { nil: undefined }),
      }),
      fc.record({ kind: fc.constant('boolean' as const), value: fc.boolean() }),
    )
    fc.assert(
      fc.property(fc.array(value), fc.integer({ min: 1, max: 300 }), (values, chunkBytes) => {
        const bytes = written(writer => {
          for (const one of values) {
            if (one.kind === 'int') writer.int(one.value)
            else if (one.kind === 'long') writer.long(one.value)
            else if (one.kind === 'big') writer.bigLong(one.value)
            else if (one.kind === 'string') writer.string(one.value)
            else if (one.kind === 'buffer') writer.buffer(one.value)
            else writer.boolean(one.value)
          }
        }, chunkBytes)
        const reader = readerOf(bytes)
        for (const one of values) {
          if (one.kind === 'int') expect(reader.int()).toBe(one.value)
          else if (one.kind === 'long') expect(reader.long()).toBe(one.value)
          else if (one.kind === 'big') expect(reader.bigLong()).toBe(one.value)
          else if (one.kind === 'string') expect(reader.string()).toBe(one.value)
          else if (one.kind === 'buffer') expect(reader.buffer()).toEqual(one.value)
          else expect(reader.boolean()).toBe(one.value)
        }
        expect(reader.at).toBe(bytes.length)
      }),
    )
  })

  test('frames that were handed out stay as they are while more is written', () => {
    const writer = new JuteWriter(32)
    const frames = Array.from({ length: 50 }, (_, index) => {
      writer.beginFrame()
      writer.string('x'.repeat(index))
      return writer.finishFrame()
    })
    for (const [index, frame] of frames.entries()) {
      const reader = readerOf(frame)
      expect(reader.int()).toBe(frame.length - 4)
      expect(reader.string()).toBe('x'.repeat(index))
    }
  })

  test.each([
    ['a length below -1', 'fffffffe', (reader: JuteReader) => reader.span()],
    ['a length beyond the end', '00000005616263', (reader: JuteReader) => reader.span()],
    ['a count that cannot fit', '7fffffff00000000', (reader: JuteReader) => reader.count(4)],
    ['half an int', '0000', (reader: JuteReader) => reader.int()],
    ['half a long', '0000000000', (reader: JuteReader) => reader.long()],
    ['no boolean', '', (reader: JuteReader) => reader.boolean()],
  ])('refuses %s', (_name, hex, read) => {
    expect(() => read(readerOf(Buffer.from(hex, 'hex')))).toThrow(MalformedRecord)
  })
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FrameSplitter } from '../../../transport/zookeeper/frames.ts'

function frame(body: Uint8Array): Buffer {
  const bytes = Buffer.alloc(4 + body.length)
  bytes.writeInt32BE(body.length)
  bytes.set(body, 4)
  return bytes
}

function drain(splitter: FrameSplitter, into: Buffer[], established = true): string {
  for (;;) {
    const cut = splitter.next(established)
    if (cut !== 'frame') return cut
    into.push(Buffer.from(splitter.bytes.subarray(splitter.start, splitter.end)))
  }
}

describe('frame splitter', () => {
  test('any chunking gives the same frames', () => {
    const bodies = fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 20 })
    const cuts = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 })
    fc.assert(
      fc.property(bodies, cuts, (expected, sizes) => {
        const stream = Buffer.concat(expected.map(frame))
        const splitter = new FrameSplitter()
        const found: Buffer[] = []
        const kept: { view: Uint8Array; copy: Buffer }[] = []
        for (let at = 0, index = 0; at < stream.length; index += 1) {
          const size = sizes[index % sizes.length]!
          const chunk = Uint8Array.from(stream.subarray(at, at + size))
          splitter.push(chunk)
          expect(drain(splitter, found)).toBe('more')
          kept.push({ view: splitter.bytes, copy: Buffer.from(splitter.bytes) })
          at += size
        }
        expect(found).toEqual(expected.map(one => Buffer.from(one)))
        expect(splitter.waitingBytes).toBe(0)
      }),
    )
  })

  test('frames stay readable while later chunks arrive', () => {
    const splitter = new FrameSplitter()
    const views: Uint8Array[] = []
    for (let index = 0; index < 200; index += 1) {
      const bytes = frame(new Uint8Array(10).fill(index))
      splitter.push(bytes.subarray(0, 9))
      expect(splitter.next(true)).toBe('more')
      splitter.push(bytes.subarray(9))
      expect(splitter.next(true)).toBe('frame')
      views.push(splitter.bytes.subarray(splitter.start, splitter.end))
    }
    for (const [index, view] of views.entries())
      expect(view).toEqual(new Uint8Array(10).fill(index))
  })

  test('the largest frame passes and one byte more breaks the connection', () => {
    const splitter = new FrameSplitter()
    splitter.push(frame(new Uint8Array(1_048_575)))
    expect(splitter.next(true)).toBe('frame')
    splitter.push(Buffer.from('00100000', 'hex'))
    expect(splitter.next(true)).toBe('broken')
  })

  test('a negative length breaks the connection', () => {
    const splitter = new FrameSplitter()
    splitter.push(Buffer.from('ffffffff', 'hex'))
    expect(splitter.next(true)).toBe('broken')
  })

  test('a length alone makes no room for the frame that it announces', () => {
    const splitter = new FrameSplitter()
    splitter.push(Buffer.from('000ffff0', 'hex'))
    expect(splitter.next(true)).toBe('more')
    expect(splitter.bytes.length).toBeLessThan(100)
  })

  test('words count only before the connect request', () => {
    const words = new FrameSplitter()
    words.push(Buffer.from('ruok'))
    expect(words.next(false)).toBe('word')
    expect(words.word).toBe('ruok')
    const established = new FrameSplitter()
    established.push(Buffer.from('ruok'))
    expect(established.next(true)).toBe('broken')
    const unknown = new FrameSplitter()
    unknown.push(Buffer.from('abcd'))
    expect(unknown.next(false)).toBe('broken')
  })

  test('an idle connection keeps no buffer', () => {
    const splitter = new FrameSplitter()
    splitter.push(frame(new Uint8Array(5000)))
    expect(splitter.next(true)).toBe('frame')
    expect(splitter.next(true)).toBe('more')
    expect(splitter.bytes.length).toBe(0)
  })
})

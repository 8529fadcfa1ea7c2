import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  createFrameReader,
  describeFault,
  encodeFrame,
  type FrameFault,
  frameHeaderBytes,
  frameKind,
} from '../../../transport/peers/frame.ts'

interface Taken {
  kind: number
  body: number[]
  received: number
}

/** Feeds the chunks and returns all frames and the fault, if any. */
function read(
  chunks: readonly Uint8Array[],
  bodyBytesMax = 1 << 20,
): { frames: Taken[]; fault: FrameFault | undefined } {
  const frames: Taken[] = []
  const reader = createFrameReader(bodyBytesMax, (kind, body, received) => {
    frames.push({ kind, body: [...body], received })
  })
  let fault: FrameFault | undefined
  for (const chunk of chunks) fault = reader.push(chunk)
  return { frames, fault }
}

function split(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const at = [...new Set(cuts.map(cut => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  const edges = [0, ...at, bytes.length]
  return edges.slice(1).map((edge, index) => bytes.slice(edges[index], edge))
}

const frame = fc.record({
  kind: fc.integer({ min: 1, max: 10 }),
  body: fc.uint8Array({ maxLength: 300 }),
  received: fc.nat(),
})

describe('frames', () => {
  test('come out as they went in, however the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 20 }),
        (sent, cuts) => {
          const bytes = Buffer.concat(
            sent.map(({ kind, body, received }) => encodeFrame(kind, body, received)),
          )
          const { frames, fault } = read(split(bytes, cuts))
          expect(fault).toBeUndefined()
          expect(frames).toEqual(sent.map(one => ({ ...one, body: [...one.body] })))
        },
      ),
    )
  })

  test('one byte at a time', () => {
    const bytes = encodeFrame(frameKind.ping, Uint8Array.of(1, 2, 3))
    const { frames } = read([...bytes].map(byte => Uint8Array.of(byte)))
    expect(frames).toEqual([{ kind: frameKind.ping, body: [1, 2, 3], received: 0 }])
  })

  test('any changed byte gives a typed fault or fewer frames, never another frame', () => {
    fc.assert(
      fc.property(frame, fc.nat(), fc.integer({ min: 1, max: 255 }), (sent, position, mask) => {
        const bytes = encodeFrame(sent.kind, sent.body, sent.received)
        const at = position % bytes.length
        bytes[at] = bytes[at]! ^ mask
        const { frames, fault } = read([bytes])
        expect(frames).toEqual([])
        // A longer length that is still allowed only waits for more.
        if (fault === undefined) expect(at).toBeLessThan(4)
        else expect(describeFault(fault)).toMatch(/^frame /)
      }),
    )
  })

  test('arbitrary bytes never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
        expect(read([bytes]).frames).toEqual([])
      }),
    )
  })
})

describe('faults', () => {
  const good = encodeFrame(frameKind.ping, Uint8Array.of(7))
  const changed = (at: number, value: number) => {
    const bytes = good.slice()
    bytes[at] = value
    return read([bytes]).fault
  }

  test('another format', () => {
    expect(changed(8, 2)).toEqual({ kind: 'badFormat', format: 2 })
  })

  test('an unknown kind', () => {
    expect(changed(9, 99)).toEqual({ kind: 'badKind', frameKind: 99 })
    expect(changed(9, 0)).toEqual({ kind: 'badKind', frameKind: 0 })
  })

  test('padding that is not zero', () => {
    expect(changed(11, 1)).toEqual({ kind: 'badPadding', padding: 256 })
  })

  test('a damaged body', () => {
    expect(changed(frameHeaderBytes, 8)?.kind).toBe('badChecksum')
  })

  test('a length beyond the limit is refused on the header alone', () => {
    const header = good.slice(0, frameHeaderBytes)
    header.set([0xff, 0xff, 0xff, 0xff])
    const { fault } = read([header], 1000)
    expect(fault).toEqual({ kind: 'tooLong', bodyBytes: 0xffffffff, bodyBytesMax: 1000 })
    expect(describeFault(fault!)).toBe('frame body of 4294967295 bytes is longer than 1000')
  })

  test('nothing is taken after a fault', () => {
    const bad = good.slice()
    bad[frameHeaderBytes] = 0
    const { frames, fault } = read([bad, good, good])
    expect(frames).toEqual([])
    expect(fault?.kind).toBe('badChecksum')
  })

  test('a raised limit takes longer bodies', () => {
    const bodies: number[] = []
    const reader = createFrameReader(4, (_kind, body) => bodies.push(body.length))
    reader.allow(100)
    expect(reader.push(encodeFrame(frameKind.envelopes, new Uint8Array(100)))).toBeUndefined()
    expect(bodies).toEqual([100])
  })
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRing, RingReader, RingWriter } from '../../runtime/ring.ts'

test('gives back what was written, in order, through many rounds', () => {
  const step = fc.oneof(
    fc.record({ write: fc.uint8Array({ maxLength: 700 }) }),
    fc.record({ read: fc.constant(true) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), steps => {
      const memory = createRing(1024)
      const writer = new RingWriter(memory)
      const reader = new RingReader(memory)
      const model: Uint8Array[] = []
      let sequence = 0
      let expected = 0
      for (const action of steps) {
        if ('write' in action) {
          if (writer.write(action.write, sequence)) {
            model.push(action.write)
            sequence++
          } else expect(model.length).toBeGreaterThan(0)
        } else {
          const next = reader.next()
          if (model.length === 0) expect(next).toBe(-1)
          else {
            expect(next).toBe(expected++)
            expect([...reader.peek()]).toEqual([...model.shift()!])
            reader.release()
          }
        }
      }
    }),
    { numRuns: 200 },
  )
})

test('positions pass 2^32', () => {
  const memory = createRing(1024)
  const words = new Int32Array(memory, 0, 16)
  // Both sides shortly before the end of what 32 bits count.
  words[0] = -1024
  words[8] = -1024
  const writer = new RingWriter(memory)
  const reader = new RingReader(memory)
  for (let sequence = 0; sequence < 50; sequence++) {
    expect(writer.write(new Uint8Array(100).fill(sequence), sequence)).toBe(true)
    expect(reader.next()).toBe(sequence)
    expect(reader.peek()[99]).toBe(sequence)
    reader.release()
  }
})

test('a full ring refuses until something was taken', () => {
  const memory = createRing(1024)
  const writer = new RingWriter(memory)
  const reader = new RingReader(memory)
  expect(writer.write(new Uint8Array(1016), 0)).toBe(true)
  expect(writer.write(new Uint8Array(0), 1)).toBe(false)
  expect(reader.next()).toBe(0)
  reader.release()
  expect(writer.write(new Uint8Array(0), 1)).toBe(true)
  expect(writer.write(new Uint8Array(1017), 2)).toBe(false)
})

test('the writer is told once that the reader sleeps', () => {
  const memory = createRing(1024)
  const writer = new RingWriter(memory)
  const reader = new RingReader(memory)
  expect(writer.mustWake()).toBe(true)
  expect(writer.mustWake()).toBe(false)
  reader.sleep()
  expect(writer.mustWake()).toBe(true)
  reader.sleep()
  reader.awake()
  expect(writer.mustWake()).toBe(false)
})

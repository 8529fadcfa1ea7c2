import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  allowRecycling,
  BufferPool,
  giveBack,
  recycle,
  takeRecyclable,
  threadPool,
} from '../../runtime/buffer-pool.ts'

test('what is taken is large enough and nobody else has it', () => {
  const size = fc.integer({ min: 2048, max: 4 * 1024 * 1024 })
  fc.assert(
    fc.property(fc.array(fc.record({ size, give: fc.boolean() }), { maxLength: 60 }), steps => {
      const pool = new BufferPool()
      const held: Buffer[] = []
      for (const step of steps) {
        expect(pool.fits(step.size)).toBe(true)
        const buffer = pool.take(step.size)
        expect(buffer.length).toBeGreaterThanOrEqual(step.size)
        expect(buffer.length).toBeLessThan(Math.max(step.size * 2, 4097))
        expect(held.includes(buffer)).toBe(false)
        held.push(buffer)
        if (step.give) pool.give(held.shift()!)
      }
    }),
    { numRuns: 50 },
  )
})

test('memory that was given back is used again', () => {
  const pool = new BufferPool()
  const buffer = pool.take(5_000)
  pool.give(buffer)
  expect(pool.take(8_192)).toBe(buffer)
  expect(pool.take(8_192)).not.toBe(buffer)
  expect([1, 2047, 2048, 1024 * 1024, 4 * 1024 * 1024 + 1].map(bytes => pool.fits(bytes))).toEqual([
    false,
    false,
    true,
    true,
    false,
  ])
})

test('only the memory of a received slab is recycled, and once', () => {
  const slab = new BufferPool().take(100_000)
  const bytes = slab.subarray(20, 90_020)
  expect(recycle(bytes, false)).toBe(false)
  allowRecycling(slab)
  bytes.fill(1)
  expect(recycle(bytes, true)).toBe(true)
  // Whoever still holds a view sees that it is not theirs any more.
  expect(bytes[0]).toBe(0xdb)
  expect(recycle(bytes, true)).toBe(false)
  expect(threadPool.take(100_000).buffer).toBe(slab.buffer)
})

test('memory that is no whole buffer of a pool is never recycled', () => {
  const odd = Buffer.allocUnsafeSlow(100_000)
  allowRecycling(odd)
  expect(recycle(odd, false)).toBe(false)
})

test('a full pool drops the sizes that nobody asks for any more', () => {
  const pool = new BufferPool()
  const old = Array.from({ length: 4 }, () => pool.take(4 * 1024 * 1024))
  const wanted = Array.from({ length: 8 }, () => pool.take(100_000))
  for (const buffer of [...old, ...wanted]) pool.give(buffer)
  const again = wanted.map(() => pool.take(100_000))
  expect(new Set(again)).toEqual(new Set(wanted))
})

test('bytes of a message come from the pool and go back once', () => {
  const bytes = takeRecyclable(50_000)
  expect(bytes.length).toBe(50_000)
  const { buffer } = bytes
  expect(recycle(bytes, false)).toBe(true)
  expect(recycle(bytes, false)).toBe(false)
  expect(takeRecyclable(50_000).buffer).toBe(buffer)
  expect(recycle(takeRecyclable(100), false)).toBe(false)
})

test('a slab that was copied elsewhere goes back, one that is no buffer of a pool does not', () => {
  const slab = threadPool.take(200_000).subarray(0, 150_000)
  giveBack(slab)
  expect(threadPool.take(200_000).buffer).toBe(slab.buffer)
  giveBack(Buffer.allocUnsafeSlow(150_001))
  expect(threadPool.take(150_001).buffer.byteLength).toBe(262_144)
})

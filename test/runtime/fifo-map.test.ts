import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FifoMap } from '../../runtime/fifo-map.ts'

const step = fc.record({
  what: fc.constantFrom('set', 'set', 'delete', 'deleteOldest'),
  key: fc.integer({ min: 0, max: 12 }),
})

describe('a map whose oldest entry is at hand', () => {
  it('says what a plain map says, whatever is set and deleted in between', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), steps => {
        const plain = new Map<number, number>()
        const map = new FifoMap<number, number>()
        for (const [at, { what, key }] of steps.entries()) {
          const gone = what === 'delete' ? key : map.oldestKey()
          if (what === 'set') {
            plain.set(key, at)
            map.set(key, at)
          } else if (gone !== undefined) {
            expect(map.delete(gone)).toBe(plain.delete(gone))
          }
          // Not at every step, so that the iterator also passes entries that were deleted unseen.
          if (at % 3 > 0) continue
          expect(map.oldestKey()).toBe([...plain.keys()][0])
          expect(map.oldest()).toBe([...plain.values()][0])
          expect([...map.values()]).toEqual([...plain.values()])
          expect(map.size).toBe(plain.size)
        }
      }),
    )
  })
})

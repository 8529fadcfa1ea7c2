import fc from 'fast-check'
import { expect, test } from 'vitest'
import { OwnerIndex } from '../../storage/owner-index.ts'

test('knows the same as a plain table, whatever comes and goes', () => {
  const step = fc.record({
    owner: fc.integer({ min: 0, max: 400 }),
    id: fc.integer({ min: 1, max: 3_000 }),
    add: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 2_000 }), steps => {
      const index = new OwnerIndex()
      const ownerOf = new Map<number, number>()
      for (const { owner, id, add } of steps) {
        const before = ownerOf.get(id)
        if (before !== undefined) index.remove(before >> 4, before & 15, id)
        ownerOf.delete(id)
        if (!add) continue
        index.add(owner >> 4, owner & 15, id)
        // Twice is once.
        index.add(owner >> 4, owner & 15, id)
        if (owner !== 0) ownerOf.set(id, owner)
      }
      expect(index.count).toBe(ownerOf.size)
      for (let owner = 0; owner <= 400; owner += 1) {
        const expected = [...ownerOf].filter(([, one]) => one === owner).map(([id]) => id)
        expect([...index.of(owner >> 4, owner & 15)].sort()).toEqual(expected.sort())
      }
    }),
    { numRuns: 30 },
  )
})

test('what is not there is not removed, and 0/0 owns nothing', () => {
  const index = new OwnerIndex()
  index.add(0, 0, 5)
  index.add(1, 2, 7)
  index.remove(1, 2, 8)
  index.remove(3, 4, 7)
  expect([index.count, [...index.of(0, 0)], [...index.of(1, 2)]]).toEqual([1, [], [7]])
})

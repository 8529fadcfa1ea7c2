import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { IntervalTree } from '../../../actors/watches/interval-tree.ts'
import { KeyIndex, type Watched } from '../../../actors/watches/key-index.ts'

interface Member extends Watched {
  readonly name: string
}

function found(index: KeyIndex<Member>, key: string): string[] {
  const members: Member[] = []
  index.collect(key, members)
  return members.map(member => member.name).sort()
}

function holds({ from, to }: Watched, key: string): boolean {
  if (to === undefined) return key === from
  return key >= from && (to === null || key < to)
}

describe('the index of watched keys', () => {
  test('single keys, prefixes, ranges and all from a key', () => {
    const index = new KeyIndex<Member>()
    index.add({ name: 'one', from: 'b', to: undefined })
    index.add({ name: 'same', from: 'b', to: undefined })
    index.add({ name: 'prefix', from: 'b', to: 'c' })
    index.add({ name: 'longer', from: 'ba', to: 'bb' })
    index.add({ name: 'high', from: 'b\xff', to: 'c' })
    index.add({ name: 'range', from: 'a', to: 'bb' })
    index.add({ name: 'rest', from: 'bb', to: null })
    expect(found(index, 'a')).toEqual(['range'])
    expect(found(index, 'b')).toEqual(['one', 'prefix', 'range', 'same'])
    expect(found(index, 'ba')).toEqual(['longer', 'prefix', 'range'])
    expect(found(index, 'bb')).toEqual(['prefix', 'rest'])
    expect(found(index, 'b\xff\x01')).toEqual(['high', 'prefix', 'rest'])
    expect(found(index, 'c')).toEqual(['rest'])
  })

  test('keys that many had watched, and nobody does any more, are forgotten and can come again', () => {
    const index = new KeyIndex<Member>()
    const members = Array.from({ length: 1_000 }, (_, at) => ({
      name: `${at}`,
      from: `k${at}`,
      to:
        at % 2 === 0 ? undefined : `k${at}`.slice(0, -1) + String.fromCharCode(48 + (at % 10) + 1),
    }))
    for (let round = 0; round < 3; round += 1) {
      for (const member of members) index.add(member)
      expect(found(index, 'k998')).toEqual(['9', '99', '998'])
      for (const member of members) if (member.name !== '998') index.remove(member)
      expect(found(index, 'k998')).toEqual(['998'])
      index.remove(members[998] as Member)
      expect(found(index, 'k998')).toEqual([])
    }
  })

  test('finds what asking each member would, while members come and go', () => {
    const letter = fc.constantFrom('a', 'b', '\xff')
    const key = fc.array(letter, { minLength: 1, maxLength: 3 }).map(letters => letters.join(''))
    const to = fc.oneof(key, fc.constant(null), fc.constant(undefined))
    const interval = fc
      .tuple(key, to)
      .filter(([from, end]) => typeof end !== 'string' || end > from)
    const step = fc.record({ interval, remove: fc.nat(), removes: fc.boolean() })
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.array(key, { minLength: 1 }),
        (steps, keys) => {
          const index = new KeyIndex<Member>()
          const members: Member[] = []
          for (const [at, one] of steps.entries()) {
            if (one.removes && members.length > 0) {
              const [gone] = members.splice(one.remove % members.length, 1)
              index.remove(gone!)
            } else {
              const member = {
                name: String(at).padStart(3, '0'),
                from: one.interval[0],
                to: one.interval[1],
              }
              members.push(member)
              index.add(member)
            }
          }
          for (const asked of keys) {
            const expected = members
              .filter(member => holds(member, asked))
              .map(member => member.name)
            expect(found(index, asked)).toEqual(expected.sort())
          }
        },
      ),
      { numRuns: 500 },
    )
  })
})

describe('the tree of intervals', () => {
  test('many that do not hold the key are not looked at one by one', () => {
    const tree = new IntervalTree<{ readonly from: string; place?: number }>()
    let looked = 0
    for (let number = 0; number < 20_000; number += 1) {
      const name = String(number).padStart(8, '0')
      const from = new String(`k${name}a`) as unknown as string
      tree.add(String(from), `k${name}m`, {
        get from() {
          looked += 1
          return name
        },
      })
    }
    const members: { readonly from: string; place?: number }[] = []
    tree.collect('k00010000c', members)
    expect(members.map(member => member.from)).toEqual(['00010000'])
    expect(looked).toBe(1)
  })
})

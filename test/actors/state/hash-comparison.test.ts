import { describe, expect, it } from 'vitest'
import { HashComparison } from '../../../actors/state/hash-comparison.ts'

const good = { low: 1, high: 2 }
const bad = { low: 1, high: 3 }

describe('comparison of state hashes', () => {
  it('finds this node wrong when a majority agrees on another hash', () => {
    const hashes = new HashComparison(1, () => 3)
    hashes.add(1, 256, good)
    hashes.add(2, 256, good)
    expect(hashes.add(1, 512, bad)).toBeUndefined()
    expect(hashes.add(2, 512, good)).toBeUndefined()
    expect(hashes.add(3, 512, good)).toEqual({ position: 512, agreedAt: 256, majority: [2, 3] })
  })

  it('finds it as well when its own hash comes last', () => {
    const hashes = new HashComparison(1, () => 3)
    hashes.add(2, 512, good)
    hashes.add(3, 512, good)
    expect(hashes.add(1, 512, bad)).toMatchObject({ position: 512, agreedAt: 0 })
  })

  it('leaves a node alone whose peer alone differs, or whose peers differ from each other', () => {
    const hashes = new HashComparison(1, () => 3)
    hashes.add(1, 512, good)
    hashes.add(2, 512, good)
    expect(hashes.add(3, 512, bad)).toBeUndefined()
    hashes.add(1, 1024, good)
    hashes.add(2, 1024, bad)
    expect(hashes.add(3, 1024, { low: 7, high: 7 })).toBeUndefined()
  })
})

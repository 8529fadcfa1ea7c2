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

  it('tells of a difference that no majority decides, until one does or the states agree', () => {
    const two = new HashComparison(1, () => 2)
    two.add(1, 512, good)
    two.add(2, 512, good)
    expect(two.undecided()).toBeUndefined()
    two.add(1, 1024, good)
    expect(two.undecided()).toBeUndefined()
    expect(two.add(2, 1024, bad)).toBeUndefined()
    expect(two.undecided()).toEqual({ position: 1024, agreedAt: 512, groups: [[1], [2]] })
    two.add(1, 1536, good)
    two.add(2, 1536, good)
    expect(two.undecided()).toBeUndefined()

    const three = new HashComparison(1, () => 3)
    three.add(1, 512, good)
    three.add(2, 512, bad)
    expect(three.undecided()).toMatchObject({ groups: [[1], [2]] })
    three.add(3, 512, good)
    expect(three.undecided()).toBeUndefined()
  })
})

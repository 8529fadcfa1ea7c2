import { describe, expect, it } from 'vitest'
import { Pacing, pacing } from '../../../../actors/consensus/shell/pacing.ts'

const nothing = { count: 0, bytes: 0 }
const one = { count: 1, bytes: 100 }

describe('pacing of proposals', () => {
  it('lets the first go at once, and few that follow wait for it to commit', () => {
    const pace = new Pacing()
    expect(pace.mustWait(one, 0)).toBe(false)
    pace.appended(7, 1, 10)
    expect(pace.mustWait(one, 10.5)).toBe(true)
    pace.committed(7, nothing, 10.6)
    expect(pace.mustWait(one, 10.6)).toBe(false)
  })

  it('lets much go at once', () => {
    const pace = new Pacing()
    pace.appended(7, 1, 10)
    expect(pace.mustWait({ count: 1, bytes: pacing.bytesMax }, 10.5)).toBe(false)
  })

  it('holds nothing up for longer than a moment, however far the quorum is', () => {
    const pace = new Pacing()
    pace.appended(7, 1, 10)
    expect(pace.mustWait(one, 10 + pacing.waitMillisMax)).toBe(false)
  })
})

describe('pacing after a commit', () => {
  it('waits for the clients that were answered, so that all write together', () => {
    const pace = new Pacing()
    pace.appended(7, 2, 10)
    pace.committed(7, one, 11)
    expect(pace.mustWait(one, 11)).toBe(true)
    expect(pace.mustWait({ count: 2, bytes: 200 }, 11.5)).toBe(true)
    expect(pace.mustWait({ count: 3, bytes: 300 }, 11.6)).toBe(false)
  })

  it('waits no longer than twice what the batch took, nor than its bound', () => {
    const pace = new Pacing()
    pace.appended(7, 2, 10)
    pace.committed(7, one, 10.4)
    expect(pace.mustWait(one, 11.1)).toBe(true)
    expect(pace.mustWait(one, 11.3)).toBe(false)

    const slow = new Pacing()
    slow.appended(7, 2, 10)
    slow.committed(7, one, 500)
    expect(slow.mustWait(one, 500 + pacing.gatherMillisMax / 2)).toBe(true)
    expect(slow.mustWait(one, 500 + pacing.gatherMillisMax)).toBe(false)
  })

  it('does not wait for those of a batch before the newest', () => {
    const pace = new Pacing()
    pace.appended(7, 2, 10)
    pace.appended(9, 2, 11)
    pace.committed(7, one, 11)
    pace.committed(9, one, 12)
    expect(pace.mustWait({ count: 3, bytes: 300 }, 12)).toBe(false)
  })

  it('stops waiting for clients that do not come back, and tries again ever more rarely', () => {
    const pace = new Pacing()
    const waited: number[] = []
    for (let batch = 1; batch <= 40; batch++) {
      const now = 100 * batch
      pace.appended(batch, 2, now)
      pace.committed(batch, one, now + 1)
      if (pace.mustWait(one, now + 1)) waited.push(batch)
      expect(pace.mustWait(one, now + 50)).toBe(false)
    }
    expect(waited).toEqual([1, 3, 6, 11, 20, 37])
  })

  it('waits every time again once it has paid', () => {
    const pace = new Pacing()
    pace.appended(1, 2, 0)
    pace.committed(1, one, 1)
    expect(pace.mustWait(one, 50)).toBe(false)
    pace.appended(2, 2, 100)
    pace.committed(2, one, 101)
    for (let batch = 3; batch <= 6; batch++) {
      const now = 100 * batch
      pace.appended(batch, 2, now)
      pace.committed(batch, one, now + 1)
      expect(pace.mustWait(one, now + 1)).toBe(true)
      expect(pace.mustWait({ count: 3, bytes: 300 }, now + 1)).toBe(false)
    }
  })
})

import { describe, expect, it } from 'vitest'
import { Pacing, pacing } from '../../../../actors/consensus/shell/pacing.ts'

describe('pacing of proposals', () => {
  it('lets the first go at once, and few that follow wait for it to commit', () => {
    const pace = new Pacing()
    expect(pace.mustWait(100, 0)).toBe(false)
    pace.appended(7, 10)
    expect(pace.mustWait(100, 10.5)).toBe(true)
    pace.committed(7)
    expect(pace.mustWait(100, 10.6)).toBe(false)
  })

  it('lets much go at once', () => {
    const pace = new Pacing()
    pace.appended(7, 10)
    expect(pace.mustWait(pacing.bytesMax, 10.5)).toBe(false)
  })

  it('holds nothing up for longer than a moment, however far the quorum is', () => {
    const pace = new Pacing()
    pace.appended(7, 10)
    expect(pace.mustWait(100, 10 + pacing.waitMillisMax)).toBe(false)
  })
})

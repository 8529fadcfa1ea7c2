import { expect, test } from 'vitest'
import { LogTime } from '../../../../actors/consensus/shell/log-time.ts'

function logTime() {
  const told: string[] = []
  const time = new LogTime((state, apartMillis) => told.push(`${state} ${apartMillis}`))
  return { told, time }
}

test('it is the wall clock of the leader, and never goes back', () => {
  const { told, time } = logTime()
  time.begin(1_000, 500_000, 10)
  expect(time.now(500_020, 30)).toBe(500_020)
  expect(time.now(500_015, 50)).toBe(500_030)
  expect(time.now(500_015, 50)).toBe(500_030)
  expect(time.now(500_100, 130)).toBe(500_100)
  expect(told).toEqual([])
})

test('a log that is an hour ahead of the leader is not pinned: it goes on, at half the pace, until both meet', () => {
  const { told, time } = logTime()
  const hour = 3_600_000
  time.begin(hour, 0, 0)
  expect(told).toEqual(['logAhead 3600000'])
  let last = hour
  for (let passed = 1000; passed <= 2 * hour; passed += 1000) {
    const now = time.now(passed, passed)
    expect(now).toBeGreaterThan(last)
    // No stamp is further ahead of the clock than the first.
    expect(now - passed).toBeLessThanOrEqual(hour)
    last = now
  }
  expect(last).toBe(2 * hour)
  expect(time.now(2 * hour + 10, 2 * hour + 10)).toBe(2 * hour + 10)
  expect(told).toEqual(['logAhead 3600000', 'together 0'])
})

test('a clock that jumps ahead while its node leads is followed at twice the pace', () => {
  const { told, time } = logTime()
  time.begin(0, 1_000_000, 0)
  expect(time.now(1_060_010, 10)).toBe(1_000_020)
  expect(time.now(1_070_000, 10_000)).toBe(1_020_000)
  expect(time.now(1_120_000, 60_000)).toBe(1_120_000)
  expect(told).toEqual(['clockAhead 59990', 'together 0'])
})

test('a node whose clock is ahead of the log that it has followed does not jump when it leads', () => {
  const { told, time } = logTime()
  time.witnessed(5_000)
  time.begin(1_000_000, 4_600_000, 6_000)
  expect(told).toEqual(['clockAhead 3598000'])
  expect(time.now(4_600_000, 6_000)).toBe(1_002_000)
  // One that has not seen the log grow cannot tell a wrong clock from a long night.
  const other = logTime()
  other.time.begin(1_000_000, 4_600_000, 6_000)
  expect(other.time.now(4_600_001, 6_001)).toBe(4_600_001)
})

import { expect, test } from 'vitest'
import { LogClock } from '../../../actors/state/log-clock.ts'

test('goes on with the monotonic clock from the entry that was on its way for the shortest time', () => {
  const clock = new LogClock()
  clock.applied(1_000_000, 500)
  clock.applied(1_000_005, 510)
  clock.applied(1_000_010, 509)
  expect(clock.now(1_509)).toBe(1_001_010)
})

test('entries that were long on their way do not set it back', () => {
  const clock = new LogClock()
  clock.applied(1_000_000, 0)
  clock.applied(1_000_100, 20_000)
  clock.applied(1_020_050, 20_100)
  expect(clock.now(20_100)).toBe(1_020_100)
})

test('a log whose time stands still is believed after half a minute', () => {
  const clock = new LogClock()
  clock.applied(1_000_000, 0)
  for (let now = 1_000; now <= 31_000; now += 1_000) clock.applied(1_000_000, now)
  expect(clock.now(31_000)).toBeLessThan(1_020_000)
})

import { expect, test } from 'vitest'
import { LogDelay } from '../../../actors/gateways/etcd-log-delay.ts'

test('the delay is that of the sample under way, or of the last one', () => {
  const delay = new LogDelay(100)
  delay.proposed(5, 1000)
  delay.proposed(6, 1050)
  expect([delay.millis(1080), delay.isTooLong(1080), delay.isTooLong(1101)]).toEqual([
    80,
    false,
    true,
  ])
  delay.applied(4, 1090)
  expect(delay.millis(1090)).toBe(90)
  delay.applied(7, 1110)
  expect([delay.millis(2000), delay.isTooLong(2000)]).toEqual([110, false])
})

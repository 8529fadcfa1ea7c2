import { expect, test } from 'vitest'
import { Pace, pacing } from '../../../actors/state/pace.ts'

/** A log that takes so many of the entries that may be under way in a second, filled as far as it may be. */
class Log {
  now = 0
  #sequence = 0
  readonly pace = new Pace(() => this.now)

  /** Returns how long the command that was watched took. */
  fill(sharePerSecond: number, aloneMillis = 2): number {
    const { share } = this.pace
    this.#sequence += 1
    this.pace.watch(this.#sequence, share, share)
    const tookMillis = aloneMillis + (share / sharePerSecond) * 1000
    this.now += tookMillis
    this.pace.applied(this.#sequence)
    return tookMillis
  }

  alone(tookMillis: number): void {
    this.#sequence += 1
    this.pace.watch(this.#sequence, 0, 0)
    this.now += tookMillis
    this.pace.applied(this.#sequence)
  }
}

function settled(log: Log, sharePerSecond: number, aloneMillis = 2): number {
  for (let round = 0; round < 30; round += 1) log.fill(sharePerSecond, aloneMillis)
  return log.fill(sharePerSecond, aloneMillis)
}

test('a slow log is given what it takes within a moment, and more as soon as it is quick', () => {
  const log = new Log()
  expect(settled(log, 0.2)).toBeLessThan(1.5 * pacing.aimMillis)
  expect(settled(log, 0.2)).toBeGreaterThan(pacing.aimMillis / 2)
  expect(settled(log, 100)).toBeLessThan(pacing.aimMillis)
  expect(log.pace.share).toBe(1)
  expect(settled(log, 0.2)).toBeLessThan(1.5 * pacing.aimMillis)
})

test('a long way to the quorum does not make little of what is under way', () => {
  const log = new Log()
  for (let round = 0; round < 30; round += 1) log.alone(240)
  settled(log, 10, 240)
  expect(log.pace.share).toBe(1)
})

test('room that nobody used is not given for that', () => {
  const log = new Log()
  for (let round = 0; round < 30; round += 1) log.alone(1)
  expect(log.pace.share).toBe(pacing.shareFirst)
})

test('there is always some room, and what was handed in again says nothing', () => {
  const log = new Log()
  settled(log, 0.0001)
  expect(log.pace.share).toBe(pacing.shareMin)
  log.pace.watch(1000, pacing.shareMin, pacing.shareMin)
  log.now += 60
  expect(log.pace.expectedMillis()).toBeGreaterThan(60)
  log.pace.forget()
  log.pace.applied(1000)
  expect(log.pace.isWatching).toBe(false)
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Mailbox } from '../../runtime/mailbox.ts'

test('is a queue, whatever is pushed and taken in whatever order', () => {
  // Positive: push so many; negative: take so many.
  const steps = fc.array(fc.integer({ min: -1500, max: 1500 }), { maxLength: 30 })
  fc.assert(
    fc.property(steps, counts => {
      const mailbox = new Mailbox<{ number: number }>()
      const model: number[] = []
      let next = 0
      for (const count of counts) {
        for (let index = 0; index < count; index++) {
          model.push(next)
          mailbox.push({ number: next++ })
        }
        for (let index = 0; index < -count; index++) {
          expect(mailbox.shift()?.number).toBe(model.shift())
        }
        expect(mailbox.size).toBe(model.length)
      }
    }),
    { numRuns: 50 },
  )
})

test('is empty after it was cleared, and usable', () => {
  const mailbox = new Mailbox<object>()
  for (let index = 0; index < 2000; index++) mailbox.push({})
  mailbox.clear()
  expect(mailbox.shift()).toBeUndefined()
  const item = {}
  mailbox.push(item)
  expect(mailbox.shift()).toBe(item)
})

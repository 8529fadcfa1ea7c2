import { expect, test } from 'vitest'
import { EventRoom } from '../../../actors/watches/event-room.ts'

const limits = { bytesMax: 100, connectionBytesMax: 40 }

test('a connection may have its share lying, and one response of any size', () => {
  const room = new EventRoom(limits)
  expect(room.allows(1, 5000)).toBe(true)
  room.sent(1, 30)
  expect([room.allows(1, 10), room.allows(1, 11)]).toEqual([true, false])
  room.taken(1, 25)
  expect(room.isEased(1)).toBe(true)
})

test('when much lies untaken in all, those go first who have nothing lying', () => {
  const room = new EventRoom(limits)
  for (const connection of [1, 2]) room.sent(connection, 30)
  expect([room.allows(1, 5), room.allows(3, 40), room.allows(3, 41)]).toEqual([false, true, false])
  expect(room.isShort).toBe(true)
})

test('what lies at a connection goes with it, and is taken once', () => {
  const room = new EventRoom(limits)
  room.sent(1, 30)
  room.closed(1)
  room.taken(1, 30)
  expect(room.bytes).toBe(0)
})

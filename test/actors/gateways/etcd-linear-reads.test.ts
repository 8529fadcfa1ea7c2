import { expect, test } from 'vitest'
import { Deadlines } from '../../../actors/gateways/etcd-deadlines.ts'
import { type LinearRead, LinearReads } from '../../../actors/gateways/etcd-linear-reads.ts'

class Scene {
  readonly asked: number[] = []
  readonly read: string[] = []
  readonly late: number[] = []
  readonly reads = new LinearReads({
    timeoutMillis: 1000,
    retryMillis: 500,
    ask: id => this.asked.push(id),
    read: (read, position) => this.read.push(`${read.call}@${position}`),
    late: read => this.late.push(read.call),
  })

  add(call: number, startMillis = 0): void {
    const request = new Uint8Array(0)
    this.reads.add({ connection: 1, call, startMillis, request, ready: undefined })
  }
}

test('reads of one round share a question; those that come later wait for the next', () => {
  const scene = new Scene()
  scene.add(1)
  scene.add(2)
  scene.reads.flush(0)
  scene.add(3)
  scene.reads.flush(0)
  expect(scene.asked).toEqual([1])
  scene.reads.ready(1, 40)
  expect(scene.read).toEqual(['1@40', '2@40'])
  scene.reads.flush(0)
  expect(scene.asked).toEqual([1, 2])
  scene.reads.ready(2, 41)
  expect(scene.read).toEqual(['1@40', '2@40', '3@41'])
  expect(scene.reads.count).toBe(0)
})

test('an old answer serves nobody: every question has a new id', () => {
  const scene = new Scene()
  scene.add(1)
  scene.reads.flush(0)
  scene.reads.leaderChanged()
  scene.reads.flush(0)
  expect(scene.asked).toEqual([1, 2])
  scene.reads.ready(1, 40)
  scene.reads.failed(1)
  expect(scene.read).toEqual([])
  scene.reads.ready(2, 41)
  scene.reads.ready(2, 50)
  expect(scene.read).toEqual(['1@41'])
})

test('a question that failed is asked again at the next tick, one without an answer after a while', () => {
  const scene = new Scene()
  scene.add(1)
  scene.reads.flush(0)
  scene.reads.failed(1)
  scene.reads.flush(0)
  expect(scene.asked).toEqual([1])
  scene.reads.tick(100)
  scene.reads.flush(100)
  expect(scene.asked).toEqual([1, 2])
  scene.reads.tick(500)
  scene.reads.flush(500)
  expect(scene.asked).toEqual([1, 2])
  scene.reads.tick(600)
  scene.reads.flush(600)
  expect(scene.asked).toEqual([1, 2, 3])
})

test('a late answer serves those for which it was asked, and nobody who came after', () => {
  const scene = new Scene()
  scene.add(1)
  scene.reads.flush(0)
  scene.add(2, 400)
  scene.reads.tick(500)
  scene.reads.flush(500)
  expect(scene.asked).toEqual([1, 2])
  scene.reads.ready(1, 40)
  expect(scene.read).toEqual(['1@40'])
  scene.reads.ready(2, 41)
  expect(scene.read).toEqual(['1@40'])
  scene.reads.flush(500)
  scene.reads.ready(3, 42)
  expect(scene.read).toEqual(['1@40', '2@42'])
})

test('a read that waited too long is late, asked for or not', () => {
  const scene = new Scene()
  scene.add(1, 0)
  scene.reads.flush(0)
  scene.add(2, 100)
  scene.reads.tick(1000)
  expect(scene.late).toEqual([1])
  scene.reads.ready(1, 40)
  expect(scene.read).toEqual([])
  scene.reads.tick(1100)
  expect(scene.late).toEqual([1, 2])
})

test('a read of the gateway itself only hears of the position', () => {
  const scene = new Scene()
  const heard: number[] = []
  const own: LinearRead = {
    connection: 0,
    call: 1,
    startMillis: 0,
    request: undefined,
    ready: position => heard.push(position),
  }
  scene.reads.add(own)
  scene.reads.flush(0)
  scene.reads.ready(1, 7)
  expect([heard, scene.read]).toEqual([[7], []])
})

test('deadlines: what is answered is forgotten, what is not comes out when it is due', () => {
  const deadlines = new Deadlines(1000)
  const late: string[] = []
  const note = (connection: number, call: number, start: number) =>
    late.push(`${connection}/${call}@${start}`)
  for (let number = 1; number <= 5; number += 1) deadlines.add(number, 9, number * 2, number * 10)
  deadlines.expire(2, 500, note)
  expect(late).toEqual([])
  expect(deadlines.count).toBe(3)
  deadlines.expire(3, 1045, note)
  expect(late).toEqual(['9/8@40'])
  deadlines.expire(3, 1050, note)
  expect(late).toEqual(['9/8@40', '9/10@50'])
  expect(deadlines.count).toBe(0)
})

test('deadlines up to a number can be taken before they are due', () => {
  const deadlines = new Deadlines(1000)
  for (let number = 1; number <= 10_000; number += 1) deadlines.add(number, 1, number, 0)
  const taken: number[] = []
  deadlines.takeThrough(9_999, (_, call) => taken.push(call))
  expect([taken.length, deadlines.count]).toEqual([9_999, 1])
  deadlines.expire(10_000, 5, () => expect.unreachable())
  expect(deadlines.count).toBe(0)
})

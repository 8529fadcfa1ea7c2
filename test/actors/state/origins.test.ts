import { describe, expect, it } from 'vitest'
import { doorOf, stream, streamOf } from '../../../actors/state/messages.ts'
import { Origins } from '../../../actors/state/origins.ts'

describe('origins of commands', () => {
  it('apply the next in sequence, skip an earlier one, and do nothing beyond a gap', () => {
    const origins = new Origins()
    expect(origins.accept(1, 5, 1, 1)).toBe(true)
    expect(origins.accept(1, 5, 1, 1)).toBe(false)
    expect(origins.accept(1, 5, 1, 3)).toBe(false)
    expect(origins.accept(1, 5, 1, 2)).toBe(true)
    expect(origins.accept(1, 5, 1, 3)).toBe(true)
  })

  it('number each stream and node apart', () => {
    const origins = new Origins()
    expect(origins.accept(1, 5, 1, 1)).toBe(true)
    expect(origins.accept(1, 5, 2, 1)).toBe(true)
    expect(origins.accept(2, 5, 1, 1)).toBe(true)
  })

  it('drop the streams of an older incarnation and skip its late commands', () => {
    const origins = new Origins()
    origins.accept(1, 5, 1, 1)
    expect(origins.accept(1, 6, 1, 1)).toBe(true)
    expect(origins.accept(1, 5, 1, 2)).toBe(false)
    expect(origins.lastSequence(1, 5, 1)).toBe(0)
    expect(origins.lastSequence(1, 6, 1)).toBe(1)
  })

  it('let a gateway that was started again count from 1 in a stream of its own', () => {
    const origins = new Origins()
    expect(origins.accept(1, 5, streamOf(stream.etcd, 0), 1)).toBe(true)
    expect(origins.accept(1, 5, streamOf(stream.etcd, 1), 1)).toBe(true)
    expect(origins.accept(1, 5, streamOf(stream.etcd, 0), 2)).toBe(true)
    expect(doorOf(streamOf(stream.etcd, 7))).toBe(stream.etcd)
    expect(origins.streamCount(1, 5)).toBe(streamOf(stream.etcd, 1) + 1)
    expect(origins.streamCount(1, 4)).toBe(0)
  })

  it('survive a checkpoint, in one byte order', () => {
    const left = new Origins()
    const right = new Origins()
    for (const node of [1, 2, 300]) left.accept(node, 2 ** 40 + node, 3, 1)
    for (const node of [300, 2, 1]) right.accept(node, 2 ** 40 + node, 3, 1)
    expect(left.encode()).toEqual(right.encode())
    const restored = new Origins()
    restored.decode(left.encode())
    expect(restored.accept(2, 2 ** 40 + 2, 3, 1)).toBe(false)
    expect(restored.accept(2, 2 ** 40 + 2, 3, 2)).toBe(true)
  })
})

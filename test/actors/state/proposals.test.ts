import { describe, expect, it } from 'vitest'
import { entryHeaderBytes, offset, readUint64 } from '../../../actors/consensus/entry.ts'
import type { ConsensusMessage } from '../../../actors/consensus/messages.ts'
import { Proposals } from '../../../actors/state/proposals.ts'

function setup(limits: { entriesMax?: number; bytesMax?: number } = {}) {
  const told: number[][] = []
  const tell = (message: ConsensusMessage): void => {
    if (message.kind !== 'propose') throw new Error(message.kind)
    const view = new DataView(
      message.entries.buffer,
      message.entries.byteOffset,
      message.entries.byteLength,
    )
    const sequences: number[] = []
    for (let at = 0; at < view.byteLength; at += view.getUint32(at, true)) {
      sequences.push(readUint64(view, at + offset.sequence))
    }
    expect(sequences).toHaveLength(message.count)
    told.push(sequences)
  }
  const common = {
    node: 2,
    incarnation: 7,
    stream: 1,
    entriesMax: 1000,
    bytesMax: 1 << 24,
    resendMillis: 100,
  }
  return { told, proposals: new Proposals({ ...common, ...limits, tell }) }
}

function propose(proposals: Proposals, text: string): number {
  const bytes = new TextEncoder().encode(text)
  const { target, start } = proposals.reserve(bytes.length)
  target.set(bytes, start)
  return proposals.commit(17, bytes.length)
}

describe('a stream of proposals', () => {
  it('waits for a leader and then goes out in one message a round', () => {
    const { told, proposals } = setup()
    propose(proposals, 'a')
    propose(proposals, 'b')
    proposals.flush()
    expect(told).toEqual([])
    proposals.leaderChanged(1, 0)
    propose(proposals, 'c')
    propose(proposals, 'd')
    proposals.flush()
    proposals.flush()
    expect(told).toEqual([
      [1, 2],
      [3, 4],
    ])
  })

  it('is sent again from the first that has not applied, when the leader changes', () => {
    const { told, proposals } = setup()
    proposals.leaderChanged(1, 0)
    for (const text of ['a', 'b', 'c']) propose(proposals, text)
    proposals.flush()
    proposals.applied(2, 1)
    proposals.leaderChanged(0, 2)
    propose(proposals, 'd')
    proposals.flush()
    proposals.leaderChanged(3, 3)
    expect(told).toEqual([
      [1, 2, 3],
      [3, 4],
    ])
  })

  it('is sent again when nothing applies for too long, and only then', () => {
    const { told, proposals } = setup()
    proposals.leaderChanged(1, 0)
    propose(proposals, 'a')
    propose(proposals, 'b')
    proposals.flush()
    proposals.tick(50)
    proposals.applied(1, 60)
    proposals.tick(150)
    expect(told).toEqual([[1, 2]])
    proposals.tick(160)
    expect(told).toEqual([[1, 2], [2]])
  })

  it('is full at its limits and has room again when commands apply', () => {
    const { proposals } = setup({ entriesMax: 2 })
    propose(proposals, 'a')
    expect(proposals.full).toBe(false)
    propose(proposals, 'b')
    expect(proposals.full).toBe(true)
    proposals.leaderChanged(1, 0)
    proposals.applied(1, 0)
    expect(proposals.full).toBe(false)
  })

  it('keeps order across chunks and large bodies', () => {
    const { told, proposals } = setup()
    proposals.leaderChanged(1, 0)
    for (const size of [1000, 300_000, 10, 200_000, 100_000]) propose(proposals, 'x'.repeat(size))
    proposals.flush()
    expect(told.flat()).toEqual([1, 2, 3, 4, 5])
    proposals.applied(3, 1)
    proposals.leaderChanged(2, 2)
    expect(told.flat().slice(5)).toEqual([4, 5])
  })

  it('counts bytes of what waits', () => {
    const { proposals } = setup({ bytesMax: 3000 })
    propose(proposals, 'x'.repeat(3000 - entryHeaderBytes - 1))
    expect(proposals.full).toBe(false)
    propose(proposals, 'x')
    expect(proposals.full).toBe(true)
    proposals.applied(1, 0)
    expect(proposals.full).toBe(true)
    proposals.applied(2, 0)
    expect(proposals.full).toBe(false)
  })

  it('is not full for ever after one command larger than its limit', () => {
    const { told, proposals } = setup({ bytesMax: 400_000 })
    proposals.leaderChanged(1, 0)
    propose(proposals, 'x'.repeat(500_000))
    proposals.flush()
    proposals.applied(1, 0)
    expect(proposals.full).toBe(false)
    propose(proposals, 'y')
    proposals.flush()
    expect(told).toEqual([[1], [2]])
  })
})

import { describe, expect, it } from 'vitest'
import { entryHeaderBytes, offset, readUint64 } from '../../../actors/consensus/entry.ts'
import type { ConsensusMessage } from '../../../actors/consensus/messages.ts'
import { Proposals } from '../../../actors/state/proposals.ts'

function setup(limits: { entriesMax?: number; bytesMax?: number; clock?: () => number } = {}) {
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
    clock: () => 0,
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

  it.each([
    ['large', 1_400_000, 1, 9],
    ['small', 10, 16, 900],
  ] as const)('of %s commands gets its room back after a slow time', (_, bytes, fewest, most) => {
    let now = 0
    const { proposals } = setup({ clock: () => now })
    proposals.leaderChanged(1, now)
    const body = 'p'.repeat(bytes)
    /** As many as there is room for at once, and all have applied before the next are made. */
    const round = (millisEach: number): number => {
      const first = proposals.lastSequence
      while (!proposals.full) propose(proposals, body)
      proposals.flush()
      for (let sequence = first + 1; sequence <= proposals.lastSequence; sequence += 1) {
        now += millisEach
        proposals.applied(sequence, now)
      }
      return proposals.lastSequence - first
    }
    for (let rounds = 0; rounds < 10; rounds += 1) round(3_000)
    expect(round(3_000)).toBe(fewest)
    for (let rounds = 0; rounds < 10; rounds += 1) round(0.1)
    expect(round(0.1)).toBeGreaterThanOrEqual(most)
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

  it('is handed in again soon after some were dropped on their way, later and later', () => {
    const { told, proposals } = setup()
    proposals.leaderChanged(1, 0)
    propose(proposals, 'a')
    propose(proposals, 'b')
    proposals.flush()
    proposals.refused(10)
    proposals.refused(20)
    proposals.tick(59)
    expect(told).toHaveLength(1)
    proposals.tick(60)
    expect(told.slice(1)).toEqual([[1, 2]])
    proposals.refused(61)
    proposals.tick(159)
    expect(told).toHaveLength(2)
    proposals.tick(161)
    expect(told.slice(2)).toEqual([[1, 2]])
    // What applies ends it: the next refusal is the first again, and none is needed where nothing waits.
    proposals.applied(1, 170)
    proposals.refused(170)
    proposals.tick(220)
    expect(told.slice(3)).toEqual([[2]])
    proposals.applied(2, 230)
    proposals.refused(230)
    proposals.tick(2000)
    expect(told).toHaveLength(4)
  })

  it('is full at its limits and has room again when commands apply', () => {
    const { proposals } = setup({ entriesMax: 20 })
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
    const { proposals } = setup({ bytesMax: 30_000 })
    propose(proposals, 'x'.repeat(3000 - entryHeaderBytes - 1))
    expect(proposals.full).toBe(false)
    propose(proposals, 'x')
    expect(proposals.full).toBe(true)
    proposals.applied(1, 0)
    expect(proposals.full).toBe(false)
    propose(proposals, 'x'.repeat(3000 - 2 * entryHeaderBytes - 2))
    expect(proposals.full).toBe(false)
    propose(proposals, 'x')
    expect(proposals.full).toBe(true)
    proposals.applied(4, 0)
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

describe('a command for which somebody waits only so long', () => {
  interface Sent {
    readonly sequence: number
    readonly deadline: number
    readonly body: string
  }

  function limited() {
    const told: Sent[][] = []
    const tell = ({ entries }: { readonly entries: Uint8Array }): void => {
      const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength)
      const batch: Sent[] = []
      for (let at = 0; at < entries.length; ) {
        const end = at + view.getUint32(at, true)
        const sequence = readUint64(view, at + offset.sequence)
        const deadline = readUint64(view, at + offset.deadline)
        const body = new TextDecoder().decode(entries.subarray(at + entryHeaderBytes, end))
        batch.push({ sequence, deadline, body })
        at = end
      }
      told.push(batch)
    }
    const common = {
      node: 2,
      incarnation: 7,
      stream: 1,
      entriesMax: 1000,
      resendMillis: 100,
      clock: () => 0,
    }
    return { told, proposals: new Proposals({ ...common, bytesMax: 1 << 24, tell }) }
  }

  function proposeUntil(proposals: Proposals, text: string, untilMillis: number): number {
    const bytes = new TextEncoder().encode(text)
    const { target, start } = proposals.reserve(bytes.length)
    target.set(bytes, start)
    return proposals.commit(18, bytes.length, { untilMillis, headBytes: 2 })
  }

  it('waits until the time of the log is known, and then carries its deadline in it', () => {
    const { told, proposals } = limited()
    proposals.leaderChanged(1, 50)
    proposeUntil(proposals, 'early', 7_050)
    proposals.flush()
    expect(told).toEqual([])
    proposals.logTime(1_000_000, 100)
    expect(told).toEqual([[{ sequence: 1, deadline: 1_006_950, body: 'early' }]])
    proposals.logTime(1_000_900, 1_100)
    proposeUntil(proposals, 'late', 8_100)
    proposals.flush()
    expect(told[1]).toEqual([{ sequence: 2, deadline: 1_007_900, body: 'late' }])
  })

  it('is handed in again with the deadline as it is known then', () => {
    const { told, proposals } = limited()
    proposals.logTime(1_000_000, 0)
    proposals.leaderChanged(1, 0)
    proposeUntil(proposals, 'put', 7_000)
    proposals.flush()
    proposals.logTime(1_000_500, 1_000)
    proposals.leaderChanged(2, 1_000)
    expect(told.map(([sent]) => sent?.deadline)).toEqual([1_007_000, 1_006_500])
  })

  it('held at a node that is cut off it keeps its place, and nothing but its head is sent', () => {
    const { told, proposals } = limited()
    proposals.logTime(1_000_000, 0)
    proposeUntil(proposals, 'put over newer data', 7_000)
    proposeUntil(proposals, 'end of a session', Number.POSITIVE_INFINITY)
    proposeUntil(proposals, 'put of today', 67_000)
    for (let now = 0; now <= 60_000; now += 100) proposals.tick(now)
    proposals.leaderChanged(3, 60_050)
    expect(told).toEqual([
      [
        { sequence: 1, deadline: 1, body: 'pu' },
        { sequence: 2, deadline: 0, body: 'end of a session' },
        { sequence: 3, deadline: 1_067_000, body: 'put of today' },
      ],
    ])
    proposals.applied(3, 60_060)
    expect(proposals.waitingCount).toBe(0)
  })

  it('gives its memory back while it is held', () => {
    const { proposals } = limited()
    proposals.logTime(1_000_000, 0)
    for (let count = 0; count < 15; count += 1) proposeUntil(proposals, 'x'.repeat(1 << 20), 7_000)
    proposeUntil(proposals, 'x'.repeat((1 << 20) + 100), 7_000)
    expect(proposals.full).toBe(true)
    for (let now = 0; now <= 7_100; now += 100) proposals.tick(now)
    expect(proposals.full).toBe(false)
  })
})

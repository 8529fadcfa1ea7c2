import { describe, expect, test } from 'vitest'
import { type Carrier, carrierPair } from '../../runtime/carrier.ts'
import { type LinkLimits, slabHeaderBytes, ThreadLink } from '../../runtime/link.ts'
import { createCarrierEnds, ringCarrier } from '../../runtime/ring-carrier.ts'

const linkLimits: LinkLimits = {
  linkCreditBytes: 1_000,
  linkHeldBytesMax: 2_000,
  linkReservedBytes: 500,
}

interface End {
  readonly link: ThreadLink
  readonly received: string[]
  lost: number
}

function ends(limits = linkLimits): { left: End; right: End; deliver(): void } {
  const underWay: (() => void)[] = []
  const [one, other] = carrierPair(callback => void underWay.push(callback))
  return {
    left: end(one, limits),
    right: end(other, limits),
    deliver() {
      for (const callback of underWay.splice(0)) callback()
    },
  }
}

function end(carrier: Carrier, limits: LinkLimits): End {
  const received: string[] = []
  const state: End = {
    received,
    lost: 0,
    link: new ThreadLink(
      carrier,
      {
        envelopes: (source, start) => void received.push(source.toString('latin1', start)),
        lost: () => void state.lost++,
        wake() {},
      },
      limits,
    ),
  }
  state.link.open()
  return state
}

function write(link: ThreadLink, text: string, reserved = false): boolean {
  if (!link.reserve(text.length, reserved)) return false
  link.buffer.write(text, link.at, 'latin1')
  link.commit(link.at + text.length)
  return true
}

describe('slabs', () => {
  test('carry all that a turn wrote, once', () => {
    const { left, right, deliver } = ends()
    write(left.link, 'one')
    write(left.link, 'two')
    left.link.endTurn(true)
    left.link.endTurn(true)
    deliver()
    expect(right.received).toEqual(['onetwo'])
    expect(left.link.slabsSent).toBe(1)
  })

  test('of their own size take what does not fit, in order', () => {
    const { left, right, deliver } = ends({ ...linkLimits, linkHeldBytesMax: 200_000 })
    const large = 'x'.repeat(100_000)
    write(left.link, 'before')
    write(left.link, large)
    write(left.link, 'after')
    left.link.endTurn(true)
    for (let turn = 0; turn < 4; turn++) {
      deliver()
      right.link.endTurn(true)
    }
    expect(right.received.join('').replace(large, ' then ')).toBe('before then after')
  })
})

describe('credit', () => {
  const text = 'm'.repeat(400 - slabHeaderBytes)

  test('stops the sender until the receiver has handled what it got', () => {
    const { left, right, deliver } = ends()
    for (let turn = 0; turn < 4; turn++) {
      write(left.link, text)
      left.link.endTurn(true)
      deliver()
    }
    expect(right.received).toHaveLength(2)
    expect(left.link.hasRoom).toBe(false)
    // The receiver is busy: nothing is granted.
    right.link.endTurn(false)
    deliver()
    deliver()
    expect(right.received).toHaveLength(2)
    right.link.endTurn(true)
    deliver()
    deliver()
    expect(right.received).toHaveLength(4)
  })

  test('rides along with slabs of the other direction', () => {
    const { left, right, deliver } = ends()
    write(left.link, 'question')
    left.link.endTurn(true)
    deliver()
    write(right.link, 'answer')
    right.link.endTurn(true)
    deliver()
    expect(right.link.slabsSent).toBe(1)
    expect(left.received).toEqual(['answer'])
    expect(left.link.hasRoom).toBe(true)
  })

  test('runs out: ordinary messages are refused, reserved ones have room of their own', () => {
    const { left, right, deliver } = ends()
    let accepted = 0
    while (write(left.link, text)) {
      accepted++
      left.link.endTurn(true)
    }
    expect(accepted).toBe(7)
    expect(write(left.link, 'completion', true)).toBe(true)
    left.link.endTurn(true)
    while (write(left.link, text, true)) left.link.endTurn(true)
    // It all arrives, in order, once the receiver works.
    for (let turn = 0; turn < 20; turn++) {
      deliver()
      right.link.endTurn(true)
    }
    expect(right.received.slice(0, 8)).toEqual([...new Array(7).fill(text), 'completion'])
    expect(left.link.hasRoom).toBe(true)
  })
})

test('slabs that waited for credit leave through rings and ports, and are nobody else’s memory', async () => {
  const [one, other] = createCarrierEnds()
  const left = end(ringCarrier(one), linkLimits)
  const owned: boolean[] = []
  const received: string[] = []
  const right = new ThreadLink(
    ringCarrier(other),
    {
      envelopes(source, start, isOwned) {
        received.push(source.toString('latin1', start))
        owned.push(isOwned)
      },
      lost() {},
      wake() {},
    },
    linkLimits,
  )
  right.open()
  const texts = ['a', 'b', 'c', 'd', 'e'].map(letter => letter.repeat(392))
  for (const text of texts) {
    write(left.link, text)
    left.link.endTurn(true)
  }
  expect(left.link.heldBytes).toBeGreaterThan(0)
  while (received.length < texts.length) {
    await new Promise(resolve => setImmediate(resolve))
    right.endTurn(true)
    right.poll()
    left.link.poll()
  }
  expect(received).toEqual(texts)
  // Several messages lie in such a slab: none of them may recycle its memory.
  expect(owned).not.toContain(true)
  left.link.close()
})

test('a lost link takes nothing more and says so once', () => {
  const { left, right, deliver } = ends()
  right.link.close()
  deliver()
  expect(left.lost).toBe(1)
  expect(write(left.link, 'late', true)).toBe(false)
  left.link.endTurn(true)
  deliver()
  expect(left.lost).toBe(1)
})

import { describe, expect, test } from 'vitest'
import { limits } from '../../../transport/peers/limits.ts'
import { createPair, type Pair, tell } from './link-pair.ts'

function upPair(changes: Parameters<typeof createPair>[0] = {}): Pair {
  const pair = createPair(changes)
  pair.run(50)
  expect(pair.dialling.events).toEqual(['up 1'])
  expect(pair.listening.events).toEqual(['up 2'])
  return pair
}

describe('a link', () => {
  test('carries what one round gathered in one frame, both ways', () => {
    const pair = upPair()
    tell(pair.dialling, 'a', false)
    tell(pair.dialling, 'b', false)
    pair.dialling.link.flush()
    tell(pair.listening, 'c', true)
    pair.listening.link.flush()
    pair.run(10)
    expect(pair.listening.bodies).toEqual(['[a][b]'])
    expect(pair.dialling.bodies).toEqual(['[c]'])
    expect(pair.dialling.link.status().framesSent).toBe(1)
  })

  test('puts control ahead of queued bulk', () => {
    const pair = upPair()
    tell(pair.dialling, 'bulk 1', false)
    tell(pair.dialling, 'vote', true)
    tell(pair.dialling, 'bulk 2', false)
    tell(pair.dialling, 'heartbeat', true)
    pair.dialling.link.flush()
    pair.run(10)
    expect(pair.listening.bodies).toEqual(['[vote][heartbeat][bulk 1][bulk 2]'])
  })

  test('never lets control wait behind more than a window of bulk', () => {
    const pair = upPair()
    pair.listening.thread.pause(1500)
    const bulk = 'x'.repeat(100_000)
    for (let count = 0; count < 200; count++) tell(pair.dialling, bulk, false)
    pair.dialling.link.flush()
    const waiting = pair.dialling.link.status().queuedBytes
    expect(waiting).toBeGreaterThan(200 * 100_000 - limits.windowBytes - limits.bulkFrameBytesMax)
    tell(pair.dialling, 'vote', true)
    pair.dialling.link.flush()
    expect(pair.dialling.link.status().queuedBytes).toBe(waiting)
    pair.run(1600)
    const all = pair.listening.bodies.join('')
    expect(all.indexOf('[vote]')).toBeLessThan(limits.windowBytes + limits.bulkFrameBytesMax)
    expect(all.length).toBe(200 * 100_002 + 6)
    expect(pair.dialling.link.status().dropped).toBe(0)
  })

  test('splits much bulk into bounded frames, and an envelope never', () => {
    const pair = upPair()
    const large = 'y'.repeat(limits.bulkFrameBytesMax + 5)
    tell(pair.dialling, large, false)
    tell(pair.dialling, 'small', false)
    pair.dialling.link.flush()
    pair.run(20)
    expect(pair.listening.bodies.map(body => body.length)).toEqual([large.length + 2, 7])
  })

  test('drops bulk beyond its bound and counts it, and gives up rather than drop control', () => {
    const pair = upPair()
    pair.listening.thread.pause(10_000)
    const megabyte = 'z'.repeat(1 << 20)
    let taken = 0
    for (let count = 0; count < 40; count++) {
      if (tell(pair.dialling, megabyte, false)) taken++
      pair.dialling.link.flush()
    }
    expect(taken).toBeLessThan(40)
    expect(pair.dialling.link.status().dropped).toBe(40 - taken)
    expect(tell(pair.dialling, 'an append without entries', false)).toBe(true)
    for (let count = 0; count < 9; count++) tell(pair.dialling, megabyte, true)
    expect(pair.dialling.link.up).toBe(false)
    expect(pair.dialling.events.at(-1)).toMatch(/^down lost: overflow/)
  })

  test('measures the round trip', () => {
    const pair = upPair()
    pair.run(limits.pingMillis + 50)
    expect(pair.dialling.link.status().roundTripMillis).toBeGreaterThan(0.1)
    expect(pair.dialling.link.status().roundTripMillis).toBeLessThan(2)
  })
})

describe('the end of a link', () => {
  test('by the death of the other process is told at once, on both sides', () => {
    for (const dead of ['listening', 'dialling'] as const) {
      const pair = upPair()
      pair[dead].thread.kill()
      pair.network.closeAllOf(new Set([pair[dead].thread]))
      pair.run(5)
      const survivor = dead === 'listening' ? pair.dialling : pair.listening
      expect(survivor.events[1]).toBe('down closed')
    }
  })

  test('by silence is told as lost, and the link comes back when the network does', () => {
    const pair = upPair()
    pair.network.cut('machine1', 'machine2')
    pair.network.cut('machine2', 'machine1')
    pair.run(limits.silenceMillis + 2 * limits.pingMillis)
    expect(pair.dialling.events[1]).toBe('down lost: silent: nothing heard for 2000 ms')
    expect(pair.listening.events[1]).toBe('down lost: silent: nothing heard for 2000 ms')
    pair.network.heal()
    pair.run(4000)
    expect(pair.dialling.link.up).toBe(true)
    expect(pair.listening.link.up).toBe(true)
    tell(pair.listening, 'again', true)
    pair.listening.link.flush()
    pair.run(5)
    expect(pair.dialling.bodies).toEqual(['[again]'])
  })

  test('is not declared by a thread that itself stood still', () => {
    const pair = upPair()
    pair.dialling.thread.pause(limits.silenceMillis - 300)
    pair.run(6000)
    expect(pair.dialling.events).toEqual(['up 1'])
    expect(pair.listening.events).toEqual(['up 2'])
  })

  test('on purpose counts as closed', () => {
    const pair = upPair()
    pair.listening.link.stop()
    pair.run(5)
    expect(pair.dialling.events[1]).toBe('down closed')
  })

  test('by a reset in the middle of a frame loses that frame and no framing', () => {
    const network = {
      ...{ latencyMillisMin: 0.05, latencyMillisMax: 0.2, slowOneIn: 0 },
      resetOneIn: 6,
      piecesMax: 5,
    }
    const pair = createPair({ seed: 'reset', network })
    for (let count = 0; count < 300; count++) {
      tell(pair.dialling, String(count), count % 3 === 0)
      pair.dialling.link.flush()
      pair.run(20)
    }
    const arrived = pair.listening.bodies.join('').match(/\d+/g)!.map(Number)
    expect(pair.dialling.events.filter(event => event === 'up 1').length).toBeGreaterThan(5)
    expect(pair.dialling.events.join()).not.toMatch(/badChecksum|badFormat/)
    expect(arrived).toEqual([...arrived].sort((left, right) => left - right))
    expect(new Set(arrived).size).toBe(arrived.length)
    expect(arrived.length).toBeGreaterThan(50)
  })
})

describe('dialling', () => {
  test('backs off while nobody answers, up to the limit', () => {
    const pair = createPair()
    pair.listening.thread.kill()
    pair.network.closeAllOf(new Set([pair.listening.thread]))
    pair.run(10_000)
    const dials = pair.dialling.link.status().dials
    expect(dials).toBeGreaterThan(10_000 / limits.redialMillisMax)
    expect(dials).toBeLessThan(20_000 / limits.redialMillisMax + 10)
    expect(pair.dialling.events[0]).toBe('dial failed: ECONNREFUSED: machine1:7000 refused')
  })

  test.each([
    ['another cluster', { cluster: 'other' }, 'otherCluster: cluster "other" is not "main"'],
    ['an unknown protocol', { version: 2 }, 'protocolVersion: peer protocol 2 is not 1'],
    [
      'an unknown schema',
      { schemas: [{ name: 'x', fingerprints: ['9'.repeat(32)] }] },
      `unknownSchema: schema ${'9'.repeat(32)} of x is unknown here`,
    ],
    [
      'our own id',
      { from: 1 },
      'wrongNode: node 1 is our own id: two nodes have it, or an address is ours',
    ],
  ])('%s is refused, and both sides know why', (_name, two, reason) => {
    const schemas = [{ name: 'x', fingerprints: ['1'.repeat(32)] }]
    const pair = createPair({ one: { schemas }, two: { schemas, ...two } })
    pair.run(50)
    expect(pair.listening.events[0]).toBe(`refused: ${reason}`)
    expect(pair.dialling.events[0]).toBe(`dial failed: ${reason}`)
    expect(pair.dialling.link.up).toBe(false)
  })

  test('the wrong node at an address is refused by the dialler', () => {
    const pair = createPair({ one: { from: 3 }, two: { from: 2 } })
    pair.run(50)
    const reason = 'wrongNode: node 2 looks for node 1, this is node 3'
    expect(pair.dialling.events[0]).toBe(`dial failed: ${reason}`)
    expect(pair.listening.events[0]).toBe(`refused: ${reason}`)
  })

  test('someone who connects and says nothing is hung up on', () => {
    const pair = upPair()
    let end = ''
    const socket = pair.dialling.thread.host.network.connect({ host: 'machine1', port: 7000 })
    socket.open({ data: chunk => (end += Buffer.from(chunk).toString('latin1')), closed: () => {} })
    pair.run(limits.greetingMillisMax + 500)
    expect(end).toMatch(/notProven not proven$/)
    expect(pair.listening.events.at(-1)).toBe(
      'refused: greetingTimeout: no handshake within 2000 ms',
    )
    expect(pair.listening.link.up).toBe(true)
  })
})

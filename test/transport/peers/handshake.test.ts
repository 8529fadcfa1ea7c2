import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decodeHello,
  encodeHello,
  type Hello,
  isRefusal,
  judgeHello,
  newestCommon,
} from '../../../transport/peers/handshake.ts'

const hex = (digit: string) => digit.repeat(32)

function hello(changes: Partial<Hello> = {}): Hello {
  return {
    version: 1,
    purpose: 1,
    from: 2,
    to: 1,
    storeId: hex('a'),
    incarnation: 7,
    process: hex('b'),
    cluster: 'main',
    formation: hex('f'),
    position: 5,
    schemas: [{ name: 'consensus.append', fingerprints: [hex('1'), hex('0')] }],
    ...changes,
  }
}

const own = hello({ from: 1, to: 2, storeId: hex('c'), process: hex('d') })
const known = { storeId: hex('a'), incarnation: 7, process: hex('b') }

describe('a hello', () => {
  test('comes out as it went in', () => {
    const big = hello({
      incarnation: 2 ** 52 + 1,
      cluster: 'żółw',
      from: 4_000_000_000,
      position: 2 ** 40,
    })
    expect(decodeHello(encodeHello(big))).toEqual(big)
    const unformed = hello({ formation: '', position: 0 })
    expect(decodeHello(encodeHello(unformed))).toEqual(unformed)
  })

  test('cut short or longer is refused', () => {
    const bytes = encodeHello(hello())
    for (let length = 0; length < bytes.length; length++) {
      expect(decodeHello(bytes.subarray(0, length))).toHaveProperty('code')
    }
    expect(decodeHello(Buffer.concat([bytes, Buffer.of(0)]))).toEqual({
      code: 'badHello',
      text: 'hello has 1 bytes too many',
    })
  })

  test('of arbitrary bytes is a hello or a refusal', () => {
    const start = [...encodeHello(hello()).subarray(0, 6)]
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), (bytes, plausible) => {
        const result = decodeHello(plausible ? Uint8Array.from([...start, ...bytes]) : bytes)
        expect(isRefusal(result) ? result.text.length : result.from).toBeGreaterThan(0)
      }),
    )
  })
})

describe('judgement', () => {
  test('a good hello passes', () => {
    expect(judgeHello(own, hello(), 2, known)).toBeUndefined()
    expect(judgeHello(own, hello(), 0, undefined)).toBeUndefined()
  })

  test.each([
    ['another protocol version', { version: 2 }, 'protocolVersion', 'peer protocol 2 is not 1'],
    ['another cluster', { cluster: 'other' }, 'otherCluster', 'cluster "other" is not "main"'],
    [
      'another node at the address',
      { from: 3 },
      'wrongNode',
      'node 3 answers at the address of node 2',
    ],
    [
      'our own id',
      { from: 1 },
      'wrongNode',
      'node 1 is our own id: two nodes have it, or an address is ours',
    ],
    [
      'someone who looks for another',
      { to: 3 },
      'wrongNode',
      'node 2 looks for node 3, this is node 1',
    ],
    [
      'an unknown schema',
      { schemas: [{ name: 'consensus.append', fingerprints: [hex('9')] }] },
      'unknownSchema',
      `schema ${hex('9')} of consensus.append is unknown here`,
    ],
    [
      'an older incarnation',
      { incarnation: 6, process: hex('e') },
      'staleIncarnation',
      'incarnation 6 of node 2 is older than 7, which was here',
    ],
    [
      'the same incarnation in another process',
      { process: hex('e') },
      'duplicateIncarnation',
      'incarnation 7 of node 2 runs in another process too: one data directory, two nodes',
    ],
    [
      'a store that changes under a process',
      { storeId: hex('f'), incarnation: 8 },
      'storeChanged',
      `incarnation 8 of node 2 changed its store id from ${hex('a')} to ${hex('f')}`,
    ],
  ] as const)('%s is refused', (_name, changes, code, text) => {
    expect(judgeHello(own, hello(changes), 2, known)).toEqual({ code, text })
  })

  test('a wiped data directory may begin again with a smaller incarnation', () => {
    const wiped = hello({ storeId: hex('f'), incarnation: 1, process: hex('e') })
    expect(judgeHello(own, wiped, 2, known)).toBeUndefined()
  })

  test('both sides choose the same schema of two histories', () => {
    const newer = [hex('2'), hex('1'), hex('0')]
    const older = [hex('1'), hex('0')]
    expect(newestCommon(newer, older)).toBe(hex('1'))
    expect(newestCommon(older, newer)).toBe(hex('1'))
    expect(newestCommon(newer, [hex('3')])).toBeUndefined()
  })
})

import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { authenticate } from '../../../actors/gateways/zookeeper-auth.ts'
import { javaText } from '../../../transport/zookeeper/java-text.ts'

const bytesOf = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'))

describe('bytes that are not UTF-8 are what Java makes of them', () => {
  /** Made by ZooKeeper 3.9.5's own DigestAuthenticationProvider, on Java 17. */
  test.each([
    ['753aff', 'u:NP+S9gihaPOxs49p+sWDO0/R0ac='],
    ['753ac3', 'u:NP+S9gihaPOxs49p+sWDO0/R0ac='],
    ['753aeda0', 'u:NP+S9gihaPOxs49p+sWDO0/R0ac='],
    ['753aeda080', 'u:NP+S9gihaPOxs49p+sWDO0/R0ac='],
    ['753aedbfff', 'u:tBXHUAUzZXYCqAcMeZihzl82Xwo='],
    ['753aeda0803aedb080', 'u:avoH9iFtDBuyvUuz8Z7aFF1ZXEU='],
    ['753ae282', 'u:NP+S9gihaPOxs49p+sWDO0/R0ac='],
    ['753af09f98', 'u:NP+S9gihaPOxs49p+sWDO0/R0ac='],
    ['753aefbbbf61', 'u:fquGfSRmWMM1iRLI8l4ObB8uIUI='],
    ['753af4908080', 'u:HCZx0lTy+9lYQAH9rf604FmDKjw='],
    ['753ac0af', 'u:tBXHUAUzZXYCqAcMeZihzl82Xwo='],
    ['ff3a61', '\ufffd:qe9GTNmT450B6621S0Y8MczQau0='],
    ['eda0803a70', '\ufffd:CF2aQmKhCpl6NRwvXg6ky6/tkEA='],
    ['efbbbf753a70', '\ufeffu:NDSwTX/PBdLbm67/sJ7vOUVugTQ='],
  ])('the password %s', (hex, id) => {
    const request = { type: 0, scheme: 'digest', auth: bytesOf(hex) }
    expect(authenticate(request, '')).toEqual([{ scheme: 'digest', id }])
  })

  test('what is UTF-8 stays as it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        const whole = Buffer.from(text, 'utf8')
        expect(javaText(Uint8Array.from(whole))).toBe(whole.toString('utf8'))
      }),
    )
  })

  test('no bytes are too bad', () => {
    const byte = fc.constantFrom(0x41, 0x80, 0xbf, 0xa0, 0xc0, 0xe2, 0xed, 0xf0, 0xf4, 0xff)
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 40 }), bytes => {
        const text = javaText(Uint8Array.from(bytes))
        expect(text.length).toBeLessThanOrEqual(bytes.length)
        expect(createHash('sha1').update(text).digest()).toHaveLength(20)
      }),
    )
  })
})

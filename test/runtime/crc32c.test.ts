import fc from 'fast-check'
import { expect, test } from 'vitest'
import { crc32c } from '../../runtime/crc32c.ts'

const text = (value: string) => new TextEncoder().encode(value)

// RFC 3720 appendix B.4 and the check value that every catalogue of checksums gives.
test('published vectors', () => {
  expect(crc32c(text('123456789'))).toBe(0xe3069283)
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
  expect(crc32c(new Uint8Array(32).fill(255))).toBe(0x62a8ab43)
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, index) => index))).toBe(0x46dd794e)
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, index) => 31 - index))).toBe(0x113fdb5c)
  expect(crc32c(new Uint8Array(0))).toBe(0)
})

test('in pieces, at any offset and alignment, it equals the plain bitwise one', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(7), fc.nat(200), (bytes, shift, cut) => {
      const padded = new Uint8Array(bytes.length + shift + 3).fill(171)
      padded.set(bytes, shift)
      const view = padded.subarray(shift, shift + bytes.length)
      const middle = Math.min(cut, bytes.length)
      const whole = bitwise(bytes)
      expect(crc32c(view)).toBe(whole)
      expect(crc32c(padded, 0, shift, shift + bytes.length)).toBe(whole)
      expect(crc32c(view, crc32c(view, 0, 0, middle), middle)).toBe(whole)
    }),
  )
})

test('longer than the memory of the module, shared memory too', () => {
  const shared = new Uint8Array(new SharedArrayBuffer(300_001)).map((_, index) => index * 7)
  expect(crc32c(shared)).toBe(bitwise(shared))
  expect(crc32c(shared, 0, 5, 250_000)).toBe(bitwise(shared.subarray(5, 250_000)))
})

function bitwise(bytes: Uint8Array): number {
  let crc = ~0
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}

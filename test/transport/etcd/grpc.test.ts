import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeStatusMessage, parseTimeoutMillis } from '../../../transport/etcd/grpc.ts'
import { MessageAssembly } from '../../../transport/etcd/message-assembly.ts'
import { protocolOf } from '../../../transport/etcd/sniff.ts'
import { grpcMessage } from './port-kit.ts'

describe('grpc-message', () => {
  it('leaves visible ASCII alone, and codes the rest', () => {
    expect(encodeStatusMessage('etcdserver: key not found')).toBe('etcdserver: key not found')
    expect(encodeStatusMessage('100%\n')).toBe('100%25%0A')
    expect(encodeStatusMessage('é~')).toBe('%C3%A9~')
  })

  it('is what decodeURIComponent undoes, for any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        const encoded = encodeStatusMessage(text)
        expect(encoded).toMatch(/^[ -~]*$/)
        expect(decodeURIComponent(encoded)).toBe(text.toWellFormed())
      }),
    )
  })
})

describe('grpc-timeout', () => {
  it.each([
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['3S', 3000],
    ['250m', 250],
    ['1500u', 2],
    ['1n', 1],
    ['99999999m', 99_999_999],
    ['0m', 1],
    ['', -1],
    ['m', -1],
    ['123456789m', -1],
    ['1.5S', -1],
    ['10', -1],
    ['-1S', -1],
  ])('%s', (text, millis) => expect(parseTimeoutMillis(text)).toBe(millis))
})

describe('messages', () => {
  it('come out as they went in, whatever the pieces', () => {
    const message = fc.uint8Array({ maxLength: 12_000, size: 'max' })
    const sizes = fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1 })
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), sizes, (messages, cuts) => {
        const body = Buffer.concat(messages.map(bytes => grpcMessage(bytes)))
        expect(assemble(body, cuts)).toEqual(messages.map(bytes => Buffer.from(bytes)))
      }),
      { numRuns: 100 },
    )
  })

  it('hold memory for what has come, not for what was announced', () => {
    const assembly = new MessageAssembly()
    const start = grpcMessage(Buffer.alloc(2_000_000)).subarray(0, 100)
    expect(assembly.step(start, 0, start.length, 2_000_000)).toBe('needMore')
    expect(assembly.heldBytes).toBeLessThanOrEqual(1024)
  })

  it('are told to be compressed where the call may compress', () => {
    const assembly = new MessageAssembly(true)
    const both = Buffer.concat([grpcMessage('x', 1), grpcMessage('y')])
    expect(assembly.step(both, 0, both.length, 10)).toBe('complete')
    expect(assembly.isCompressed).toBe(true)
    expect(assembly.step(both, assembly.at, both.length, 10)).toBe('complete')
    expect(assembly.isCompressed).toBe(false)
  })

  it('are refused by their prefix', () => {
    const assembly = new MessageAssembly()
    const compressed = grpcMessage('x', 1)
    expect(assembly.step(compressed, 0, compressed.length, 10)).toBe('notCompressible')
    const large = grpcMessage(Buffer.alloc(11))
    expect(new MessageAssembly().step(large, 0, 5, 10)).toBe('tooLarge')
    const largest = Buffer.from('00ffffffff', 'hex')
    const other = new MessageAssembly()
    expect(other.step(largest, 0, 5, 10)).toBe('tooLarge')
    expect(other.announcedBytes).toBe(0xffff_ffff)
  })
})

function assemble(body: Buffer, cuts: readonly number[]): Buffer[] {
  const assembly = new MessageAssembly()
  const messages: Buffer[] = []
  for (let start = 0, turn = 0; start < body.length; turn++) {
    const end = Math.min(body.length, start + cuts[turn % cuts.length]!)
    for (let at = start; at < end; at = assembly.at)
      if (assembly.step(body, at, end, 20_000) === 'complete')
        messages.push(Buffer.from(assembly.message))
    start = end
  }
  expect(assembly.empty).toBe(true)
  return messages
}

describe('the first bytes of a socket', () => {
  it.each([
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'http2'],
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r', 'unknown'],
    ['P', 'unknown'],
    ['', 'unknown'],
    ['POST /', 'http1'],
    ['GET / HTTP/1.1\r\n', 'http1'],
    ['OPTIONS', 'unknown'],
    ['PRI * HTTP/1.1', 'neither'],
    ['\u0016\u0003\u0001', 'neither'],
    ['ruok', 'neither'],
  ] as const)('%j', (text, spoken) => expect(protocolOf(Buffer.from(text))).toBe(spoken))
})

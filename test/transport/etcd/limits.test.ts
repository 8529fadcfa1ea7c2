/** One test for each limit of transport/etcd/limits.ts: what is still served, and how it ends beyond. */
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { flag, frameType, preface } from '../../../transport/etcd/http2/protocol.ts'
import {
  fieldsFor,
  frame,
  grpcMessage,
  initialWindow,
  rstStream,
  settingsFrame,
  testPort,
  windowUpdate,
} from './port-kit.ts'

const calm = 11
const ping = frame(frameType.ping, 0, 0, Buffer.alloc(8))

describe('connectionsMax', () => {
  it('closes the connection beyond it at once', () => {
    const port = testPort({ connectionsMax: 2 })
    port.connect().handshake()
    port.accept()
    const third = port.accept()
    expect(third.destroyed).toBe(true)
    expect(port.server.status().refusals).toEqual({ connectionsMax: 1 })
    port.connect()
    expect(port.server.status().connections).toBe(2)
  })

  it('has room again when one has gone', () => {
    const port = testPort({ connectionsMax: 1 })
    port.connect().handshake().socket.destroy()
    const client = port.connect().handshake()
    client.call(1, 'hello')
    expect(client.say()).toContain('DATA 1 10')
  })
})

describe('streamsMax', () => {
  it('is advertised, and one more stream is refused without harm to the others', () => {
    const port = testPort({ streamsMax: 2 })
    const client = port.connect()
    client.handshake()
    for (const stream of [1, 3, 5]) client.call(stream, 'x', '/test.Echo/Silent')
    expect(client.say()).toEqual(['RST_STREAM 5 7'])
    client.send(rstStream(1))
    client.call(7, 'x')
    expect(client.say()).toContain('DATA 7 6')
  })
})

describe('resetBurstMax', () => {
  it('ends a client that resets what it opens, again and again', () => {
    const port = testPort({ resetBurstMax: 10, resetsPerSecond: 1 })
    const client = port.connect().handshake()
    for (let stream = 1; stream <= 21; stream += 2) {
      client.send(client.headers(stream, fieldsFor('/test.Echo/Silent')), rstStream(stream))
    }
    expect(client.say()).toEqual([`GOAWAY 21 ${calm} too many resets`])
    expect(client.socket.ended).toBe(true)
    expect(port.server.status().refusals).toEqual({ resetBurstMax: 1 })
  })

  it('counts the resets that a client provokes', () => {
    const port = testPort({ resetBurstMax: 10, resetsPerSecond: 1 })
    const client = port.connect().handshake()
    for (let stream = 1; stream <= 21; stream += 2) {
      client.call(stream, 'x', '/test.Echo/Silent')
      client.send(windowUpdate(stream, 0))
    }
    expect(client.say().at(-1)).toBe(`GOAWAY 21 ${calm} too many resets`)
  })

  it('forgets in time', () => {
    const port = testPort({ resetBurstMax: 10, resetsPerSecond: 10 })
    const client = port.connect().handshake()
    for (let stream = 1; stream <= 101; stream += 2) {
      client.send(client.headers(stream, fieldsFor('/test.Echo/Silent')), rstStream(stream))
      port.advance(100)
    }
    expect(client.say()).toEqual([])
  })

  it('does not count streams that were served, however many end at once', () => {
    const port = testPort({ resetBurstMax: 10, resetsPerSecond: 1, controlBurstMax: 10 })
    const client = port.connect().handshake()
    for (let stream = 1; stream < 6000; stream += 2) {
      client.send(client.headers(stream, fieldsFor('/test.Echo/Stream')))
      client.send(frame(frameType.data, 0, stream, grpcMessage('hello')))
    }
    client.say()
    for (let stream = 1; stream < 6000; stream += 2) client.send(rstStream(stream))
    expect(client.say()).toEqual([])
    client.call(6001, 'still here')
    expect(client.say().at(-1)).toBe('HEADERS 6001 grpc-status=0 END')
  })

  it('nor streams that were open for a while', () => {
    const port = testPort({ resetBurstMax: 10, resetsPerSecond: 1, controlBurstMax: 10 })
    const client = port.connect().handshake()
    for (let stream = 1; stream < 600; stream += 2)
      client.send(client.headers(stream, fieldsFor('/test.Echo/Stream')))
    port.advance(3000)
    for (let stream = 1; stream < 600; stream += 2) client.send(rstStream(stream))
    expect(client.say()).toEqual([])
  })

  it('is earned back by what is served meanwhile', () => {
    const port = testPort({ resetBurstMax: 10, resetsPerSecond: 1 })
    const client = port.connect().handshake()
    for (let stream = 1; stream < 400; stream += 4) {
      client.send(client.headers(stream, fieldsFor('/test.Echo/Unary')), rstStream(stream))
      client.call(stream + 2, 'hello')
    }
    expect(client.say().at(-1)).toBe('HEADERS 399 grpc-status=0 END')
  })

  it('leaves resets that cross our answers alone', () => {
    const port = testPort({ resetBurstMax: 10, resetsPerSecond: 1 })
    const client = port.connect().handshake()
    for (let stream = 1; stream < 8000; stream += 2) {
      client.call(stream, 'hello')
      client.send(rstStream(stream))
    }
    expect(client.say().at(-1)).toBe('HEADERS 7999 grpc-status=0 END')
  })
})

describe('abandonedCallsMax', () => {
  it('ends a client that resets call after call while none of them is answered', () => {
    const port = testPort({ abandonedCallsMax: 10 })
    const client = port.connect().handshake()
    for (let stream = 1; stream <= 21; stream += 2) {
      client.call(stream, 'x', '/test.Echo/Silent')
      client.send(rstStream(stream))
    }
    expect(client.say()).toEqual([`GOAWAY 21 ${calm} too many resets`])
    expect(port.server.status().refusals).toEqual({ abandonedCallsMax: 1 })
  })

  it('forgets a call once the gateway has answered it', () => {
    const port = testPort({ abandonedCallsMax: 10, resetBurstMax: 10, resetsPerSecond: 1 })
    const client = port.connect().handshake()
    for (let stream = 1; stream <= 401; stream += 2) {
      client.call(stream, 'x', '/test.Echo/Silent')
      client.send(rstStream(stream))
      port.server.reply(1, stream, Buffer.from('late'))
    }
    expect(client.say()).toEqual([])
  })
})

describe('streams without streamsMax', () => {
  it('is no number in the settings', () => {
    const client = testPort().connect()
    client.send(preface, settingsFrame([]))
    const [settings] = client.frames()
    const ids = [0, 6, 12].map(at => settings?.payload.readUInt16BE(at))
    expect(ids).not.toContain(3)
    expect(settings?.payload.length).toBe(18)
  })

  it('lets one connection hold thousands, half-closed ones too', () => {
    const client = testPort().connect().handshake()
    for (let stream = 1; stream < 16_000; stream += 4) {
      client.send(client.headers(stream, fieldsFor('/test.Echo/Stream')))
      client.call(stream + 2, 'x', '/test.Echo/Silent')
    }
    client.call(16_001, 'hello')
    expect(client.say()).toContain('DATA 16001 10')
  })
})

describe('connectionStreamBytesMax and streamBytesMax', () => {
  it('refuse a stream for which a connection, or the port, has no memory', () => {
    const port = testPort({ connectionStreamBytesMax: 3 * 2048, streamBytesMax: 4 * 2048 })
    const [one, two] = [port.connect().handshake(), port.connect().handshake()]
    for (const stream of [1, 3, 5, 7]) one.call(stream, 'x', '/test.Echo/Silent')
    expect(one.say()).toEqual(['RST_STREAM 7 7'])
    for (const stream of [1, 3]) two.call(stream, 'x', '/test.Echo/Silent')
    expect(two.say()).toEqual(['RST_STREAM 3 7'])
    one.socket.destroy()
    two.call(5, 'x', '/test.Echo/Silent')
    expect(two.say()).toEqual([])
    expect(port.server.status().streams).toBe(2)
  })

  it('leave each connection its even share, whatever others have open', () => {
    const port = testPort({ connectionsMax: 4, streamBytesMax: 8 * 2048 })
    const [greedy, modest] = [port.connect().handshake(), port.connect().handshake()]
    for (let stream = 1; stream <= 17; stream += 2) greedy.call(stream, 'x', '/test.Echo/Silent')
    expect(greedy.say()).toEqual(['RST_STREAM 17 7'])
    for (const stream of [1, 3, 5]) modest.call(stream, 'x', '/test.Echo/Silent')
    expect(modest.say()).toEqual(['RST_STREAM 5 7'])
  })

  it('break one that takes no answers sooner while they keep others waiting', () => {
    const port = testPort({ streamBytesMax: 3 * 2048, stallPressedMillisMax: 10_000 })
    const deaf = port.connect().handshake([initialWindow(0)])
    for (const stream of [1, 3]) deaf.call(stream, 'hello')
    port.advance(20_000)
    expect(deaf.socket.destroyed).toBe(false)
    deaf.call(5, 'hello')
    port.advance(12_000)
    expect(deaf.socket.destroyed).toBe(true)
    expect(port.server.status().streams).toBe(0)
  })
})

describe('connectionsPerAddressMax', () => {
  it('leaves room for the clients of other addresses', () => {
    const port = testPort({ connectionsMax: 10, connectionsPerAddressMax: 2 })
    const first = port.connect().handshake()
    port.accept()
    expect(port.accept().destroyed).toBe(true)
    expect(port.server.status().refusals).toEqual({ connectionsPerAddressMax: 1 })
    expect(port.accept('', '192.0.2.9').destroyed).toBe(false)
    first.socket.destroy()
    expect(port.accept().destroyed).toBe(false)
  })

  it('counts the addresses of one IPv6 network together', () => {
    const port = testPort({ connectionsPerAddressMax: 1 })
    expect(port.accept('', '2001:db8:0:1::5').destroyed).toBe(false)
    expect(port.accept('', '2001:db8:0:1:ffff::6').destroyed).toBe(true)
    expect(port.accept('', '2001:db8:0:2::5').destroyed).toBe(false)
  })

  it('of 0 is none', () => {
    const port = testPort({ connectionsPerAddressMax: 0 })
    for (let count = 0; count < 3000; count++) expect(port.accept().destroyed).toBe(false)
  })
})

describe('controlBurstMax', () => {
  it.each([
    ['SETTINGS', settingsFrame([])],
    ['SETTINGS acknowledgements', frame(frameType.settings, flag.ack, 0)],
    ['PRIORITY', frame(frameType.priority, 0, 99, Buffer.alloc(5))],
    ['unknown frames', frame(99, 0, 0)],
    ['window updates', windowUpdate(0, 1)],
    ['GOAWAY', frame(frameType.goaway, 0, 0, Buffer.alloc(8))],
    ['empty DATA', frame(frameType.data, 0, 1)],
  ])('ends a flood of %s', (_, bytes) => {
    const port = testPort({ controlBurstMax: 100 })
    const client = port.connect().handshake()
    client.send(client.headers(1, fieldsFor('/test.Echo/Stream')))
    for (let count = 0; count < 110; count++) client.send(bytes)
    expect(client.say().at(-1)).toBe(`GOAWAY 1 ${calm} too many control frames`)
    expect(port.server.status().refusals).toEqual({ controlBurstMax: 1 })
  })

  it('allows frames about what is answered, however many', () => {
    const port = testPort({ controlBurstMax: 100 })
    const client = port.connect().handshake()
    for (let stream = 1; stream < 2000; stream += 2) {
      client.call(stream, 'hello')
      client.send(windowUpdate(0, 10), ping)
    }
    expect(client.say().filter(line => line.startsWith('DATA'))).toHaveLength(1000)
    expect(client.socket.ended).toBe(false)
  })
})

describe('controlsPerSecond', () => {
  it('allows frames without use at that pace for ever', () => {
    const port = testPort({ controlBurstMax: 20, controlsPerSecond: 10 })
    const client = port.connect().handshake()
    const priority = frame(frameType.priority, 0, 99, Buffer.alloc(5))
    for (let second = 0; second < 30; second++) {
      for (let count = 0; count < 10; count++) client.send(priority)
      port.advance(1000)
    }
    expect(client.socket.ended).toBe(false)
    for (let count = 0; count < 40; count++) client.send(priority)
    expect(client.say().at(-1)).toBe(`GOAWAY 0 ${calm} too many control frames`)
  })
})

describe('headerTableBytesMax', () => {
  it('is what a client may ask our table to hold', () => {
    const sizeUpdate = (bytes: number) => Buffer.from([0x3f, bytes - 31])
    for (const [bytes, isRefused] of [
      [100, false],
      [101, true],
    ] as const) {
      const client = testPort({ headerTableBytesMax: 100 }).connect().handshake()
      const call = client.headers(1, fieldsFor('/test.Echo/Unary')).subarray(9)
      const block = Buffer.concat([sizeUpdate(bytes), call])
      client.send(frame(frameType.headers, flag.endHeaders, 1, block))
      expect(client.say().some(line => line.startsWith('GOAWAY 0 9'))).toBe(isRefused)
    }
  })
})

describe('pingMillisMin and pingStrikesMax', () => {
  it('ends a client that pings without cause', () => {
    const port = testPort({ pingMillisMin: 5000, pingStrikesMax: 3 })
    const client = port.connect().handshake()
    for (let count = 0; count < 5; count++) client.send(ping)
    expect(client.say()).toEqual([
      ...['PING ACK', 'PING ACK', 'PING ACK', 'PING ACK'],
      `GOAWAY 0 ${calm} too_many_pings`,
    ])
  })

  it('allows pings at that pace for ever', () => {
    const port = testPort({ pingMillisMin: 5000, pingStrikesMax: 3 })
    const client = port.connect().handshake()
    for (let count = 0; count < 20; count++) {
      client.send(ping)
      port.advance(5000)
    }
    expect(client.say()).toEqual(new Array(20).fill('PING ACK'))
  })

  it('allows one for each message of a stream: clients measure their bandwidth with them', () => {
    const port = testPort({ pingMillisMin: 5000, pingStrikesMax: 3 })
    const client = port.connect().handshake()
    client.send(client.headers(1, fieldsFor('/test.Echo/Stream'), flag.endHeaders))
    for (let count = 0; count < 50; count++) {
      client.send(frame(frameType.data, 0, 1, grpcMessage('hello')))
      client.send(ping)
    }
    expect(client.say().filter(line => line === 'PING ACK')).toHaveLength(50)
    expect(client.socket.ended).toBe(false)
  })
})

describe('continuationFramesMax and headerBlockBytesMax', () => {
  it('ends a header block of too many pieces', () => {
    const port = testPort({ continuationFramesMax: 4 })
    const client = port.connect().handshake()
    client.send(client.headers(1, fieldsFor('/'), 0))
    for (let count = 0; count < 5; count++) client.send(frame(frameType.continuation, 0, 1))
    expect(client.say()).toEqual([`GOAWAY 0 ${calm} header block too large`])
    expect(port.server.status().refusals).toEqual({ continuationFramesMax: 1 })
  })

  it('ends a header block of too many bytes before it is kept', () => {
    const port = testPort({ headerBlockBytesMax: 20_000 })
    const client = port.connect().handshake()
    client.send(frame(frameType.headers, 0, 1, Buffer.alloc(16_000, 0x82)))
    client.send(frame(frameType.continuation, 0, 1, Buffer.alloc(16_000, 0x82)))
    expect(client.say()).toEqual([`GOAWAY 0 ${calm} header block too large`])
    expect(port.server.status().refusals).toEqual({ headerBlockBytesMax: 1 })
  })

  it('serves a block in pieces within the limits', () => {
    const client = testPort().connect().handshake()
    const whole = client.headers(1, fieldsFor('/test.Echo/Unary')).subarray(9)
    client.send(frame(frameType.headers, 0, 1, whole.subarray(0, 7)))
    client.send(frame(frameType.continuation, 0, 1, whole.subarray(7, 8)))
    client.send(frame(frameType.continuation, flag.endHeaders, 1, whole.subarray(8)))
    client.send(frame(frameType.data, flag.endStream, 1, grpcMessage('hello')))
    expect(client.say()).toContain('DATA 1 10')
  })
})

describe('headerListBytesMax', () => {
  it('answers 431 to a list that unpacks to too much, and serves the next request', () => {
    const client = testPort({ headerListBytesMax: 4096 }).connect().handshake()
    const stuffing = Array.from({ length: 300 }, () => ['x-stuffing', 'y'.repeat(100)]).flat()
    client.send(client.headers(1, fieldsFor('/', stuffing), flag.endHeaders | flag.endStream))
    expect(client.say()).toEqual(['HEADERS 1 :status=431 END'])
    client.call(3, 'hello')
    expect(client.say()).toContain('DATA 3 10')
  })
})

describe('headerBlockMillisMax and prefaceMillisMax', () => {
  it('ends a header block that is never finished', () => {
    const port = testPort({ headerBlockMillisMax: 3000 })
    const client = port.connect().handshake()
    client.send(client.headers(1, fieldsFor('/'), 0))
    port.advance(2000)
    expect(client.say()).toEqual([])
    port.advance(3000)
    expect(client.say()).toEqual([`GOAWAY 0 ${calm} header block unfinished`])
  })

  it('closes a socket that does not say what it speaks', () => {
    const port = testPort({ prefaceMillisMax: 3000 })
    const socket = port.accept()
    socket.handlers?.data(Buffer.from('PRI * HTT'))
    port.advance(2000)
    expect(socket.destroyed).toBe(false)
    port.advance(3000)
    expect(socket.destroyed).toBe(true)
    expect(port.server.status().refusals).toEqual({ prefaceMillisMax: 1 })
  })
})

describe('prefaceMillisMax, after the magic bytes', () => {
  it('ends a client that does not send its SETTINGS', () => {
    const port = testPort({ prefaceMillisMax: 3000 })
    const client = port.connect()
    client.send(preface)
    port.advance(5000)
    expect(client.say().at(-1)).toBe(`GOAWAY 0 ${calm} no SETTINGS`)
    expect(client.socket.ended).toBe(true)
  })
})

describe('messageBytesMax', () => {
  it('refuses a longer message by its prefix alone, as gRPC does', () => {
    const client = testPort({ messageBytesMax: 1000 }).connect().handshake()
    client.send(
      client.headers(1, fieldsFor('/test.Echo/Unary')),
      frame(frameType.data, 0, 1, grpcMessage(Buffer.alloc(1001)).subarray(0, 5)),
    )
    expect(client.say()).toEqual([
      'HEADERS 1 :status=200 content-type=application/grpc grpc-status=8' +
        ' grpc-message=grpc: received message larger than max (1001 vs. 1000) END',
      'RST_STREAM 1 0',
    ])
  })

  it.each([
    [
      '',
      gzipSync('x'),
      '13 grpc-message=grpc: compressed flag set with identity or empty encoding',
    ],
    [
      'gzip',
      Buffer.from('none'),
      '13 grpc-message=grpc: failed to decompress the received message',
    ],
    ['gzip', gzipSync(Buffer.alloc(1001)), '8 grpc-message=grpc: received message after'],
  ])('and a compressed one (%s) that is none or becomes longer', (encoding, message, refusal) => {
    const client = testPort({ messageBytesMax: 1000 }).connect().handshake()
    const fields = [...fieldsFor('/test.Echo/Unary'), 'grpc-encoding', encoding]
    client.send(client.headers(1, fields), frame(frameType.data, 0, 1, grpcMessage(message, 1)))
    expect(client.say()[0]).toContain(`grpc-status=${refusal}`)
  })

  it('refuses the body of a plain request that is longer', () => {
    const client = testPort({ messageBytesMax: 1000 }).connect().handshake()
    const post = [':method', 'POST', ':scheme', 'http', ':path', '/v3/kv/put']
    client.send(client.headers(1, post), frame(frameType.data, 0, 1, Buffer.alloc(1001)))
    expect(client.say()).toEqual(['HEADERS 1 :status=413 END', 'RST_STREAM 1 0'])
  })
})

describe('assemblyBytesMax', () => {
  it('resets the stream that makes half-received messages too many', () => {
    const port = testPort({ assemblyBytesMax: 30_000 })
    const client = port.connect().handshake()
    const half = grpcMessage(Buffer.alloc(20_000)).subarray(0, 10_000)
    for (const stream of [1, 3]) {
      client.send(client.headers(stream, fieldsFor('/test.Echo/Unary')))
      client.send(frame(frameType.data, 0, stream, half))
    }
    expect(client.say()).toEqual(['RST_STREAM 3 7'])
    client.send(frame(frameType.data, flag.endStream, 1, Buffer.alloc(10_005)))
    expect(client.say()).toContain('HEADERS 1 :status=200 content-type=application/grpc')
  })

  it('gives memory back when the message is whole or its stream gone', () => {
    const port = testPort({ assemblyBytesMax: 30_000 })
    const client = port.connect().handshake()
    const message = grpcMessage(Buffer.alloc(20_000))
    for (let stream = 1; stream < 20; stream += 4) {
      client.send(client.headers(stream, fieldsFor('/test.Echo/Silent')))
      client.send(frame(frameType.data, 0, stream, message.subarray(0, 10_000)))
      client.send(frame(frameType.data, flag.endStream, stream, message.subarray(10_000)))
      client.send(client.headers(stream + 2, fieldsFor('/test.Echo/Silent')))
      client.send(frame(frameType.data, 0, stream + 2, message.subarray(0, 10_000)))
      client.send(rstStream(stream + 2))
    }
    expect(client.say()).toEqual([])
  })
})

describe('assemblyBytesMax, of streams that the gateway ends', () => {
  it('gets back what they held', () => {
    const port = testPort({ assemblyBytesMax: 30_000 })
    const client = port.connect().handshake()
    const half = grpcMessage(Buffer.alloc(20_000)).subarray(0, 10_000)
    for (let stream = 1; stream < 20; stream += 2) {
      client.send(client.headers(stream, fieldsFor('/test.Echo/Stream')))
      client.send(frame(frameType.data, 0, stream, half))
      port.server.fail(1, stream, 14, 'no leader')
      port.server.flush()
    }
    expect(client.say().filter(line => line.endsWith(` ${calm}`))).toEqual([])
  })
})

describe('portAssemblyBytesMax', () => {
  it('takes what is half received from the connection that has most of it, and others get through', () => {
    const port = testPort({ portAssemblyBytesMax: 50_000 })
    const [greedy, honest] = [port.connect().handshake(), port.connect().handshake()]
    const message = grpcMessage(Buffer.alloc(20_000))
    for (const stream of [1, 3]) {
      greedy.send(greedy.headers(stream, fieldsFor('/test.Echo/Unary')))
      greedy.send(frame(frameType.data, 0, stream, message.subarray(0, 10_000)))
    }
    expect(greedy.say()).toEqual([])
    honest.send(honest.headers(1, fieldsFor('/test.Echo/Unary')))
    honest.send(frame(frameType.data, 0, 1, message.subarray(0, 15_000)))
    expect(greedy.say()).toEqual(['RST_STREAM 1 7', 'RST_STREAM 3 7'])
    honest.send(frame(frameType.data, flag.endStream, 1, message.subarray(15_000)))
    expect(honest.say()).toContain('HEADERS 1 :status=200 content-type=application/grpc')
  })

  it('gives memory back with the connection', () => {
    const port = testPort({ portAssemblyBytesMax: 50_000 })
    const half = grpcMessage(Buffer.alloc(20_000)).subarray(0, 10_000)
    for (let count = 0; count < 10; count += 1) {
      const client = port.connect().handshake()
      for (const stream of [1, 3]) {
        client.send(client.headers(stream, fieldsFor('/test.Echo/Unary')))
        client.send(frame(frameType.data, 0, stream, half))
      }
      expect(client.say()).toEqual([])
      client.socket.destroy()
    }
  })
})

describe('streamBufferedBytesLow', () => {
  const limits = { streamBufferedBytesLow: 2000 }

  it('tells how much waits, and when it is little again', () => {
    const port = testPort(limits)
    const client = port.connect().handshake([initialWindow(0)])
    client.send(client.headers(1, fieldsFor('/test.Echo/Stream')))
    const { connection } = port.events[0]!
    expect(port.server.send(connection, 1, new Uint8Array(5000))).toBe(5005)
    client.send(windowUpdate(1, 3000))
    expect(port.events.map(event => event.kind)).toEqual(['opened'])
    client.send(windowUpdate(1, 5))
    expect(port.events.map(event => event.kind)).toEqual(['opened', 'drained'])
    expect(port.server.bufferedBytes(connection, 1)).toBe(2000)
  })
})

describe('output that is held', () => {
  it('is counted as the memory that it pins, in copies where it shares a slab', () => {
    const port = testPort()
    const client = port.connect().handshake([initialWindow(0)])
    for (const stream of [1, 3]) client.call(stream, 'x', '/test.Echo/Silent')
    const slab = new Uint8Array(128 * 1024)
    port.server.reply(1, 1, slab.subarray(0, 100))
    port.server.reply(1, 3, new Uint8Array(100_000))
    slab.fill(7)
    port.server.flush()
    const held = port.server.heldBytes(1)
    expect(held).toBe(100 + 5 + 256 + 100_000 + 5 + 2 * 256)
    expect(port.server.heldBytesOfAll).toBe(held)
    client.frames()
    client.send(windowUpdate(1, 105))
    const [data] = client.frames()
    expect(data?.payload.subarray(5).every(byte => byte === 0)).toBe(true)
    expect(port.server.heldBytesOfAll).toBe(100_000 + 5 + 2 * 256)
    client.send(rstStream(3))
    expect(port.server.heldBytesOfAll).toBe(0)
  })

  it('is given back with its connection', () => {
    const port = testPort()
    const client = port.connect().handshake([initialWindow(0)])
    client.call(1, 'x'.repeat(9000))
    expect(port.server.heldBytesOfAll).toBeGreaterThan(9000)
    client.socket.destroy()
    expect(port.server.heldBytesOfAll).toBe(0)
  })

  it('tells once when some of it was taken, to who wants to know', () => {
    let eased = 0
    const port = testPort({}, { eased: () => eased++ })
    const client = port.connect().handshake([initialWindow(0)])
    client.call(1, 'x'.repeat(9000))
    client.send(windowUpdate(1, 1000))
    expect(eased).toBe(0)
    port.server.easedWanted = true
    client.send(windowUpdate(1, 1000), windowUpdate(1, 1000))
    client.send(windowUpdate(1, 1000))
    expect(eased).toBe(1)
  })
})

describe('hold', () => {
  it('lets the client send what its window allows, and then grants all at once', () => {
    const port = testPort({ connectionWindowBytes: 100_000 })
    const client = port.connect().handshake()
    port.server.hold(1, 'window')
    for (let stream = 1; stream < 12; stream += 2) client.call(stream, 'x'.repeat(16_000))
    expect(client.say().filter(line => line.startsWith('WINDOW_UPDATE 0'))).toEqual([])
    port.server.hold(1, 'no')
    port.server.flush()
    expect(client.say()).toContain('WINDOW_UPDATE 0 96030')
  })

  it('stops reading the socket', () => {
    const port = testPort()
    const client = port.connect().handshake()
    port.server.hold(1, 'socket')
    expect(client.socket.paused).toBe(true)
    port.server.hold(1, 'no')
    expect(client.socket.paused).toBe(false)
  })
})

describe('stallMillisMax and stallPressedMillisMax', () => {
  it('break a connection that takes nothing of what waits for it', () => {
    const port = testPort({ stallMillisMax: 60_000 })
    const client = port.connect().handshake([initialWindow(0)])
    client.call(1, 'hello')
    port.advance(50_000)
    client.send(windowUpdate(1, 2))
    port.advance(58_000)
    expect(client.socket.destroyed).toBe(false)
    port.advance(5000)
    expect(client.socket.destroyed).toBe(true)
    expect(port.server.status().refusals).toEqual({ stallMillisMax: 1 })
  })

  it('do so sooner where others wait for the memory and next to nothing is taken', () => {
    const port = testPort({ stallPressedMillisMax: 10_000 })
    const [idle, slow, steady] = [0, 1, 2].map(() => port.connect().handshake([initialWindow(0)]))
    for (const client of [slow!, steady!]) client.call(1, 'x', '/test.Echo/Silent')
    for (const connection of [2, 3]) port.server.reply(connection, 1, new Uint8Array(200_000))
    port.server.flush()
    port.advance(20_000)
    steady!.send(windowUpdate(0, 200_000), windowUpdate(1, 17_000))
    port.advance(1000)
    port.server.pressed = true
    for (let second = 0; second < 12; second += 1) {
      slow!.send(windowUpdate(1, 10))
      steady!.send(windowUpdate(1, 5000))
      port.advance(1000)
    }
    expect([idle, slow, steady].map(client => client!.socket.destroyed)).toEqual([
      false,
      true,
      false,
    ])
  })

  it('breaks a connection whose socket takes nothing', () => {
    const port = testPort({ stallMillisMax: 60_000, socketBufferedBytesHigh: 1000 })
    const client = port.connect().handshake()
    client.socket.stuck = true
    client.call(1, 'x'.repeat(5000))
    port.advance(65_000)
    expect(client.socket.destroyed).toBe(true)
    expect(port.server.status().refusals).toEqual({ stallMillisMax: 1 })
  })
})

describe('socketBufferedBytesHigh', () => {
  it('holds output back and stops reading until the socket has taken it', () => {
    const port = testPort({ socketBufferedBytesHigh: 20_000 })
    const client = port.connect().handshake([initialWindow(1_000_000)])
    client.send(windowUpdate(0, 10_000_000))
    client.frames()
    client.socket.stuck = true
    client.call(1, '', '/test.Echo/Silent')
    port.server.reply(1, 1, Buffer.alloc(100_000))
    port.server.flush()
    expect(client.socket.bufferedBytes).toBeLessThan(20_000 + 16_384 + 100)
    expect(client.socket.paused).toBe(true)
    client.socket.stuck = false
    client.socket.drain()
    expect(client.socket.paused).toBe(false)
    const bytes = client.say().filter(line => line.startsWith('DATA'))
    expect(bytes.map(line => Number(line.split(' ')[2])).reduce((a, b) => a + b)).toBe(100_005)
  })
})

describe('socketBufferedBytesMax', () => {
  it('breaks a connection that asks for answers which it does not read', () => {
    const port = testPort({ socketBufferedBytesHigh: 1000, socketBufferedBytesMax: 5000 })
    const client = port.connect().handshake()
    client.socket.stuck = true
    for (let stream = 1; stream < 1000; stream += 2) client.call(stream, 'x')
    expect(client.socket.destroyed).toBe(true)
    expect(port.server.status().refusals).toEqual({ socketBufferedBytesMax: 1 })
  })
})

describe('streamWindowBytes and connectionWindowBytes', () => {
  it('resets a stream that sends beyond its window', () => {
    const port = testPort({ streamWindowBytes: 20_000 })
    const client = port.connect().handshake()
    // Half a window is not given back yet, so the rest is too much.
    client.send(client.headers(1, fieldsFor('/test.Echo/Unary')))
    const message = grpcMessage(Buffer.alloc(40_000))
    client.send(frame(frameType.data, 0, 1, message.subarray(0, 9_999)))
    client.send(frame(frameType.data, 0, 1, message.subarray(9_999, 20_001)))
    expect(client.say()).toEqual(['RST_STREAM 1 3'])
  })

  it('grants a stream again what it has sent', () => {
    const port = testPort({ streamWindowBytes: 20_000 })
    const client = port.connect().handshake()
    client.send(client.headers(1, fieldsFor('/test.Echo/Stream')))
    client.send(frame(frameType.data, 0, 1, grpcMessage(Buffer.alloc(12_000)).subarray(0, 12_000)))
    expect(client.say()).toContain('WINDOW_UPDATE 1 12000')
  })

  it('grants the connection again what it has sent, of closed streams too', () => {
    const port = testPort({ connectionWindowBytes: 100_000 })
    const client = port.connect().handshake()
    for (let stream = 1; stream < 8; stream += 2) client.call(stream, 'x'.repeat(16_000))
    const updates = client.say().filter(line => line.startsWith('WINDOW_UPDATE 0'))
    expect(updates).toEqual(['WINDOW_UPDATE 0 64020'])
  })
})

describe('windows that a client grants', () => {
  const most = 2 ** 31 - 1
  const flowControl = 3
  const protocol = 1

  it('beyond 2^31-1 end the connection where they are its own', () => {
    const client = testPort().connect().handshake()
    client.send(windowUpdate(0, most))
    expect(client.say()).toEqual([`GOAWAY 0 ${flowControl} connection window above 2^31-1`])
  })

  it('beyond 2^31-1 reset the stream where they are a stream’s', () => {
    const client = testPort().connect().handshake()
    client.send(client.headers(1, fieldsFor('/test.Echo/Stream')))
    client.send(windowUpdate(1, most))
    expect(client.say()).toEqual([`RST_STREAM 1 ${flowControl}`])
    client.call(3, 'hello')
    expect(client.say().filter(line => line.startsWith('DATA 3'))).toHaveLength(1)
  })

  it('beyond 2^31-1 by a setting end the connection', () => {
    const client = testPort().connect().handshake()
    client.send(client.headers(1, fieldsFor('/test.Echo/Stream')))
    client.send(windowUpdate(1, 1), settingsFrame([initialWindow(most)]))
    expect(client.say().at(-1)).toBe(`GOAWAY 1 ${flowControl} stream window above 2^31-1`)
  })

  it('of nothing end the connection, or reset the stream', () => {
    const client = testPort().connect().handshake()
    client.send(client.headers(1, fieldsFor('/test.Echo/Stream')), windowUpdate(1, 0))
    expect(client.say()).toEqual([`RST_STREAM 1 ${protocol}`])
    client.send(windowUpdate(0, 0))
    expect(client.say().at(-1)).toMatch(`GOAWAY 1 ${protocol} `)
  })
})

describe('keepaliveIdleMillis and keepaliveTimeoutMillis', () => {
  it('asks a silent client, and breaks the connection if nothing comes', () => {
    const port = testPort({ keepaliveIdleMillis: 60_000, keepaliveTimeoutMillis: 5000 })
    const client = port.connect().handshake()
    port.advance(63_000)
    expect(client.say()).toEqual(['PING'])
    client.send(frame(frameType.ping, flag.ack, 0, Buffer.alloc(8)))
    port.advance(60_000)
    expect(client.socket.destroyed).toBe(false)
    port.advance(10_000)
    expect(client.socket.destroyed).toBe(true)
  })
})

/** What RFC 9113 asks of a server beyond what h2spec looks at, and how calls reach the handler. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { flag, frameType, preface, setting } from '../../../transport/etcd/http2/protocol.ts'
import {
  callFields,
  fieldsFor,
  frame,
  grpcMessage,
  initialWindow,
  rstStream,
  settingsFrame,
  TestClient,
  testPort,
  uint32Bytes,
  windowUpdate,
} from './port-kit.ts'

const answer = (stream: number, bytes: number) => [
  `HEADERS ${stream} :status=200 content-type=application/grpc`,
  `DATA ${stream} ${bytes}`,
  `HEADERS ${stream} grpc-status=0 END`,
]

describe('a unary call', () => {
  it('is answered in one write, with headers of two bytes and trailers of one', () => {
    const client = testPort().connect().handshake()
    client.call(1, 'a')
    client.frames()
    const writes = client.socket.writes
    client.call(3, 'hello')
    const frames = client.frames()
    expect(frames.map(({ payload }) => payload.length)).toEqual([2, 10, 1])
    expect(frames.map(({ flags }) => flags)).toEqual([4, 0, 5])
    expect(client.socket.writes).toBe(writes + 1)
  })

  it('shares one write with all calls of the same chunk', () => {
    const client = testPort().connect().handshake()
    const parts: Buffer[] = []
    for (let stream = 1; stream < 20; stream += 2)
      parts.push(
        client.headers(stream, callFields),
        frame(frameType.data, flag.endStream, stream, grpcMessage(`message ${stream}`)),
      )
    const writes = client.socket.writes
    client.send(...parts)
    expect(client.socket.writes).toBe(writes + 1)
    expect(client.say()).toHaveLength(30)
  })

  it('gathers answers that come later until the flush', () => {
    const port = testPort()
    const client = port.connect().handshake()
    client.call(1, '', '/test.Echo/Silent')
    client.call(3, '', '/test.Echo/Silent')
    port.server.reply(1, 3, Buffer.from('b'))
    port.server.reply(1, 1, Buffer.from('a'))
    expect(client.frames()).toEqual([])
    port.server.flush()
    expect(client.socket.received).toHaveLength(1)
    expect(client.say()).toEqual([...answer(3, 6), ...answer(1, 6)])
  })

  it('shares one frame among the messages of a stream that follow each other', () => {
    const port = testPort()
    const client = port.connect().handshake()
    client.send(client.headers(1, fieldsFor('/test.Echo/Stream')))
    client.send(client.headers(3, fieldsFor('/test.Echo/Stream')))
    for (const [stream, text] of [
      [1, 'a'],
      [1, 'bc'],
      [3, 'd'],
      [1, 'e'],
      [1, ''],
    ] as const)
      port.server.send(1, stream, Buffer.from(text))
    port.server.flush()
    const data = client.frames().filter(({ type }) => type === frameType.data)
    expect(data.map(({ stream, payload }) => [stream, payload.toString('latin1')])).toEqual([
      [1, '\0\0\0\0\x01a\0\0\0\0\x02bc'],
      [3, '\0\0\0\0\x01d'],
      [1, '\0\0\0\0\x01e\0\0\0\0\0'],
    ])
    for (let at = 0; at < 4; at += 1) port.server.send(1, 3, Buffer.alloc(8000))
    port.server.flush()
    const large = client.frames().map(({ payload }) => payload.length)
    expect(large).toEqual([16_010, 16_010])
    expect(port.server.bufferedBytes(1, 3)).toBe(0)
  })

  it('may not be answered twice, nor after it is gone', () => {
    const port = testPort()
    const client = port.connect().handshake()
    client.call(1, '', '/test.Echo/Silent')
    port.server.reply(1, 1, Buffer.from('a'))
    port.server.reply(1, 1, Buffer.from('b'))
    port.server.fail(1, 1, 5, 'no')
    client.call(3, '', '/test.Echo/Silent')
    client.send(rstStream(3))
    port.server.reply(1, 3, Buffer.from('c'))
    port.server.reply(9, 1, Buffer.from('d'))
    port.server.flush()
    expect(client.say()).toEqual(answer(1, 6))
  })

  it('tells the handler of a cancelled call, and once of a closed connection', () => {
    const port = testPort()
    const client = port.connect().handshake()
    client.call(1, '', '/test.Echo/Silent')
    client.call(3, '', '/test.Echo/Silent')
    client.send(rstStream(1))
    client.socket.destroy()
    expect(port.events).toEqual([
      { kind: 'cancelled', connection: 1, stream: 1 },
      { kind: 'connectionClosed', connection: 1, stream: 0 },
    ])
  })

  it('without a message, with two, or with half of one is refused', () => {
    const client = testPort().connect().handshake()
    client.send(client.headers(1, callFields, flag.endHeaders | flag.endStream))
    const twice = Buffer.concat([grpcMessage('a'), grpcMessage('b')])
    client.send(client.headers(3, callFields), frame(frameType.data, flag.endStream, 3, twice))
    const half = grpcMessage('hello').subarray(0, 7)
    client.send(client.headers(5, callFields), frame(frameType.data, flag.endStream, 5, half))
    const statuses = client.say().map(line => /^(\w+ \d).*(grpc-status=13)/.exec(line)?.slice(1, 3))
    expect(statuses).toEqual([1, 3, 5].map(stream => [`HEADERS ${stream}`, 'grpc-status=13']))
  })

  it('of an unknown service or method is Unimplemented, in the words of gRPC', () => {
    const client = testPort().connect().handshake()
    client.call(1, '', '/test.Echo/Nothing')
    client.call(3, '', '/nobody.Knows/It')
    client.call(5, '', 'nonsense')
    const texts = client
      .say()
      .filter(line => line.startsWith('HEADERS'))
      .map(line => /grpc-status=12 grpc-message=(.*) END/.exec(line)?.[1])
    expect(texts).toEqual([
      'unknown method Nothing for service test.Echo',
      'unknown service nobody.Knows',
      'malformed method name: "nonsense"',
    ])
  })

  it('brings its metadata', () => {
    const heads: unknown[] = []
    const port = testPort({}, { call: (_connection, _stream, head) => heads.push(head) })
    const client = port.connect().handshake()
    const metadata = [
      ...['authorization', 'Bearer secret.1', 'hasleader', 'true', 'client-api-version', '3.6.0'],
      ...['grpc-timeout', '1500m', 'traceparent', '00-ab-cd-01', 'tracestate', 'x=y'],
    ]
    client.send(client.headers(1, fieldsFor('/test.Echo/Unary', metadata)))
    client.send(frame(frameType.data, flag.endStream, 1, grpcMessage('')))
    expect(heads).toEqual([
      {
        method: { path: '/test.Echo/Unary', id: 1, requests: 'one' },
        authority: 'a',
        token: 'secret.1',
        hasLeader: true,
        clientApiVersion: '3.6.0',
        fromJsonGateway: false,
        timeoutMillis: 1500,
        traceparent: '00-ab-cd-01',
        tracestate: 'x=y',
      },
    ])
  })

  it('gives one head to calls that repeat their headers', () => {
    const heads: unknown[] = []
    const port = testPort({}, { call: (_connection, _stream, head) => heads.push(head) })
    const client = port.connect().handshake()
    for (const stream of [1, 3, 5]) client.call(stream, '')
    expect(heads).toHaveLength(3)
    expect(heads[2]).toBe(heads[1])
  })
})

describe('flow control', () => {
  it('sends what the windows allow, in turns, and the trailers last', () => {
    const client = testPort()
      .connect()
      .handshake([initialWindow(4)])
    client.call(1, 'x'.repeat(5))
    client.call(3, 'y'.repeat(5))
    expect(client.say()).toEqual([
      'HEADERS 1 :status=200 content-type=application/grpc',
      'DATA 1 4',
      'HEADERS 3 :status=200 content-type=application/grpc',
      'DATA 3 4',
    ])
    client.send(settingsFrame([initialWindow(7)]))
    expect(client.say()).toEqual(['SETTINGS ACK', 'DATA 1 3', 'DATA 3 3'])
    client.send(windowUpdate(3, 100))
    expect(client.say()).toEqual(['DATA 3 3', 'HEADERS 3 grpc-status=0 END'])
    client.send(windowUpdate(1, 3))
    expect(client.say()).toEqual(['DATA 1 3', 'HEADERS 1 grpc-status=0 END'])
  })

  it('shares the connection window by turns of a frame', () => {
    const port = testPort()
    const client = port.connect().handshake([initialWindow(1_000_000)])
    for (const stream of [1, 3, 5]) client.call(stream, '', '/test.Echo/Silent')
    for (const stream of [1, 3, 5]) port.server.reply(1, stream, Buffer.alloc(100_000))
    port.server.flush()
    const data = () => client.say().filter(line => line.startsWith('DATA'))
    expect(data()).toEqual(['DATA 1 16384', 'DATA 1 16384', 'DATA 1 16384', 'DATA 1 16383'])
    client.send(windowUpdate(0, 60_000))
    expect(data()).toEqual(['DATA 1 16384', 'DATA 3 16384', 'DATA 5 16384', 'DATA 1 10848'])
  })

  it('survives a window that settings make negative', () => {
    const client = testPort()
      .connect()
      .handshake([initialWindow(10)])
    client.call(1, 'x'.repeat(20))
    client.send(settingsFrame([initialWindow(0)]))
    client.send(windowUpdate(1, 10))
    expect(client.say()).toEqual([
      'HEADERS 1 :status=200 content-type=application/grpc',
      'DATA 1 10',
      'SETTINGS ACK',
    ])
    client.send(windowUpdate(1, 15))
    expect(client.say()).toEqual(['DATA 1 15', 'HEADERS 1 grpc-status=0 END'])
  })

  it('encodes trailers when they leave, not when they are asked for', () => {
    const client = testPort()
      .connect()
      .handshake([initialWindow(3)])
    client.call(1, 'hello', '/test.Echo/Unary')
    client.send(settingsFrame([[setting.headerTableSize, 0]]))
    client.send(windowUpdate(1, 100))
    expect(client.say()).toEqual([
      'HEADERS 1 :status=200 content-type=application/grpc',
      'DATA 1 3',
      'SETTINGS ACK',
      'DATA 1 7',
      'HEADERS 1 grpc-status=0 END',
    ])
  })
})

describe('frames that were under way', () => {
  it('are ignored on a stream that we ended, however it goes on', () => {
    const client = testPort().connect().handshake()
    client.send(client.headers(1, fieldsFor('/test.Echo/Nothing')))
    expect(client.say()[1]).toBe('RST_STREAM 1 0')
    client.send(frame(frameType.data, 0, 1, grpcMessage('late')), windowUpdate(1, 5))
    client.send(client.headers(1, ['x-late', 'trailer'], flag.endHeaders | flag.endStream))
    client.send(rstStream(1))
    expect(client.say()).toEqual([])
    client.call(3, 'hello')
    expect(client.say()).toEqual(answer(3, 10))
  })

  it('are a fault on a stream that the client ended', () => {
    const client = testPort().connect().handshake()
    client.call(1, 'a')
    client.frames()
    client.send(frame(frameType.data, 0, 1, grpcMessage('late')))
    expect(client.say()).toEqual(['RST_STREAM 1 5'])
    client.send(client.headers(1, callFields))
    expect(client.say()).toEqual(['GOAWAY 1 5 HEADERS on a closed stream'])
  })
})

describe('the preface', () => {
  it('may come in any pieces, with all that follows it', () => {
    const client = testPort().connect()
    const bytes = Buffer.concat([
      preface,
      settingsFrame([]),
      client.headers(1, callFields),
      frame(frameType.data, flag.endStream, 1, grpcMessage('hello')),
    ])
    for (const byte of bytes) client.send(Buffer.of(byte))
    expect(client.say().slice(-3)).toEqual(answer(1, 10))
  })

  it('is expected after ALPN has chosen h2', () => {
    const client = testPort().connect('h2')
    client.send(Buffer.from('GET / HTTP/1.1\r\n\r\n'))
    expect(client.say().at(-1)).toBe('GOAWAY 0 1 not the preface of HTTP/2')
    expect(client.socket.ended).toBe(true)
  })
})

describe('going away', () => {
  it('announces it, then names the last stream once the client has seen it', () => {
    const port = testPort()
    const client = port.connect().handshake()
    client.call(1, '', '/test.Echo/Silent')
    let done = 0
    port.server.close(10_000, () => done++)
    expect(client.say()).toEqual([`GOAWAY ${0x7fff_ffff} 0 shutting down`, 'PING'])
    client.call(3, 'hello')
    client.send(frame(frameType.ping, flag.ack, 0, Buffer.alloc(8)))
    expect(client.say()).toEqual([...answer(3, 10), 'GOAWAY 3 0 shutting down'])
    client.call(5, 'hello')
    expect(client.say()).toEqual([])
    port.server.reply(1, 1, Buffer.from('a'))
    port.server.flush()
    expect(client.say()).toEqual(answer(1, 6))
    expect(client.socket.ended).toBe(true)
    expect(done).toBe(0)
    client.socket.destroy()
    expect(done).toBe(1)
  })

  it('breaks what has not finished in time, and closes newcomers at once', () => {
    const port = testPort()
    const client = port.connect().handshake()
    const newcomer = port.accept()
    client.call(1, '', '/test.Echo/Silent')
    let done = 0
    port.server.close(5000, () => done++)
    expect(newcomer.destroyed).toBe(true)
    port.advance(4900)
    expect(done).toBe(0)
    port.advance(200)
    expect(done).toBe(1)
    expect(client.socket.destroyed).toBe(true)
  })

  it('is done soon when there is nobody to wait for', () => {
    const port = testPort()
    let done = 0
    port.server.close(5000, () => done++)
    expect(done).toBe(0)
    port.advance(1)
    expect(done).toBe(1)
  })

  it('does not wait for ever for a client to hang up', () => {
    const port = testPort()
    const client = port.connect().handshake()
    client.send(frame(frameType.data, 0, 0))
    expect(client.say()).toEqual(['GOAWAY 0 1 DATA on stream 0'])
    port.advance(5000)
    expect(client.socket.destroyed).toBe(true)
  })
})

describe('padding and priority', () => {
  it('are taken off', () => {
    const client = testPort().connect().handshake()
    const block = client.headers(1, callFields).subarray(9)
    const padded = Buffer.concat([
      Buffer.of(3),
      uint32Bytes(0),
      Buffer.of(16),
      block,
      Buffer.alloc(3),
    ])
    const flags = flag.endHeaders | flag.padded | flag.priority
    client.send(frame(frameType.headers, flags, 1, padded))
    const data = Buffer.concat([Buffer.of(200), grpcMessage('hello'), Buffer.alloc(200)])
    client.send(frame(frameType.data, flag.endStream | flag.padded, 1, data))
    expect(client.say()).toEqual(answer(1, 10))
  })
})

describe('any bytes', () => {
  const conversation = conversationBytes()
  const conversationAnswer = replay([conversation])

  it('give the same answers however they are cut', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1 }), sizes => {
        expect(replay(cut(conversation, sizes))).toEqual(conversationAnswer)
      }),
      { numRuns: 300 },
    )
  })

  it('end in an answer or an error, never in an exception, when they are mutated', () => {
    const mutation = fc.record({
      at: fc.nat({ max: conversation.length - 1 }),
      remove: fc.constantFrom(0, 0, 1, 9),
      insert: fc.uint8Array({ maxLength: 12 }),
    })
    fc.assert(
      fc.property(
        fc.array(mutation, { minLength: 1, maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1 }),
        (mutations, sizes) => {
          let bytes = conversation
          for (const { at, remove, insert } of mutations)
            bytes = Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)])
          const lines = replay(cut(bytes, sizes))
          const goaways = lines.filter(line => line.startsWith('GOAWAY'))
          expect(goaways.length).toBeLessThanOrEqual(1)
          if (goaways.length > 0) expect(lines.at(-1)).toBe(goaways[0])
        },
      ),
      { numRuns: 1000 },
    )
  })

  it('of frames at random end so too', () => {
    const anyFrame = fc
      .record({
        type: fc.integer({ min: 0, max: 10 }),
        flags: fc.constantFrom(0, 1, 4, 5, 8, 0x20, 0x2d, 255),
        stream: fc.constantFrom(0, 1, 2, 3, 5, 7),
        payload: fc.oneof(
          fc.uint8Array({ maxLength: 30 }),
          fc.constantFrom(uint32Bytes(1), uint32Bytes(0), Buffer.alloc(8), grpcMessage('hello')),
          fc.constant(new TestClient(testPort().accept()).headers(1, callFields).subarray(9)),
        ),
      })
      .map(({ type, flags, stream, payload }) => frame(type, flags, stream, payload))
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 20 }), frames => {
        const lines = replay([preface, settingsFrame([]), ...frames])
        expect(lines.filter(line => line.startsWith('GOAWAY')).length).toBeLessThanOrEqual(1)
      }),
      { numRuns: 1000 },
    )
  })
})

function conversationBytes(): Buffer {
  const client = new TestClient(testPort().accept())
  const stream = fieldsFor('/test.Echo/Stream')
  return Buffer.concat([
    preface,
    settingsFrame([initialWindow(100), [setting.headerTableSize, 200]]),
    client.headers(1, callFields),
    frame(frameType.data, flag.endStream, 1, grpcMessage('hello')),
    client.headers(3, stream),
    frame(frameType.data, 0, 3, grpcMessage('one').subarray(0, 3)),
    frame(frameType.data, 0, 3, Buffer.concat([grpcMessage('one').subarray(3), grpcMessage('')])),
    frame(frameType.ping, 0, 0, Buffer.from('12345678')),
    frame(frameType.data, flag.endStream, 3, grpcMessage('x'.repeat(300))),
    windowUpdate(3, 1000),
    client.headers(5, [':method', 'GET', ':scheme', 'http', ':path', '/health'], 5),
    client.headers(7, callFields, 0),
    frame(frameType.continuation, flag.endHeaders, 7),
    rstStream(7),
    frame(frameType.goaway, 0, 0, Buffer.alloc(8)),
  ])
}

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = []
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length]!
    chunks.push(bytes.subarray(at, at + size))
    at += size
  }
  return chunks
}

/** What the port says to these chunks, each in memory of its own that is overwritten afterwards. */
function replay(chunks: readonly Uint8Array[]): string[] {
  const client = testPort().connect()
  for (const chunk of chunks) {
    const own = Buffer.from(chunk)
    client.send(own)
    own.fill(0xee)
  }
  return client.say()
}

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeAcls, encodeAcls } from '../../../transport/zookeeper/acl.ts'
import {
  connectResponse,
  decodeConnectRequest,
  decodeConnectResponse,
  encodeConnectRequest,
  expiredSession,
} from '../../../transport/zookeeper/connect.ts'
import { MalformedRecord } from '../../../transport/zookeeper/errors.ts'
import { headerReply } from '../../../transport/zookeeper/headers.ts'
import { JuteReader } from '../../../transport/zookeeper/jute-reader.ts'
import { JuteWriter } from '../../../transport/zookeeper/jute-writer.ts'
import {
  encodeMultiEnd,
  encodeMultiFailure,
  encodeMultiHeader,
} from '../../../transport/zookeeper/multi.ts'
import { operation } from '../../../transport/zookeeper/operations.ts'
import { checkRequest } from '../../../transport/zookeeper/requests.ts'
import { decodeStat, statBytes } from '../../../transport/zookeeper/stat.ts'
import { eventFrame } from '../../../transport/zookeeper/watcher-event.ts'

const readerOf = (bytes: Uint8Array) => new JuteReader().reset(bytes, 0, bytes.length)
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

function written(write: (writer: JuteWriter) => void): Uint8Array {
  const writer = new JuteWriter(64)
  writer.begin()
  write(writer)
  return writer.finish()
}

// Bytes that ZooKeeper 3.9.5 sent or took.
const recorded = {
  response: '0000002500000000000027101000014ae48000000000010ca3024718f730ba3b87987e7f06b4ca700',
  expired: '0000002500000000000000000000000000000000000000100000000000000000000000000000000000',
  stat:
    '0000000000000069000000000000' +
    '0070000001a207a4bf4b000001a207a4bf59' +
    '0000000100000000000000000100' +
    '0014ae48000e00000000000000000000000000000069',
}

describe('connect records', () => {
  test('the expired response is what a real server sends', () => {
    expect(hex(connectResponse(new JuteWriter(), expiredSession, true))).toBe(recorded.expired)
  })

  test('without the readOnly byte in the request there is none in the response', () => {
    const frame = connectResponse(new JuteWriter(), expiredSession, false)
    expect(frame.length).toBe(40)
    expect(hex(frame.subarray(0, 4))).toBe('00000024')
  })

  test('a response is read again', () => {
    const response = {
      timeoutMillis: 4000,
      session: 0x100_0014_ae48_0000n,
      password: new Uint8Array(16).fill(7),
    }
    const frame = connectResponse(new JuteWriter(), response, true)
    expect(decodeConnectResponse(new JuteReader().reset(frame, 4, frame.length))).toEqual(response)
  })

  test('requests of both lengths are read', () => {
    for (const hasReadOnly of [true, false]) {
      const request = {
        protocolVersion: 0,
        lastZxidSeen: 77,
        timeoutMillis: 10_000,
        session: -5n,
        password: new Uint8Array(16).fill(3),
        readOnly: hasReadOnly,
        hasReadOnly,
      }
      const bytes = written(writer => encodeConnectRequest(writer, request))
      expect(bytes.length).toBe(hasReadOnly ? 45 : 44)
      expect(decodeConnectRequest(readerOf(bytes))).toEqual(request)
    }
  })

  test('half a connect request is malformed', () => {
    expect(() => decodeConnectRequest(readerOf(new Uint8Array(20)))).toThrow(MalformedRecord)
  })
})

describe('replies', () => {
  test('a header alone', () => {
    expect(hex(headerReply(new JuteWriter(), -2, 0x28, -101))).toBe(
      '00000010' + 'fffffffe' + '0000000000000028' + 'ffffff9b',
    )
  })

  test('a notification', () => {
    expect(hex(eventFrame(new JuteWriter(), 3, '/a', 5))).toBe(
      '0000001e' +
        'ffffffff' +
        '0000000000000005' +
        '00000000' +
        '00000003' +
        '00000003' +
        '000000022f61',
    )
    expect(hex(eventFrame(new JuteWriter(), 3, '/a', -1)).slice(16, 32)).toBe('ffffffffffffffff')
  })

  test('a recorded Stat', () => {
    const bytes = Buffer.from(recorded.stat, 'hex')
    expect(bytes.length).toBe(statBytes)
    expect(decodeStat(readerOf(bytes))).toEqual({
      czxid: 0x69,
      mzxid: 0x70,
      ctime: 0x1a207a4bf4b,
      mtime: 0x1a207a4bf59,
      version: 1,
      cversion: 0,
      aversion: 0,
      ephemeralOwner: 0x0100_0014_ae48_000en,
      dataLength: 0,
      numChildren: 0,
      pzxid: 0x69,
    })
  })

  test('a failed multi: zero before, the code, -2 after', () => {
    const result = (code: string) => `ffffffff00${code}${code}`
    expect(hex(written(writer => encodeMultiFailure(writer, 3, 1, -110)))).toBe(
      `${result('00000000') + result('ffffff92') + result('fffffffe')}ffffffff01ffffffff`,
    )
  })

  test('ACLs are read again, null as none', () => {
    const acls = [
      { perms: 31, scheme: 'world', id: 'anyone' },
      { perms: 1, scheme: 'auth', id: '' },
    ]
    expect(decodeAcls(readerOf(written(writer => encodeAcls(writer, acls))))).toEqual(acls)
    expect(decodeAcls(readerOf(Buffer.from('ffffffff', 'hex')))).toEqual([])
  })
})

describe('request bodies', () => {
  const path = (writer: JuteWriter) => writer.string('/a')
  const acl = (writer: JuteWriter) =>
    encodeAcls(writer, [{ perms: 31, scheme: 'world', id: 'anyone' }])
  const bodies: [number, Uint8Array][] = [
    [
      operation.create,
      written(writer => (path(writer), writer.buffer(undefined), acl(writer), writer.int(0))),
    ],
    [
      operation.create2,
      written(writer => (path(writer), path(writer), acl(writer), writer.int(3))),
    ],
    [operation.delete, written(writer => (path(writer), writer.int(-1)))],
    [operation.exists, written(writer => (path(writer), writer.boolean(true)))],
    [operation.getData, written(writer => (path(writer), writer.boolean(true)))],
    [operation.setData, written(writer => (path(writer), path(writer), writer.int(-1)))],
    [operation.getAcl, written(path)],
    [operation.setAcl, written(writer => (path(writer), acl(writer), writer.int(-1)))],
    [operation.getChildren, written(writer => (path(writer), writer.boolean(true)))],
    [operation.getChildren2, written(writer => (path(writer), writer.boolean(false)))],
    [operation.sync, written(path)],
    [
      operation.multi,
      written(writer => {
        encodeMultiHeader(writer, operation.check)
        path(writer)
        writer.int(4)
        encodeMultiHeader(writer, operation.delete)
        path(writer)
        writer.int(4)
        encodeMultiEnd(writer)
      }),
    ],
    [
      operation.setWatches,
      written(
        writer => (writer.long(4), writer.int(1), path(writer), writer.int(-1), writer.int(0)),
      ),
    ],
  ]

  test.each(bodies)('operation %i decodes whole and at no cut', (type, body) => {
    checkRequest(readerOf(body), type)
    for (let end = 0; end < body.length; end += 1) {
      expect(() => checkRequest(readerOf(body.subarray(0, end)), type)).toThrow(MalformedRecord)
    }
  })

  const create = (write: (writer: JuteWriter) => void, flags: number) =>
    written(writer => (write(writer), path(writer), acl(writer), writer.int(flags)))
  const alone = (type: number, record: Uint8Array) =>
    written(writer => {
      encodeMultiHeader(writer, type)
      writer.raw(record, 0, record.length)
      encodeMultiEnd(writer)
    })
  const none = (writer: JuteWriter) => writer.int(-1)
  const nobodysList = written(writer => (path(writer), path(writer), none(writer), writer.int(0)))
  const set = written(writer => (none(writer), path(writer), writer.int(-1)))

  test.each<[string, number, Uint8Array]>([
    ['a create at null with flags that there are not', operation.create, create(none, 9)],
    ['a create with such flags', operation.create, create(path, 9)],
    ['a create with null for a list', operation.create, nobodysList],
    ['a set at null', operation.setData, set],
  ])('%s is judged when it applies, and in a multi malformed', (_name, type, body) => {
    checkRequest(readerOf(body), type)
    const inMulti = readerOf(alone(type, body))
    expect(() => checkRequest(inMulti, operation.multi)).toThrow(MalformedRecord)
  })

  test('a create at null is malformed', () => {
    expect(() => checkRequest(readerOf(create(none, 0)), operation.create)).toThrow(MalformedRecord)
  })

  test('a count below zero is an empty list', () => {
    const record = written(writer => (path(writer), writer.int(-7), writer.int(-1)))
    checkRequest(readerOf(record), operation.setAcl)
    expect(decodeAcls(readerOf(Buffer.from('80000000', 'hex')))).toEqual([])
  })

  test('mutated bodies pass or are malformed, and nothing else', () => {
    const mutation = fc.record({
      body: fc.constantFrom(...bodies),
      at: fc.nat(200),
      byte: fc.integer({ min: 0, max: 255 }),
      cut: fc.nat(200),
    })
    fc.assert(
      fc.property(mutation, ({ body: [type, original], at, byte, cut }) => {
        const bytes = original.slice(0, original.length - (cut % 4))
        if (bytes.length > 0) bytes[at % bytes.length] = byte
        try {
          checkRequest(readerOf(bytes), type)
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedRecord)
        }
      }),
      { numRuns: 2000 },
    )
  })

  test('a null path is malformed, except for sync', () => {
    const body = Buffer.from('ffffffffffffffff', 'hex')
    expect(() => checkRequest(readerOf(body), operation.delete)).toThrow('path is null')
    checkRequest(readerOf(body), operation.sync)
  })

  test('a multi takes writes and checks only', () => {
    const body = written(writer => {
      encodeMultiHeader(writer, operation.getData)
      path(writer)
      writer.boolean(false)
      encodeMultiEnd(writer)
    })
    expect(() => checkRequest(readerOf(body), operation.multi)).toThrow('operation 4 in a multi')
  })
})

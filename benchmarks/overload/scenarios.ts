/** What honest clients may do at once, and what hostile ones do, on the etcd port. */
import net from 'node:net'
import { EtcdCaller, type EtcdStream } from '../../test/actors/gateways/etcd-caller.ts'
import { encode } from '../../test/transport/etcd/messages/schema.ts'
import {
  fieldsFor,
  frame,
  grpcMessage,
  initialWindow,
  settingsFrame,
} from '../../test/transport/etcd/port-kit.ts'
import { HpackEncoder } from '../../transport/etcd/http2/hpack-encoder.ts'
import { flag, frameType, preface } from '../../transport/etcd/http2/protocol.ts'

export interface Scenario {
  readonly name: string
  /** What came of it, in a few words. */
  readonly run: (port: number) => Promise<string>
}

const bytes = (text: string): Buffer => Buffer.from(text)
const all = (prefix: string): object => ({
  key: bytes(prefix),
  range_end: bytes(`${prefix}~`),
  serializable: true,
})
const megabyte = Buffer.alloc(1_000_000, 'v')
export const pause = (millis: number): Promise<void> =>
  new Promise(resolve => setTimeout(resolve, millis))

/** 40 values of 1 MB under `big/`, for the reads. */
export async function prepare(port: number): Promise<void> {
  const caller = new EtcdCaller(port)
  for (let at = 0; at < 40; at += 1)
    await caller.call('Put', { key: bytes(`big/${at}`), value: megabyte })
  await caller.call('Put', { key: bytes('small'), value: bytes('x'.repeat(100)) })
  caller.close()
}

export const scenarios: readonly Scenario[] = [
  { name: '5,000 watch streams of one connection, then a read', run: manyStreams },
  { name: '3,000 watch streams cancelled at once', run: cancelled },
  { name: '4,000 single keep-alives', run: singleKeepAlives },
  { name: '4,000 puts with deadlines of 0.3 ms', run: tinyDeadlines },
  { name: 'two ranges of 40 MB at once', run: twoRanges },
  { name: '120 watch streams and one value of 1 MB', run: oneValueForMany },
  { name: '40 puts of 1.4 MB at once', run: largePuts },
  { name: '15,000 keep-alives on one stream', run: keepAlives },
  { name: '30,000 leases of one client, all renewed', run: manyLeases },
  { name: '20 connections × 60 ranges of 30 MB, window 0, for 30 s', run: deafRanges },
  { name: '20 connections × 10,000 small reads, window 0, for 15 s', run: deafSmallReads },
  { name: '20 connections × 60 writes answered with 30 MB, window 0, for 15 s', run: deafWrites },
]

async function withCaller(port: number, run: (caller: EtcdCaller) => Promise<string>) {
  const caller = new EtcdCaller(port)
  try {
    return await run(caller)
  } finally {
    caller.close()
  }
}

async function openWatches(caller: EtcdCaller, count: number): Promise<EtcdStream[]> {
  const streams = Array.from({ length: count }, () => caller.stream('Watch'))
  for (const stream of streams) stream.send({ create_request: { key: bytes('watched') } })
  await Promise.all(streams.map(stream => stream.next()))
  return streams
}

/** `answered in 12 ms`, or the code and text with which it was refused. */
async function probe(caller: EtcdCaller): Promise<string> {
  const began = performance.now()
  const answer = await Promise.race([caller.call('Range', { key: bytes('small') }), pause(60_000)])
  if (answer === undefined) return 'no answer in 60 s'
  if (Array.isArray(answer)) return `refused: ${answer.join(' ')}`
  return `answered in ${(performance.now() - began).toFixed(0)} ms`
}

function manyStreams(port: number): Promise<string> {
  return withCaller(port, async caller => {
    await openWatches(caller, 5000)
    return `a read on the same connection ${await probe(caller)}`
  })
}

function cancelled(port: number): Promise<string> {
  return withCaller(port, async caller => {
    const [kept, ...rest] = await openWatches(caller, 3001)
    for (const stream of rest) stream.raw.cancel()
    await pause(1000)
    await caller.call('Put', { key: bytes('watched') })
    const event = await Promise.race([kept!.next(), kept!.ended, pause(10_000)])
    const isAlive = event !== undefined && !Array.isArray(event)
    return `another watch of the connection is ${isAlive ? 'alive' : `cut (${event})`}`
  })
}

function singleKeepAlives(port: number): Promise<string> {
  return withCaller(port, async caller => {
    await caller.call('LeaseGrant', { ID: 77, TTL: 600 })
    const [watch] = await openWatches(caller, 1)
    let answered = 0
    const once = async (): Promise<void> => {
      const stream = caller.stream('LeaseKeepAlive')
      stream.send({ ID: 77 })
      const answer = await Promise.race([stream.next(), stream.ended])
      if (!Array.isArray(answer)) answered += 1
      stream.raw.cancel()
    }
    for (let round = 0; round < 40; round += 1)
      await Promise.all(Array.from({ length: 100 }, () => once()))
    return `${answered} answered; a watch of the connection is ${await watchState(caller, watch!)}`
  })
}

function tinyDeadlines(port: number): Promise<string> {
  return withCaller(port, async caller => {
    const [watch] = await openWatches(caller, 1)
    const put = deadPut()
    const encoder = new HpackEncoder()
    const raw = net.connect(port, '127.0.0.1')
    let closed = false
    raw.on('close', () => (closed = true)).on('error', () => {})
    raw.write(Buffer.concat([preface, settingsFrame([])]))
    // As grpc-go does: headers with the time-out, the message for every other, then the reset.
    for (let at = 0; at < 4000; at += 1) {
      const stream = 2 * at + 1
      const head = encoder.encode(fieldsFor('/etcdserverpb.KV/Put', ['grpc-timeout', '300u']), true)
      const parts = [frame(frameType.headers, flag.endHeaders, stream, head)]
      if (at % 2 === 0) parts.push(frame(frameType.data, flag.endStream, stream, put))
      parts.push(frame(frameType.rstStream, 0, stream, Buffer.of(0, 0, 0, 8)))
      raw.write(Buffer.concat(parts))
    }
    await pause(2000)
    const state = closed ? 'closed' : 'open'
    raw.destroy()
    return `their connection is ${state}; a watch beside is ${await watchState(caller, watch!)}`
  })
}

function deadPut(): Buffer {
  return grpcMessage(encode('PutRequest', { key: bytes('late'), value: bytes('x') }))
}

async function watchState(caller: EtcdCaller, watch: EtcdStream): Promise<string> {
  await caller.call('Put', { key: bytes('watched') })
  const event = await Promise.race([watch.next(), watch.ended, pause(10_000)])
  return event !== undefined && !Array.isArray(event) ? 'alive' : 'cut'
}

function twoRanges(port: number): Promise<string> {
  return withCaller(port, async caller => {
    const answers = await Promise.all([1, 2].map(() => caller.call('Range', all('big/'))))
    return answers
      .map(answer => (Array.isArray(answer) ? answer.join(' ') : `${answer.kvs.length} values`))
      .join(', ')
  })
}

function oneValueForMany(port: number): Promise<string> {
  return withCaller(port, async caller => {
    const streams = await openWatches(caller, 120)
    await caller.call('Put', { key: bytes('watched'), value: megabyte })
    const got = await Promise.all(
      streams.map(stream => Promise.race([stream.next(), stream.ended, pause(60_000)])),
    )
    const whole = got.filter(one => one !== undefined && !Array.isArray(one)).length
    return `${whole} of 120 got it`
  })
}

function largePuts(port: number): Promise<string> {
  return withCaller(port, async caller => {
    const value = Buffer.alloc(1_400_000, 'p')
    const puts = Array.from({ length: 40 }, (_, at) =>
      caller.call('Put', { key: bytes(`put/${at}`), value }),
    )
    const answers = await Promise.all(puts)
    const refused = answers.filter(Array.isArray)
    const why = [...new Set(refused.map(answer => answer.join(' ')))].join('; ')
    return `${refused.length} of 40 refused${why === '' ? '' : ` (${why})`}`
  })
}

function keepAlives(port: number): Promise<string> {
  return withCaller(port, async caller => {
    await caller.call('LeaseGrant', { ID: 78, TTL: 600 })
    const began = performance.now()
    const stream = caller.stream('LeaseKeepAlive')
    for (let count = 0; count < 15_000; count += 1) stream.send({ ID: 78 })
    let answered = 0
    for (; answered < 15_000; answered += 1) {
      const answer = await Promise.race([stream.next(), stream.ended])
      if (Array.isArray(answer)) return `${answered} answered, then ${answer.join(' ')}`
    }
    return `all answered in ${(performance.now() - began).toFixed(0)} ms`
  })
}

function manyLeases(port: number): Promise<string> {
  return withCaller(port, async caller => {
    const ids = Array.from({ length: 30_000 }, (_, at) => 1_000_000 + at)
    for (let at = 0; at < ids.length; at += 500)
      await Promise.all(
        ids.slice(at, at + 500).map(ID => caller.call('LeaseGrant', { ID, TTL: 60 })),
      )
    const stream = caller.stream('LeaseKeepAlive')
    const began = performance.now()
    for (const ID of ids) stream.send({ ID })
    let alive = 0
    for (let answered = 0; answered < ids.length; answered += 1) {
      const answer = await Promise.race([stream.next(), stream.ended])
      if (Array.isArray(answer)) return `${answered} answered, then ${answer.join(' ')}`
      if (Number(answer.TTL) > 0) alive += 1
    }
    const millis = performance.now() - began
    for (let at = 0; at < ids.length; at += 500)
      await Promise.all(ids.slice(at, at + 500).map(ID => caller.call('LeaseRevoke', { ID })))
    return `${alive} of 30,000 renewed in ${millis.toFixed(0)} ms`
  })
}

/** A client that grants no window asks so many times; what it does later is nothing. */
function deafClient(port: number, method: string, message: Uint8Array, count: number): net.Socket {
  const encoder = new HpackEncoder()
  const socket = net.connect(port, '127.0.0.1').on('error', () => {})
  socket.write(Buffer.concat([preface, settingsFrame([initialWindow(0)])]))
  socket.resume()
  for (let at = 0; at < count; at += 1) {
    const stream = 2 * at + 1
    const head = encoder.encode(fieldsFor(`/etcdserverpb.KV/${method}`), true)
    socket.write(
      Buffer.concat([
        frame(frameType.headers, flag.endHeaders, stream, head),
        frame(frameType.data, flag.endStream, stream, grpcMessage(message)),
      ]),
    )
  }
  return socket
}

async function deaf(port: number, method: string, request: object, count: number, millis: number) {
  const message = encode(`${method}Request`, request)
  const sockets = Array.from({ length: 20 }, () => deafClient(port, method, message, count))
  await pause(2000)
  const during = await withCaller(port, probe)
  await pause(millis - 2000)
  const late = await withCaller(port, probe)
  for (const socket of sockets) socket.destroy()
  await pause(3000)
  return `a small read of another client is ${during} at first, ${late} at last`
}

function deafRanges(port: number): Promise<string> {
  return deaf(port, 'Range', { ...all('big/'), limit: 30 }, 60, 30_000)
}

function deafSmallReads(port: number): Promise<string> {
  return deaf(port, 'Range', { key: bytes('small'), serializable: true }, 10_000, 15_000)
}

/** Each changes a key and asks in the same transaction for 30 MB. */
function deafWrites(port: number): Promise<string> {
  const read = { request_range: { ...all('big/'), limit: 30 } }
  const write = { request_put: { key: bytes('written'), value: bytes('x') } }
  return deaf(port, 'Txn', { success: [read, write] }, 60, 15_000)
}

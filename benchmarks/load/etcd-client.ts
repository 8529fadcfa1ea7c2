/**
 * An etcd client that only makes load: HTTP/2 frames written by hand, header blocks from the dynamic
 * table after the first call, answers told apart by whether they carried a message.
 */
import { connect, type Socket } from 'node:net'
import {
  type Client,
  type ConnectClient,
  type Endpoint,
  keyName,
  type Recorder,
  type Workload,
} from './workload.ts'

const prefix = 'quorate-bench/'
const windowBytes = 0x7fffffff
const ringSize = 65536
const frameType = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
} as const

export const connectEtcd: ConnectClient = async (endpoint, workload, index, recorder, onRoom) => {
  const socket = await openSocket(endpoint)
  return new EtcdClient(socket, endpoint, workload, index, recorder, onRoom)
}

export async function prepareEtcd(endpoint: Endpoint, workload: Workload): Promise<void> {
  const socket = await openSocket(endpoint)
  let answered = 0
  await new Promise<void>((resolve, reject) => {
    const recorder = {
      answered() {
        answered += 1
        if (answered >= workload.keyCount) resolve()
      },
      failed: (reason: string) => reject(new Error(reason)),
    }
    const put = { ...workload, operation: 'put' as const }
    let sent = 0
    const fill = (client: Client, room: number): void => {
      const count = Math.min(room, workload.keyCount - sent)
      sent += count
      if (count > 0) client.send(count, 0)
    }
    const client = new EtcdClient(socket, endpoint, put, 0, recorder, fill)
    fill(client, 200)
  })
  socket.removeAllListeners()
  socket.destroy()
}

class EtcdClient implements Client {
  readonly #socket: Socket
  readonly #workload: Workload
  readonly #recorder: Recorder
  readonly #starts = new Float64Array(ringSize)
  readonly #hasMessage = new Uint8Array(ringSize)
  readonly #message: Buffer
  readonly #keyAt: number
  readonly #firstHeaders: Buffer
  #rest: Buffer = Buffer.alloc(0)
  #stream = -1
  #key: number
  #received = 0
  #closed = false
  inFlight = 0

  constructor(
    socket: Socket,
    endpoint: Endpoint,
    workload: Workload,
    index: number,
    recorder: Recorder,
    onRoom: (client: Client, room: number) => void,
  ) {
    this.#socket = socket
    this.#workload = workload
    this.#recorder = recorder
    this.#key = Math.floor((index * workload.keyCount) / workload.connections)
    const isPut = workload.operation === 'put'
    this.#firstHeaders = firstHeaderBlock(
      isPut ? '/etcdserverpb.KV/Put' : '/etcdserverpb.KV/Range',
      endpoint,
    )
    this.#message = requestMessage(workload)
    // gRPC prefix, field tag, key length.
    this.#keyAt = 5 + 2 + prefix.length
    const settings = Buffer.from([0, 2, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff])
    const window = Buffer.alloc(4)
    window.writeUInt32BE(windowBytes - 65535)
    socket.write(
      Buffer.concat([
        Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
        frame(frameType.settings, 0, 0, settings),
        frame(frameType.windowUpdate, 0, 0, window),
      ]),
    )
    socket.on('data', chunk => {
      const room = this.#take(chunk)
      if (room > 0 && !this.#closed) onRoom(this, room)
    })
    socket.on('error', error => this.#fail(error.message))
    socket.on('close', () => this.#fail('the server closed the connection'))
  }

  send(count: number, intendedMillis: number): void {
    if (this.#closed) return
    const parts: Buffer[] = []
    for (let sent = 0; sent < count; sent += 1) {
      this.#stream += 2
      const slot = (this.#stream >> 1) & (ringSize - 1)
      this.#starts[slot] = intendedMillis
      this.#hasMessage[slot] = 0
      this.#key = (this.#key + 1) % this.#workload.keyCount
      const message = Buffer.from(this.#message)
      message.write(keyName(this.#key), this.#keyAt, 'latin1')
      const block = this.#stream === 1 ? this.#firstHeaders : laterHeaderBlock
      parts.push(
        frame(frameType.headers, 4, this.#stream, block),
        frame(frameType.data, 1, this.#stream, message),
      )
    }
    this.inFlight += count
    this.#socket.write(Buffer.concat(parts))
  }

  close(): void {
    this.#closed = true
    this.#socket.destroy()
  }

  /** Returns how many calls ended. */
  #take(chunk: Buffer): number {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    let ended = 0
    while (bytes.length - at >= 9) {
      const length = bytes.readUIntBE(at, 3)
      if (bytes.length - at - 9 < length) break
      ended += this.#frame(
        bytes[at + 3] ?? 0,
        bytes[at + 4] ?? 0,
        bytes.readUInt32BE(at + 5),
        bytes.subarray(at + 9, at + 9 + length),
      )
      at += 9 + length
    }
    this.#rest = bytes.subarray(at)
    return ended
  }

  #frame(type: number, flags: number, stream: number, payload: Buffer): number {
    const slot = (stream >> 1) & (ringSize - 1)
    if (type === frameType.data) {
      this.#hasMessage[slot] = 1
      this.#received += payload.length
      if (this.#received > 1 << 29) {
        const update = Buffer.alloc(4)
        update.writeUInt32BE(this.#received)
        this.#received = 0
        this.#socket.write(frame(frameType.windowUpdate, 0, 0, update))
      }
    } else if (type === frameType.settings && (flags & 1) === 0) {
      this.#socket.write(frame(frameType.settings, 1, 0, Buffer.alloc(0)))
    } else if (type === frameType.ping && (flags & 1) === 0) {
      this.#socket.write(frame(frameType.ping, 1, 0, payload))
    } else if (type === frameType.goaway) this.#fail(`GOAWAY ${payload.readUInt32BE(4)}`)
    const isEnd = (type === frameType.headers && (flags & 1) === 1) || type === frameType.reset
    if (!isEnd) return 0
    this.inFlight -= 1
    if (this.#hasMessage[slot] === 1)
      this.#recorder.answered(performance.now() - (this.#starts[slot] ?? 0))
    else this.#recorder.failed(type === frameType.reset ? 'reset' : 'an error status')
    return 1
  }

  #fail(reason: string): void {
    if (this.#closed) return
    this.#closed = true
    this.#recorder.failed(reason)
  }
}

function openSocket(endpoint: Endpoint): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...endpoint, noDelay: true })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.removeAllListeners()
      resolve(socket)
    })
  })
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(9 + payload.length)
  bytes.writeUIntBE(payload.length, 0, 3)
  bytes[3] = type
  bytes[4] = flags
  bytes.writeUInt32BE(stream, 5)
  payload.copy(bytes, 9)
  return bytes
}

/** Path, authority, content type and te go into the dynamic table: 65, 64, 63, 62 from then on. */
function firstHeaderBlock(path: string, endpoint: Endpoint): Buffer {
  const literal = (text: string): Buffer =>
    Buffer.concat([Buffer.from([text.length]), Buffer.from(text)])
  return Buffer.concat([
    Buffer.from([0x83, 0x86, 0x44]),
    literal(path),
    Buffer.from([0x41]),
    literal(`${endpoint.host}:${endpoint.port}`),
    Buffer.from([0x5f]),
    literal('application/grpc'),
    Buffer.from([0x40]),
    literal('te'),
    literal('trailers'),
  ])
}

const laterHeaderBlock = Buffer.from([0x83, 0x86, 0xc1, 0xc0, 0xbf, 0xbe])

/** The gRPC message with a key to be patched: PutRequest or RangeRequest. */
function requestMessage(workload: Workload): Buffer {
  const key = Buffer.from(prefix + keyName(0))
  const parts: Buffer[] = [Buffer.from([0x0a, key.length]), key]
  if (workload.operation === 'put') {
    const tag = Buffer.from([0x12])
    parts.push(
      Buffer.concat([tag, varint(workload.valueBytes), Buffer.alloc(workload.valueBytes, 121)]),
    )
  } else if (workload.operation === 'range') parts.push(Buffer.from([0x38, 1]))
  const body = Buffer.concat(parts)
  const head = Buffer.alloc(5)
  head.writeUInt32BE(body.length, 1)
  return Buffer.concat([head, body])
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  bytes.push(rest)
  return Buffer.from(bytes)
}

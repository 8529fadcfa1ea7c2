/**
 * A ZooKeeper client that only makes load: frames are built once and patched, answers are read into
 * one buffer and counted by their length words and error codes. It shares the machine's cores with the
 * servers, so what it costs weighs on the faster one.
 */
import { connect, type Socket } from 'node:net'
import {
  type Client,
  type ConnectClient,
  type Endpoint,
  keyName,
  type Recorder,
  StartTimes,
  type Workload,
} from './workload.ts'

const sessionTimeoutMillis = 30_000
const base = '/quorate-bench'
/** Where the number of the node stands in a frame: {length, xid, operation, path}. */
const keyNameDigits = keyName(0).length
const keyNameEnd = 16 + base.length + 1 + keyNameDigits
const readBytes = 256 * 1024
const noBytes: Buffer = Buffer.alloc(0)

export const connectZookeeper: ConnectClient = async (
  endpoint,
  workload,
  index,
  recorder,
  onRoom,
) => {
  const input = new Input()
  const socket = await openSession(endpoint, input)
  return new ZookeeperClient(socket, input, workload, index, recorder, onRoom)
}

/** Creates the nodes that the run sets and gets; existing ones are fine. */
export async function prepareZookeeper(endpoint: Endpoint, workload: Workload): Promise<void> {
  const input = new Input()
  const socket = await openSession(endpoint, input)
  const value = Buffer.alloc(workload.valueBytes, 120)
  const paths = [
    base,
    ...Array.from({ length: workload.keyCount }, (_, at) => `${base}/${keyName(at)}`),
  ]
  let next = 0
  let answered = 0
  await new Promise<void>((resolve, reject) => {
    const splitter = new Replies((error: number) => {
      if (error !== 0 && error !== -110) reject(new Error(`create failed with error ${error}`))
      answered += 1
      if (answered === paths.length) resolve()
    })
    const fill = (): void => {
      const frames: Buffer[] = []
      while (next < paths.length && next - answered < 500) {
        frames.push(createFrame(next + 1, paths[next] ?? '', next === 0 ? Buffer.alloc(0) : value))
        next += 1
      }
      if (frames.length > 0) socket.write(Buffer.concat(frames))
    }
    input.onBytes = chunk => {
      splitter.push(chunk)
      fill()
    }
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('the server closed the connection')))
    fill()
  })
  input.onBytes = () => {}
  socket.removeAllListeners()
  socket.end(frame(closeSession))
}

class ZookeeperClient implements Client {
  readonly #socket: Socket
  readonly #workload: Workload
  readonly #recorder: Recorder
  readonly #starts = new StartTimes()
  readonly #input: Input
  readonly #set: Buffer
  readonly #get: Buffer
  #key: number
  #xid = 0
  #closed = false

  constructor(
    socket: Socket,
    input: Input,
    workload: Workload,
    index: number,
    recorder: Recorder,
    onRoom: (client: Client, room: number) => void,
  ) {
    this.#socket = socket
    this.#input = input
    this.#workload = workload
    this.#recorder = recorder
    this.#key = Math.floor((index * workload.keyCount) / workload.connections)
    const path = `${base}/${keyName(0)}`
    this.#set = frame(
      Buffer.concat([
        int(0),
        int(5),
        text(path),
        buffer(Buffer.alloc(workload.valueBytes, 121)),
        int(-1),
      ]),
    )
    this.#get = frame(Buffer.concat([int(0), int(4), text(path), Buffer.from([0])]))
    let room = 0
    const replies = new Replies(error => {
      const started = this.#starts.shift()
      if (error === 0) recorder.answered(performance.now() - started)
      else recorder.failed(`error ${error}`)
      room += 1
    })
    input.onBytes = chunk => {
      room = 0
      replies.push(chunk)
      if (room > 0 && !this.#closed) onRoom(this, room)
    }
    socket.on('error', error => this.#fail(error.message))
    socket.on('close', () => this.#fail('the server closed the connection'))
  }

  get inFlight(): number {
    return this.#starts.count
  }

  send(count: number, intendedMillis: number): void {
    if (this.#closed) return
    if (count === 1 && this.#starts.count === 0 && this.#socket.writableLength === 0) {
      // Nobody holds the frame of the last request any more.
      this.#socket.write(this.#next(intendedMillis))
      return
    }
    const frames = Array.from({ length: count }, () => Buffer.from(this.#next(intendedMillis)))
    this.#socket.write(frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames))
  }

  /** The next request; the same memory serves the one after it. */
  #next(intendedMillis: number): Buffer {
    const { operation, keyCount } = this.#workload
    const isSet = operation === 'set' || (operation === 'mixed' && this.#xid % 10 === 0)
    const request = isSet ? this.#set : this.#get
    this.#xid = this.#xid === 0x7fffffff ? 1 : this.#xid + 1
    request.writeInt32BE(this.#xid, 4)
    this.#key = (this.#key + 1) % keyCount
    let rest = this.#key
    for (let at = keyNameEnd; at > keyNameEnd - keyNameDigits; at -= 1) {
      request[at - 1] = 48 + (rest % 10)
      rest = Math.floor(rest / 10)
    }
    this.#starts.push(intendedMillis)
    return request
  }

  close(): void {
    this.#closed = true
    this.#input.onBytes = () => {}
    this.#socket.end(frame(closeSession))
    setTimeout(() => this.#socket.destroy(), 500)
  }

  #fail(reason: string): void {
    if (this.#closed) return
    this.#closed = true
    this.#recorder.failed(reason)
  }
}

/** Splits reply frames {length, xid, zxid, error, …}; watch events and pings do not count. */
class Replies {
  #rest: Buffer = noBytes
  readonly #onReply: (error: number) => void

  constructor(onReply: (error: number) => void) {
    this.#onReply = onReply
  }

  push(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    while (bytes.length - at >= 4) {
      const length = bytes.readInt32BE(at)
      if (bytes.length - at - 4 < length) break
      if (bytes.readInt32BE(at + 4) >= 0) this.#onReply(bytes.readInt32BE(at + 16))
      at += 4 + length
    }
    // The chunk's memory is read into again.
    this.#rest = at === bytes.length ? noBytes : Buffer.from(bytes.subarray(at))
  }
}

/** Who takes what a socket has read, until its next read. */
class Input {
  onBytes: (chunk: Buffer) => void = () => {}
}

function openSession(endpoint: Endpoint, input: Input): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const onread = {
      buffer: Buffer.alloc(readBytes),
      callback(length: number, bytes: Uint8Array): boolean {
        input.onBytes(Buffer.from(bytes.buffer, bytes.byteOffset, length))
        return true
      },
    }
    const socket = connect({ ...endpoint, noDelay: true, onread })
    const request = Buffer.alloc(45)
    request.writeInt32BE(sessionTimeoutMillis, 12)
    request.writeInt32BE(16, 24)
    socket.on('error', reject)
    socket.on('close', () =>
      reject(new Error(`${endpoint.host}:${endpoint.port} closed the connection`)),
    )
    socket.on('connect', () => socket.write(frame(request)))
    input.onBytes = answer => {
      socket.removeAllListeners()
      if (answer.readInt32BE(8) <= 0) reject(new Error('the server granted no session'))
      else resolve(socket)
    }
  })
}

const closeSession = Buffer.concat([int(0x7fffffff), int(-11)])

function createFrame(xid: number, path: string, data: Buffer): Buffer {
  const acl = Buffer.concat([int(1), int(31), text('world'), text('anyone')])
  return frame(Buffer.concat([int(xid), int(1), text(path), buffer(data), acl, int(0)]))
}

function frame(body: Buffer): Buffer {
  return Buffer.concat([int(body.length), body])
}

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function buffer(data: Buffer): Buffer {
  return Buffer.concat([int(data.length), data])
}

function text(value: string): Buffer {
  return buffer(Buffer.from(value))
}

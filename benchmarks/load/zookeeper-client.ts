/**
 * A ZooKeeper client that only makes load: frames are built once and patched, answers are counted
 * by their length words and error codes. Its own CPU is small beside that of any server.
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

export const connectZookeeper: ConnectClient = async (
  endpoint,
  workload,
  index,
  recorder,
  onRoom,
) => {
  const socket = await openSession(endpoint)
  return new ZookeeperClient(socket, workload, index, recorder, onRoom)
}

/** Creates the nodes that the run sets and gets; existing ones are fine. */
export async function prepareZookeeper(endpoint: Endpoint, workload: Workload): Promise<void> {
  const socket = await openSession(endpoint)
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
    socket.on('data', chunk => {
      splitter.push(chunk)
      fill()
    })
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('the server closed the connection')))
    fill()
  })
  socket.removeAllListeners()
  socket.end(frame(closeSession))
}

class ZookeeperClient implements Client {
  readonly #socket: Socket
  readonly #workload: Workload
  readonly #recorder: Recorder
  readonly #starts = new StartTimes()
  readonly #set: Buffer
  readonly #get: Buffer
  #key: number
  #xid = 0
  #closed = false

  constructor(
    socket: Socket,
    workload: Workload,
    index: number,
    recorder: Recorder,
    onRoom: (client: Client, room: number) => void,
  ) {
    this.#socket = socket
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
    socket.on('data', chunk => {
      room = 0
      replies.push(chunk)
      if (room > 0 && !this.#closed) onRoom(this, room)
    })
    socket.on('error', error => this.#fail(error.message))
    socket.on('close', () => this.#fail('the server closed the connection'))
  }

  get inFlight(): number {
    return this.#starts.count
  }

  send(count: number, intendedMillis: number): void {
    if (this.#closed) return
    const parts: Buffer[] = []
    for (let sent = 0; sent < count; sent += 1) {
      const isSet =
        this.#workload.operation === 'set' ||
        (this.#workload.operation === 'mixed' && this.#xid % 10 === 0)
      const template = isSet ? this.#set : this.#get
      const request = Buffer.from(template)
      this.#xid = this.#xid === 0x7fffffff ? 1 : this.#xid + 1
      request.writeInt32BE(this.#xid, 4)
      this.#key = (this.#key + 1) % this.#workload.keyCount
      request.write(keyName(this.#key), 16 + base.length + 1, 'latin1')
      parts.push(request)
      this.#starts.push(intendedMillis)
    }
    this.#socket.write(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts))
  }

  close(): void {
    this.#closed = true
    this.#socket.removeAllListeners('data')
    this.#socket.end(frame(closeSession))
    this.#socket.on('data', () => {})
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
  #rest: Buffer = Buffer.alloc(0)
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
    this.#rest = bytes.subarray(at)
  }
}

function openSession(endpoint: Endpoint): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...endpoint, noDelay: true })
    const request = Buffer.alloc(45)
    request.writeInt32BE(sessionTimeoutMillis, 12)
    request.writeInt32BE(16, 24)
    socket.on('error', reject)
    socket.on('close', () =>
      reject(new Error(`${endpoint.host}:${endpoint.port} closed the connection`)),
    )
    socket.on('connect', () => socket.write(frame(request)))
    socket.once('data', answer => {
      socket.removeAllListeners()
      if (answer.readInt32BE(8) <= 0) reject(new Error('the server granted no session'))
      else resolve(socket)
    })
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

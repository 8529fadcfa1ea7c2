/**
 * A small etcd client for tests, on grpc-js: unary calls with messages encoded by hand from the
 * protocol, moving to the next endpoint when one is unavailable.
 */
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import type { Endpoint } from './zookeeper-session.ts'

export interface KeyValue {
  readonly key: string
  readonly value: string
  readonly createRevision: number
  readonly modRevision: number
  readonly version: number
}

const deadlineMillis = 15_000

export class EtcdClient {
  readonly #endpoints: readonly Endpoint[]
  #at: number
  #client: Client
  #closed = false
  /** Calls that ended with an error of the connection. */
  failures = 0

  constructor(endpoints: readonly Endpoint[], first: number) {
    this.#endpoints = endpoints
    this.#at = first
    this.#client = this.#dial()
  }

  /** The endpoint that is used now, as an index. */
  get at(): number {
    return this.#at % this.#endpoints.length
  }

  /** Creates the key unless it exists; true when this call did. */
  async create(key: string, value: string): Promise<boolean> {
    const compare = message([
      [1, 0],
      [2, 1],
      [3, key],
      [5, 0],
    ])
    const put = message([
      [
        2,
        message([
          [1, key],
          [2, value],
        ]),
      ],
    ])
    const get = message([[1, message([[1, key]])]])
    const answer = await this.call(
      '/etcdserverpb.KV/Txn',
      message([
        [1, compare],
        [2, put],
        [3, get],
      ]),
    )
    return fields(answer).some(([number, part]) => number === 2 && part === 1)
  }

  async put(key: string, value: string): Promise<void> {
    await this.call(
      '/etcdserverpb.KV/Put',
      message([
        [1, key],
        [2, value],
      ]),
    )
  }

  async delete(key: string): Promise<void> {
    await this.call('/etcdserverpb.KV/DeleteRange', message([[1, key]]))
  }

  /** All keys with this prefix; serializable answers come from this very node. */
  async list(prefix: string, serializable: boolean): Promise<KeyValue[]> {
    const end = prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)
    const request = message([
      [1, prefix],
      [2, end],
      [7, serializable ? 1 : 0],
    ])
    const answer = await this.call('/etcdserverpb.KV/Range', request)
    return fields(answer)
      .filter(([number]) => number === 2)
      .map(([, part]) => keyValue(part as Buffer))
  }

  /** Moves on and tries again while the endpoint is unavailable. @throws ServiceError | Error once closed */
  async call(path: string, request: Buffer): Promise<Buffer> {
    for (;;) {
      // Who writes on would write to whatever cluster comes next on these ports.
      if (this.#closed) throw new Error('the client is closed')
      try {
        return await this.#once(path, request)
      } catch (error) {
        if ((error as ServiceError).code !== status.UNAVAILABLE) throw error
        this.failures += 1
        this.#client.close()
        this.#at += 1
        this.#client = this.#dial()
        await new Promise(resolve => setTimeout(resolve, 20))
      }
    }
  }

  close(): void {
    this.#closed = true
    this.#client.close()
  }

  #once(path: string, request: Buffer): Promise<Buffer> {
    const same = (bytes: Buffer): Buffer => bytes
    return new Promise((resolve, reject) => {
      const options = { deadline: new Date(Date.now() + deadlineMillis) }
      this.#client.makeUnaryRequest(
        path,
        same,
        same,
        request,
        new Metadata(),
        options,
        (error, answer) => {
          if (error !== null) reject(error)
          else resolve(answer as Buffer)
        },
      )
    })
  }

  #dial(): Client {
    const endpoint = this.#endpoints[this.at]
    if (endpoint === undefined) throw new Error('no endpoints')
    const options = {
      'grpc.initial_reconnect_backoff_ms': 20,
      'grpc.max_receive_message_length': -1,
    }
    return new Client(`${endpoint.host}:${endpoint.port}`, credentials.createInsecure(), options)
  }
}

/** A protobuf message of varints, strings and nested messages. */
function message(parts: readonly (readonly [number, number | string | Buffer])[]): Buffer {
  return Buffer.concat(
    parts.map(([number, value]) => {
      if (typeof value === 'number') return Buffer.concat([varint(number * 8), varint(value)])
      const bytes = typeof value === 'string' ? Buffer.from(value) : value
      return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes])
    }),
  )
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80)
  bytes.push(rest)
  return Buffer.from(bytes)
}

function fields(bytes: Buffer): [number, number | Buffer][] {
  const found: [number, number | Buffer][] = []
  let at = 0
  const next = (): number => {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++] ?? 0
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
  }
  while (at < bytes.length) {
    const tag = next()
    const number = Math.floor(tag / 8)
    if (tag % 8 === 0) found.push([number, next()])
    else {
      const length = next()
      found.push([number, bytes.subarray(at, at + length)])
      at += length
    }
  }
  return found
}

function keyValue(bytes: Buffer): KeyValue {
  const parts = new Map(fields(bytes))
  return {
    key: String(parts.get(1) ?? ''),
    createRevision: Number(parts.get(2) ?? 0),
    modRevision: Number(parts.get(3) ?? 0),
    version: Number(parts.get(4) ?? 0),
    value: String(parts.get(5) ?? ''),
  }
}

/** A real gRPC client (grpc-js) that speaks the etcd messages of test/transport/etcd/messages. */
import {
  type CallOptions,
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js'
import { type Decoded, decode, encode } from '../../transport/etcd/messages/schema.ts'

const asIs = (bytes: Buffer): Buffer => bytes
const services: Record<string, readonly string[]> = {
  'etcdserverpb.KV': ['Range', 'Put', 'DeleteRange', 'Txn', 'Compact'],
  'etcdserverpb.Lease': [
    'LeaseGrant',
    'LeaseRevoke',
    'LeaseTimeToLive',
    'LeaseLeases',
    'LeaseKeepAlive',
  ],
  'etcdserverpb.Watch': ['Watch'],
  'etcdserverpb.Cluster': ['MemberList'],
  'etcdserverpb.Maintenance': ['Status', 'Alarm'],
  'etcdserverpb.Auth': ['Authenticate', 'AuthStatus'],
}

export class EtcdCaller {
  readonly #client: Client

  constructor(port: number) {
    this.#client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      // Callers of one port have a connection each.
      'grpc.use_local_subchannel_pool': 1,
    })
  }

  /** The decoded response, or `[code, text]`. */
  call(method: string, request: object, metadata = new Metadata()): Promise<Decoded> {
    const type = method === 'Compact' ? 'Compaction' : method
    const message = encode(`${type}Request`, request)
    return this.callBytes(pathOf(method), message, metadata).then(answer =>
      Array.isArray(answer) ? answer : decode(`${type}Response`, answer),
    )
  }

  callBytes(
    path: string,
    message: Uint8Array,
    metadata = new Metadata(),
    options: CallOptions = {},
  ): Promise<Buffer | [number, string]> {
    return new Promise(resolve => {
      this.#client.makeUnaryRequest(
        path,
        asIs,
        asIs,
        Buffer.from(message),
        metadata,
        options,
        (error, value) =>
          resolve(error === null ? (value ?? Buffer.alloc(0)) : [error.code, error.details]),
      )
    })
  }

  stream(method: string, metadata = new Metadata()): EtcdStream {
    const stream = this.#client.makeBidiStreamRequest(pathOf(method), asIs, asIs, metadata)
    return new EtcdStream(stream, method)
  }

  close(): void {
    this.#client.close()
  }
}

export class EtcdStream {
  readonly raw: ClientDuplexStream<Buffer, Buffer>
  /** Resolves with `[code, text]` when the server ends the stream. */
  readonly ended: Promise<[number, string]>
  readonly #type: string
  readonly #received: Decoded[] = []
  #waiting: ((message: Decoded) => void)[] = []

  constructor(raw: ClientDuplexStream<Buffer, Buffer>, method: string) {
    this.raw = raw
    this.#type = method
    raw.on('data', (bytes: Buffer) => this.#take(decode(`${method}Response`, bytes)))
    this.ended = new Promise(resolve => {
      raw.on('error', (error: ServiceError) => resolve([error.code, error.details]))
      raw.on('end', () => resolve([0, '']))
    })
  }

  send(request: object): void {
    this.raw.write(Buffer.from(encode(`${this.#type}Request`, request)))
  }

  next(): Promise<Decoded> {
    const message = this.#received.shift()
    if (message !== undefined) return Promise.resolve(message)
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  /** What has come and was not asked for. */
  get waitingCount(): number {
    return this.#received.length
  }

  #take(message: Decoded): void {
    const waiting = this.#waiting.shift()
    if (waiting === undefined) this.#received.push(message)
    else waiting(message)
  }
}

function pathOf(method: string): string {
  const found = Object.entries(services).find(([, methods]) => methods.includes(method))
  return `/${found?.[0]}/${method}`
}

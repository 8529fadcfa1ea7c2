/** Requests that cost very much, each by its name, as bytes for a door. */
import { Client, credentials } from '@grpc/grpc-js'
import { ZookeeperSession } from '../../test/support/zookeeper-session.ts'
import type { Endpoint } from '../load/workload.ts'

export interface Expensive {
  readonly name: string
  run(): Promise<void>
}

const everything = Buffer.from([0])
const callMillisMax = 120_000
/** Each over all keys: a client may send 128, which real etcd takes minutes for. */
const comparesOfTxn = 4

export function etcdCaller(endpoint: Endpoint): (path: string, body: Buffer) => Promise<Buffer> {
  const options = { 'grpc.max_receive_message_length': -1, 'grpc.use_local_subchannel_pool': 1 }
  const client = new Client(
    `${endpoint.host}:${endpoint.port}`,
    credentials.createInsecure(),
    options,
  )
  const same = (bytes: Buffer): Buffer => bytes
  return (path, body) =>
    new Promise((resolve, reject) => {
      const deadline = Date.now() + callMillisMax
      const answered = (error: Error | null, answer?: Buffer): void =>
        error === null && answer !== undefined ? resolve(answer) : reject(error)
      client.makeUnaryRequest(`/etcdserverpb.KV/${path}`, same, same, body, { deadline }, answered)
    })
}

export function etcdRequests(endpoint: Endpoint, revision: number): Expensive[] {
  const call = etcdCaller(endpoint)
  const range = (...fields: Field[]): Buffer =>
    message([1, everything], [2, everything], [7, 1], ...fields)
  const compare = message([1, 1], [2, 0], [3, everything], [64, everything])
  const txn = Buffer.concat(Array.from({ length: comparesOfTxn }, () => message([1, compare])))
  const of = (name: string, path: string, body: Buffer): Expensive => ({
    name,
    run: async () => void (await call(path, body)),
  })
  return [
    of('all keys, keys only', 'Range', range([8, 1])),
    of('limit 1 beside a tombstone', 'Range', range([3, 1])),
    of('limit 1, sorted by revision', 'Range', range([3, 1], [5, 2], [6, 3])),
    of('count at an old revision', 'Range', range([4, revision], [9, 1])),
    of(`txn of ${comparesOfTxn} compares over all keys`, 'Txn', txn),
  ]
}

export function zookeeperRequests(endpoint: Endpoint, path: string): Expensive[] {
  const session = new ZookeeperSession([endpoint], 0, 30_000)
  const text = Buffer.from(path)
  const body = Buffer.concat([Buffer.from([0, 0, 0, text.length]), text, Buffer.from([0])])
  const run = async (): Promise<void> => void (await session.request(8, body))
  return [{ name: 'list of all children', run }]
}

type Field = readonly [number: number, value: number | Uint8Array]

/** Protobuf: numbers as varints, bytes with their length. */
export function message(...fields: readonly Field[]): Buffer {
  const bytes: number[] = []
  for (const [number, value] of fields) {
    varint(bytes, number * 8 + (typeof value === 'number' ? 0 : 2))
    if (typeof value === 'number') varint(bytes, value)
    else {
      varint(bytes, value.length)
      bytes.push(...value)
    }
  }
  return Buffer.from(bytes)
}

function varint(bytes: number[], value: number): void {
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  bytes.push(rest)
}

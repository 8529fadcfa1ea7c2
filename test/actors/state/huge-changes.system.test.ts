/**
 * Each actor on a thread of its own, where all that is told crosses links: a client that deletes very
 * much at once, watched, gets all of it, and so does everybody who watches; no node stops.
 */
import { Client, type ClientDuplexStream, credentials } from '@grpc/grpc-js'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { EtcdClient } from '../../support/etcd-client.ts'
import { LocalCluster, sleep } from '../../support/local-cluster.ts'
import { type Decoded, decode, encode } from '../../transport/etcd/messages/schema.ts'

const cluster = new LocalCluster({
  nodeCount: 1,
  portBase: 21_700,
  config: { placement: 'spread', journal: { fsync: 'never' } },
})
const valueBytes = 1_200_000
/** Together more than an envelope between nodes may have. */
const keyCount = 60
const range = { key: Buffer.from('big/'), range_end: Buffer.from('big0') }
const same = (bytes: Buffer): Buffer => bytes

class Watching {
  readonly responses: Decoded[] = []
  readonly #client: Client
  readonly #call: ClientDuplexStream<Buffer, Buffer>

  constructor(create: object) {
    const { host, port } = cluster.etcd(1)
    const options = { 'grpc.max_receive_message_length': -1, 'grpc.use_local_subchannel_pool': 1 }
    this.#client = new Client(`${host}:${port}`, credentials.createInsecure(), options)
    this.#call = this.#client.makeBidiStreamRequest('/etcdserverpb.Watch/Watch', same, same)
    this.#call.on('data', (bytes: Buffer) => this.responses.push(decode('WatchResponse', bytes)))
    this.#call.on('error', () => {})
    const create_request = { ...range, prev_kv: true, ...create }
    this.#call.write(Buffer.from(encode('WatchRequest', { create_request })))
  }

  async deletions(): Promise<Decoded[]> {
    for (;;) {
      const found = this.responses.filter(({ events }) => events?.[0]?.type === 1)
      const count = found.reduce((sum, { events }) => sum + events.length, 0)
      if (count >= keyCount) return found
      await sleep(20)
    }
  }

  async created(): Promise<this> {
    while (this.responses.length === 0) await sleep(10)
    return this
  }

  close(): void {
    this.#call.cancel()
    this.#client.close()
  }
}

beforeAll(() => cluster.startAll())
afterAll(() => cluster.stop())

test('what is deleted at once may be longer than an envelope', async () => {
  const client = new EtcdClient([cluster.etcd(1)], 0)
  const value = Buffer.alloc(valueBytes, 'v')
  for (let at = 0; at < keyCount; at += 1) {
    const key = Buffer.from(`big/${String(at).padStart(2, '0')}`)
    await client.call('/etcdserverpb.KV/Put', Buffer.from(encode('PutRequest', { key, value })))
  }
  const whole = await new Watching({}).created()
  const parts = await new Watching({ fragment: true }).created()

  const read = await client.call(
    '/etcdserverpb.KV/Range',
    Buffer.from(encode('RangeRequest', { ...range, serializable: true })),
  )
  expect(decode('RangeResponse', read).kvs).toHaveLength(keyCount)
  const answer = await client.call(
    '/etcdserverpb.KV/DeleteRange',
    Buffer.from(encode('DeleteRangeRequest', { ...range, prev_kv: true })),
  )
  expect(decode('DeleteRangeResponse', answer).prev_kvs).toHaveLength(keyCount)

  const [once, ...others] = await whole.deletions()
  expect(others).toEqual([])
  expect(keysOf([once])).toEqual(keysOf(await parts.deletions()))
  const fragments = (await parts.deletions()).map(({ fragment }) => fragment === true)
  expect(fragments.length).toBeGreaterThan(keyCount / 4)
  expect(fragments).toEqual(fragments.map((_, at) => at < fragments.length - 1))

  // A watch that begins in the past gets the same from history.
  const late = new Watching({ start_revision: Number(once.header.revision) })
  expect(keysOf(await late.deletions())).toEqual(keysOf([once]))
  for (const watching of [whole, parts, late]) watching.close()
  client.close()
  expect((await cluster.status(1)).consensus.role).toBe('leader')
})

function keysOf(responses: readonly Decoded[]): string[] {
  return responses.flatMap(({ events }) =>
    events.map(({ kv, prev_kv }: Decoded) => `${kv.key} ${prev_kv.value.length}`),
  )
}

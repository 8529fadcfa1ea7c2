/** Many watches on a few streams while keys change: what each watch is told, and in what order. */
import { sleep } from '../../support/local-cluster.ts'
import type { EtcdStream } from '../../actors/gateways/etcd-caller.ts'
import type { Decoded } from '../../transport/etcd/messages/schema.ts'
import { type Pair, plain, show } from './pair.ts'
import type { Requests } from './requests.ts'

const streamCount = 3
/** Longer than etcd takes to find a watch that is behind. */
const settleMillis = 400
const expirySeconds = 6

/** One stream to both servers. */
class Twin {
  readonly #streams: [EtcdStream, EtcdStream]
  readonly #pair: Pair
  readonly #name: string
  requested: string[] = []

  constructor(pair: Pair, name: string) {
    this.#pair = pair
    this.#name = name
    this.#streams = pair.streams('Watch')
  }

  send(request: object): void {
    this.requested.push(show(request))
    for (const stream of this.#streams) stream.send(request)
  }

  async compare(): Promise<void> {
    const [own, other] = await Promise.all(this.#streams.map(received))
    this.#pair.compare(`${this.#name} after ${this.requested.join(' ')}`, own, other)
    this.requested = []
  }

  /** Of long messages: how they were split. */
  async compareLengths(): Promise<void> {
    const lengths = (message: Decoded) => [
      message.watch_id ?? '0',
      message.fragment === true,
      (message.events ?? []).map(({ type, kv, prev_kv }: Decoded) => [
        type,
        kv.value?.length,
        prev_kv?.value?.length,
      ]),
    ]
    const [own, other] = await Promise.all(
      this.#streams.map(async stream => (await all(stream)).map(lengths).sort(byWatch)),
    )
    this.#pair.compare(this.#name, own, other)
  }

  end(): void {
    for (const stream of this.#streams) stream.raw.cancel()
  }
}

export async function compareWatches(
  pair: Pair,
  requests: Requests,
  rounds: number,
): Promise<void> {
  let twins: Twin[] = []
  for (let round = 0; round < rounds; round += 1) {
    if (round % 10 === 0) {
      for (const twin of twins) twin.end()
      twins = Array.from({ length: streamCount }, (_, at) => new Twin(pair, `watch stream ${at}`))
    }
    await change(pair, requests, 4)
    for (const twin of twins) twin.send(nextRequest(requests))
    // A stream and a call are not in order with each other.
    await sleep(settleMillis)
    await change(pair, requests, 8)
    await sleep(settleMillis)
    for (const twin of twins) twin.send({ progress_request: {} })
    await sleep(settleMillis)
    for (const twin of twins) await twin.compare()
  }
  for (const twin of twins) twin.end()
}

/** Answers too long for one message, in fragments where the client asked for them; the end of a lease. */
export async function compareWatchCases(pair: Pair): Promise<void> {
  const twin = new Twin(pair, 'watch of large values')
  const everything = { key: Buffer.of(0), range_end: Buffer.of(0), prev_kv: true }
  twin.send({ create_request: everything })
  twin.send({ create_request: { ...everything, fragment: true } })
  twin.send({ create_request: { ...everything, filters: [0], fragment: true, watch_id: '-9' } })
  await sleep(settleMillis)
  for (const key of ['large/1', 'large/2', 'large/3']) {
    await pair.call('Put', { key: Buffer.from(key), value: Buffer.alloc(1_400_000, key) })
  }
  await pair.call('DeleteRange', { key: Buffer.from('large/'), range_end: Buffer.from('large0') })
  await sleep(2 * settleMillis)
  await twin.compareLengths()
  await compareRemade(pair)
  await pair.call('LeaseGrant', { TTL: 1, ID: 21 })
  for (const key of ['leased/2', 'leased/1'])
    await pair.call('Put', { key: Buffer.from(key), lease: 21 })
  await sleep(expirySeconds * 1000)
  await twin.compare()
  twin.send({ cancel_request: { watch_id: '-9' } })
  twin.send({ create_request: { ...everything, start_revision: pair.revision + 4 } })
  await change(pair, 6)
  await sleep(settleMillis)
  await twin.compare()
  twin.end()

  async function change(pair: Pair, count: number): Promise<void> {
    for (let at = 0; at < count; at += 1) await pair.call('Put', { key: Buffer.from('a') })
  }
}

/** Keys that are deleted and put in one transaction, with what was before: as it happens, and from the past. */
async function compareRemade(pair: Pair): Promise<void> {
  const from = pair.revision + 1
  const key = Buffer.from('remade')
  const put = (value: string) => ({ request_put: { key, value: Buffer.from(value) } })
  const everything = { key: Buffer.of(0), range_end: Buffer.of(0) }
  const remove = { request_delete_range: everything }
  const live = new Twin(pair, 'watch of a key that is made anew')
  live.send({ create_request: { ...everything, prev_kv: true } })
  await sleep(settleMillis)
  await pair.call('Txn', { success: [put('1')] })
  await pair.call('Txn', { success: [remove, put('2')] })
  await pair.call('Txn', { success: [put('3'), remove] })
  await pair.call('Txn', { success: [put('4'), remove] })
  await sleep(settleMillis)
  await live.compare()
  const late = new Twin(pair, 'watch of its past')
  late.send({ create_request: { ...everything, prev_kv: true, start_revision: from } })
  await sleep(settleMillis)
  await late.compare()
  live.end()
  late.end()
}

function nextRequest(requests: Requests): object {
  const kind = requests.pick(['create', 'create', 'create', 'create', 'cancel', 'none'])
  if (kind === 'create') return { create_request: requests.watch() }
  if (kind === 'cancel')
    return { cancel_request: { watch_id: requests.pick([0, 1, 2, 3, 4, 5, 7, 99]) } }
  return {}
}

async function change(pair: Pair, requests: Requests, count: number): Promise<void> {
  for (let done = 0; done < count; done += 1) {
    requests.revision = pair.revision
    const kind = requests.pick(['Put', 'Put', 'Put', 'DeleteRange', 'Txn', 'Txn', 'Compact'])
    if (kind === 'Put') await pair.call('Put', requests.put())
    else if (kind === 'DeleteRange') await pair.call('DeleteRange', requests.deleteRange())
    else if (kind === 'Txn') await pair.call('Txn', requests.txn(2))
    else if (requests.pick([0, 0, 0, 1]) === 1) {
      const revision = pair.revision - requests.pick([0, 3, 8, 20])
      const answer = await pair.call('Compact', { revision })
      if (!Array.isArray(answer)) requests.compacted = revision
    }
  }
}

/**
 * What has come: control messages in order, and the events of each watch in order, however they were
 * batched. A stream of which a watch was compacted away never hears of progress again from etcd.
 */
async function received(stream: EtcdStream): Promise<object> {
  const controls: string[] = []
  const events: Record<string, string[]> = {}
  for (const message of await all(stream)) {
    const id = message.watch_id ?? '0'
    if (message.compact_revision !== undefined) compacted.add(stream)
    if (message.events === undefined) {
      if (id !== '-1' || message.created || !compacted.has(stream))
        controls.push(show(plain(message)))
      continue
    }
    events[id] ??= []
    for (const event of message.events) events[id].push(show(event))
  }
  return { controls, events }
}

async function all(stream: EtcdStream): Promise<Decoded[]> {
  const messages: Decoded[] = []
  while (stream.waitingCount > 0) messages.push(await stream.next())
  return messages
}

function byWatch(left: Decoded, right: Decoded): number {
  return Number(left[0]) - Number(right[0])
}

const compacted = new WeakSet<EtcdStream>()

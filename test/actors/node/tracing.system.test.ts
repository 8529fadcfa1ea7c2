/**
 * One client request is one trace through all nodes: what each span is, whose child, and where it was
 * made. Three real nodes send their spans to a receiver.
 */
import { Client, credentials, Metadata } from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { spanNames } from '../../../runtime/span-names.ts'
import { quorateVersion } from '../../../actors/node/version.ts'
import { LocalCluster } from '../../support/local-cluster.ts'
import { type ReceivedSpan, TraceReceiver } from '../../support/trace-receiver.ts'
import { ZookeeperSession } from '../../support/zookeeper-session.ts'

const receiver = new TraceReceiver()
let cluster: LocalCluster
let leader = 0
let [follower, other] = [0, 0]

beforeAll(async () => {
  const endpoint = await receiver.start()
  // The ratio is 1 for roots made here; a client that has sampled is followed whatever it is.
  const config = { tracing: { exporter: 'otlp', endpoint, ratio: 1 } }
  cluster = new LocalCluster({ portBase: 19_000, config })
  await cluster.startAll()
  leader = await cluster.leader()
  ;[follower, other] = cluster.nodes.filter(node => node !== leader) as [number, number]
})

afterAll(async () => {
  await cluster.stop()
  receiver.stop()
})

describe('an etcd put with a traceparent, sent to a follower', () => {
  const traceId = '0af7651916cd43dd8448eb211c80319c'
  const clientSpan = 'b7ad6b7169203331'
  let spans: ReceivedSpan[]

  beforeAll(async () => {
    await put('traced', 'value', `00-${traceId}-${clientSpan}-01`)
    spans = await receiver.trace(() => traceId, isWhole)
  })

  test('is one trace with each span where it belongs', () => {
    const nodes = (name: string): unknown[] => nodesOf(spans, name)
    expect(nodes(putName)).toEqual([`node${follower}`])
    expect(nodes(spanNames.proposal)).toEqual([`node${follower}`])
    expect(nodes(spanNames.replicate)).toEqual([`node${leader}`])
    expect(nodes(spanNames.followerAppend)).toEqual(sorted([follower, other]))
    expect(nodes(spanNames.journalWrite)).toEqual(sorted(cluster.nodes))
    expect(nodes(spanNames.apply)).toEqual(sorted(cluster.nodes))
    expect(nodes(spanNames.reply)).toEqual([`node${follower}`])
    expect(spans).toHaveLength(12)
  })

  test('has the right parents', () => {
    const request = only(spans, putName)
    const proposal = only(spans, spanNames.proposal)
    expect(request.parentSpanId).toBe(clientSpan)
    expect(proposal.parentSpanId).toBe(request.spanId)
    expect(only(spans, spanNames.reply).parentSpanId).toBe(request.spanId)
    expectLogUnder(spans, proposal)
  })

  test('its root says by the common names what was asked, by whom, and how it ended', () => {
    const request = only(spans, putName)
    expect(request.kind).toBe(server)
    expect(request.attributes).toMatchObject({
      'rpc.system': 'grpc',
      'rpc.service': 'etcdserverpb.KV',
      'rpc.method': 'Put',
      'rpc.grpc.status_code': 0,
      'client.address': '127.0.0.1',
      'network.peer.address': '127.0.0.1',
    })
    expect(request.attributes['network.peer.port']).toBeGreaterThan(1023)
    expect(request.resource).toMatchObject({
      'service.name': 'quorate',
      'service.namespace': 'test-19000',
      'service.instance.id': `node${follower}`,
      'service.version': quorateVersion,
    })
  })

  test('no span of a node begins before its parent there, and reads go into fractions', () => {
    expectWithinParents(spans)
    expect(spans.some(span => BigInt(span.startTimeUnixNano) % 1_000_000n !== 0n)).toBe(true)
  })

  test('each journal write is linked to the batch of its node, and the batch to it', () => {
    expectLinkedBatches(spans)
  })
})

describe('a ZooKeeper set with a watch pending on another node', () => {
  let spans: ReceivedSpan[]
  let writer: ZookeeperSession
  let watcher: ZookeeperSession

  beforeAll(async () => {
    writer = new ZookeeperSession([cluster.zookeeper(leader)], 0, 10_000)
    watcher = new ZookeeperSession([cluster.zookeeper(other)], 0, 10_000)
    await writer.create('/watched', Buffer.from('before'))
    await watcher.sync('/watched')
    await watcher.get('/watched', true)
    await writer.set('/watched', Buffer.from('after'))
    const traceId = (): string | undefined => receiver.spans.find(isSetData)?.traceId
    spans = await receiver.trace(
      traceId,
      found => isWhole(found) && named(found, spanNames.watchEvent).length === 1,
    )
  })

  afterAll(async () => {
    await writer.close()
    await watcher.close()
  })

  test('is one trace through all nodes', () => {
    expect(nodesOf(spans, setDataName)).toEqual([`node${leader}`])
    expect(only(spans, setDataName).parentSpanId).toBe('')
    expect(only(spans, setDataName).attributes).toMatchObject({
      'rpc.system': 'zookeeper',
      'rpc.method': 'setData',
      'rpc.response.status_code': '0',
      'client.address': '127.0.0.1',
    })
    expectLogUnder(spans, only(spans, spanNames.proposal))
    expectWithinParents(spans)
    expect(nodesOf(spans, spanNames.journalWrite)).toEqual(sorted(cluster.nodes))
    expect(nodesOf(spans, spanNames.apply)).toEqual(sorted(cluster.nodes))
    expect(spans).toHaveLength(13)
    expectNoParentIsMissing(spans)
    expectLinkedBatches(spans)
  })

  test('the notification belongs to the apply on the node of the watch', () => {
    const event = only(spans, spanNames.watchEvent)
    const apply = named(spans, spanNames.apply).find(
      span => span.resource['node'] === `node${other}`,
    )
    expect(event.resource['node']).toBe(`node${other}`)
    expect(event.parentSpanId).toBe(apply?.spanId)
    expect(event.attributes).toMatchObject({ changed: '/watched', notifications: 1 })
  })

  test('a read is a trace of one node', () => {
    const read = receiver.spans.find(span => span.name === 'zookeeper getData')
    const trace = receiver.spans.filter(span => span.traceId === read?.traceId)
    expect(trace.map(span => span.name).sort()).toEqual(
      [spanNames.read, spanNames.reply, 'zookeeper getData'].sort(),
    )
    expect(new Set(trace.map(span => span.resource['node']))).toEqual(new Set([`node${other}`]))
    expectNoParentIsMissing(trace)
  })
})

const putName = 'etcdserverpb.KV/Put'
const setDataName = 'zookeeper setData'
/** SPAN_KIND_SERVER. */
const server = 2

/** All that a write leaves, on all nodes; the slowest follower is not waited for by the client. */
function isWhole(spans: readonly ReceivedSpan[]): boolean {
  const counts = [
    [spanNames.reply, 1],
    [spanNames.replicate, 1],
    [spanNames.followerAppend, 2],
    [spanNames.journalWrite, 3],
    [spanNames.apply, 3],
  ] as const
  return counts.every(([name, count]) => named(spans, name).length === count)
}

function isSetData(span: ReceivedSpan): boolean {
  return span.name === setDataName
}

/** What the log did is under the proposal; the write of a follower under its append. */
function expectLogUnder(spans: readonly ReceivedSpan[], proposal: ReceivedSpan): void {
  for (const name of [spanNames.replicate, spanNames.followerAppend, spanNames.apply]) {
    for (const span of named(spans, name)) expect(span.parentSpanId).toBe(proposal.spanId)
  }
  for (const write of named(spans, spanNames.journalWrite)) {
    const append = named(spans, spanNames.followerAppend).find(
      span => span.resource['node'] === write.resource['node'],
    )
    expect(write.parentSpanId).toBe((append ?? proposal).spanId)
  }
}

/** On one node, whose threads share a clock. What ends later than its parent has not kept the client waiting. */
function expectWithinParents(spans: readonly ReceivedSpan[]): void {
  const byId = new Map(spans.map(span => [span.spanId, span]))
  for (const span of spans) {
    const parent = byId.get(span.parentSpanId)
    if (parent === undefined || parent.resource['node'] !== span.resource['node']) continue
    const from = BigInt(parent.startTimeUnixNano)
    expect([span.name, BigInt(span.startTimeUnixNano) >= from]).toEqual([span.name, true])
  }
}

function expectNoParentIsMissing(spans: readonly ReceivedSpan[]): void {
  const ids = new Set(spans.map(span => span.spanId))
  const orphans = spans.filter(span => span.parentSpanId !== '' && !ids.has(span.parentSpanId))
  expect(orphans).toEqual([])
}

/** Batches stand in traces of their own: one may serve many requests. */
function expectLinkedBatches(spans: readonly ReceivedSpan[]): void {
  const writes = named(spans, spanNames.journalWrite)
  expect(writes).toHaveLength(3)
  for (const write of writes) {
    const batch = receiver.spans.find(span => span.spanId === write.links[0]?.spanId)
    expect(batch?.name).toBe(spanNames.journalBatch)
    expect(batch?.traceId).not.toBe(write.traceId)
    expect(batch?.resource).toEqual(write.resource)
    expect(batch?.links.map(link => link.traceId)).toContain(write.traceId)
    expect(batch?.links.map(link => link.spanId)).toContain(write.parentSpanId)
  }
}

function named(spans: readonly ReceivedSpan[], name: string): ReceivedSpan[] {
  return spans.filter(span => span.name === name)
}

function only(spans: readonly ReceivedSpan[], name: string): ReceivedSpan {
  const found = named(spans, name)
  expect(found).toHaveLength(1)
  return found[0] as ReceivedSpan
}

function nodesOf(spans: readonly ReceivedSpan[], name: string): unknown[] {
  return named(spans, name)
    .map(span => span.resource['node'])
    .sort()
}

function sorted(nodes: readonly number[]): string[] {
  return nodes.map(node => `node${node}`).sort()
}

async function put(key: string, value: string, traceparent: string): Promise<void> {
  const { host, port } = cluster.etcd(follower)
  const client = new Client(`${host}:${port}`, credentials.createInsecure())
  const request = Buffer.concat([field(1, key), field(2, value)])
  const metadata = new Metadata()
  metadata.set('traceparent', traceparent)
  const same = (bytes: Buffer): Buffer => bytes
  await new Promise<void>((resolve, reject) => {
    client.makeUnaryRequest('/etcdserverpb.KV/Put', same, same, request, metadata, error => {
      if (error === null) resolve()
      else reject(error)
    })
  })
  client.close()
}

/** A short string field of a protobuf message. */
function field(number: number, text: string): Buffer {
  return Buffer.concat([Buffer.from([number * 8 + 2, text.length]), Buffer.from(text)])
}

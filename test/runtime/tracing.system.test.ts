import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { spanNames } from '../../runtime/span-names.ts'
import { createTracing } from '../../runtime/tracing.ts'
import { shareTraceClock, traceClock } from '../../runtime/tracing-clock.ts'

interface ReceivedSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly links?: readonly { readonly spanId: string }[]
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
}

/** An OTLP/HTTP receiver, JSON. */
async function receiver(): Promise<{ url: string; spans: ReceivedSpan[]; close(): void }> {
  const spans: ReceivedSpan[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', chunk => void chunks.push(chunk))
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString())
      for (const resource of body.resourceSpans) {
        for (const scope of resource.scopeSpans) spans.push(...scope.spans)
      }
      response.end('{}')
    })
  })
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/v1/traces`, spans, close: () => void server.close() }
}

const asked = 'zookeeper setData'
const common = { exporter: 'otlp', serviceName: 'quorate', attributes: { node: 1 } } as const

test('spans arrive with the parents and links that they were given', async () => {
  const { url, spans, close } = await receiver()
  const tracing = await createTracing({ ...common, endpoint: url, ratio: 1 })
  const root = tracing.startRequest(asked, { 'rpc.system': 'zookeeper' })
  const child = tracing.startSpan(spanNames.apply, root.context)
  const linked = tracing.startSpan(spanNames.journalBatch, undefined, [root.context, child.context])
  for (const span of [linked, child, root]) span.end()
  await tracing.stop()
  close()
  const named = new Map(spans.map(span => [span.name, span]))
  const { apply, journalBatch } = spanNames
  expect(named.get(apply)?.traceId).toBe(Buffer.from(root.context.traceId).toString('hex'))
  expect(named.get(apply)?.parentSpanId).toBe(named.get(asked)?.spanId)
  expect(named.get(journalBatch)?.links?.map(link => link.spanId)).toEqual([
    named.get(asked)?.spanId,
    named.get(apply)?.spanId,
  ])
  expect(named.get(journalBatch)?.traceId).not.toBe(named.get(asked)?.traceId)
})

test('spans that nobody takes are told of, once', async () => {
  const reasons: string[] = []
  const failed = (reason: string): void => void reasons.push(reason)
  const endpoint = 'http://127.0.0.1:9/v1/traces'
  const tracing = await createTracing({ ...common, endpoint, ratio: 1, failed })
  for (let count = 0; count < 3; count++) {
    tracing.startRequest(asked, {}).end()
    await new Promise(resolve => setTimeout(resolve, 1200))
  }
  await tracing.stop()
  expect(reasons).toHaveLength(1)
  expect(reasons[0]).toContain('ECONNREFUSED')
})

test('a child follows its parent, a root the ratio', async () => {
  const { url, spans, close } = await receiver()
  const tracing = await createTracing({ ...common, endpoint: url, ratio: 0 })
  const root = tracing.startRequest(asked, { 'rpc.system': 'zookeeper' })
  expect(root.context.sampled).toBe(false)
  tracing.startSpan(spanNames.apply, root.context).end()
  root.end()
  const theirs = { ...root.context, sampled: true }
  tracing.startSpan(spanNames.read, theirs).end()
  await tracing.stop()
  close()
  expect(spans.map(span => span.name)).toEqual([spanNames.read])
})

test('a root that is linked to what is sampled is sampled, whatever the ratio', async () => {
  const { url, spans, close } = await receiver()
  const tracing = await createTracing({ ...common, endpoint: url, ratio: 0 })
  const theirs = { traceId: new Uint8Array(16).fill(1), spanId: new Uint8Array(8).fill(2) }
  tracing.startSpan(spanNames.journalBatch, undefined, [{ ...theirs, sampled: false }]).end()
  const batch = tracing.startSpan(spanNames.journalBatch, undefined, [{ ...theirs, sampled: true }])
  batch.end()
  await tracing.stop()
  close()
  const sent = spans.map(span => span.spanId)
  expect(sent).toEqual([Buffer.from(batch.context.spanId).toString('hex')])
})

test('times have fractions of a millisecond, and no child is outside of its parent', async () => {
  const { url, spans, close } = await receiver()
  const clock = traceClock(shareTraceClock())
  const tracing = await createTracing({ ...common, endpoint: url, ratio: 1, clock })
  const before = BigInt(Date.now() - 1) * 1_000_000n
  for (let count = 0; count < 200; count++) {
    const root = tracing.startRequest(asked, {})
    const child = tracing.startSpan(spanNames.apply, root.context)
    child.end()
    root.end()
  }
  await tracing.stop()
  close()
  const byId = new Map(spans.map(span => [span.spanId, span]))
  const children = spans.filter(span => byId.has(span.parentSpanId ?? ''))
  expect(children).toHaveLength(200)
  for (const child of children) {
    const parent = byId.get(child.parentSpanId ?? '')!
    const times = [parent.startTimeUnixNano, child.startTimeUnixNano]
    times.push(child.endTimeUnixNano, parent.endTimeUnixNano)
    const sorted = times.map(BigInt).toSorted((one, other) => (one < other ? -1 : 1))
    expect(times.map(BigInt)).toEqual(sorted)
    expect(sorted[0]).toBeGreaterThan(before)
  }
  const fractions = spans.filter(span => BigInt(span.startTimeUnixNano) % 1_000_000n !== 0n)
  expect(fractions.length).toBeGreaterThan(300)
})

test('threads that share a clock read the same time from it', async () => {
  const shared = shareTraceClock()
  const source = `
    const { parentPort, workerData } = require('node:worker_threads')
    import(workerData.module).then(({ traceClock }) =>
      parentPort.postMessage(traceClock(workerData.shared).nowMillis()))`
  const module = new URL('../../runtime/tracing-clock.ts', import.meta.url).href
  const before = traceClock(shared).nowMillis()
  const there = await new Promise<number>((resolve, reject) => {
    const worker = new Worker(source, { eval: true, workerData: { module, shared } })
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  const after = traceClock(shared).nowMillis()
  expect(there).toBeGreaterThan(before)
  expect(there).toBeLessThan(after)
  expect(Math.abs(after - Date.now())).toBeLessThan(1000)
})

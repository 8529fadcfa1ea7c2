/** An OTLP/HTTP receiver for tests: takes spans as JSON, and shows them by trace. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface ReceivedSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  /** '' for a root. */
  readonly parentSpanId: string
  /** OTLP's SpanKind. */
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[]
  readonly attributes: Readonly<Record<string, string | number>>
  /** Of the node and thread that made it. */
  readonly resource: Readonly<Record<string, string | number>>
}

interface Attribute {
  readonly key: string
  readonly value: { readonly stringValue?: string; readonly intValue?: number | string }
}

export class TraceReceiver {
  readonly spans: ReceivedSpan[] = []
  readonly #server: Server

  constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', chunk => void chunks.push(chunk))
      request.on('end', () => {
        this.#take(JSON.parse(Buffer.concat(chunks).toString()))
        response.end('{}')
      })
    })
  }

  /** Returns the endpoint for the configuration of nodes. */
  async start(): Promise<string> {
    await new Promise<void>(resolve => void this.#server.listen(0, '127.0.0.1', resolve))
    const { port } = this.#server.address() as AddressInfo
    return `http://127.0.0.1:${port}/v1/traces`
  }

  /** All spans of one trace, once `complete` says so; what there was, if it never does. */
  async trace(
    traceId: () => string | undefined,
    complete: (spans: readonly ReceivedSpan[]) => boolean,
  ): Promise<ReceivedSpan[]> {
    for (let attempt = 0; attempt < 400; attempt += 1) {
      const id = traceId()
      const spans = this.spans.filter(span => span.traceId === id)
      if (id !== undefined && complete(spans)) return spans
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    return this.spans.filter(span => span.traceId === traceId())
  }

  stop(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  #take(body: {
    resourceSpans: {
      resource: { attributes: Attribute[] }
      scopeSpans: { spans: (Omit<ReceivedSpan, 'attributes'> & { attributes: Attribute[] })[] }[]
    }[]
  }): void {
    for (const { resource, scopeSpans } of body.resourceSpans) {
      const made = valuesOf(resource.attributes)
      for (const span of scopeSpans.flatMap(scope => scope.spans)) {
        const { links = [], parentSpanId = '' } = span
        const attributes = valuesOf(span.attributes)
        this.spans.push({ ...span, links, parentSpanId, attributes, resource: made })
      }
    }
  }
}

function valuesOf(attributes: readonly Attribute[] = []): Record<string, string | number> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, value.stringValue ?? Number(value.intValue)]),
  )
}

/** Follows ZooKeeper requests through their connection: they are answered in the order they came. */
import type { Tracing } from '../../runtime/tracing.ts'
import { operation } from '../../transport/zookeeper/operations.ts'
import { RequestTraces } from './request-traces.ts'
import type { Connection } from './zookeeper-connection.ts'

export class ZookeeperTraces {
  readonly requests: RequestTraces

  constructor(tracing: Tracing) {
    this.requests = new RequestTraces(tracing)
  }

  /** `take` handles the frame that the splitter has just found. */
  around(connection: Connection, take: () => void): void {
    const name = nameOf(connection)
    if (name === 'ping') return this.#untraced(connection, take)
    const { outstanding, traces } = connection
    const before = outstanding.count
    const trace = this.requests.begin(`zookeeper.${name}`)
    take()
    const waits = outstanding.count > before
    this.requests.taken(waits)
    if (waits) traces.push(trace)
    else if (trace !== undefined) this.requests.answered(trace, '')
  }

  /** The first of those outstanding. */
  answered(connection: Connection): void {
    const trace = connection.traces.shift()
    if (trace === undefined) return
    if (connection.isOpen) this.requests.answered(trace, '')
    else this.requests.dropped(trace)
  }

  abandoned(connection: Connection): void {
    for (const trace of connection.traces.splice(0)) {
      if (trace !== undefined) this.requests.dropped(trace)
    }
  }

  #untraced({ outstanding, traces }: Connection, take: () => void): void {
    const before = outstanding.count
    take()
    if (outstanding.count > before) traces.push(undefined)
  }
}

const names = new Map<number, string>(
  Object.entries(operation).map(([name, code]) => [code, name] as const),
)

/** A connection that is fresh sends its connect request, which has no operation code. */
function nameOf({ state, splitter }: Connection): string {
  if (state === 'fresh') return 'connect'
  const { bytes, start, end } = splitter
  if (end - start < 8) return 'malformed'
  const code = new DataView(bytes.buffer, bytes.byteOffset + start, 8).getInt32(4)
  return names.get(code) ?? 'unknown'
}

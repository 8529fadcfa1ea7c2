/** Follows ZooKeeper requests through their connection: they are answered in the order they came. */
import type { SpanAttributes, Tracing } from '../../runtime/tracing.ts'
import { errorCode } from '../../transport/zookeeper/errors.ts'
import { operation } from '../../transport/zookeeper/operations.ts'
import { replyStatus } from '../state/zookeeper-commands.ts'
import type { ReplyMessage } from '../watches/messages.ts'
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
    const trace = this.requests.begin(`zookeeper ${name}`, {
      'rpc.system': 'zookeeper',
      'rpc.service': 'zookeeper',
      'rpc.method': name,
      'client.address': connection.address,
      'network.peer.address': connection.address,
      'network.peer.port': connection.socket.remotePort,
    })
    take()
    const waits = outstanding.count > before
    this.requests.taken(waits)
    if (waits) traces.push(trace)
    else if (trace !== undefined) this.requests.answered(trace, {}, '')
  }

  /** The first of those outstanding, by this frame. */
  answered(connection: Connection, { status, body }: ReplyMessage): void {
    const trace = connection.traces.shift()
    if (trace === undefined) return
    const hasHeader = status === replyStatus.send || status === replyStatus.sendAndClose
    const code = hasHeader && body.length >= codeEnd ? codeOf(body) : 0
    if (connection.isOpen) this.requests.answered(trace, outcomeOf(code), faultOf(code))
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

/** After length, xid and zxid of a reply. */
const codeEnd = 20

function codeOf(body: Uint8Array): number {
  return new DataView(body.buffer, body.byteOffset, codeEnd).getInt32(codeEnd - 4)
}

/** Codes and their names, as ZooKeeper's clients have them. */
function outcomeOf(code: number): SpanAttributes {
  const outcome = { 'rpc.response.status_code': String(code) }
  return code === 0 ? outcome : { ...outcome, 'error.type': codeNames.get(code) ?? String(code) }
}

/** Above -100 they are the server's own; below, what a client may run into. */
function faultOf(code: number): string {
  return code < 0 && code > apiErrors ? (codeNames.get(code) ?? String(code)) : ''
}

const apiErrors = -100

const codeNames = new Map<number, string>(
  Object.entries(errorCode).map(([name, code]) => [code, name] as const),
)

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

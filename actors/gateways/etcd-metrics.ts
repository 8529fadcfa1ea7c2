/** What the etcd port counts, under the names of etcd and of gRPC's own interceptor. */
import type { Metrics } from '../../runtime/metrics.ts'
import { observeCounters } from '../../runtime/observe.ts'
import type { EtcdServer, Method } from '../../transport/etcd/api.ts'
import { statusNames } from '../../transport/etcd/grpc.ts'
import { methods } from './etcd-methods.ts'

/** Calls begun, by the method's id: plain numbers, since every request counts. */
export class CallTally {
  readonly #started = new Float64Array(Math.max(...methods.map(method => method.id)) + 1)

  started(method: Method): void {
    this.#started[method.id]! += 1
  }

  observe(metrics: Metrics, server: EtcdServer): void {
    observeCounters(metrics, [
      [
        'grpc_server_started_total',
        'Total number of RPCs started on the server.',
        {
          each: observe => {
            for (const method of methods) observe(this.#started[method.id]!, labelsOf(method))
          },
        },
      ],
      [
        'grpc_server_handled_total',
        'Total number of RPCs completed on the server, regardless of success or failure.',
        {
          each: observe => {
            for (const { method, status, count } of server.handled()) {
              observe(count, { ...labelsOf(method), grpc_code: statusNames[status] ?? 'Unknown' })
            }
          },
        },
      ],
      [
        'etcd_network_client_grpc_received_bytes_total',
        'The total number of bytes received from grpc clients.',
        () => server.status().receivedBytes,
      ],
      [
        'etcd_network_client_grpc_sent_bytes_total',
        'The total number of bytes sent to grpc clients.',
        () => server.status().sentBytes,
      ],
    ])
  }
}

/** Watches and keep-alives are streams both ways; all others have one answer. */
function labelsOf({ path, requests }: Method): Record<string, string> {
  const [grpc_service = '', grpc_method = ''] = path.slice(1).split('/')
  return { grpc_service, grpc_method, grpc_type: requests === 'many' ? 'bidi_stream' : 'unary' }
}

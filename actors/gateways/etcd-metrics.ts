/** What the etcd port counts, under the names of etcd and of gRPC's own interceptor. */
import { LatencyTable } from '../../runtime/latency-table.ts'
import type { Metrics } from '../../runtime/metrics.ts'
import { observeCounters, observeGauges } from '../../runtime/observe.ts'
import type { EtcdServer, Method } from '../../transport/etcd/api.ts'
import { statusNames } from '../../transport/etcd/grpc.ts'
import { etcdClusterVersion, etcdVersion } from '../../transport/etcd/messages/maintenance.ts'
import { methods } from './etcd-methods.ts'

export interface EtcdNumbers {
  readonly memberId: Uint8Array
  readonly readsSlow: () => number
  readonly readsFailed: () => number
  readonly healthSuccesses: () => number
  readonly healthFailures: () => number
}

/** What etcd's dashboards ask of a server, beyond its calls. */
export function observeServer(metrics: Metrics, numbers: EtcdNumbers): void {
  const id = Buffer.from(numbers.memberId).toString('hex').replace(/^0+/, '')
  const one = (labels: Record<string, string>) => ({
    each: (observe: (value: number, labels: Record<string, string>) => void) => observe(1, labels),
  })
  observeGauges(metrics, [
    [
      'etcd_server_version',
      "Which version is running. 1 for 'server_version' label with current version.",
      one({ server_version: etcdVersion }),
    ],
    [
      'etcd_cluster_version',
      "Which version is running. 1 for 'cluster_version' label with current cluster version",
      one({ cluster_version: etcdClusterVersion.replace(/\.0$/, '') }),
    ],
    [
      'etcd_server_id',
      "Server or member ID in hexadecimal format. 1 for 'server_id' label with current ID.",
      one({ server_id: id }),
    ],
  ])
  observeCounters(metrics, [
    [
      'etcd_server_slow_read_indexes_total',
      "The total number of pending read indexes not in sync with leader's or timed out read index requests.",
      numbers.readsSlow,
    ],
    [
      'etcd_server_read_indexes_failed_total',
      'The total number of failed read indexes seen.',
      numbers.readsFailed,
    ],
    [
      'etcd_server_health_success',
      'The total number of successful health checks',
      numbers.healthSuccesses,
    ],
    [
      'etcd_server_health_failures',
      'The total number of failed health checks',
      numbers.healthFailures,
    ],
  ])
}

/** Calls begun, by the method's id: plain numbers, since every request counts. */
export class CallTally {
  readonly #started = new Float64Array(Math.max(...methods.map(method => method.id)) + 1)

  readonly #latencies = new LatencyTable(this.#started.length)

  handled(method: Method, millis: number): void {
    this.#latencies.record(method.id, millis)
  }

  started(method: Method): void {
    this.#started[method.id]! += 1
  }

  observe(metrics: Metrics, server: EtcdServer): void {
    this.#latencies.observe(
      metrics,
      'grpc_server_handling_seconds',
      'Histogram of response latency (seconds) of gRPC that had been application-level handled by the server.',
      new Map(methods.map(method => [method.id, labelsOf(method)])),
    )
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

/** What the links to other nodes say, under etcd's names; `To` and `From` are node ids. */
import type { LatencyTable } from '../../runtime/latency-table.ts'
import type { Metrics } from '../../runtime/metrics.ts'
import { observeCounters, observeGauges } from '../../runtime/observe.ts'
import type { PeerLinkStatus } from '../../transport/peers/peer-link.ts'

export function observeLinks(metrics: Metrics, links: () => readonly PeerLinkStatus[]): void {
  const each = (label: 'To' | 'From', value: (link: PeerLinkStatus) => number) => ({
    each: (observe: (value: number, labels: Record<string, string>) => void) => {
      for (const link of links()) observe(value(link), { [label]: String(link.node) })
    },
  })
  observeCounters(metrics, [
    [
      'etcd_network_peer_sent_bytes_total',
      'The total number of bytes sent to peers.',
      each('To', link => link.bytesSent),
    ],
    [
      'etcd_network_peer_received_bytes_total',
      'The total number of bytes received from peers.',
      each('From', link => link.bytesReceived),
    ],
    [
      'etcd_network_peer_sent_failures_total',
      'The total number of send failures to peers.',
      each('To', link => link.dropped),
    ],
  ])
  observeGauges(metrics, [
    [
      'etcd_network_active_peers',
      'The current number of active peer connections.',
      each('To', link => (link.up ? 1 : 0)),
    ],
    ['etcd_network_known_peers', 'The current number of known peers.', () => links().length],
    [
      'quorate_peer_round_trip_seconds',
      'Last time that a heartbeat of the link took there and back.',
      each('To', link => link.roundTripMillis / 1000),
    ],
    [
      'quorate_peer_queued_bytes',
      'Bytes that wait to be sent to a peer.',
      each('To', link => link.queuedBytes),
    ],
  ])
}

/** By node id. */
export function observeRoundTrips(metrics: Metrics, roundTrips: LatencyTable): void {
  const labels = Array.from(
    { length: nodeIdMax },
    (_, at) => [at + 1, { To: String(at + 1) }] as const,
  )
  roundTrips.observe(
    metrics,
    'etcd_network_peer_round_trip_time_seconds',
    'Round-Trip-Time histogram between peers',
    new Map(labels),
  )
}

const nodeIdMax = 254

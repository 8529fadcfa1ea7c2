/** What both doors count. */
import type { Metrics } from '../../runtime/metrics.ts'
import { observeGauges } from '../../runtime/observe.ts'

export interface DoorNumbers {
  readonly connections: () => number
  readonly proposalsWaiting: () => number
}

export function observeDoor(metrics: Metrics, door: string, numbers: DoorNumbers): void {
  observeGauges(metrics, [
    [
      'quorate_connections',
      'Client connections by door.',
      { each: observe => observe(numbers.connections(), { door }) },
    ],
    // Without a label: those of both doors are added up.
    [
      'etcd_server_proposals_pending',
      'The current number of pending proposals to commit.',
      numbers.proposalsWaiting,
    ],
  ])
}

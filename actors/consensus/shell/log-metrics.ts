/** What dashboards of etcd ask of its Raft, under etcd's names, and what is our own. */
import type { Metrics } from '../../../runtime/metrics.ts'
import { observeCounters, observeGauges } from '../../../runtime/observe.ts'
import type { MachineStatus } from '../interface.ts'

export interface LogNumbers {
  readonly status: () => MachineStatus | undefined
  readonly leader: () => number
  readonly leaderChanges: () => number
  readonly refused: () => number
  readonly spaceLevel: () => number
  readonly refusesWrites: () => boolean
}

export function observeLog(metrics: Metrics, numbers: LogNumbers): void {
  const { status, leader, leaderChanges, refused, spaceLevel, refusesWrites } = numbers
  observeGauges(metrics, [
    [
      'etcd_server_has_leader',
      'Whether a leader exists. 1 is existence, 0 is not.',
      () => bit(leader() !== 0),
    ],
    [
      'etcd_server_is_leader',
      'Whether this member is the leader. 1 if it is, 0 otherwise.',
      () => bit(status()?.role === 'leader'),
    ],
    [
      'etcd_server_is_learner',
      'Whether this member is a learner. 1 if it is, 0 otherwise.',
      () => bit(status()?.role === 'learner'),
    ],
    [
      'quorate_disk_space_lacking',
      '0: this node has space; 1: none for the next segment or a checkpoint; 2: none for the log.',
      spaceLevel,
    ],
    [
      'quorate_writes_refused_for_space',
      '1 while too few nodes have space on their disks, and writes are refused.',
      () => bit(refusesWrites()),
    ],
    // A gauge, as in etcd.
    [
      'etcd_server_proposals_committed_total',
      'The total number of consensus proposals committed.',
      () => status()?.commit,
    ],
    ['quorate_consensus_epoch', 'Number of the leader: its term.', () => status()?.epoch],
    ['quorate_log_last_position', 'Last position of the log in memory.', () => status()?.last],
    [
      'quorate_log_durable_position',
      'Last position of the log that is durable here.',
      () => status()?.durable,
    ],
    ['quorate_log_bytes', 'Log that is kept in memory.', () => status()?.logBytes],
    [
      'quorate_peer_lag_entries',
      'On the leader: how far the log of another node is behind.',
      {
        each: observe => {
          const now = status()
          for (const { node, match } of now?.peers ?? []) {
            observe((now?.last ?? 0) - match, { peer: String(node) })
          }
        },
      },
    ],
  ])
  observeCounters(metrics, [
    ['etcd_server_leader_changes_seen_total', 'The number of leader changes seen.', leaderChanges],
    ['etcd_server_proposals_failed_total', 'The total number of failed proposals seen.', refused],
  ])
}

function bit(value: boolean): number {
  return value ? 1 : 0
}

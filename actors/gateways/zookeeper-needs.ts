/**
 * What the next request of a connection needs of the door, and how much more of it there is than for writes: those
 * have what the log takes within a moment (actors/state/pace.ts), and wait for it in the order of their coming.
 */
import { operation } from '../../transport/zookeeper/operations.ts'
import type { Connection } from './zookeeper-connection.ts'

export interface Need {
  /** Of the requests that may be unanswered at the door in all; 0: it waits in its turn, behind whoever came before. */
  readonly requestsShare: number
  readonly needsLog: boolean
  /** Of what may wait for the log at all, so much more may for it. */
  readonly spareShare: number
  readonly needsState: boolean
}

const inTurn: Need = { requestsShare: 0, needsLog: true, spareShare: 0, needsState: true }
/** Without it sessions end, or are not opened. */
const session: Need = { requestsShare: 5 / 4, needsLog: true, spareShare: 1 / 4, needsState: false }
const ping: Need = { ...session, needsLog: false }
/** It gives room back. */
const removal: Need = { ...session, requestsShare: 9 / 8, spareShare: 1 / 8 }
/** It does not wait for the log because others write much. Where many read, half of the door is left for writes. */
const read: Need = { requestsShare: 1 / 2, needsLog: false, spareShare: 0, needsState: true }

const needs = new Map<number, Need>([
  [operation.ping, ping],
  [operation.closeSession, session],
  [operation.delete, removal],
  [operation.exists, read],
  [operation.getData, read],
  [operation.getAcl, read],
  [operation.getChildren, read],
  [operation.getChildren2, read],
  [operation.setWatches, read],
  [operation.sync, read],
  [operation.auth, read],
])

export function needOf({ state, splitter }: Pick<Connection, 'state' | 'splitter'>): Need {
  if (state === 'fresh') return session
  const { nextOperation } = splitter
  return (nextOperation === undefined ? undefined : needs.get(nextOperation)) ?? inTurn
}

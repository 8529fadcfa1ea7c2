import { OwnRooms, Writer } from '../../transport/etcd/messages/writer.ts'

/**
 * The body of an etcd entry: what to do, which call of which connection waits for the answer, then
 * the client's own request, untouched (a lease grant is the exception: the gateway puts in the id
 * and the shortest time to live).
 *
 *   0 u8 operation     1 u32 connection     5 u32 tag     9 protobuf request      (little-endian)
 *
 * A read begins with one byte that says which; then what its comment says.
 */
export const etcdOperation = {
  put: 1,
  deleteRange: 2,
  txn: 3,
  compact: 4,
  leaseGrant: 5,
  leaseRevoke: 6,
  /** AlarmRequest; only the end of an alarm is a command. */
  alarm: 7,
} as const

export const callBytes = 9

export function writeCall(
  view: DataView,
  at: number,
  operation: number,
  connection: number,
  tag: number,
): void {
  view.setUint8(at, operation)
  view.setUint32(at + 1, connection, true)
  view.setUint32(at + 5, tag, true)
}

export const etcdRead = {
  /** RangeRequest. */
  range: 1,
  /** TxnRequest without put or delete. */
  txn: 2,
  /** f64 remaining and f64 granted milliseconds (remaining −1: no such lease), LeaseTimeToLiveRequest. */
  timeToLive: 3,
  leases: 4,
  /** WatchRequest: handed on to the watch actor, with the revision at this moment. */
  watch: 5,
  /** Answered by a response that has only a header. */
  header: 6,
  /** Answered by `stateNumbers`, the body of the last membership entry, and a response that has only a header. */
  status: 7,
  /** f64 first revision, u32 how many at most: answered to the watch actor by `keyHistory`. */
  history: 8,
  /** The call that this read names holds no watch any more; nor does its whole connection. */
  streamClosed: 9,
  connectionClosed: 10,
  /** Answered by the body of the last membership entry, as it is. */
  members: 11,
  /** Answered by an AlarmResponse. */
  alarms: 12,
} as const

export const timesBytes = 16
export const historyRequestBytes = 13

/** A compaction that no client asked for, and nobody waits for. */
export function encodeCompaction(revision: number): Uint8Array {
  const writer = new Writer(new OwnRooms()).begin(32)
  writer.number(0x08, revision)
  const request = writer.finish()
  const bytes = new Uint8Array(callBytes + request.length)
  writeCall(new DataView(bytes.buffer), 0, etcdOperation.compact, 0, 0)
  bytes.set(request, callBytes)
  return bytes
}

/**
 * What the state machine adds to a Status: f64 each; `full` is 1 while there is an alarm, and the last
 * is how long the membership is.
 */
export const stateNumbers = {
  position: 0,
  sizeBytes: 8,
  sizeInUseBytes: 16,
  quotaBytes: 24,
  full: 32,
  membershipBytes: 40,
  bytes: 48,
} as const

export function encodeHistoryRequest(firstRevision: number, revisionsMax: number): Uint8Array {
  const bytes = new Uint8Array(historyRequestBytes)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, etcdRead.history)
  view.setFloat64(1, firstRevision, true)
  view.setUint32(9, revisionsMax, true)
  return bytes
}

/**
 * Every way in which the etcd door refuses: gRPC code and exact text. Clients compare the text, so
 * each is etcd's own, byte for byte. Inside Quorate a failure travels as its number (`status`);
 * 0 means success. New ones go to the end: numbers cross nodes of different versions.
 */
import { grpcStatus } from '../grpc.ts'

export interface Failure {
  readonly status: number
  readonly code: number
  readonly text: string
}

let count = 0
const all: Failure[] = [{ status: 0, code: grpcStatus.ok, text: '' }]

function define(code: number, text: string): Failure {
  count += 1
  const failure = { status: count, code, text }
  all.push(failure)
  return failure
}

export const failure = {
  keyNotProvided: define(grpcStatus.invalidArgument, 'etcdserver: key is not provided'),
  keyNotFound: define(grpcStatus.invalidArgument, 'etcdserver: key not found'),
  valueProvided: define(grpcStatus.invalidArgument, 'etcdserver: value is provided'),
  leaseProvided: define(grpcStatus.invalidArgument, 'etcdserver: lease is provided'),
  tooManyOperations: define(
    grpcStatus.invalidArgument,
    'etcdserver: too many operations in txn request',
  ),
  duplicateKey: define(
    grpcStatus.invalidArgument,
    'etcdserver: duplicate key given in txn request',
  ),
  invalidSortOption: define(grpcStatus.invalidArgument, 'etcdserver: invalid sort option'),
  requestTooLarge: define(grpcStatus.invalidArgument, 'etcdserver: request is too large'),
  compacted: define(
    grpcStatus.outOfRange,
    'etcdserver: mvcc: required revision has been compacted',
  ),
  futureRevision: define(
    grpcStatus.outOfRange,
    'etcdserver: mvcc: required revision is a future revision',
  ),
  leaseTtlTooLarge: define(grpcStatus.outOfRange, 'etcdserver: too large lease TTL'),
  leaseNotFound: define(grpcStatus.notFound, 'etcdserver: requested lease not found'),
  leaseExists: define(grpcStatus.failedPrecondition, 'etcdserver: lease already exists'),
  tooManyRequests: define(grpcStatus.resourceExhausted, 'etcdserver: too many requests'),
  noSpace: define(grpcStatus.resourceExhausted, 'etcdserver: mvcc: database space exceeded'),
  noLeader: define(grpcStatus.unavailable, 'etcdserver: no leader'),
  leaderChanged: define(grpcStatus.unavailable, 'etcdserver: leader changed'),
  stopped: define(grpcStatus.unavailable, 'etcdserver: server stopped'),
  timedOut: define(grpcStatus.unavailable, 'etcdserver: request timed out'),
  timedOutLeaderFailed: define(
    grpcStatus.unavailable,
    'etcdserver: request timed out, possibly due to previous leader failure',
  ),
  corrupt: define(grpcStatus.dataLoss, 'etcdserver: corrupt cluster'),
  watchCanceled: define(grpcStatus.cancelled, 'etcdserver: watch canceled'),
  requestCanceled: define(grpcStatus.cancelled, 'etcdserver: request canceled'),
  contextCanceled: define(grpcStatus.cancelled, 'context canceled'),
  deadlineExceeded: define(grpcStatus.deadlineExceeded, 'context deadline exceeded'),
  malformed: define(grpcStatus.internal, 'grpc: error unmarshalling request: unexpected EOF'),
  invalidApiVersion: define(grpcStatus.invalidArgument, 'etcdserver: invalid client api version'),
  unimplemented: define(grpcStatus.unimplemented, 'etcdserver: not supported yet'),
  unknownService: define(grpcStatus.notFound, 'unknown service'),
  responseTooLarge: define(
    grpcStatus.resourceExhausted,
    'grpc: trying to send message larger than max',
  ),
  authNotEnabled: define(
    grpcStatus.failedPrecondition,
    'etcdserver: authentication is not enabled',
  ),
} as const

export function failureOf(status: number): Failure {
  return all[status] ?? { status, code: grpcStatus.unknown, text: `etcdserver: failure ${status}` }
}

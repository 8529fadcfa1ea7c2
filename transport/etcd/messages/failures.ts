/**
 * Every way in which the etcd door refuses: gRPC code and exact text. Clients compare the text, so
 * each is etcd's own, byte for byte. Inside Quorate a failure travels as its number (`status`);
 * 0 means success. New ones go to the end: numbers cross nodes of different versions.
 */
export const grpcCode = {
  ok: 0,
  canceled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const

export interface Failure {
  readonly status: number
  readonly code: number
  readonly text: string
}

let count = 0
const all: Failure[] = [{ status: 0, code: grpcCode.ok, text: '' }]

function define(code: number, text: string): Failure {
  count += 1
  const failure = { status: count, code, text }
  all.push(failure)
  return failure
}

export const failure = {
  keyNotProvided: define(grpcCode.invalidArgument, 'etcdserver: key is not provided'),
  keyNotFound: define(grpcCode.invalidArgument, 'etcdserver: key not found'),
  valueProvided: define(grpcCode.invalidArgument, 'etcdserver: value is provided'),
  leaseProvided: define(grpcCode.invalidArgument, 'etcdserver: lease is provided'),
  tooManyOperations: define(
    grpcCode.invalidArgument,
    'etcdserver: too many operations in txn request',
  ),
  duplicateKey: define(grpcCode.invalidArgument, 'etcdserver: duplicate key given in txn request'),
  invalidSortOption: define(grpcCode.invalidArgument, 'etcdserver: invalid sort option'),
  requestTooLarge: define(grpcCode.invalidArgument, 'etcdserver: request is too large'),
  compacted: define(grpcCode.outOfRange, 'etcdserver: mvcc: required revision has been compacted'),
  futureRevision: define(
    grpcCode.outOfRange,
    'etcdserver: mvcc: required revision is a future revision',
  ),
  leaseTtlTooLarge: define(grpcCode.outOfRange, 'etcdserver: too large lease TTL'),
  leaseNotFound: define(grpcCode.notFound, 'etcdserver: requested lease not found'),
  leaseExists: define(grpcCode.failedPrecondition, 'etcdserver: lease already exists'),
  tooManyRequests: define(grpcCode.resourceExhausted, 'etcdserver: too many requests'),
  noSpace: define(grpcCode.resourceExhausted, 'etcdserver: mvcc: database space exceeded'),
  noLeader: define(grpcCode.unavailable, 'etcdserver: no leader'),
  leaderChanged: define(grpcCode.unavailable, 'etcdserver: leader changed'),
  stopped: define(grpcCode.unavailable, 'etcdserver: server stopped'),
  timedOut: define(grpcCode.unavailable, 'etcdserver: request timed out'),
  timedOutLeaderFailed: define(
    grpcCode.unavailable,
    'etcdserver: request timed out, possibly due to previous leader failure',
  ),
  corrupt: define(grpcCode.dataLoss, 'etcdserver: corrupt cluster'),
  watchCanceled: define(grpcCode.canceled, 'etcdserver: watch canceled'),
  requestCanceled: define(grpcCode.canceled, 'etcdserver: request canceled'),
  contextCanceled: define(grpcCode.canceled, 'context canceled'),
  deadlineExceeded: define(grpcCode.deadlineExceeded, 'context deadline exceeded'),
  malformed: define(grpcCode.internal, 'grpc: error unmarshalling request: unexpected EOF'),
  invalidApiVersion: define(grpcCode.invalidArgument, 'etcdserver: invalid client api version'),
  unimplemented: define(grpcCode.unimplemented, 'etcdserver: not supported yet'),
  unknownService: define(grpcCode.notFound, 'unknown service'),
  responseTooLarge: define(
    grpcCode.resourceExhausted,
    'grpc: trying to send message larger than max',
  ),
} as const

export function failureOf(status: number): Failure {
  return all[status] ?? { status, code: grpcCode.unknown, text: `etcdserver: failure ${status}` }
}

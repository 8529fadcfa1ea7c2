/** ZooKeeper's closed list of error codes: clients throw on a code that they do not know. */
export const errorCode = {
  ok: 0,
  systemError: -1,
  runtimeInconsistency: -2,
  marshallingError: -5,
  unimplemented: -6,
  badArguments: -8,
  noNode: -101,
  noAuth: -102,
  badVersion: -103,
  noChildrenForEphemerals: -108,
  nodeExists: -110,
  notEmpty: -111,
  sessionExpired: -112,
  invalidAcl: -114,
  authFailed: -115,
  sessionMoved: -118,
  /** Known to clients since 3.7; those of before 3.4 get systemError (gateways/zookeeper-old-clients.ts). */
  quotaExceeded: -125,
} as const

/** Bytes that are not the record they should be. The frame is answered with `marshallingError`. */
export class MalformedRecord extends Error {}

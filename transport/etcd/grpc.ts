/** gRPC over HTTP/2: status codes, the text of errors, time-outs. */

export const grpcStatus = {
  ok: 0,
  cancelled: 1,
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

/** As metrics call them, by status. */
export const statusNames = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
] as const

/** Bytes before each message: a flag for compression and a 32-bit length. */
export const messagePrefixBytes = 5

const plain = /^[ -$&-~]*$/

/** `grpc-message` is UTF-8 with everything but visible ASCII, and `%`, percent-encoded. */
export function encodeStatusMessage(message: string): string {
  if (plain.test(message)) return message
  let encoded = ''
  for (const byte of new TextEncoder().encode(message)) {
    encoded +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return encoded
}

const timeoutUnitMillis: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
}

/** Milliseconds of a `grpc-timeout` (up to 8 digits and a unit), rounded up; -1 if malformed. */
export function parseTimeoutMillis(text: string): number {
  const unit = timeoutUnitMillis[text.charAt(text.length - 1)]
  const digits = text.slice(0, -1)
  if (unit === undefined || !/^[0-9]{1,8}$/.test(digits)) return -1
  return Math.max(1, Math.ceil(Number(digits) * unit))
}

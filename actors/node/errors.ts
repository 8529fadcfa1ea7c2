/** What the command line tells its user in one line, without a stack. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

/** Of a file, a directory or a port: its message names what it is about. */
export function isSystemError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && /^E(?!RR_)[A-Z]/.test(String(error.code))
}

/** What every operation of a `Disk` throws: the system's code and the path that it was about. */
export class DiskError extends Error {
  readonly code: string
  readonly path: string

  constructor(code: string, path: string, sentence: string, cause?: unknown) {
    super(sentence, { cause })
    this.name = 'DiskError'
    this.code = code
    this.path = path
  }
}

export function asDiskError(cause: unknown, path: string): DiskError {
  if (cause instanceof DiskError) return cause
  const code = codeOf(cause)
  return new DiskError(
    code,
    path,
    cause instanceof Error ? cause.message : `${code}, ${path}`,
    cause,
  )
}

function codeOf(cause: unknown): string {
  if (typeof cause === 'object' && cause !== null && 'code' in cause) return String(cause.code)
  return 'UNKNOWN'
}

/** What goes wrong on disk, as a closed list; expected outcomes of recovery are values instead. */
export const storageErrorCodes = [
  /** A failed write or sync: the process ends, nothing is retried. */
  'diskFailed',
  /** A file was written by a newer version. */
  'newerFormat',
  /** A file is not what was written; the message names it and the place. */
  'damaged',
  /** Another process owns the data directory. */
  'owned',
  /** The disk is full where it cannot be waited for. */
  'noSpace',
] as const

export type StorageErrorCode = (typeof storageErrorCodes)[number]

export class StorageError extends Error {
  readonly code: StorageErrorCode
  constructor(code: StorageErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'StorageError'
    this.code = code
  }
}

/** The system's code of a disk error, '' where there is none. */
export function systemCode(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''
}

/** Space may return; every other failure of a write ends the process. */
export function isDiskFull(error: unknown): boolean {
  const code = systemCode(error)
  return code === 'ENOSPC' || code === 'EDQUOT'
}

export function diskFailed(what: string, error: unknown): StorageError {
  const reason = error instanceof Error ? error.message : String(error)
  return new StorageError('diskFailed', `${what}: ${reason}`, error)
}

/** The small file that says which store a data directory is, with a checksum of its own. */
import { crc32c } from '../runtime/crc32c.ts'
import type { Disk } from '../runtime/host.ts'
import { StorageError } from './errors.ts'
import { readFile, replaceFile } from './files.ts'

export interface StoreIdentity {
  readonly format: number
  /** 32 hexadecimal digits, random, made once. */
  readonly store: string
  /** One more each time a process takes the directory. */
  readonly incarnation: number
  /** This node has seen its cluster formed, so it never forms another (DESIGN.md D14). */
  readonly formed: boolean
  /** How many stores before this one were given up as damaged. */
  readonly replaced: number
}

export const identityFormat = 1
export const identityName = 'identity'

export function readIdentity(disk: Disk, path: string): StoreIdentity | undefined {
  if (!disk.exists(path)) return undefined
  const text = new TextDecoder().decode(readFile(disk, path))
  const [line = '', checksum = ''] = text.split('\n')
  if (checksum !== checksumOf(line)) throw new StorageError('damaged', `${path}: wrong checksum`)
  const identity = JSON.parse(line) as StoreIdentity
  if (identity.format > identityFormat) {
    const message = `${path} has format ${identity.format}; this version knows ${identityFormat}`
    throw new StorageError('newerFormat', message)
  }
  return identity
}

/** Durable when it returns. */
export function writeIdentity(disk: Disk, path: string, identity: StoreIdentity): void {
  const line = JSON.stringify(identity)
  replaceFile(disk, path, new TextEncoder().encode(`${line}\n${checksumOf(line)}\n`))
}

function checksumOf(line: string): string {
  return crc32c(new TextEncoder().encode(line)).toString(16).padStart(8, '0')
}

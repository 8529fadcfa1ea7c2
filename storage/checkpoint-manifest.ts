/**
 * Which files make up the newest checkpoint, and the one before it: a chain is a base and the deltas
 * after it. Replacing this one small file is what makes a new checkpoint count.
 */
import { crc32c } from '../runtime/crc32c.ts'
import type { Disk } from '../runtime/host.ts'
import type { FileMark } from './checkpoint-file.ts'
import { StorageError } from './errors.ts'
import { readFile, replaceFile } from './files.ts'

export interface ChainFile extends FileMark {
  readonly name: string
  readonly bytes: number
}

/** A base, then deltas, each following the one before. */
export type Chain = readonly ChainFile[]

export interface Manifest {
  readonly format: number
  /** Number of the last file made; names are never used twice. */
  readonly files: number
  /** Newest first, at most two. */
  readonly chains: readonly Chain[]
}

export const manifestFormat = 1
export const emptyManifest: Manifest = { format: manifestFormat, files: 0, chains: [] }

export function manifestPath(directory: string): string {
  return `${directory}/manifest`
}

export function readManifest(disk: Disk, directory: string): Manifest {
  const path = manifestPath(directory)
  if (!disk.exists(path)) return emptyManifest
  return decodeManifest(readFile(disk, path), path)
}

/** Durable when it returns. */
export function writeManifest(disk: Disk, directory: string, manifest: Manifest): void {
  replaceFile(disk, manifestPath(directory), encodeManifest(manifest))
}

/** A line of JSON, and its checksum. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const line = JSON.stringify(manifest)
  return new TextEncoder().encode(`${line}\n${checksumOf(line)}\n`)
}

export function decodeManifest(bytes: Uint8Array, path: string): Manifest {
  const [line = '', checksum = ''] = new TextDecoder().decode(bytes).split('\n')
  if (checksum !== checksumOf(line)) {
    throw new StorageError('damaged', `${path} is damaged: wrong checksum`)
  }
  const manifest = JSON.parse(line) as Manifest
  if (manifest.format > manifestFormat) {
    const message = `${path} has format ${manifest.format}; this version knows ${manifestFormat}`
    throw new StorageError('newerFormat', message)
  }
  return manifest
}

export function chainBytes(chain: Chain): number {
  return chain.reduce((sum, file) => sum + file.bytes, 0)
}

/** The last file of a chain says where it stands. */
export function endOf(chain: Chain): ChainFile {
  const last = chain.at(-1)
  if (last === undefined) throw new StorageError('damaged', 'a checkpoint without files')
  return last
}

function checksumOf(line: string): string {
  return crc32c(new TextEncoder().encode(line)).toString(16).padStart(8, '0')
}

/** Checkpoint work that runs in the pool: it reads entries from the shared slabs and writes files. */
import type { Disk } from '../runtime/host.ts'
import { blockBytesMax, type EntryList, type Face, gatherBlocks } from './checkpoint-format.ts'
import { CheckpointFileWriter, type FileMark, readCheckpointFile } from './checkpoint-file.ts'
import { type Chain, type Manifest, writeManifest } from './checkpoint-manifest.ts'

import { isDiskFull, StorageError, systemCode } from './errors.ts'
import { directoryOf } from './files.ts'

export type CheckpointJob = WriteJob | VerifyJob | DiscardJob

/** What a lister listed, with the slabs in which it lies, by face. */
export interface ListedContent {
  readonly lists: readonly EntryList[]
  readonly slabs: Readonly<Record<Face, readonly (SharedArrayBuffer | undefined)[]>>
}

/** Writes one file, and then the manifest that makes it count, and then removes what no longer does. */
export interface WriteJob {
  readonly kind: 'write'
  readonly directory: string
  readonly name: string
  readonly mark: FileMark
  readonly head: Uint8Array
  readonly content: ListedContent
  /** The manifest as it was; the file is added to its newest chain, or begins one. */
  readonly manifest: Manifest
  readonly fsync: boolean
}

/** Verifies files that a peer sent, makes them durable and gives their directory its name. */
export interface VerifyJob {
  readonly kind: 'verify'
  readonly from: string
  readonly to: string
  readonly chain: Chain
  readonly files: number
}

/** Removes what a peer sent and nobody needs any more. */
export interface DiscardJob {
  readonly kind: 'discard'
  readonly directory: string
}

export type CheckpointJobResult =
  /** `left`: '' or why what no longer counts could not be removed; that is tried again with the next one. */
  | { readonly kind: 'written'; readonly manifest: Manifest; readonly left: string }
  | { readonly kind: 'verified' }
  | { readonly kind: 'discarded' }
  /** No space: nothing has changed. */
  | { readonly kind: 'full' }
  | { readonly kind: 'damaged'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string }

export const checkpointJobModule = new URL(import.meta.url)

export function run(job: CheckpointJob, disk: Disk): CheckpointJobResult {
  try {
    if (job.kind === 'write') return write(job, disk)
    return job.kind === 'verify' ? verify(job, disk) : discard(job, disk)
  } catch (error) {
    if (isDiskFull(error)) return { kind: 'full' }
    const reason = error instanceof Error ? error.message : String(error)
    if (error instanceof StorageError && error.code !== 'diskFailed')
      return { kind: 'damaged', reason }
    return { kind: 'failed', reason: `${systemCode(error)} ${reason}`.trim() }
  }
}

function write(job: WriteJob, disk: Disk): CheckpointJobResult {
  const path = `${job.directory}/${job.name}`
  const bytes = writeFile(job, disk, `${path}.tmp`)
  disk.rename(`${path}.tmp`, path)
  if (job.fsync) disk.syncDirectory(job.directory)
  const manifest = extend(job.manifest, { ...job.mark, name: job.name, bytes })
  try {
    writeManifest(disk, job.directory, manifest)
  } catch (error) {
    // Without its line in the manifest the file counts for nothing, and holds the room that is missing.
    if (isDiskFull(error)) disk.remove(path)
    throw error
  }
  const left = removeUnlisted(disk, job.directory, manifest)
  return { kind: 'written', manifest, left }
}

function discard({ directory }: DiscardJob, disk: Disk): CheckpointJobResult {
  if (disk.exists(directory)) disk.remove(directory)
  return { kind: 'discarded' }
}

function writeFile(job: WriteJob, disk: Disk, path: string): number {
  const writer = new CheckpointFileWriter(disk, path, job.mark, job.fsync)
  try {
    writer.head(job.head)
    copyEntries(job.content, writer)
    return writer.finish()
  } catch (error) {
    writer.abandon()
    disk.remove(path)
    throw error
  }
}

function copyEntries({ lists, slabs }: ListedContent, writer: CheckpointFileWriter): void {
  const scratch = new Uint8Array(blockBytesMax)
  for (const { face, pointers } of joined(lists)) {
    gatherBlocks(slabs[face], pointers, scratch, block => writer.entries(block))
  }
}

/** Neighbouring lists of one face become one, so that blocks are full. */
function joined(lists: readonly EntryList[]): EntryList[] {
  const runs: { face: Face; parts: Uint32Array[] }[] = []
  for (const { face, pointers } of lists) {
    const last = runs.at(-1)
    if (last?.face === face) last.parts.push(pointers)
    else runs.push({ face, parts: [pointers] })
  }
  return runs.map(({ face, parts }) => ({ face, pointers: concatenated(parts) }))
}

function concatenated(parts: readonly Uint32Array[]): Uint32Array {
  const whole = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** The chain before stays until the next one. */
function extend(manifest: Manifest, file: Chain[number]): Manifest {
  const newest = manifest.chains[0] ?? []
  const chain = file.kind === 'base' ? [file] : [...newest, file]
  const chains = newest.length === 0 ? [chain] : [chain, newest]
  return { ...manifest, files: manifest.files + 1, chains }
}

/**
 * What no chain of the manifest names, whatever it is. A file that cannot be removed harms nobody but
 * takes room: returns '' or why the last such one stayed.
 */
export function removeUnlisted(disk: Disk, directory: string, manifest: Manifest): string {
  const listed = new Set(manifest.chains.flat().map(file => file.name))
  let left = ''
  for (const name of disk.list(directory)) {
    if (!/\.(base|delta)(\.tmp)?$/.test(name) || listed.has(name)) continue
    try {
      disk.remove(`${directory}/${name}`)
    } catch (error) {
      left = error instanceof Error ? error.message : String(error)
    }
  }
  return left
}

function verify({ from, to, chain, files }: VerifyJob, disk: Disk): CheckpointJobResult {
  for (const file of chain) {
    const path = `${from}/${file.name}`
    const mark = readCheckpointFile(disk, path, {})
    if (mark.position !== file.position || mark.epoch !== file.epoch || mark.kind !== file.kind) {
      throw new StorageError('damaged', `${path} is not what its sender named`)
    }
    const opened = disk.open(path, 'write')
    opened.syncNow()
    opened.close()
  }
  writeManifest(disk, from, { format: 1, files, chains: [chain] })
  if (disk.exists(to)) disk.remove(to)
  disk.rename(from, to)
  disk.syncDirectory(directoryOf(to))
  return { kind: 'verified' }
}

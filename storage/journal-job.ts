/** What the journal has done off its thread: segments made ahead, and old ones removed. */
import type { Disk } from '../runtime/host.ts'
import { isDiskFull, systemCode } from './errors.ts'
import { directoryOf } from './files.ts'
import { prepareSegment } from './segment.ts'

export type JournalJob =
  | {
      readonly kind: 'prepare'
      readonly path: string
      readonly sizeBytes: number
      readonly fsync: boolean
    }
  /** In this order, so that what a crash leaves is contiguous. */
  | { readonly kind: 'remove'; readonly paths: readonly string[] }

export type JournalJobResult =
  | { readonly kind: 'done' }
  | { readonly kind: 'full' }
  | { readonly kind: 'failed'; readonly reason: string }

export const journalJobModule = new URL(import.meta.url)

export function run(job: JournalJob, disk: Disk): JournalJobResult {
  try {
    if (job.kind === 'prepare') {
      // Tried again and again while a disk is full: what cannot fit is not written to find that out.
      if (disk.freeBytes(directoryOf(job.path)) < job.sizeBytes) return { kind: 'full' }
      prepareSegment(disk, job.path, job.sizeBytes, job.fsync)
    } else removeAll(disk, job.paths)
    return { kind: 'done' }
  } catch (error) {
    if (isDiskFull(error)) return { kind: 'full' }
    const reason = error instanceof Error ? error.message : String(error)
    return { kind: 'failed', reason: `${systemCode(error)} ${reason}`.trim() }
  }
}

function removeAll(disk: Disk, paths: readonly string[]): void {
  for (const path of paths) disk.remove(path)
  const first = paths[0]
  if (first !== undefined) disk.syncDirectory(directoryOf(first))
}

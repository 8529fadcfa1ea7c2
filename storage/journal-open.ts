/** Makes a journal, or opens one that is there and cuts off what was never acknowledged. */
import type { Disk, DiskFile } from '../runtime/host.ts'
import { diskFailed, isDiskFull, StorageError } from './errors.ts'
import { directoryOf, ensureDirectory, syncDirectory } from './files.ts'
import { Journal, type JournalOptions, openingBytes } from './journal.ts'
import { BatchBuffer, batchKind, journalFormat, storeTag } from './journal-record.ts'
import { type Damaged, type Recovered, recoverJournal } from './journal-recovery.ts'
import type { RecoveredLog } from './recovered-log.ts'
import { prepareSegment, Segment, segmentPath, writeZeros } from './segment.ts'

export interface Opened {
  readonly kind: 'opened'
  readonly journal: Journal
  readonly log: RecoveredLog
  readonly hardState: Uint8Array
  /** Bytes of a batch that was never acknowledged, cut off. */
  readonly tornBytes: number
}

/** `mayCreate`: this store never had a journal; otherwise one that is missing is damage. */
export function openJournal(
  options: JournalOptions,
  from: { readonly position: number; readonly mayCreate: boolean },
): Opened | Damaged {
  const { disk, directory, store } = options
  ensureDirectory(disk, directory)
  const found = recoverJournal({ disk, directory, store, position: from.position })
  if (found.kind === 'damaged') return found
  if (found.kind === 'empty' && !from.mayCreate) {
    const reason = 'the journal is missing'
    return { kind: 'damaged', path: directory, offset: 0, reason, isForeign: false }
  }
  removeLeftovers(disk, directory, found.leftovers)
  if (found.kind === 'empty') return createJournal(options, from.position)
  const { head, chain, tornBytes } = found
  const file = disk.open(head.path, 'write')
  makeDurable(file, found)
  const segment = new Segment(
    head.sequence,
    head.path,
    file,
    head.end,
    head.sizeBytes,
    head.positionMax,
  )
  const { closed, spare, hardState } = found
  if (spare > 0) renewName(disk, segmentPath(directory, spare))
  const journal = new Journal(options, { chain, segment, closed, spare, hardState })
  journal.prepare()
  return { kind: 'opened', journal, log: found.log, hardState: found.hardState, tornBytes }
}

function createJournal(options: JournalOptions, position: number): Opened | Damaged {
  createFirstSegment(options.disk, options.directory, options.store, options.segmentBytes)
  return openJournal(options, { position, mayCreate: false })
}

/** An empty journal, durable when this returns. */
export function createFirstSegment(
  disk: Disk,
  directory: string,
  store: Uint8Array,
  segmentBytes: number,
): void {
  const path = segmentPath(directory, 1)
  const opening = new BatchBuffer(openingBytes)
  opening.segment({
    format: journalFormat,
    store,
    segment: 1,
    sizeBytes: segmentBytes,
    highestBefore: 0,
  })
  try {
    prepareSegment(disk, path, segmentBytes, true)
    const file = disk.open(path, 'write')
    file.write(opening.finish(batchKind.records, 1, 0, storeTag(store)), 0)
    file.syncNow()
    file.close()
  } catch (error) {
    if (!isDiskFull(error)) throw diskFailed(path, error)
    const message = `${directory}: no space for the first journal segment of ${segmentBytes} bytes`
    throw new StorageError('noSpace', message, error)
  }
}

/**
 * What was read may be in the system's cache alone: the process was killed between write and sync, or a
 * sync failed, after which the system takes the pages for clean and a later sync writes nothing. One
 * batch is in flight at a time, so only the last one can be so: it is written anew, and zeros behind it,
 * where something may be that was never acknowledged. From here on all of it counts as durable.
 */
function makeDurable(file: DiskFile, { lastBatch, head }: Recovered): void {
  try {
    file.write(lastBatch.bytes, lastBatch.start)
    writeZeros(file, head.end, head.sizeBytes)
    file.syncNow()
  } catch (error) {
    if (!isDiskFull(error)) throw diskFailed(file.path, error)
    throw new StorageError('noSpace', `${file.path}: no space to write its end anew`, error)
  }
}

/** The directory may have failed to sync the name that a segment got: it gets it once more. */
function renewName(disk: Disk, path: string): void {
  const between = `${path}.tmp`
  disk.rename(path, between)
  disk.rename(between, path)
  syncDirectory(disk, directoryOf(path))
}

function removeLeftovers(disk: Disk, directory: string, paths: readonly string[]): void {
  if (paths.length === 0) return
  for (const path of paths) disk.remove(path)
  disk.syncDirectory(directory)
}

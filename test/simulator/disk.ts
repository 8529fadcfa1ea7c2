/**
 * The disk of a node as one of its threads sees it: a sync takes time, in which the thread stands still and
 * the machine may lose power. What was written is durable only when that time has passed.
 */
import type { Disk, DiskFile } from '../../runtime/host.ts'
import type { MemoryDisk, MemoryFile } from '../support/memory-disk.ts'
import type { Scheduler } from './scheduler.ts'
import type { VirtualThread } from './thread.ts'

export interface DiskPace {
  /** How long the next sync takes that begins then. */
  syncMillis(nowMillis: number): number
  /** Taken by the disk for the sync that is being asked for: when it is done. */
  nextSyncAtMillis: number
  /** From now on no sync succeeds. */
  isFailing: boolean
}

export function diskOfThread(
  disk: MemoryDisk,
  pace: DiskPace,
  scheduler: Scheduler,
  thread: VirtualThread,
): Disk {
  return {
    open: (path, mode) => timedFile(disk.open(path, mode), pace, scheduler, thread),
    exists: path => disk.exists(path),
    list: directory => disk.list(directory),
    makeDirectory: path => disk.makeDirectory(path),
    rename: (from, to) => disk.rename(from, to),
    remove: path => disk.remove(path),
    syncDirectory(path) {
      // Of what the same callback changes after it nothing is in it.
      const settle = disk.beginDirectorySync(path)
      thread.spend(Math.min(pace.syncMillis(thread.nowMillis), inPlaceMillisMax))
      scheduler.at(thread.nowMillis, () => !thread.dead && settle())
    },
    freeBytes: path => disk.freeBytes(path),
  }
}

/**
 * What a callback does behind such a sync is seen by other threads at once, which in truth it is not: one
 * of theirs could make a name durable whose file is not yet. So a disk that stands does not hold these.
 */
const inPlaceMillisMax = 120

function timedFile(
  file: MemoryFile,
  pace: DiskPace,
  scheduler: Scheduler,
  thread: VirtualThread,
): DiskFile {
  // Success is told at once, so that it must not fail later.
  const syncInPlace = (): void => {
    pace.nextSyncAtMillis = thread.nowMillis
    scheduler.at(thread.nowMillis, file.beginSync())
  }
  return {
    path: file.path,
    sizeBytes: () => file.sizeBytes(),
    read: (target, position) => file.read(target, position),
    write: (source, position) => file.write(source, position),
    truncate: size => file.truncate(size),
    syncNow() {
      if (pace.isFailing) return file.syncNow()
      thread.spend(Math.min(pace.syncMillis(thread.nowMillis), inPlaceMillisMax))
      syncInPlace()
    },
    syncWithin(millisMax, done) {
      if (pace.isFailing) file.syncNow()
      const millis = pace.syncMillis(thread.nowMillis)
      thread.spend(Math.min(millis, millisMax))
      if (millis <= millisMax) {
        syncInPlace()
        return true
      }
      pace.nextSyncAtMillis = thread.nowMillis + millis - millisMax
      file.sync(error => thread.post(() => done(error)))
      return false
    },
    sync(done) {
      pace.nextSyncAtMillis = thread.nowMillis + pace.syncMillis(thread.nowMillis)
      file.sync(error => thread.post(() => done(error)))
    },
    close: () => file.close(),
  }
}

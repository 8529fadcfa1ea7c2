/** Whole files, read and replaced. */
import type { Disk } from '../runtime/host.ts'
import { diskFailed, isDiskFull } from './errors.ts'

export function readFile(disk: Disk, path: string): Uint8Array {
  const file = disk.open(path, 'read')
  try {
    const bytes = new Uint8Array(file.sizeBytes())
    const count = file.read(bytes, 0)
    return bytes.subarray(0, count)
  } finally {
    file.close()
  }
}

/** The file is the old one or the new one, whatever happens; durable when this returns. */
export function replaceFile(disk: Disk, path: string, bytes: Uint8Array): void {
  const temporary = `${path}.tmp`
  const file = disk.open(temporary, 'create')
  try {
    file.truncate(0)
    file.write(bytes, 0)
    syncNow(file.path, () => file.syncNow())
  } catch (error) {
    // A disk that is full takes its room back; after any other failure the process ends.
    if (isDiskFull(error)) disk.remove(temporary)
    throw error
  } finally {
    file.close()
  }
  disk.rename(temporary, path)
  syncDirectory(disk, directoryOf(path))
}

/** A failed sync is final wherever it happens. */
export function syncDirectory(disk: Disk, path: string): void {
  syncNow(path, () => disk.syncDirectory(path))
}

/** Makes a directory, and those above it that are missing, with durable names. */
export function ensureDirectory(disk: Disk, path: string): void {
  if (disk.exists(path)) return
  const parent = directoryOf(path)
  if (parent !== path) ensureDirectory(disk, parent)
  disk.makeDirectory(path)
  syncDirectory(disk, parent)
}

/** Of an absolute path. */
export function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/'
}

function syncNow(path: string, sync: () => void): void {
  try {
    sync()
  } catch (error) {
    throw diskFailed(path, error)
  }
}

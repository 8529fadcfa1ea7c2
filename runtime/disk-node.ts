/** Files of the machine, by synchronous calls; only a sync may also run off the thread. */
import {
  closeSync,
  constants,
  existsSync,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs'
import { asDiskError } from './disk-error.ts'
import type { Disk, DiskFile } from './host.ts'
import { SyncThread } from './sync-thread.ts'

const { O_CREAT, O_EXCL, O_RDONLY, O_RDWR } = constants

const flagsOf = {
  read: O_RDONLY,
  write: O_RDWR,
  create: O_RDWR | O_CREAT,
  createNew: O_RDWR | O_CREAT | O_EXCL,
} as const

export const systemDisk: Disk = {
  open: (path, mode) =>
    guarded(path, () => new SystemFile(path, openSync(path, flagsOf[mode], 0o600))),
  exists: path => existsSync(path),
  list: path => guarded(path, () => readdirSync(path)),
  // One level: Node's own recursion never ends where a parent exists and takes no names (/proc).
  makeDirectory: path => guarded(path, () => mkdirSync(path)),
  rename: (from, to) => guarded(from, () => renameSync(from, to)),
  remove: path => guarded(path, () => rmSync(path, { recursive: true })),
  syncDirectory: path => guarded(path, () => syncDirectory(path)),
  freeBytes: path => guarded(path, () => freeBytes(path)),
}

/** Makes its thread when it is first asked. */
const syncThread = new SyncThread()

class SystemFile implements DiskFile {
  readonly path: string
  readonly #descriptor: number

  constructor(path: string, descriptor: number) {
    this.path = path
    this.#descriptor = descriptor
  }

  sizeBytes(): number {
    return guarded(this.path, () => fstatSync(this.#descriptor).size)
  }

  read(target: Uint8Array, position: number): number {
    return guarded(this.path, () => readAll(this.#descriptor, target, position))
  }

  write(source: Uint8Array, position: number): void {
    guarded(this.path, () => writeAll(this.#descriptor, source, position))
  }

  truncate(sizeBytes: number): void {
    guarded(this.path, () => ftruncateSync(this.#descriptor, sizeBytes))
  }

  syncNow(): void {
    guarded(this.path, () => fdatasyncSync(this.#descriptor))
  }

  syncWithin(millisMax: number, done: (error?: Error) => void): boolean {
    return syncThread.sync(this.#descriptor, this.path, millisMax, done)
  }

  sync(done: (error?: Error) => void): void {
    fdatasync(this.#descriptor, error => {
      if (error === null) done()
      else done(asDiskError(error, this.path))
    })
  }

  close(): void {
    guarded(this.path, () => closeSync(this.#descriptor))
  }
}

function readAll(descriptor: number, target: Uint8Array, position: number): number {
  let count = 0
  while (count < target.length) {
    const read = readSync(descriptor, target, count, target.length - count, position + count)
    if (read === 0) break
    count += read
  }
  return count
}

function writeAll(descriptor: number, source: Uint8Array, position: number): void {
  let count = 0
  while (count < source.length) {
    count += writeSync(descriptor, source, count, source.length - count, position + count)
  }
}

function syncDirectory(path: string): void {
  const descriptor = openSync(path, O_RDONLY)
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path)
  return bavail * bsize
}

function guarded<Result>(path: string, operation: () => Result): Result {
  try {
    return operation()
  } catch (cause) {
    throw asDiskError(cause, path)
  }
}

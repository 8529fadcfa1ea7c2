/**
 * One process owns a data directory, and one for the log that is elsewhere (DESIGN.md D21): it listens on an abstract Unix socket named by the
 * directory's device and inode, which ends with the process; and since that name ends at a network
 * namespace, it leaves a lock file with its process id and start time. Edge of the program: this file
 * talks to the system itself, before there is a host.
 */
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { StorageError, systemCode } from './errors.ts'

export interface DirectoryLock {
  release(): void
}

/** Who a process is, so that another one with the same number is told apart. */
export interface ProcessMark {
  readonly pid: number
  /** Clock ticks since the system started. */
  readonly startTicks: string
  readonly boot: string
}

/** The parts of the system that tests exchange. */
export interface LockSystem {
  listen(name: string): Promise<Server>
  ownMark(): ProcessMark
  /** Nothing when there is no such process. */
  markOf(pid: number): ProcessMark | undefined
}

/** The directory must exist. */
export async function lockDirectory(
  path: string,
  system: LockSystem = lockSystem,
): Promise<DirectoryLock> {
  const lockFile = `${path}/lock`
  const { dev, ino } = statSync(path, { bigint: true })
  const server = await listenAlone(system, `\0quorate-${dev}-${ino}`, path, lockFile)
  try {
    takeLockFile(system, path, lockFile)
  } catch (error) {
    server.close()
    throw error
  }
  return {
    release() {
      rmSync(lockFile, { force: true })
      server.close()
    },
  }
}

/** The process that owns this directory now, as far as its lock file tells; undefined: none. */
export function ownerOf(path: string, system: LockSystem = lockSystem): number | undefined {
  const mark = readMark(`${path}/lock`)
  return mark !== undefined && isSame(mark, system.markOf(mark.pid)) ? mark.pid : undefined
}

async function listenAlone(
  system: LockSystem,
  name: string,
  path: string,
  lockFile: string,
): Promise<Server> {
  try {
    return await system.listen(name)
  } catch (error) {
    if (systemCode(error) !== 'EADDRINUSE') throw error
    throw owned(path, readMark(lockFile))
  }
}

function takeLockFile(system: LockSystem, path: string, lockFile: string): void {
  const before = readMark(lockFile)
  const own = system.ownMark()
  if (before !== undefined && before.pid !== own.pid && isSame(before, system.markOf(before.pid))) {
    throw owned(path, before)
  }
  const temporary = `${lockFile}.${own.pid}`
  writeFileSync(temporary, `${JSON.stringify(own)}\n`)
  renameSync(temporary, lockFile)
}

function readMark(lockFile: string): ProcessMark | undefined {
  try {
    return JSON.parse(readFileSync(lockFile, 'utf8')) as ProcessMark
  } catch {
    // None, or one that a crash cut short: then its process is gone.
    return undefined
  }
}

function isSame(left: ProcessMark, right: ProcessMark | undefined): boolean {
  return left.startTicks === right?.startTicks && left.boot === right.boot
}

function owned(path: string, mark: ProcessMark | undefined): StorageError {
  const who = mark === undefined ? 'another process' : `process ${mark.pid}`
  return new StorageError('owned', `${path} is in use by ${who}`)
}

export const lockSystem: LockSystem = {
  listen: name =>
    new Promise((resolve, reject) => {
      const server = createServer(socket => socket.destroy())
      server.once('error', reject)
      // It must not keep a process alive that has nothing else to do.
      server.listen({ path: name }, () => resolve(server.unref()))
    }),
  ownMark: () => lockSystem.markOf(process.pid) ?? { pid: process.pid, startTicks: '', boot: '' },
  markOf(pid) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      // The name of the program, in parentheses, may contain anything.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
      return { pid, startTicks: fields[19] ?? '', boot }
    } catch {
      return undefined
    }
  },
}

/**
 * A disk in memory that forgets as a real one does: on a crash, sectors and names that were not synced
 * are lost, or some of them kept, as the caller decides. It can be full, and any operation can fail.
 */
import type { Disk, DiskFile } from '../../runtime/host.ts'
import { DiskError } from '../../runtime/disk-error.ts'

export type DiskOperation =
  | 'open'
  | 'read'
  | 'write'
  | 'truncate'
  | 'sync'
  | 'syncDirectory'
  | 'makeDirectory'
  | 'rename'
  | 'remove'

export interface MemoryDiskOptions {
  /** How the callback of an asynchronous sync is run; default: from the event loop. */
  readonly later?: (callback: () => void) => void
  readonly capacityBytes?: number
}

export interface MemoryFile extends DiskFile {
  /** A sync of what is there now, which succeeds when the result is called, unless the machine failed. */
  beginSync(): () => void
}

/** Whether a crash keeps one thing that was not synced: a sector of a file, or the next change of a directory. */
export type Keep = (path: string) => boolean

export const sectorBytes = 512

export class MemoryDisk implements Disk {
  /** May name a system code with which an operation fails. */
  fault: (operation: DiskOperation, path: string) => string | undefined = () => undefined
  /** Whose syncs take longer than anybody waits in place. */
  isSlow: (path: string) => boolean = () => false
  capacityBytes: number
  /** Completed syncs of files and of directories. */
  fileSyncs = 0
  directorySyncs = 0
  readonly #later: (callback: () => void) => void
  readonly #root = new Directory()
  /** Handles of an earlier life are dead. */
  #life = 0

  constructor(options: MemoryDiskOptions = {}) {
    this.#later = options.later ?? (callback => void setImmediate(callback))
    this.capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY
  }

  open(path: string, mode: 'read' | 'write' | 'create' | 'createNew'): MemoryFile {
    this.#check('open', path)
    const { parent, name } = this.#locate(path)
    const found = parent.now.get(name)
    if (found instanceof Directory) throw failure('EISDIR', path)
    if (found !== undefined) {
      if (mode === 'createNew') throw failure('EEXIST', path)
      return this.#handle(path, found)
    }
    if (mode === 'read' || mode === 'write') throw failure('ENOENT', path)
    const content = new Content()
    parent.change({ kind: 'set', name, node: content })
    return this.#handle(path, content)
  }

  exists(path: string): boolean {
    return this.#find(path) !== undefined
  }

  list(directory: string): string[] {
    return [...this.#directory(directory).now.keys()].sort()
  }

  makeDirectory(path: string): void {
    this.#check('makeDirectory', path)
    const { parent, name } = this.#locate(path)
    if (parent.now.has(name)) throw failure('EEXIST', path)
    parent.change({ kind: 'set', name, node: new Directory() })
  }

  rename(from: string, to: string): void {
    this.#check('rename', from)
    const source = this.#locate(from)
    const target = this.#locate(to)
    const node = source.parent.now.get(source.name)
    if (node === undefined) throw failure('ENOENT', from)
    if (source.parent === target.parent) {
      source.parent.change({ kind: 'rename', name: source.name, to: target.name, node })
      return
    }
    target.parent.change({ kind: 'set', name: target.name, node })
    source.parent.change({ kind: 'remove', name: source.name })
  }

  remove(path: string): void {
    this.#check('remove', path)
    const { parent, name } = this.#locate(path)
    if (!parent.now.has(name)) throw failure('ENOENT', path)
    parent.change({ kind: 'remove', name })
  }

  syncDirectory(path: string): void {
    this.#checkDirectorySync(path)
    this.#directory(path).sync()
    this.directorySyncs++
  }

  /** A sync of the names as they are now, done when the result is called, unless the machine failed. */
  beginDirectorySync(path: string): () => void {
    this.#checkDirectorySync(path)
    const settle = this.#directory(path).beginSync()
    const life = this.#life
    return () => {
      if (life !== this.#life) return
      settle()
      this.directorySyncs++
    }
  }

  #checkDirectorySync(path: string): void {
    const code = this.fault('syncDirectory', path)
    if (code === undefined) return
    this.#directory(path).forgetChanges()
    throw failure(code, path)
  }

  freeBytes(_path: string): number {
    return Math.max(0, this.capacityBytes - this.usedBytes())
  }

  usedBytes(): number {
    let sectors = 0
    for (const { content } of this.#contents(this.#root, '')) sectors += content.sectors
    return sectors * sectorBytes
  }

  /** The machine loses power: what was not synced is lost, but for what `keep` names. */
  crash(keep: Keep = () => false): void {
    this.#life++
    for (const { path, content } of this.#contents(this.#root, '')) content.crash(path, keep)
    this.#crashNames(this.#root, '', keep)
  }

  /** Only the process dies: nothing is lost, but open files are closed. */
  killProcess(): void {
    this.#life++
  }

  /** What a file holds now, copied. */
  contents(path: string): Uint8Array {
    return this.#content(path).now.slice()
  }

  /** Puts a file there, durably, as if it had always been so. */
  put(path: string, bytes: Uint8Array): void {
    const { parent, name } = this.#locate(path)
    const content = new Content()
    content.place(bytes)
    parent.change({ kind: 'set', name, node: content })
    parent.sync()
  }

  /** Damages one byte, durably. */
  flip(path: string, offset: number, mask = 1): void {
    const bytes = this.contents(path)
    bytes[offset] = bytes[offset]! ^ mask
    this.put(path, bytes)
  }

  #handle(path: string, content: Content): MemoryFile {
    const life = this.#life
    const disk = this
    const check = (operation: DiskOperation): void => {
      if (life !== this.#life) throw failure('EBADF', path)
      this.#check(operation, path)
    }
    return {
      path,
      sizeBytes: () => content.now.length,
      read: (target, position) => {
        check('read')
        const part = content.now.subarray(position, position + target.length)
        target.set(part)
        return part.length
      },
      write: (source, position) => {
        check('write')
        this.#write(path, content, source, position)
      },
      truncate: size => {
        check('truncate')
        content.resize(size)
      },
      syncNow: () => {
        if (life !== this.#life) throw failure('EBADF', path)
        const code = this.fault('sync', path)
        if (code !== undefined) content.forgetDirty(content.dirtySectors())
        if (code !== undefined) throw failure(code, path)
        content.settle(content.dirtySectors())
        this.fileSyncs++
      },
      beginSync: () => {
        check('sync')
        const dirty = content.dirtySectors()
        return () => {
          if (life !== this.#life) return
          content.settle(dirty)
          this.fileSyncs++
        }
      },
      syncWithin(_millisMax, done) {
        if (disk.isSlow(path)) this.sync(done)
        else this.syncNow()
        return !disk.isSlow(path)
      },
      sync: done => {
        const dirty = content.dirtySectors()
        this.#later(() => {
          if (life !== this.#life) return
          const code = this.fault('sync', path)
          if (code !== undefined) {
            content.forgetDirty(dirty)
            return done(failure(code, path))
          }
          content.settle(dirty)
          this.fileSyncs++
          done()
        })
      },
      close: () => {},
    }
  }

  /** As much as there is room for, and then the error, as a real file system does. */
  #write(path: string, content: Content, source: Uint8Array, position: number): void {
    const free = this.capacityBytes - this.usedBytes()
    const fits = content.fits(position, source.length, free)
    content.write(source.subarray(0, fits), position)
    if (fits < source.length) throw failure('ENOSPC', path)
  }

  #check(operation: DiskOperation, path: string): void {
    const code = this.fault(operation, path)
    if (code !== undefined) throw failure(code, path)
  }

  #find(path: string): Node | undefined {
    let at: Node | undefined = this.#root
    for (const name of partsOf(path)) {
      if (!(at instanceof Directory)) return undefined
      at = at.now.get(name)
    }
    return at
  }

  #directory(path: string): Directory {
    const found = this.#find(path)
    if (found === undefined) throw failure('ENOENT', path)
    if (!(found instanceof Directory)) throw failure('ENOTDIR', path)
    return found
  }

  #content(path: string): Content {
    const found = this.#find(path)
    if (!(found instanceof Content)) throw failure('ENOENT', path)
    return found
  }

  #locate(path: string): { parent: Directory; name: string } {
    const parts = partsOf(path)
    const name = parts.pop() ?? ''
    return { parent: this.#directory(`/${parts.join('/')}`), name }
  }

  *#contents(directory: Directory, path: string): Generator<{ path: string; content: Content }> {
    for (const [name, node] of directory.now) {
      if (node instanceof Content) yield { path: `${path}/${name}`, content: node }
      else yield* this.#contents(node, `${path}/${name}`)
    }
  }

  #crashNames(directory: Directory, path: string, keep: Keep): void {
    directory.crash(path, keep)
    for (const [name, node] of directory.now) {
      if (node instanceof Directory) this.#crashNames(node, `${path}/${name}`, keep)
    }
  }
}

type Node = Directory | Content

type Change =
  | { readonly kind: 'set'; readonly name: string; readonly node: Node }
  | { readonly kind: 'remove'; readonly name: string }
  | { readonly kind: 'rename'; readonly name: string; readonly to: string; readonly node: Node }

/** Names as the process sees them, and as a crash would leave them. */
class Directory {
  now = new Map<string, Node>()
  #synced = new Map<string, Node>()
  #changes: Change[] = []
  /** Names whose last change no sync will write, since one has failed with it. */
  readonly #forgotten = new Set<string>()

  change(change: Change): void {
    this.#changes.push(change)
    for (const name of namesOf(change)) this.#forgotten.delete(name)
    apply(this.now, change)
  }

  sync(): void {
    this.beginSync()()
  }

  beginSync(): () => void {
    const names = new Map(this.now)
    for (const name of this.#forgotten) {
      const before = this.#synced.get(name)
      if (before === undefined) names.delete(name)
      else names.set(name, before)
    }
    const last = this.#changes.at(-1)
    return () => {
      const count = last === undefined ? 0 : this.#changes.indexOf(last) + 1
      if (count === 0) return
      this.#synced = names
      this.#changes = this.#changes.slice(count)
    }
  }

  /** A sync failed: what has changed since the last one reads as it is, and is gone with the power. */
  forgetChanges(): void {
    for (const change of this.#changes) {
      for (const name of namesOf(change)) this.#forgotten.add(name)
    }
    this.#changes = []
  }

  /** Changes reach a disk in their order, so a beginning of them is kept. */
  crash(path: string, keep: Keep): void {
    for (const change of this.#changes) {
      if (!keep(`${path}/${change.name}`)) break
      apply(this.#synced, change)
    }
    this.now = new Map(this.#synced)
    this.#changes = []
    this.#forgotten.clear()
  }
}

function namesOf(change: Change): string[] {
  return change.kind === 'rename' ? [change.name, change.to] : [change.name]
}

function apply(names: Map<string, Node>, change: Change): void {
  if (change.kind === 'set') names.set(change.name, change.node)
  else names.delete(change.name)
  if (change.kind === 'rename') names.set(change.to, change.node)
}

/** Bytes as the process sees them, and as a crash would leave them. */
class Content {
  #now = new Uint8Array(0)
  #size = 0
  #synced = new Uint8Array(0)
  #syncedSize = 0
  /** Sectors that differ from what is synced, with the number of the write that made them so. */
  #dirty = new Map<number, number>()
  readonly #allocated = new Set<number>()
  #writes = 0

  get now(): Uint8Array {
    return this.#now.subarray(0, this.#size)
  }

  get sectors(): number {
    return this.#allocated.size
  }

  /** How many of `length` bytes can be written when only `free` bytes are left. */
  fits(position: number, length: number, free: number): number {
    let left = free
    for (let at = position; at < position + length; at = (sectorOf(at) + 1) * sectorBytes) {
      if (this.#allocated.has(sectorOf(at))) continue
      if (left < sectorBytes) return at - position
      left -= sectorBytes
    }
    return length
  }

  write(source: Uint8Array, position: number): void {
    if (source.length === 0) return
    const end = position + source.length
    if (end > this.#size) this.resize(end)
    this.#now.set(source, position)
    this.#writes++
    for (let sector = sectorOf(position); sector <= sectorOf(end - 1); sector++) {
      this.#dirty.set(sector, this.#writes)
      this.#allocated.add(sector)
    }
  }

  resize(size: number): void {
    if (size > this.#now.length) {
      const grown = new Uint8Array(Math.max(size, this.#now.length * 2))
      grown.set(this.#now)
      this.#now = grown
    }
    if (size < this.#size) {
      this.#now.fill(0, size, this.#size)
      for (const sector of this.#allocated) {
        if (sector * sectorBytes >= size) this.#allocated.delete(sector)
      }
    }
    this.#size = size
  }

  /** Written and synced. */
  place(bytes: Uint8Array): void {
    this.#now = bytes.slice()
    this.#synced = bytes.slice()
    this.#size = bytes.length
    this.#syncedSize = bytes.length
    for (let sector = 0; sector * sectorBytes < bytes.length; sector++) this.#allocated.add(sector)
  }

  dirtySectors(): Map<number, { write: number; bytes: Uint8Array }> {
    const sectors = new Map<number, { write: number; bytes: Uint8Array }>()
    for (const [sector, write] of this.#dirty) {
      sectors.set(sector, { write, bytes: this.#sector(sector).slice() })
    }
    return sectors
  }

  /** These sectors are on the disk now. */
  settle(sectors: ReadonlyMap<number, { write: number; bytes: Uint8Array }>): void {
    for (const [sector, { write, bytes }] of sectors) {
      this.#keep(sector, bytes)
      if (this.#dirty.get(sector) === write) this.#dirty.delete(sector)
    }
    this.#syncedSize = this.#size
  }

  /**
   * Their sync failed: as on Linux the pages are clean from now on. They read as they were written, no
   * later sync writes them, and they are gone with the power.
   */
  forgetDirty(sectors: ReadonlyMap<number, { write: number }>): void {
    for (const [sector, { write }] of sectors) {
      if (this.#dirty.get(sector) === write) this.#dirty.delete(sector)
    }
  }

  crash(path: string, keep: Keep): void {
    for (const sector of [...this.#dirty.keys()].sort((left, right) => left - right)) {
      if (keep(path)) this.#keep(sector, this.#sector(sector))
    }
    this.#size = this.#syncedSize
    this.#now = this.#synced.slice(0, Math.max(this.#size, 0))
    if (this.#now.length < this.#size) this.resize(this.#size)
    this.#dirty = new Map()
  }

  #sector(sector: number): Uint8Array {
    return this.#now.subarray(
      sector * sectorBytes,
      Math.min((sector + 1) * sectorBytes, this.#size),
    )
  }

  #keep(sector: number, bytes: Uint8Array): void {
    const start = sector * sectorBytes
    const end = start + bytes.length
    if (end > this.#synced.length) {
      const grown = new Uint8Array(Math.max(end, this.#synced.length * 2))
      grown.set(this.#synced)
      this.#synced = grown
    }
    this.#synced.set(bytes, start)
    this.#syncedSize = Math.max(this.#syncedSize, end)
  }
}

function sectorOf(position: number): number {
  return Math.floor(position / sectorBytes)
}

function partsOf(path: string): string[] {
  return path.split('/').filter(part => part !== '')
}

function failure(code: string, path: string): DiskError {
  return new DiskError(code, path, `${code}: ${path}`)
}

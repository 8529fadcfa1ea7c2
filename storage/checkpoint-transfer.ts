/**
 * A checkpoint as one stream of bytes, for a peer that is too far behind: u32 magic, u32 length of the
 * manifest, the manifest of this one chain, then its files one after the other. What arrives lies in a
 * directory that counts for nothing until it has been verified and renamed.
 */
import type { Disk, DiskFile, Jobs } from '../runtime/host.ts'
import { invariant } from '../runtime/invariant.ts'
import { errorOf } from './checkpoint-files.ts'
import {
  type CheckpointJob,
  type CheckpointJobResult,
  checkpointJobModule,
} from './checkpoint-job.ts'
import {
  type Chain,
  chainBytes,
  decodeManifest,
  encodeManifest,
  endOf,
  manifestFormat,
  readManifest,
} from './checkpoint-manifest.ts'
import { StorageError, systemCode } from './errors.ts'

export interface CheckpointOffer {
  readonly position: number
  readonly epoch: number
  readonly bytes: number
}

export interface CheckpointSource extends CheckpointOffer {
  /** Fills `target` from the front; returns how much, 0 at the end. */
  read(target: Uint8Array): number
  close(): void
}

export interface CheckpointSink {
  write(chunk: Uint8Array): void
  finish(done: (error: Error | undefined, directory: string) => void): void
  abort(): void
}

const streamMagic = 0x31534351
const prefixBytes = 8
const manifestBytesMax = 1024 * 1024
/** A file may be replaced between reading the manifest and opening it. */
const openTriesMax = 5

/** Both ends of a transfer, for the actor that owns the links; it shares only the disk with the writer. */
export class CheckpointTransferFiles {
  readonly #disk: Disk
  readonly #jobs: Jobs
  readonly #directory: string
  #arrivals = 0

  constructor(disk: Disk, jobs: Jobs, directory: string) {
    this.#disk = disk
    this.#jobs = jobs
    this.#directory = directory
  }

  /** The newest one; its files stay readable until `close`, also when newer ones replace it. */
  openForSending(): CheckpointSource | undefined {
    for (let tries = 1; ; tries++) {
      const chain = readManifest(this.#disk, this.#directory).chains[0]
      if (chain === undefined) return undefined
      const files = this.#openAll(chain)
      if (files !== undefined) return new Source(chain, files)
      if (tries >= openTriesMax)
        throw new StorageError('damaged', `${this.#directory}: files are missing`)
    }
  }

  openForReceiving(offer: CheckpointOffer): CheckpointSink | string {
    const directory = `${this.#directory}/incoming`
    const free = this.#disk.freeBytes(this.#directory)
    if (offer.bytes > free) return `no space for ${offer.bytes} bytes, ${free} are free`
    if (this.#disk.exists(directory)) this.#disk.remove(directory)
    this.#disk.makeDirectory(directory)
    const arrived = `${this.#directory}/arrived-${offer.position}-${++this.#arrivals}`
    return new Sink(this.#disk, this.#jobs, directory, arrived, offer)
  }

  #openAll(chain: Chain): DiskFile[] | undefined {
    const files: DiskFile[] = []
    try {
      for (const { name } of chain)
        files.push(this.#disk.open(`${this.#directory}/${name}`, 'read'))
      return files
    } catch (error) {
      for (const file of files) file.close()
      if (systemCode(error) === 'ENOENT') return undefined
      throw error
    }
  }
}

class Source implements CheckpointSource {
  readonly position: number
  readonly epoch: number
  readonly bytes: number
  readonly #files: readonly DiskFile[]
  readonly #chain: Chain
  readonly #prefix: Uint8Array
  #prefixAt = 0
  #file = 0
  #at = 0

  constructor(chain: Chain, files: readonly DiskFile[]) {
    const { position, epoch } = endOf(chain)
    this.position = position
    this.epoch = epoch
    this.#chain = chain
    this.#files = files
    this.#prefix = prefixOf(chain)
    this.bytes = this.#prefix.length + chainBytes(chain)
  }

  read(target: Uint8Array): number {
    if (this.#prefixAt < this.#prefix.length) return this.#readPrefix(target)
    while (this.#file < this.#files.length) {
      const left = this.#chain[this.#file]!.bytes - this.#at
      if (left > 0) {
        const count = this.#files[this.#file]!.read(target.subarray(0, left), this.#at)
        if (count === 0)
          throw new StorageError('damaged', `${this.#files[this.#file]!.path} ends too early`)
        this.#at += count
        return count
      }
      this.#file++
      this.#at = 0
    }
    return 0
  }

  close(): void {
    for (const file of this.#files) file.close()
  }

  #readPrefix(target: Uint8Array): number {
    const part = this.#prefix.subarray(this.#prefixAt, this.#prefixAt + target.length)
    target.set(part)
    this.#prefixAt += part.length
    return part.length
  }
}

function prefixOf(chain: Chain): Uint8Array {
  const manifest = encodeManifest({ format: manifestFormat, files: chain.length, chains: [chain] })
  const prefix = new Uint8Array(prefixBytes + manifest.length)
  const view = new DataView(prefix.buffer)
  view.setUint32(0, streamMagic, true)
  view.setUint32(4, manifest.length, true)
  prefix.set(manifest, prefixBytes)
  return prefix
}

class Sink implements CheckpointSink {
  readonly #disk: Disk
  readonly #jobs: Jobs
  readonly #directory: string
  readonly #arrived: string
  readonly #offer: CheckpointOffer
  /** What came before the manifest was whole. */
  #prefix = new Uint8Array(0)
  #chain: Chain = []
  #current: DiskFile | undefined
  #file = -1
  #at = 0
  #isOver = false

  constructor(disk: Disk, jobs: Jobs, directory: string, arrived: string, offer: CheckpointOffer) {
    this.#disk = disk
    this.#jobs = jobs
    this.#directory = directory
    this.#arrived = arrived
    this.#offer = offer
  }

  write(chunk: Uint8Array): void {
    invariant(!this.#isOver, 'nothing comes after the end')
    let rest = chunk
    if (this.#chain.length === 0) {
      const start = this.#takePrefix(chunk)
      if (start < 0) return
      rest = chunk.subarray(start)
    }
    while (rest.length > 0) rest = this.#takeContent(rest)
  }

  finish(done: (error: Error | undefined, directory: string) => void): void {
    this.#isOver = true
    const isWhole = this.#chain.length > 0 && this.#isLastWhole()
    this.#closeCurrent()
    if (!isWhole) {
      this.#disk.remove(this.#directory)
      done(this.#refuse('it ended too early'), '')
      return
    }
    const chain = this.#chain
    const job: CheckpointJob = {
      kind: 'verify',
      from: this.#directory,
      to: this.#arrived,
      chain,
      files: chain.length,
    }
    this.#jobs.run<CheckpointJobResult>(checkpointJobModule, job, (error, result) => {
      const failure = errorOf(this.#directory, error, result)
      if (failure !== undefined && this.#disk.exists(this.#directory))
        this.#disk.remove(this.#directory)
      done(failure, this.#arrived)
    })
  }

  abort(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#closeCurrent()
    this.#disk.remove(this.#directory)
  }

  /** Where the files begin in `chunk`, or −1 while the manifest is not whole. */
  #takePrefix(chunk: Uint8Array): number {
    const before = this.#prefix.length
    const all = new Uint8Array(before + chunk.length)
    all.set(this.#prefix)
    all.set(chunk, before)
    this.#prefix = all
    if (all.length < prefixBytes) return -1
    const view = new DataView(all.buffer)
    if (view.getUint32(0, true) !== streamMagic) throw this.#refuse('it is no checkpoint')
    const length = view.getUint32(4, true)
    if (length > manifestBytesMax) throw this.#refuse(`its manifest would have ${length} bytes`)
    if (all.length < prefixBytes + length) return -1
    this.#chain = this.#readChain(all.subarray(prefixBytes, prefixBytes + length))
    this.#prefix = new Uint8Array(0)
    return prefixBytes + length - before
  }

  #readChain(bytes: Uint8Array): Chain {
    const chain = decodeManifest(bytes, 'the checkpoint of a peer').chains[0] ?? []
    const isNamed = chain.every(({ name }) => /^[0-9]+-[0-9]+\.(base|delta)$/.test(name))
    if (chain.length === 0 || !isNamed) throw this.#refuse('its manifest names no proper files')
    const { position, epoch } = endOf(chain)
    const isAsOffered =
      position === this.#offer.position &&
      epoch === this.#offer.epoch &&
      prefixBytes + bytes.length + chainBytes(chain) === this.#offer.bytes
    if (!isAsOffered) throw this.#refuse('it is not what was offered')
    return chain
  }

  /** Writes what belongs to the current file and returns the rest. */
  #takeContent(bytes: Uint8Array): Uint8Array {
    while (this.#current === undefined || this.#at === this.#chain[this.#file]!.bytes)
      this.#nextFile()
    const left = this.#chain[this.#file]!.bytes - this.#at
    const part = bytes.subarray(0, left)
    this.#current.write(part, this.#at)
    this.#at += part.length
    return bytes.subarray(part.length)
  }

  #nextFile(): void {
    this.#closeCurrent()
    this.#file++
    const file = this.#chain[this.#file]
    if (file === undefined) throw this.#refuse('more bytes than it said')
    this.#current = this.#disk.open(`${this.#directory}/${file.name}`, 'createNew')
    this.#at = 0
  }

  #isLastWhole(): boolean {
    return this.#file === this.#chain.length - 1 && this.#at === this.#chain[this.#file]!.bytes
  }

  #closeCurrent(): void {
    this.#current?.close()
    this.#current = undefined
  }

  #refuse(reason: string): StorageError {
    return new StorageError('damaged', `the checkpoint of a peer cannot be used: ${reason}`)
  }
}

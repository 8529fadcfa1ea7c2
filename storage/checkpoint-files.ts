/**
 * The checkpoints of one node on disk (DESIGN.md D18): `<number>-<position>.base` and `.delta`, and the
 * manifest that says which of them count. Encoding, checksums and writes run in the pool; a new
 * checkpoint counts once the manifest that names it is durable, and the one before it is kept.
 */
import type { Disk, Jobs } from '../runtime/host.ts'
import { invariant } from '../runtime/invariant.ts'
import { type FileMark, readCheckpointFile, readHead } from './checkpoint-file.ts'
import {
  type CheckpointJob,
  type CheckpointJobResult,
  checkpointJobModule,
  type ListedContent,
  removeUnlisted,
} from './checkpoint-job.ts'
import {
  type Chain,
  chainBytes,
  endOf,
  type Manifest,
  readManifest,
  writeManifest,
} from './checkpoint-manifest.ts'
import { diskFailed, isDiskFull, StorageError } from './errors.ts'
import { ensureDirectory, syncDirectory } from './files.ts'

export interface CheckpointOptions {
  readonly disk: Disk
  readonly jobs: Jobs
  readonly directory: string
  readonly fsync?: 'always' | 'never'
}

export interface CheckpointContent {
  readonly kind: 'base' | 'delta'
  readonly position: number
  readonly epoch: number
  /** Small tables, as they were at `position`. */
  readonly head: Uint8Array
  /** Every entry (base), or every one that changed since the checkpoint before (delta). */
  readonly listed: ListedContent
}

/** Takes in one checkpoint: first its head, then the entries of the base, then of each delta. */
export interface CheckpointConsumer {
  head(bytes: Uint8Array): void
  /** Whole entries (`loadBlock`); the bytes are valid only during the call. */
  entries(block: Uint8Array): void
}

export interface Loaded {
  readonly position: number
  readonly epoch: number
  /** Why newer ones were passed over: each names a file and, where it is damaged, the offset. */
  readonly passedOver: readonly string[]
}

/** A new base is due when the deltas have more than this part of the base's bytes, or are too many. */
const deltaShareMax = 0.5
const deltaBytesMin = 32 * 1024 * 1024
const deltaFilesMax = 16

export class CheckpointFiles {
  readonly #options: CheckpointOptions
  #manifest: Manifest
  #isWriting = false

  constructor(options: CheckpointOptions) {
    this.#options = options
    const { disk, directory } = options
    ensureDirectory(disk, directory)
    this.#manifest = readManifest(disk, directory)
  }

  /** Where the newest one stands; nothing when there is none. */
  newest(): { readonly position: number; readonly epoch: number } | undefined {
    const chain = this.#manifest.chains[0]
    return chain === undefined ? undefined : endOf(chain)
  }

  get sizeBytes(): number {
    const files = new Map(this.#manifest.chains.flat().map(file => [file.name, file.bytes]))
    return [...files.values()].reduce((sum, bytes) => sum + bytes, 0)
  }

  /** What the next one should be: deltas are merged by writing a new base from memory. */
  nextKind(): 'base' | 'delta' {
    const chain = this.#manifest.chains[0]
    if (chain === undefined) return 'base'
    const base = chain[0]!.bytes
    const deltas = chainBytes(chain) - base
    const isLong = chain.length > deltaFilesMax
    return isLong || deltas > Math.max(deltaBytesMin, base * deltaShareMax) ? 'base' : 'delta'
  }

  /**
   * Writes one in the pool. `done` gets nothing when it is durable, or a `StorageError`: `noSpace`
   * changed nothing and may be tried again, `diskFailed` is final. `left` is '' or says which old file
   * could not be removed.
   */
  write(
    content: CheckpointContent,
    done: (error: StorageError | undefined, left: string) => void,
  ): void {
    invariant(!this.#isWriting, 'one checkpoint is written at a time')
    const { kind, position, epoch, head, listed } = content
    const follows = kind === 'base' ? 0 : (this.newest()?.position ?? 0)
    invariant(kind === 'base' || this.newest() !== undefined, 'a delta follows a checkpoint')
    this.#isWriting = true
    const manifest = this.#manifest
    const { directory, fsync } = this.#options
    const job: CheckpointJob = {
      kind: 'write',
      directory,
      name: fileName(manifest.files + 1, { kind, position }),
      mark: { kind, position, epoch, follows },
      ...{ head, content: listed, manifest },
      fsync: fsync !== 'never',
    }
    this.#run(job, (error, result) => {
      this.#isWriting = false
      if (result?.kind === 'written') this.#manifest = result.manifest
      done(error, result?.kind === 'written' ? result.left : '')
    })
  }

  /**
   * Loads the newest checkpoint that is whole; `begin` is called anew for each one tried. Nothing when
   * there is none at all. Throws when there are some and none is whole.
   */
  load(begin: () => CheckpointConsumer): Loaded | undefined {
    const { disk, directory } = this.#options
    // What a process left that was killed, or whose last sync failed, may be in the system's cache alone,
    // and a sync would write nothing of it; the journal below what is loaded will go, so it is written anew.
    this.#renewManifest()
    syncDirectory(disk, directory)
    const passedOver: string[] = []
    for (const chain of this.#manifest.chains) {
      try {
        loadChain(disk, directory, chain, begin())
        const { position, epoch } = endOf(chain)
        this.#forgetNewer(chain)
        return { position, epoch, passedOver }
      } catch (error) {
        if (!(error instanceof StorageError) || error.code !== 'damaged') throw error
        passedOver.push(error.message)
      }
    }
    if (passedOver.length === 0) return undefined
    const help = 'begin with an empty data directory, and bind it by `quorate member replace`'
    throw new StorageError('damaged', `no checkpoint is whole: ${passedOver.join('; ')}; ${help}`)
  }

  /**
   * Takes over a checkpoint that a peer sent (`CheckpointReceiver`), as the only one: what was before
   * it is not consistent with it. Durable when it returns; then `load` gives it.
   * @throws StorageError `noSpace`: nothing has changed, and what arrived is of no use any more.
   */
  adopt(arrived: string): void {
    invariant(!this.#isWriting, 'a checkpoint is not taken over while one is written')
    const { disk, directory } = this.#options
    const chain = readManifest(disk, arrived).chains[0]
    if (chain === undefined) throw new StorageError('damaged', `${arrived} holds no checkpoint`)
    let files = this.#manifest.files
    const adopted = chain.map(file => ({ ...file, name: fileName(++files, file) }))
    for (const [index, file] of adopted.entries()) {
      disk.rename(`${arrived}/${chain[index]!.name}`, `${directory}/${file.name}`)
    }
    syncDirectory(disk, directory)
    const manifest = { ...this.#manifest, files, chains: [adopted] }
    try {
      writeManifest(disk, directory, manifest)
    } catch (error) {
      if (!isDiskFull(error)) throw error
      removeUnlisted(disk, directory, this.#manifest)
      throw new StorageError('noSpace', `${directory}: no space to take over a checkpoint`, error)
    }
    this.#manifest = manifest
    this.discard(arrived)
    removeUnlisted(disk, directory, manifest)
  }

  /** Removes what a peer sent, in the pool; what cannot be removed goes at the next start. */
  discard(arrived: string): void {
    this.#run({ kind: 'discard', directory: arrived }, () => {})
  }

  /** On a full disk the one that is there has to do. */
  #renewManifest(): void {
    const { disk, directory } = this.#options
    if (this.#manifest.chains.length === 0) return
    try {
      writeManifest(disk, directory, this.#manifest)
    } catch (error) {
      if (!isDiskFull(error)) throw error
    }
  }

  /** A delta must not be added to a chain that could not be read. */
  #forgetNewer(chain: Chain): void {
    if (this.#manifest.chains[0] === chain) return
    this.#manifest = { ...this.#manifest, chains: [chain] }
  }

  #run(
    job: CheckpointJob,
    done: (error: StorageError | undefined, result?: CheckpointJobResult) => void,
  ): void {
    this.#options.jobs.run<CheckpointJobResult>(checkpointJobModule, job, (error, result) => {
      done(errorOf(this.#options.directory, error, result), result)
    })
  }
}

/** Removes what crashes left: once at the start, before anybody can send one to this node. */
export function removeLeftovers(disk: Disk, directory: string): void {
  removeUnlisted(disk, directory, readManifest(disk, directory))
  for (const name of disk.list(directory)) {
    if (/^(incoming|arrived)/.test(name) || name.endsWith('.tmp'))
      disk.remove(`${directory}/${name}`)
  }
}

export function fileName(number: number, mark: Pick<FileMark, 'kind' | 'position'>): string {
  return `${number.toString().padStart(8, '0')}-${mark.position}.${mark.kind}`
}

/** What a job's result means for who asked. */
export function errorOf(
  directory: string,
  error: Error | undefined,
  result: CheckpointJobResult | undefined,
): StorageError | undefined {
  if (error !== undefined) return diskFailed(directory, error)
  switch (result?.kind) {
    case 'full':
      return new StorageError('noSpace', `${directory}: no space for a checkpoint`)
    case 'failed':
      return diskFailed(directory, result.reason)
    case 'damaged':
      return new StorageError('damaged', result.reason)
    default:
      return undefined
  }
}

function loadChain(
  disk: Disk,
  directory: string,
  chain: Chain,
  consumer: CheckpointConsumer,
): void {
  const { head } = readHead(disk, `${directory}/${endOf(chain).name}`)
  consumer.head(head)
  let before = 0
  for (const file of chain) {
    const path = `${directory}/${file.name}`
    const mark = readCheckpointFile(disk, path, { entries: block => consumer.entries(block) })
    if (mark.position !== file.position || mark.follows !== before) {
      throw new StorageError('damaged', `${path} is not the one that the manifest names`)
    }
    before = mark.position
  }
}

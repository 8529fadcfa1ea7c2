/**
 * What belongs to one node on disk, and who it is (DESIGN.md D14, D20):
 *
 *     identity       store id, incarnation, formed or not        lock   its owner (directory-lock.ts)
 *     checkpoints/   see checkpoint-files.ts
 *
 * and here too, or in a directory on another disk:
 *
 *     journal/       segments                                    set-aside-N/   a damaged journal
 */
import type { Disk, Random } from '../runtime/host.ts'
import { removeLeftovers } from './checkpoint-files.ts'
import { endOf, readManifest } from './checkpoint-manifest.ts'
import { StorageError } from './errors.ts'
import { directoryOf, ensureDirectory, syncDirectory } from './files.ts'
import {
  identityFormat,
  identityName,
  readIdentity,
  type StoreIdentity,
  writeIdentity,
} from './identity.ts'
import { createFirstSegment } from './journal-open.ts'
import { type Damaged, recoverJournal } from './journal-recovery.ts'
import { endOfContent } from './journal-reader.ts'
import { sectorBytes } from './journal-record.ts'
import { listSegments, readSegment, segmentPath } from './segment.ts'

export interface DataDirectoryOptions {
  readonly disk: Disk
  readonly random: Random
  /** Absolute. */
  readonly path: string
  /** Where `journal/` is, if not there; absolute. */
  readonly logPath?: string | undefined
  readonly segmentBytes: number
  /**
   * Not below the milliseconds since 1970: so a node whose store was lost is not taken for one of its
   * own earlier incarnations, whose answers it would take for those to its own commands (DESIGN.md D6).
   */
  readonly incarnationMin?: number
}

/** While it is there, `quorate recover` has begun and not finished; it names the journal to be read. */
export const recoveringName = 'recovering'

/**
 * A store is made with its first segment, so a journal that is missing later is lost. A damaged one is
 * set aside here, before anyone has heard of the store: `damage` says so.
 */
export function openDataDirectory(options: DataDirectoryOptions): DataDirectory {
  const { disk, path } = options
  const journalPath = `${options.logPath ?? path}/journal`
  if (disk.exists(`${path}/${recoveringName}`)) {
    const message = `${path}: a recovery was begun and not finished: run \`quorate recover\` again`
    throw new StorageError('damaged', message)
  }
  for (const directory of [path, journalPath, `${path}/checkpoints`])
    ensureDirectory(disk, directory)
  // An earlier process may have been killed between making one and making its name durable.
  for (const directory of new Set([path, options.logPath ?? path])) syncDirectory(disk, directory)
  removeLeftovers(disk, `${path}/checkpoints`)
  const found = readIdentity(disk, `${path}/${identityName}`)
  if (found === undefined) removeUnborn(disk, journalPath)
  const identity = found ?? makeStore(options, journalPath, { formed: false, replaced: 0 }, 0)
  const directory = new DataDirectory(options, journalPath, identity)
  directory.nextIncarnation()
  if (found !== undefined) directory.checkJournal()
  return directory
}

export class DataDirectory {
  readonly path: string
  readonly journalPath: string
  readonly checkpointPath: string
  readonly #options: DataDirectoryOptions
  #identity: StoreIdentity
  #damage = ''

  constructor(options: DataDirectoryOptions, journalPath: string, identity: StoreIdentity) {
    this.#options = options
    this.path = options.path
    this.journalPath = journalPath
    this.checkpointPath = `${options.path}/checkpoints`
    this.#identity = identity
  }

  /** '' or why the store that was here had to be given up at this start, for the log. */
  get damage(): string {
    return this.#damage
  }

  /** 32 hexadecimal digits. */
  get storeId(): string {
    return this.#identity.store
  }

  get storeBytes(): Uint8Array {
    return bytesOfHex(this.#identity.store)
  }

  get incarnation(): number {
    return this.#identity.incarnation
  }

  /** A node that has seen its cluster formed, or lost a store, never forms a cluster (DESIGN.md D14). */
  get mayForm(): boolean {
    return !this.#identity.formed && this.#identity.replaced === 0
  }

  /** Durable when it returns. */
  markFormed(): void {
    if (!this.#identity.formed) this.#write({ ...this.#identity, formed: true })
  }

  nextIncarnation(): void {
    const incarnation = Math.max(this.#identity.incarnation + 1, this.#options.incarnationMin ?? 1)
    this.#write({ ...this.#identity, incarnation })
  }

  /** Reads what is above the newest checkpoint; damage there makes this another store. */
  checkJournal(): void {
    const { disk } = this.#options
    const newest = readManifest(disk, this.checkpointPath).chains[0]
    const position = newest === undefined ? 0 : endOf(newest).position
    const directory = this.journalPath
    const found = recoverJournal({ disk, directory, store: this.storeBytes, position })
    // A crash may have come after the journal was set aside, and before the new store was made.
    const isHalfway = disk.exists(this.nextAside)
    if (found.kind === 'empty' && !isHalfway) {
      throw new StorageError('damaged', `${directory} holds no journal: is its disk mounted?`)
    }
    if (found.kind === 'recovered') return
    if (found.kind === 'damaged' && found.isForeign && !isHalfway) {
      const message = `${directory} holds the journal of another store: is it the right log directory?`
      throw new StorageError('damaged', message)
    }
    const aside = this.replaceStore()
    const what = found.kind === 'empty' ? 'the journal was damaged' : describe(found)
    this.#damage = `${what}; the journal is now in ${aside}`
  }

  /**
   * After damage: the journal is set aside for people to look at, and an empty store with an id of
   * its own takes its place. It is bound to no membership, so the node waits for `member replace`.
   * Returns where the damaged one is now.
   */
  replaceStore(): string {
    const { disk } = this.#options
    const { incarnation, replaced } = this.#identity
    const parent = directoryOf(this.journalPath)
    const aside = this.nextAside
    // Until the identity is written the old store counts, and its missing journal is damage again.
    if (!disk.exists(aside)) disk.rename(this.journalPath, aside)
    else removeUnborn(disk, this.journalPath)
    syncDirectory(disk, parent)
    ensureDirectory(disk, this.journalPath)
    const history = { formed: true, replaced: replaced + 1 }
    this.#identity = makeStore(this.#options, this.journalPath, history, incarnation)
    return aside
  }

  /** Where a journal goes that is given up next. */
  get nextAside(): string {
    return `${directoryOf(this.journalPath)}/set-aside-${this.#identity.replaced + 1}`
  }

  #write(identity: StoreIdentity): void {
    writeIdentity(this.#options.disk, `${this.path}/${identityName}`, identity)
    this.#identity = identity
  }
}

function describe({ path, offset, reason }: Damaged): string {
  return `${path} was damaged at ${offset}: ${reason}`
}

export function bytesOfHex(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, index) =>
    Number.parseInt(hex.slice(2 * index, 2 * index + 2), 16),
  )
}

function makeStore(
  { disk, random, path, segmentBytes }: DataDirectoryOptions,
  journalPath: string,
  history: { readonly formed: boolean; readonly replaced: number },
  incarnation: number,
): StoreIdentity {
  const bytes = random.bytes(16)
  const store = Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
  createFirstSegment(disk, journalPath, bytes, segmentBytes)
  const identity = { format: identityFormat, store, incarnation, ...history }
  writeIdentity(disk, `${path}/${identityName}`, identity)
  return identity
}

/** A first segment whose store never got its identity holds nothing; more than that is not ours to remove. */
function removeUnborn(disk: Disk, journalPath: string): void {
  const { sequences, unfinished } = listSegments(disk, journalPath)
  const isEmpty =
    sequences.length === 0 ||
    (sequences.length === 1 &&
      endOfContent(readSegment(disk, segmentPath(journalPath, sequences[0]!))) <= sectorBytes)
  if (!isEmpty) {
    throw new StorageError(
      'damaged',
      `${journalPath} holds a journal, but its identity file is missing`,
    )
  }
  for (const sequence of sequences) disk.remove(segmentPath(journalPath, sequence))
  for (const name of unfinished) disk.remove(`${journalPath}/${name}`)
}

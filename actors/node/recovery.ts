/**
 * One stopped node becomes the only member of a new cluster, with all that its disk still has: the way
 * out of a lost majority, and of a single node whose journal is damaged. What was there is set aside,
 * never changed; the new journal belongs to a store of its own, so nodes of the old cluster are refused.
 */
import type { Host } from '../../runtime/host.ts'
import { readHead } from '../../storage/checkpoint-file.ts'
import { endOf, readManifest } from '../../storage/checkpoint-manifest.ts'
import {
  bytesOfHex,
  DataDirectory,
  type DataDirectoryOptions,
  recoveringName,
} from '../../storage/data-directory.ts'
import { StorageError } from '../../storage/errors.ts'
import {
  directoryOf,
  ensureDirectory,
  readFile,
  replaceFile,
  syncDirectory,
} from '../../storage/files.ts'
import { identityName, readIdentity, type StoreIdentity } from '../../storage/identity.ts'
import type { JournalCompletion } from '../../storage/journal.ts'
import { openJournal } from '../../storage/journal-open.ts'
import { type Salvage, salvageJournal } from '../../storage/journal-salvage.ts'
import { membershipEntry, newestMembership } from '../consensus/entries.ts'
import type { Member, Membership } from '../consensus/interface.ts'
import { decodeMembership, encodeMembership } from '../consensus/membership.ts'
import { decodeHardState, encodeHardState } from '../consensus/raft/hard-state.ts'
import { logOfHead } from '../state/replica.ts'

export interface RecoveryPlan {
  readonly directory: DataDirectory
  /** The journal that is read: that of the store, or one that was set aside as damaged. */
  readonly source: string
  /** The store's journal is empty, and may take what is kept. */
  readonly isSetAside: boolean
  /** Of the newest checkpoint; position 0: there is none. */
  readonly checkpoint: CheckpointEnd
  readonly salvage: Salvage
  /** The newest one that is kept. */
  readonly membership: Membership
}

interface CheckpointEnd {
  readonly position: number
  readonly epoch: number
  readonly timeMillis: number
  readonly membership: Uint8Array
}

/** Reads only. @throws StorageError where there is nothing that could be recovered. */
export function planRecovery(options: DataDirectoryOptions): RecoveryPlan {
  const { disk, path } = options
  const identity = readIdentity(disk, `${path}/${identityName}`)
  if (identity === undefined) throw new StorageError('damaged', `${path} holds no node`)
  const journalPath = `${options.logPath ?? path}/journal`
  const directory = new DataDirectory(options, journalPath, identity)
  const checkpoint = newestCheckpoint(options)
  const { source, isSetAside } = sourceOf(options, journalPath, identity)
  const salvage = salvageFrom(options, source, checkpoint)
  const membership = newestMembership(salvage.chunks) ?? decodeMembership(checkpoint.membership)
  return { directory, source, isSetAside, checkpoint, salvage, membership }
}

/** Durable when it resolves. After a crash in between it can be run again, and a start is refused until then. */
export async function carryOutRecovery(
  plan: RecoveryPlan,
  options: DataDirectoryOptions,
  host: Host,
  own: Omit<Member, 'store'>,
): Promise<void> {
  const { disk, path, segmentBytes } = options
  const { directory, salvage, checkpoint } = plan
  const marker = `${path}/${recoveringName}`
  const source = plan.isSetAside ? plan.source : directory.nextAside
  replaceFile(disk, marker, new TextEncoder().encode(source))
  if (!plan.isSetAside || !isEmpty(disk, directory)) {
    // An attempt that was killed may have set it aside, and not come further.
    ensureDirectory(disk, directory.journalPath)
    directory.replaceStore()
  }
  const epoch = Math.max(hardEpoch(salvage.hardState), salvage.lastEpoch, checkpoint.epoch) + 1
  const voter = { ...own, store: directory.storeId }
  const alone = { formation: directory.storeId, voters: [voter], outgoing: [], learners: [] }
  const last = Math.max(salvage.kept.last, checkpoint.position)
  const time = Math.max(salvage.kept.lastTimeMillis, checkpoint.timeMillis)
  const entry = membershipEntry(encodeMembership(alone), last + 1, epoch, time)
  const hardState = encodeHardState({ epoch, votedFor: 0, formed: true })
  const store = bytesOfHex(directory.storeId)
  const settings = { directory: directory.journalPath, store, segmentBytes }
  await writeJournal(host, settings, [...salvage.chunks, entry], hardState)
  disk.remove(marker)
  syncDirectory(disk, path)
}

function newestCheckpoint({ disk, path }: DataDirectoryOptions): CheckpointEnd {
  const checkpoints = `${path}/checkpoints`
  const newest = readManifest(disk, checkpoints).chains[0]
  if (newest === undefined) return { position: 0, epoch: 0, timeMillis: 0, membership: nothing }
  const { name, position, epoch } = endOf(newest)
  const { time, membership } = logOfHead(readHead(disk, `${checkpoints}/${name}`).head)
  return { position, epoch, timeMillis: time, membership }
}

/** The store's own journal, unless that is new and empty because the one before was damaged. */
function sourceOf(
  options: DataDirectoryOptions,
  journalPath: string,
  { replaced }: StoreIdentity,
): { readonly source: string; readonly isSetAside: boolean } {
  const { disk, path } = options
  const marker = `${path}/${recoveringName}`
  if (disk.exists(marker)) {
    const named = new TextDecoder().decode(readFile(disk, marker))
    if (disk.exists(named)) return { source: named, isSetAside: true }
  }
  const own = salvageJournal({ disk, directory: journalPath, position: 0 })
  const isNew =
    own !== undefined &&
    own.kept.count === 0 &&
    own.damage === undefined &&
    hardEpoch(own.hardState) === 0
  const aside = `${directoryOf(journalPath)}/set-aside-${replaced}`
  if (isNew && replaced > 0 && disk.exists(aside)) return { source: aside, isSetAside: true }
  return { source: journalPath, isSetAside: false }
}

function salvageFrom(
  { disk }: DataDirectoryOptions,
  directory: string,
  checkpoint: CheckpointEnd,
): Salvage {
  const { position } = checkpoint
  const salvage = salvageJournal({ disk, directory, position })
  if (salvage === undefined) throw new StorageError('damaged', `${directory} holds no journal`)
  // What ends below the checkpoint adds nothing to it.
  if (salvage.kept.last >= position) return salvage
  return { ...salvage, chunks: [], kept: { ...salvage.kept, count: 0, first: 0, last: 0 } }
}

function isEmpty(disk: DataDirectoryOptions['disk'], directory: DataDirectory): boolean {
  const own = salvageJournal({ disk, directory: directory.journalPath, position: 0 })
  return own !== undefined && own.kept.count === 0 && own.damage === undefined
}

function hardEpoch(hardState: Uint8Array): number {
  return decodeHardState(hardState).epoch
}

/** All of it durable when it resolves; the hard state with the last chunk. */
async function writeJournal(
  { disk, jobs, clock }: Host,
  settings: {
    readonly directory: string
    readonly store: Uint8Array
    readonly segmentBytes: number
  },
  chunks: readonly Uint8Array[],
  hardState: Uint8Array,
): Promise<void> {
  const completions: JournalCompletion[] = []
  let persisted = 0
  let full = false
  const opened = openJournal(
    {
      ...settings,
      disk,
      jobs,
      clock,
      fsync: 'always',
      retainedBytesMax: Number.MAX_SAFE_INTEGER,
      complete: completion => completions.push(completion),
      notify: outcome => {
        if (outcome.kind === 'persisted') persisted += 1
        full ||= outcome.kind === 'diskFull'
      },
    },
    { position: 0, mayCreate: false },
  )
  if (opened.kind === 'damaged') throw new StorageError('damaged', opened.reason)
  const { journal } = opened
  for (const [index, chunk] of chunks.entries()) {
    const isLast = index === chunks.length - 1
    journal.persist(index + 1, 0, chunk, isLast ? hardState : nothing)
    journal.flush()
    while (persisted <= index) {
      if (full) throw new StorageError('noSpace', `${settings.directory}: no space for the journal`)
      await new Promise(resolve => setTimeout(resolve, 1))
      for (const completion of completions.splice(0)) journal.completed(completion)
    }
  }
  journal.close()
}

const nothing = new Uint8Array(0)

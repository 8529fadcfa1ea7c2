/**
 * What a leader proposes of its own accord about the state as a whole: the quota, where the replicated
 * one is not what it is configured with, and compactions that are due. Both are commands like any
 * other, so that all nodes come to the same; they go through the sessions actor's stream.
 */
import { entryKind } from '../consensus/entry.ts'
import type { SessionsMessage } from '../sessions/messages.ts'
import { AutoCompaction, type AutoCompactionSetup } from './auto-compaction.ts'
import { encodeCompaction } from './etcd-commands.ts'
import type { Replica } from './replica.ts'

export interface DutiesSetup {
  /** How many bytes the state may hold while this node leads; default: as it was. */
  readonly quotaBytes?: number
  /** Default: history is kept until a client compacts it. */
  readonly compaction?: AutoCompactionSetup
}

/** A proposal may be lost with the leadership in which it was made. */
const againMillis = 5_000

export class LeaderDuties {
  readonly #setup: DutiesSetup
  readonly #replica: Replica
  readonly #tell: (message: SessionsMessage) => void
  readonly #compaction: AutoCompaction | undefined
  #quotaToldMillis = Number.NEGATIVE_INFINITY

  constructor(
    setup: DutiesSetup,
    replica: Replica,
    nowMillis: number,
    tell: (message: SessionsMessage) => void,
  ) {
    this.#setup = setup
    this.#replica = replica
    this.#tell = tell
    const { compaction } = setup
    if (compaction === undefined || compaction.mode === 'none') return
    this.#compaction = new AutoCompaction(compaction, nowMillis, replica.keyspace.revision)
  }

  tick(nowMillis: number, leading: boolean): void {
    if (leading) this.#checkQuota(nowMillis)
    const { keyspace } = this.#replica
    const revision = this.#compaction?.tick(nowMillis, keyspace.revision, leading)
    if (revision === undefined || revision <= keyspace.compactRevision) return
    const body = encodeCompaction(revision)
    this.#tell({ kind: 'stateCommand', entryKind: entryKind.etcd, body })
  }

  #checkQuota(nowMillis: number): void {
    const { quotaBytes } = this.#setup
    if (quotaBytes === undefined || quotaBytes === this.#replica.space.quotaBytes) return
    if (nowMillis - this.#quotaToldMillis < againMillis) return
    this.#quotaToldMillis = nowMillis
    const body = new Uint8Array(8)
    new DataView(body.buffer).setFloat64(0, quotaBytes)
    this.#tell({ kind: 'stateCommand', entryKind: entryKind.quota, body })
  }
}

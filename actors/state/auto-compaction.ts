/**
 * When history is compacted without anybody asking for it, as etcd does it: by age (periodic) or by a
 * number of revisions. Every node takes notes, the leader acts on them, so that the next leader goes
 * on at once. Pure: what it decides goes into an ordinary compaction command.
 */
export interface AutoCompactionSetup {
  readonly mode: 'none' | 'periodic' | 'revision'
  /** History that is kept by `periodic`. */
  readonly retentionMillis: number
  /** History that is kept by `revision`. */
  readonly retentionRevisions: number
}

/** etcd's: it compacts at least this often, and takes notes ten times as often. */
const compactMillisMax = 3_600_000
const notesPerCompaction = 10
const revisionModeMillis = 300_000

export class AutoCompaction {
  readonly #setup: AutoCompactionSetup
  readonly #noteMillis: number
  /** The newest revision at each of the last notes; the first is at least as old as what is kept. */
  readonly #notes: number[] = []
  #notedMillis: number
  #compactedMillis: number
  #first = true
  #lastRevision = 0

  constructor(setup: AutoCompactionSetup, nowMillis: number, revision: number) {
    this.#setup = setup
    const everyMillis = Math.min(setup.retentionMillis, compactMillisMax)
    const isPeriodic = setup.mode === 'periodic'
    this.#noteMillis = isPeriodic ? everyMillis / notesPerCompaction : revisionModeMillis
    this.#notedMillis = nowMillis
    this.#compactedMillis = nowMillis
    this.#notes.push(revision)
  }

  /** To be called often; the revision to compact now, if this node leads and there is one. */
  tick(nowMillis: number, revision: number, leading: boolean): number | undefined {
    if (this.#setup.mode === 'none' || nowMillis - this.#notedMillis < this.#noteMillis)
      return undefined
    this.#notedMillis = nowMillis
    const due =
      this.#setup.mode === 'periodic' ? this.#periodic(nowMillis) : this.#byRevisions(revision)
    this.#note(revision)
    if (!leading || due === undefined || due <= 0 || due === this.#lastRevision) return undefined
    this.#lastRevision = due
    this.#compactedMillis = nowMillis
    this.#first = false
    return due
  }

  /** The first time after all that is to be kept has passed, then at least once an hour. */
  #periodic(nowMillis: number): number | undefined {
    const { retentionMillis } = this.#setup
    const everyMillis = this.#first ? retentionMillis : Math.min(retentionMillis, compactMillisMax)
    return nowMillis - this.#compactedMillis < everyMillis ? undefined : this.#notes[0]
  }

  #byRevisions(revision: number): number {
    return revision - this.#setup.retentionRevisions
  }

  #note(revision: number): void {
    if (this.#setup.mode !== 'periodic') return
    const notesMax = Math.floor(this.#setup.retentionMillis / this.#noteMillis) + 1
    this.#notes.push(revision)
    if (this.#notes.length > notesMax) this.#notes.shift()
  }
}

/**
 * Owns the journal of a node (DESIGN.md D15): everything of one round is one write and one sync at
 * the round's end, and consensus is told `persisted` in order. A failed disk throws: nothing is
 * retried, and the supervision ends the process.
 */
import type { Context, Definition, Ref } from '../../runtime/actor.ts'
import { invariant, unreachable } from '../../runtime/invariant.ts'
import { type Telemetry, telemetryOff } from '../../runtime/telemetry.ts'
import type {
  Journal,
  JournalCompletion,
  JournalObserver,
  JournalOutcome,
} from '../../storage/journal.ts'
import { openJournal } from '../../storage/journal-open.ts'
import type { RecoveredLog } from '../../storage/recovered-log.ts'
import type { StatusAnswer } from '../control.ts'
import { directory } from '../directory.ts'
import type { JournalMessage, JournalNotice } from './messages.ts'
import { journalProtocol } from './protocol.ts'
import { WriteMetrics } from './write-metrics.ts'
import { WriteTraces } from './write-traces.ts'

export interface JournalSetup {
  /** The journal's own, inside the data directory. */
  readonly directory: string
  readonly store: Uint8Array
  /** This store never had a journal; otherwise one that is missing is damage. */
  readonly mayCreate: boolean
  readonly segmentBytes: number
  readonly fsync: 'always' | 'never'
  readonly retainedBytesMax: number
  readonly telemetry?: Telemetry
}

export const journalActor: Definition<JournalMessage, JournalSetup> = {
  name: 'journal',
  protocol: journalProtocol,
  start(context: Context<JournalMessage>, setup: JournalSetup) {
    const actor = new JournalActor(context as unknown as Context<OwnMessage>, setup)
    context.onRoundEnd(() => actor.flush())
    context.onStop(() => actor.stop())
    return message => actor.handle(message)
  },
}

type OwnMessage =
  | JournalMessage
  /** What the host finished off the thread. */
  | { readonly kind: 'completed'; readonly completion: JournalCompletion }
  | { readonly kind: 'retry' }

class JournalActor {
  readonly #context: Context<OwnMessage>
  readonly #setup: JournalSetup
  readonly #consensus: Ref<JournalNotice>
  readonly #traces: WriteTraces | undefined
  readonly #metrics: WriteMetrics
  #journal: Journal | undefined
  /** What was read back and is not told yet. */
  #recovery:
    | {
        readonly chunks: ReturnType<RecoveredLog['chunks']>
        readonly last: number
        readonly hardState: Uint8Array
      }
    | undefined
  #lastOrder = 0
  #isRetrying = false
  #isFull = false
  #spaceLevel = 0

  constructor(context: Context<OwnMessage>, setup: JournalSetup) {
    this.#context = context
    this.#setup = setup
    this.#consensus = context.find<JournalNotice>(directory.consensus)
    const { tracing, metrics } = setup.telemetry ?? telemetryOff
    this.#metrics = new WriteMetrics(metrics, () => this.#journal?.status())
    this.#traces = tracing.enabled ? new WriteTraces(tracing) : undefined
  }

  handle(message: OwnMessage): void {
    switch (message.kind) {
      case 'persist':
        this.#follows(message.order)
        this.#open().persist(message.id, message.truncateFrom, message.entries, message.hardState)
        this.#traces?.gathered(message.id, message.entries, message.spans)
        this.#context.recycle(message.entries)
        return
      case 'completed':
        this.#open().completed(message.completion)
        return
      case 'compact':
        this.#open().compact(message.position)
        return
      case 'reset':
        this.#follows(message.order)
        this.#open().reset(message.position, message.epoch)
        return
      case 'recover':
        this.#recover(message.position)
        return
      case 'recoverMore':
        return this.#sendRecovered()
      case 'retry':
        this.#isRetrying = false
        this.#open().retry()
        return
      case 'status':
        this.#answerStatus(message.replyTo, message.id)
        return
      default:
        unreachable(message)
    }
  }

  flush(): void {
    const journal = this.#journal
    if (journal === undefined) return
    journal.flush()
    this.#tellSpace(journal)
    if (!journal.wantsRetry || this.#isRetrying) return
    this.#isRetrying = true
    this.#context.after(retryMillis, { kind: 'retry' })
  }

  #tellSpace({ isFull, isScarce }: Journal): void {
    const level = isFull ? 2 : Number(isScarce)
    if (level === this.#spaceLevel) return
    this.#spaceLevel = level
    const path = this.#setup.directory
    if (level === 1)
      this.#context.log.warn('No space for the next segment of the journal', { path })
    this.#consensus.tell({ kind: 'ownSpace', level })
  }

  stop(): void {
    this.#journal?.close()
  }

  #open(): Journal {
    const journal = this.#journal
    invariant(journal !== undefined, 'the journal was recovered, undamaged, before it is used')
    return journal
  }

  #recover(position: number): void {
    invariant(this.#journal === undefined, 'the journal is recovered once')
    const { disk, jobs, clock } = this.#context.host
    const { mayCreate, telemetry: _, ...settings } = this.#setup
    const complete = (completion: JournalCompletion): void =>
      this.#context.self.tell({ kind: 'completed', completion })
    const notify = (outcome: JournalOutcome): void => this.#notify(outcome)
    const observer: JournalObserver = {
      writing: (bytes, requests) => {
        this.#metrics.writing(bytes, requests)
        this.#traces?.begin(bytes, requests)
      },
      synced: millis => this.#metrics.synced(millis),
    }
    const options = { ...settings, disk, jobs, clock, notify, complete, observer }
    const opened = openJournal(options, { position, mayCreate })
    if (opened.kind === 'damaged') {
      const damage = `${opened.path} is damaged at ${opened.offset}: ${opened.reason}`
      this.#context.log.error('The journal is damaged', { damage })
      this.#consensus.tell({ kind: 'recovered', last: position, hardState: nothing, damage })
      return
    }
    const { journal, log, hardState, tornBytes } = opened
    this.#journal = journal
    if (tornBytes > 0) {
      this.#context.log.warn('The journal ends in a torn batch, which nobody has been told of', {
        tornBytes,
      })
    }
    this.#recovery = { chunks: log.chunks(chunkBytesMax), last: log.last, hardState }
    for (let ahead = 0; ahead < chunksAheadMax; ahead++) this.#sendRecovered()
  }

  /** The next part of what was read back, or that it was all: no more at once than a link holds. */
  #sendRecovered(): void {
    const recovery = this.#recovery
    if (recovery === undefined) return
    const next = recovery.chunks.next()
    if (next.done !== true) {
      this.#consensus.tell({ kind: 'recoveredEntries', ...next.value })
      return
    }
    const { last, hardState } = recovery
    this.#recovery = undefined
    this.#consensus.tell({ kind: 'recovered', last, hardState, damage: '' })
  }

  /** What was lost on its way here would be a hole on disk, found at the next start: better to end now. */
  #follows(order: number): void {
    if (order !== this.#lastOrder + 1) {
      const sentence = `message ${order} to the journal came after ${this.#lastOrder}: what lies between was lost`
      throw new Error(`${sentence}, and nothing is written any more`)
    }
    this.#lastOrder = order
  }

  #notify(outcome: JournalOutcome): void {
    if (outcome.kind === 'notRemoved') {
      const { reason } = outcome
      return this.#context.log.warn('Old journal files cannot be removed', { reason })
    }
    if (outcome.kind === 'persisted') this.#traces?.persisted(outcome.id)
    if (outcome.kind !== 'persisted') this.#logSpace(outcome.kind === 'diskFull')
    this.#consensus.tell(outcome)
  }

  #logSpace(isFull: boolean): void {
    if (isFull === this.#isFull) return
    this.#isFull = isFull
    const path = this.#setup.directory
    if (isFull) this.#context.log.error('The disk is full: nothing is acknowledged', { path })
    else this.#context.log.info('The disk has space again', { path })
  }

  #answerStatus(replyTo: string, id: number): void {
    const json = JSON.stringify(this.#journal?.status() ?? {})
    const answer: StatusAnswer = { kind: 'statusAnswer', from: 'journal', id, json }
    this.#context.find<StatusAnswer>({ name: replyTo }).tell(answer)
  }
}

const nothing = new Uint8Array(0)
const chunkBytesMax = 1024 * 1024
/** Parts of what was read back that are told before consensus has taken the first. */
const chunksAheadMax = 8
/** How often a full disk is tried again. */
const retryMillis = 250

/**
 * What goes to the journal, and what is said once it is durable there. The journal completes persists
 * in their order. One that is damaged takes nothing: nothing becomes durable, and nothing is said.
 */
import type { Ref } from '../../../runtime/actor.ts'
import { takeRecyclable } from '../../../runtime/buffer-pool.ts'
import { invariant } from '../../../runtime/invariant.ts'
import type { JournalMessage } from '../../journal/messages.ts'
import type { Addressed, Batch, PeerMessage, PersistEffect } from '../interface.ts'

export class JournalLink<M extends PeerMessage> {
  readonly #journal: Ref<JournalMessage>
  readonly #waiting: { id: number; thenSend: readonly Addressed<M>[] }[] = []
  #order = 0
  damage = ''

  constructor(journal: Ref<JournalMessage>) {
    this.#journal = journal
  }

  tell(message: Extract<JournalMessage, { kind: 'recover' | 'recoverMore' | 'compact' }>): void {
    if (this.damage === '') this.#journal.tell(message)
  }

  reset(position: number, epoch: number): void {
    if (this.damage !== '') return
    this.#journal.tell({ kind: 'reset', order: ++this.#order, position, epoch })
  }

  /** `spans`: of the entries, where they are traced (log-traces.ts). */
  persist(
    { id, truncateFrom, entries, hardState, thenSend }: PersistEffect<M>,
    spans: Uint8Array = noBytes,
  ): void {
    if (this.damage !== '') return
    this.#waiting.push({ id, thenSend })
    const first = entries[0]?.first ?? 0
    let count = 0
    for (const batch of entries) count += batch.count
    const bytes = joined(entries)
    this.#journal.tell({
      kind: 'persist',
      id,
      order: ++this.#order,
      truncateFrom,
      entries: bytes,
      first,
      count,
      hardState,
      spans,
    })
  }

  /** Returns what may be said now. */
  persisted(id: number): readonly Addressed<M>[] {
    const done = this.#waiting.shift()
    invariant(done !== undefined && done.id === id, 'the journal persists in order')
    return done.thenSend
  }
}

/** The journal takes one blob, and recycles it; a round may cross from one slab of the log to the next. */
function joined(batches: readonly Batch[]): Uint8Array {
  if (batches.length === 0) return noBytes
  if (batches.length === 1) return batches[0]!.bytes
  const whole = takeRecyclable(batches.reduce((sum, batch) => sum + batch.bytes.length, 0))
  let at = 0
  for (const { bytes } of batches) {
    whole.set(bytes, at)
    at += bytes.length
  }
  return whole
}

const noBytes = new Uint8Array(0)

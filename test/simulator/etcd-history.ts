/**
 * What all etcd clients of a simulated world were told, held at the end against the history of keys
 * that a replica keeps. Every answer carries the revision at which it was true, so each is checked
 * alone; that revisions never go back from one answer to a request that began after it is checked at once.
 */
import type { Keyspace } from '../../storage/keyspace.ts'

export interface KeyValue {
  readonly key: string
  readonly value: string
  readonly created: number
  readonly modified: number
  readonly version: number
  readonly lease: number
}

/** One change of a key: of a deletion only key and revision are known. */
export interface Change extends KeyValue {
  readonly deleted: boolean
}

export type Answer =
  | { readonly kind: 'put'; readonly key: string; readonly value: string }
  | { readonly kind: 'range'; readonly keys: KeyRange; readonly found: readonly KeyValue[] }
  | {
      readonly kind: 'swap'
      readonly key: string
      readonly modified: number
      readonly value: string
      readonly succeeded: boolean
    }
  | { readonly kind: 'delete'; readonly keys: KeyRange; readonly deleted: number }

/** Keys from `from`, below `to`; just the one where `to` is empty. */
export interface KeyRange {
  readonly from: string
  readonly to: string
}

/** What a client knows of a lease that it was granted. */
export interface Lease {
  readonly id: number
  ttlMillis: number
  /** When the last request that renewed it, or granted it, was sent. */
  renewedMillis: number
  /** When its revocation was sent. */
  revokedMillis: number
}

/** A cluster that commits nothing for this long has no leader. */
const outageMillis = 1000

type Violate = (sentence: string) => void

export class EtcdHistory {
  /** When the last entry was committed, of whatever door. */
  #committedMillis = 0
  /** Since then entries were committed without a long pause. */
  #servingSinceMillis = 0
  /** Virtual time at which a revision was first there, on whatever replica. */
  readonly #firstSeenMillis: number[] = []
  readonly #answers: { readonly revision: number; readonly answer: Answer }[] = []
  /** Every value that was sent, by value, which occurs once. */
  readonly #sent = new Map<string, { readonly key: string; readonly sentMillis: number }>()
  /** Values whose clients were told that their time is over. */
  readonly #refused = new Map<string, number>()
  /** So long after that a write may still be applied at most, over what was sent then. */
  lateMillisMax = 0
  readonly #leases = new Map<number, Lease>()
  /** Of all answers so far. */
  #highest = 0

  /** What a request that begins now has to see. */
  get floor(): number {
    return this.#highest
  }

  committed(nowMillis: number): void {
    if (nowMillis - this.#committedMillis > outageMillis) this.#servingSinceMillis = nowMillis
    this.#committedMillis = nowMillis
  }

  /** How long what was sent then has waited while others were served. */
  waitedMillis(sentMillis: number): number {
    return this.#committedMillis - Math.max(sentMillis, this.#servingSinceMillis)
  }

  sends(key: string, value: string, sentMillis: number): void {
    this.#sent.set(value, { key, sentMillis })
  }

  refused(value: string, nowMillis: number): void {
    this.#refused.set(value, nowMillis)
  }

  granted(lease: Lease): void {
    this.#leases.set(lease.id, lease)
  }

  /** `floor`: of the time when the request began. */
  answered(answer: Answer, revision: number, floor: number, violate: Violate): void {
    this.#answers.push({ revision, answer })
    this.#highest = Math.max(this.#highest, revision)
    const changed =
      answer.kind === 'put' ||
      (answer.kind === 'swap' && answer.succeeded) ||
      (answer.kind === 'delete' && answer.deleted > 0)
    if (revision < floor || (changed && revision === floor))
      violate(`${answer.kind} was done at ${revision}, but began after ${floor}`)
  }

  /** A serializable read may be old. */
  answeredLocally(answer: Answer, revision: number): void {
    this.#answers.push({ revision, answer })
  }

  revisionReached(revision: number, nowMillis: number): void {
    while (this.#firstSeenMillis.length <= revision) this.#firstSeenMillis.push(nowMillis)
  }

  verify(
    keyspace: Keyspace,
    watched: ReadonlyMap<string, readonly Change[]>,
    violate: Violate,
  ): void {
    const changes = changesOf(keyspace)
    this.#verifyChanges(changes, keyspace.revision, violate)
    const states = new States(changes)
    for (const { answer, revision } of this.#answers) {
      const wrong = wrongIn(answer, revision, states)
      if (wrong !== '')
        violate(`${answer.kind} at ${revision}: ${wrong} (${JSON.stringify(answer)})`)
    }
    const expected = changes.map(describe)
    for (const [client, seen] of watched) {
      const at = seen.findIndex((change, index) => describe(change) !== expected[index])
      if (at >= 0) violate(`${client} watched ${describe(seen[at]!)}, due was ${expected[at]}`)
      else if (seen.length < expected.length)
        violate(`${client} never saw ${expected[seen.length]}`)
    }
    this.#verifyLeases(changes, violate)
  }

  /** Dense revisions; what is there was sent, and is there once. */
  #verifyChanges(changes: readonly Change[], revision: number, violate: Violate): void {
    let last = firstRevision
    let newestMillis = 0
    const seen = new Set<string>()
    for (const { key, value, modified, deleted } of changes) {
      if (modified !== last && modified !== last + 1) violate(`revision ${last + 1} has no change`)
      last = modified
      if (deleted) continue
      const sent = this.#sent.get(value)
      if (sent?.key !== key) violate(`${key} held ${value}, which nobody sent`)
      const refusedMillis = this.#refused.get(value) ?? Number.POSITIVE_INFINITY
      if (newestMillis > refusedMillis + this.lateMillisMax)
        violate(
          `${value} was refused at ${refusedMillis.toFixed(0)} ms and came over what was sent at ${newestMillis.toFixed(0)} ms`,
        )
      newestMillis = Math.max(newestMillis, sent?.sentMillis ?? 0)
      if (seen.has(value)) violate(`${key} was given ${value} twice`)
      seen.add(value)
    }
    if (last !== revision) violate(`the revision is ${revision}, the last change has ${last}`)
  }

  /** A key goes with its lease, and not before that has ended. */
  #verifyLeases(changes: readonly Change[], violate: Violate): void {
    const attached = new Map<string, number>()
    for (const { key, lease, deleted, modified } of changes) {
      const before = attached.get(key)
      if (!deleted) attached.set(key, lease)
      else if (before !== undefined && before !== 0) {
        attached.delete(key)
        this.#verifyEnd(key, before, modified, violate)
      }
    }
    for (const [key, lease] of attached) {
      if (lease !== 0) violate(`${key} is still there, though its lease ${lease} must have ended`)
    }
  }

  #verifyEnd(key: string, id: number, revision: number, violate: Violate): void {
    const lease = this.#leases.get(id)
    if (lease === undefined) return
    const endedMillis = this.#firstSeenMillis[revision] ?? 0
    const dueMillis = endOf(lease)
    if (endedMillis >= dueMillis) return
    violate(
      `${key} went at ${endedMillis.toFixed(0)} ms, but its lease ${id} lived until ${dueMillis.toFixed(0)} ms`,
    )
  }
}

/** Not before this: clocks run fast by 1 % at most, and two of them may be off. */
export function endOf({ renewedMillis, ttlMillis, revokedMillis }: Lease): number {
  return Math.min(revokedMillis, renewedMillis + ttlMillis * clockDriftMin)
}

const clockDriftMin = 0.97
/** etcd's first revision, of an empty store. */
const firstRevision = 1

function changesOf(keyspace: Keyspace): Change[] {
  const changes: Change[] = []
  for (let number = keyspace.log.first; number < keyspace.log.end; number++) {
    const pointer = keyspace.log.at(number)
    const deleted = keyspace.deleted(pointer)
    changes.push({
      deleted,
      key: Buffer.from(keyspace.key(pointer)).toString(),
      value: deleted ? '' : Buffer.from(keyspace.value(pointer)).toString(),
      created: deleted ? 0 : keyspace.createRevision(pointer),
      modified: keyspace.modRevision(pointer),
      version: deleted ? 0 : keyspace.version(pointer),
      lease: deleted ? 0 : keyspace.leaseLow(pointer),
    })
  }
  return changes
}

/** What was there at each revision. */
class States {
  readonly #byKey = new Map<string, Change[]>()

  constructor(changes: readonly Change[]) {
    for (const change of changes) {
      const list = this.#byKey.get(change.key)
      if (list === undefined) this.#byKey.set(change.key, [change])
      else list.push(change)
    }
  }

  get(key: string, revision: number): Change | undefined {
    const found = this.#byKey.get(key)?.findLast(({ modified }) => modified <= revision)
    return found?.deleted === true ? undefined : found
  }

  range({ from, to }: KeyRange, revision: number): Change[] {
    const keys = [...this.#byKey.keys()].filter(key =>
      to === '' ? key === from : key >= from && key < to,
    )
    return keys.sort().flatMap(key => this.get(key, revision) ?? [])
  }
}

/** What contradicts the history in an answer; empty when nothing does. */
function wrongIn(answer: Answer, revision: number, states: States): string {
  switch (answer.kind) {
    case 'put': {
      const now = states.get(answer.key, revision)
      return now?.value === answer.value && now.modified === revision ? '' : 'it is not there'
    }
    case 'range': {
      const due = states.range(answer.keys, revision).map(describe).join()
      return answer.found.map(describe).join() === due ? '' : `there was ${due}`
    }
    case 'swap': {
      const before = states.get(answer.key, answer.succeeded ? revision - 1 : revision)
      if (((before?.modified ?? 0) === answer.modified) !== answer.succeeded)
        return `it was modified at ${before?.modified ?? 0}`
      const now = states.get(answer.key, revision)
      return answer.succeeded && now?.value !== answer.value ? 'it is not there' : ''
    }
    case 'delete': {
      const before = answer.deleted === 0 ? revision : revision - 1
      const count = states.range(answer.keys, before).length
      if (count !== answer.deleted) return `there were ${count}`
      return states.range(answer.keys, revision).length > 0 ? 'some are still there' : ''
    }
  }
}

function describe(one: KeyValue | Change): string {
  const { key, value, created, modified, version, lease } = one
  return `${key}=${value} ${created}/${modified}/${version}/${lease}`
}

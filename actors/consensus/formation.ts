/**
 * How a new cluster comes to its first membership (D14). All initial members tell each other their
 * stores; the first of them, once it heard from all and none has recorded anything, records the
 * membership as entry 1 and tells it; nobody votes before all have recorded the same. A node that has
 * recorded, or hears of a formed cluster, never forms another: one such node stops it, since
 * the first member waits for every one of them.
 */
import type { Member } from './interface.ts'

export const formationTicks = 10
/** Epoch of the first membership entry: no leader ever has it. */
export const formationEpoch = 1

export interface FormationMessage {
  readonly kind: 'formation'
  readonly from: number
  readonly store: string
  /** The initial members of the sender's configuration: they must be the same everywhere. */
  readonly members: string
  /** The body of the first membership entry once it is durable there; empty before, and when formed. */
  readonly recorded: Uint8Array
  /** All have recorded: voting may begin, or has long since. */
  readonly formed: boolean
}

export type FormationStep =
  | { readonly kind: 'nothing' }
  /** The first member alone: record this as entry 1. */
  | { readonly kind: 'create'; readonly voters: readonly Member[] }
  /** Record what another one created, if it names the store that this node has. */
  | { readonly kind: 'record'; readonly body: Uint8Array }
  | { readonly kind: 'complete' }
  | { readonly kind: 'membersDiffer' }

const nothing: FormationStep = { kind: 'nothing' }

export interface InitialMember {
  readonly node: number
  readonly address: string
  /** Where etcd's clients reach it, if that is configured here. */
  readonly etcd?: string
}

export class Formation {
  readonly #self: number
  readonly #store: string
  readonly #initial: readonly InitialMember[]
  readonly #members: string
  readonly #stores = new Map<number, string>()
  readonly #recorded = new Map<number, string>()

  constructor(self: number, store: string, initial: readonly InitialMember[]) {
    this.#self = self
    this.#store = store
    this.#initial = [...initial].sort((a, b) => a.node - b.node)
    this.#members = this.#initial.map(member => `${member.node}=${member.address}`).join(',')
    this.#stores.set(self, store)
  }

  get others(): readonly InitialMember[] {
    return this.#initial.filter(member => member.node !== this.#self)
  }

  /** `recorded` is what is durable here. */
  announcement(recorded: Uint8Array, formed: boolean): FormationMessage {
    return {
      kind: 'formation',
      from: this.#self,
      store: this.#store,
      members: this.#members,
      recorded: formed ? noBytes : recorded,
      formed,
    }
  }

  /** What is known of a node ends with its link: it may come back with another store. */
  forget(node: number): void {
    this.#stores.delete(node)
    this.#recorded.delete(node)
  }

  /** `own` is what this node recorded, empty if nothing. */
  received(message: FormationMessage, own: Uint8Array): FormationStep {
    if (message.formed) return own.length > 0 ? { kind: 'complete' } : nothing
    if (message.members !== this.#members) return { kind: 'membersDiffer' }
    // A damaged store is no store: nothing that it says is durable, so no cluster begins with it.
    if (message.store === '') return nothing
    this.#stores.set(message.from, message.store)
    this.#recorded.set(message.from, keyOf(message.recorded))
    if (message.recorded.length > 0 && own.length === 0) {
      return { kind: 'record', body: message.recorded }
    }
    return this.advance(own)
  }

  /** What is to be done with what is known by now. */
  advance(own: Uint8Array): FormationStep {
    if (own.length === 0) return this.#mayCreate() ? this.#create() : nothing
    const key = keyOf(own)
    for (const member of this.others) if (this.#recorded.get(member.node) !== key) return nothing
    return { kind: 'complete' }
  }

  #mayCreate(): boolean {
    if (this.#initial[0]?.node !== this.#self || this.#store === '') return false
    for (const member of this.#initial) if (!this.#stores.has(member.node)) return false
    for (const member of this.others) if (this.#recorded.get(member.node) !== '') return false
    return true
  }

  #create(): FormationStep {
    const voters = this.#initial.map(({ node, ...reached }) => {
      return { node, store: this.#stores.get(node)!, ...reached }
    })
    return { kind: 'create', voters }
  }
}

const noBytes = new Uint8Array(0)

function keyOf(body: Uint8Array): string {
  return new TextDecoder().decode(body)
}

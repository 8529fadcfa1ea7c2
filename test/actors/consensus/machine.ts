/** One Raft machine with a given past, for tests of single rules. */
import { encodeMembership } from '../../../actors/consensus/membership.ts'
import type { Effect, Event, Member, Membership } from '../../../actors/consensus/interface.ts'
import { entryHeaderBytes, offset } from '../../../actors/consensus/entry.ts'
import type {
  AppendMessage,
  AppendReplyMessage,
  RaftMessage,
  VoteReplyMessage,
  VoteRequestMessage,
} from '../../../actors/consensus/raft/messages.ts'
import { encodeHardState } from '../../../actors/consensus/raft/hard-state.ts'
import { Raft } from '../../../actors/consensus/raft/raft.ts'
import { concatenated, stampedEntry, storedOf, testLimits } from './cluster.ts'

export interface Past {
  readonly self?: number
  readonly nodes?: number
  /** Epochs of the log after the membership entry at position 1, which has epoch 1. */
  readonly epochs?: readonly number[]
  readonly epoch?: number
  readonly votedFor?: number
  readonly seed?: number
  /** Position and epoch of the checkpoint it stands on; then `epochs` are those of the log from `first` on. */
  readonly checkpoint?: { readonly position: number; readonly epoch: number }
  readonly first?: number
}

type RaftEffect = Effect<RaftMessage>

export class Machine {
  readonly raft: Raft
  readonly self: number
  effects: RaftEffect[] = []
  /** Epochs of what is durable, from position 1 on. */
  readonly written: number[]

  constructor(past: Past = {}) {
    const { self = 1, nodes = 3, epochs = [], votedFor = 0, seed = 1 } = past
    const epoch = past.epoch ?? epochs.at(-1) ?? 1
    this.self = self
    const { checkpoint, first = 2 } = past
    const log = epochs.map((e, index) => stampedEntry(first + index, e, `${e}`))
    if (checkpoint === undefined) log.unshift(firstEntry(nodes))
    this.written = [1, ...epochs]
    this.raft = new Raft({
      self,
      store: `s${self}`,
      canVote: true,
      mayForm: true,
      seed,
      limits: testLimits,
      initialMembers: [],
      recovered: {
        hardState: encodeHardState({ epoch, votedFor, formed: true }),
        checkpoint: {
          ...(checkpoint ?? { position: 0, epoch: 0 }),
          time: 0,
          membership:
            checkpoint === undefined ? new Uint8Array(0) : encodeMembership(members(nodes)),
        },
        entries:
          log.length === 0
            ? []
            : [{ first: checkpoint ? first : 1, count: log.length, bytes: concatenated(log) }],
      },
    })
  }

  /** Steps and ends the round; returns what this brought about. */
  step(...events: Event<RaftMessage>[]): RaftEffect[] {
    const effects: RaftEffect[] = []
    for (const event of events) effects.push(...this.raft.step(event))
    effects.push(...this.raft.step({ kind: 'roundEnded' }))
    this.effects.push(...effects)
    return effects
  }

  receive(message: RaftMessage): RaftEffect[] {
    return this.step({ kind: 'received', message })
  }

  tick(count: number): RaftEffect[] {
    const effects: RaftEffect[] = []
    for (let index = 0; index < count; index++) effects.push(...this.step({ kind: 'tick' }))
    return effects
  }

  /** Everything persisted so far is durable; returns what was said then. */
  persist(): RaftMessage[] {
    const said: RaftMessage[] = []
    for (;;) {
      const effect = this.effects.find(one => one.kind === 'persist')
      if (effect === undefined) return said
      this.effects.splice(this.effects.indexOf(effect), 1)
      this.#write(effect)
      said.push(...effect.thenSend.map(({ message }) => message))
      this.step({ kind: 'persisted', id: effect.id })
    }
  }

  #write(effect: Extract<RaftEffect, { kind: 'persist' }>): void {
    if (effect.truncateFrom > 0) this.written.length = effect.truncateFrom - 1
    for (const one of effect.entries) {
      for (const { epoch } of storedOf(one)) this.written.push(epoch)
    }
  }

  /** Makes it lead by the votes of all others. */
  lead(): this {
    for (let ticks = 0; ticks < 100 && this.status.role !== 'candidate'; ticks++) this.tick(1)
    const others = this.status.membership.voters.filter(({ node }) => node !== this.self)
    for (const voter of others) this.receive(this.vote(voter, true))
    this.persist()
    for (const voter of others) this.receive(this.vote(voter, false))
    if (this.status.role !== 'leader') throw new Error('the machine does not lead')
    return this
  }

  vote({ node, store }: Member, pre: boolean, granted = true): VoteReplyMessage {
    const epoch = pre ? this.status.epoch + 1 : this.status.epoch
    return { kind: 'voteReply', from: node, epoch, store, pre, granted }
  }

  get status() {
    return this.raft.status()
  }
}

export function append(fields: Partial<AppendMessage> & { epochs?: number[] } = {}): AppendMessage {
  const { epochs = [], previous = 1, previousEpoch = 1, ...rest } = fields
  const entries = epochs.map((epoch, index) =>
    stampedEntry(previous + 1 + index, epoch, `${epoch}`),
  )
  return {
    kind: 'append',
    from: 2,
    epoch: 2,
    previous,
    previousEpoch,
    commit: 0,
    confirm: 0,
    count: entries.length,
    entries: concatenated(entries),
    ...rest,
  }
}

export function appendReply(fields: Partial<AppendReplyMessage> = {}): AppendReplyMessage {
  const from = fields.from ?? 2
  return {
    kind: 'appendReply',
    from,
    epoch: 2,
    store: `s${from}`,
    accepted: true,
    position: 1,
    hint: 0,
    hintEpoch: 0,
    confirm: 0,
    ...fields,
  }
}

export function voteRequest(fields: Partial<VoteRequestMessage> = {}): VoteRequestMessage {
  return {
    kind: 'voteRequest',
    from: 2,
    epoch: 2,
    pre: false,
    store: 's1',
    transfer: false,
    last: 1,
    lastEpoch: 1,
    ...fields,
  }
}

/** All messages that an array of effects sends, at once or once durable. */
export function sent(effects: readonly RaftEffect[], kind?: RaftMessage['kind']): RaftMessage[] {
  const messages: RaftMessage[] = []
  for (const effect of effects) {
    if (effect.kind === 'send') messages.push(effect.message)
    if (effect.kind === 'persist') messages.push(...effect.thenSend.map(({ message }) => message))
  }
  return kind === undefined ? messages : messages.filter(message => message.kind === kind)
}

/** Messages of one kind that leave before anything is durable. */
export function sentAtOnce(
  effects: readonly RaftEffect[],
  kind: RaftMessage['kind'],
): RaftMessage[] {
  return effects.flatMap(effect =>
    effect.kind === 'send' && effect.message.kind === kind ? [effect.message] : [],
  )
}

function members(nodes: number): Membership {
  const voters = Array.from({ length: nodes }, (_, index) => {
    return { node: index + 1, store: `s${index + 1}`, address: `n${index + 1}` }
  })
  return { formation: 'f', voters, outgoing: [], learners: [] }
}

function firstEntry(nodes: number): Uint8Array {
  const body = encodeMembership(members(nodes))
  const entry = stampedEntry(1, 1, '', 1)
  const whole = new Uint8Array(entryHeaderBytes + body.length)
  whole.set(entry)
  whole.set(body, entryHeaderBytes)
  new DataView(whole.buffer).setUint32(offset.length, whole.length, true)
  return whole
}

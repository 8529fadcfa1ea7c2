/**
 * Drives a step machine: gathers a round, stamps and proposes, sends to peers before the journal
 * writes, hands committed entries to the state machine, and forwards what only a leader can do.
 * What is said once something is durable waits here for the journal.
 */
import type { Context, Definition, Ref } from '../../runtime/actor.ts'
import { unreachable } from '../../runtime/invariant.ts'
import type { ControlMessage } from '../control.ts'
import { directory } from '../directory.ts'
import type { JournalMessage } from '../journal/messages.ts'
import type { PeersMessage } from '../peers/messages.ts'
import { CommittedFeed } from './committed-feed.ts'
import { isProposable } from './entry-check.ts'
import type { InitialMember } from './formation.ts'
import type {
  Addressed,
  Batch,
  CheckpointMark,
  Effect,
  Event,
  Membership,
  PersistEffect,
  ProposedBatch,
  Role,
  StepMachine,
} from './interface.ts'
import { type ConsensusLimits, consensusLimits } from './limits.ts'
import { nodesOf } from './membership.ts'
import { decodeChange } from './membership-change.ts'
import type { ConsensusMessage, ConsensusNotice } from './messages.ts'
import type { RaftMessage } from './raft/messages.ts'
import { Raft } from './raft/raft.ts'
import { ReadAttempts } from './read-attempts.ts'

export interface ConsensusSetup {
  readonly node: number
  readonly storeId: string
  /** False for a store that saw its cluster formed, or took the place of a lost one (D14). */
  readonly mayForm: boolean
  /** Addresses as `host:port`, the same on every node; empty for one that joins. */
  readonly initialMembers: readonly InitialMember[]
  readonly heartbeatMillis: number
  readonly electionMillis: number
  readonly readRetryMillis?: number
  readonly readTimeoutMillis?: number
  readonly limits?: Partial<ConsensusLimits>
}

export const tickMillis = 10
const forwardBytesMax = 4 * 1024 * 1024

export const consensusActor: Definition<ConsensusMessage, ConsensusSetup> = {
  ...directory.consensus,
  start(context, setup) {
    const shell = new Shell(context, setup)
    context.onRoundEnd(() => shell.endRound())
    context.every(tickMillis, { kind: 'tick' })
    return message => shell.handle(message)
  },
}

interface Asker {
  readonly replyTo: string
  readonly id: number
}

class Shell {
  readonly #context: Context<ConsensusMessage>
  readonly #setup: ConsensusSetup
  readonly #journal: Ref<JournalMessage>
  readonly #peersActor: Ref<PeersMessage>
  readonly #state: Ref<ConsensusNotice>
  readonly #noticed: readonly Ref<Extract<ConsensusNotice, { kind: 'leader' }>>[]
  readonly #peers = new Map<number, Ref<ConsensusMessage>>()
  readonly #reads: ReadAttempts
  /** Undefined until the state machine and the journal have said where they stand. */
  #machine: StepMachine<RaftMessage> | undefined
  #checkpoint: CheckpointMark | undefined
  #recovered: Batch[] = []
  #feed = new CommittedFeed(0)
  readonly #linked = new Set<number>()
  #proposals: ProposedBatch[] = []
  readonly #thenSend: { id: number; messages: readonly Addressed<RaftMessage>[] }[] = []
  #role: Role = 'waiting'
  #leader = 0
  #epoch = 0
  #diskFull = false
  #damage = ''
  #transferAsked: Asker | undefined
  #changeAsked: Asker | undefined
  #membership: Membership | undefined
  #formerNodes: number[] = []
  #formerTicks = 0
  #refused = 0
  readonly #event = { tick: { kind: 'tick' }, roundEnded: { kind: 'roundEnded' } } as const

  constructor(context: Context<ConsensusMessage>, setup: ConsensusSetup) {
    this.#context = context
    this.#setup = setup
    this.#journal = context.find<JournalMessage>({ name: 'journal' })
    this.#peersActor = context.find<PeersMessage>({ name: 'peers' })
    this.#state = context.find<ConsensusNotice>(directory.state)
    this.#noticed = [directory.state, directory.sessions, directory.zookeeper, directory.etcd].map(
      actor => context.find<Extract<ConsensusNotice, { kind: 'leader' }>>(actor),
    )
    this.#reads = new ReadAttempts({
      retryTicks: ticksOf(setup.readRetryMillis ?? 500),
      timeoutTicks: ticksOf(setup.readTimeoutMillis ?? 5000),
    })
  }

  handle(message: ConsensusMessage): void {
    switch (message.kind) {
      case 'propose':
      case 'forward':
        this.#proposals.push(message)
        return
      case 'append':
      case 'appendReply':
      case 'voteRequest':
      case 'voteReply':
      case 'timeoutNow':
      case 'formation':
        return this.#step({ kind: 'received', message })
      case 'persisted':
        return this.#persisted(message.id)
      case 'applied':
        return this.#feed.release(message.position)
      case 'tick':
        return this.#tick()
      case 'readRequest':
        return this.#reads.add(message.replyTo, message.id)
      case 'readIndex':
        return this.#readForPeer(message.from, message.id)
      case 'readIndexReply':
        if (message.position < 0) this.#reads.giveUp(message.id)
        else this.#readReady(message.id, message.position)
        return
      case 'checkpointed':
        return this.#step({ kind: 'checkpointed', position: message.position })
      case 'checkpointInstalled':
        return this.#stateStandsOn(message)
      case 'checkpointSent':
        return this.#step({ kind: 'snapshotSent', node: message.node, sent: message.sent })
      case 'linkUp':
        this.#linked.add(message.node)
        return this.#step({ kind: 'linkUp', node: message.node })
      case 'linkDown':
        this.#linked.delete(message.node)
        return this.#step(message)
      case 'recoveredEntries':
        this.#recovered.push({ first: message.first, count: message.count, bytes: message.entries })
        return
      case 'recovered':
        return this.#start(message.hardState, message.damage)
      case 'diskFull':
        return this.#diskIsFull(true)
      case 'spaceReturned':
        return this.#diskIsFull(false)
      case 'transfer':
        return this.#transfer(message.replyTo, message.id, message.target)
      case 'changeMembership':
        return this.#changeMembership(message.replyTo, message.id, message.change)
      case 'status':
        return this.#answerStatus(message.replyTo, message.id)
      default:
        return unreachable(message)
    }
  }

  /** Everything of one round leaves together: frames first, then the write, then what is committed. */
  endRound(): void {
    const machine = this.#machine
    if (machine === undefined) return
    this.#propose()
    this.#startReads()
    this.#step(this.#event.roundEnded)
    this.#feedState(machine)
  }

  #step(event: Event<RaftMessage>): void {
    const machine = this.#machine
    if (machine === undefined) return
    const effects = machine.step(event)
    for (let index = 0; index < effects.length; index++) this.#carryOut(effects[index]!)
  }

  #carryOut(effect: Effect<RaftMessage>): void {
    switch (effect.kind) {
      case 'send':
        return this.#peer(effect.to).tell(effect.message)
      case 'persist':
        return this.#persist(effect)
      case 'committedTo':
        return this.#feed.committedTo(effect.position)
      case 'readReady':
        return this.#readReady(effect.id, effect.position)
      case 'readFailed':
        return this.#readFailed(effect.id)
      case 'roleChanged':
        return this.#roleChanged(effect.role, effect.epoch, effect.leader)
      case 'snapshotNeeded':
        return this.#peersActor.tell({ kind: 'sendCheckpoint', node: effect.node })
      case 'reset':
        return this.#journal.tell(effect)
      case 'compactJournal':
        return this.#journal.tell({ kind: 'compact', position: effect.position })
      case 'proposalsRefused':
        this.#refused += effect.count
        return
      case 'membershipChanged':
        return this.#membershipChanged(effect.membership)
      case 'membershipDone':
        return this.#answerChange('')
      case 'membershipRefused':
        return this.#answerChange(`refused: ${effect.reason}`)
      case 'transferEnded':
        return this.#answerTransfer(effect.done ? '' : `node ${effect.target} did not take over`)
      case 'waiting':
        this.#context.log.warn('This node neither votes nor counts', { reason: effect.reason })
        return
      default:
        return unreachable(effect)
    }
  }

  /** The state machine's first word says from where on the journal has to be read. */
  #stateStandsOn(checkpoint: CheckpointMark): void {
    if (this.#machine !== undefined) {
      this.#step({ kind: 'snapshotInstalled', checkpoint })
      this.#feed.jumpTo(checkpoint.position)
      return
    }
    if (this.#checkpoint !== undefined) return
    this.#checkpoint = checkpoint
    this.#feed = new CommittedFeed(checkpoint.position)
    this.#journal.tell({ kind: 'recover', position: checkpoint.position })
  }

  #start(hardState: Uint8Array, damage: string): void {
    if (this.#machine !== undefined || this.#checkpoint === undefined) return
    this.#damage = damage
    if (damage !== '') {
      const sentence =
        'The journal is damaged: this node neither votes nor counts until it is replaced'
      this.#context.log.error(sentence, { damage })
    }
    const { node, storeId, mayForm, initialMembers } = this.#setup
    this.#machine = new Raft({
      self: node,
      store: storeId,
      canVote: damage === '',
      mayForm,
      seed: this.#context.host.random.uint32(),
      limits: limitsOf(this.#setup),
      initialMembers,
      recovered: { hardState, checkpoint: this.#checkpoint, entries: this.#recovered },
    })
    this.#recovered = []
    for (const linked of this.#linked) this.#step({ kind: 'linkUp', node: linked })
    const { last, epoch } = this.#machine.status()
    const position = this.#checkpoint.position
    this.#context.log.info('The log is in memory', { last, epoch, checkpoint: position })
  }

  #persist(effect: PersistEffect<RaftMessage>): void {
    // A damaged journal takes nothing: nothing becomes durable, and nothing is said.
    if (this.#damage !== '') return
    const { id, truncateFrom, entries, hardState, thenSend } = effect
    this.#thenSend.push({ id, messages: thenSend })
    const first = entries[0]?.first ?? 0
    let count = 0
    for (const batch of entries) count += batch.count
    const bytes = joined(entries)
    this.#journal.tell({
      kind: 'persist',
      id,
      truncateFrom,
      entries: bytes,
      first,
      count,
      hardState,
    })
  }

  #persisted(id: number): void {
    const done = this.#thenSend.shift()
    if (done === undefined || done.id !== id) throw new Error('the journal persists in order')
    for (const { to, message } of done.messages) this.#peer(to).tell(message)
    this.#step({ kind: 'persisted', id })
  }

  #tick(): void {
    this.#step(this.#event.tick)
    for (const { replyTo, id } of this.#reads.tick())
      this.#tell(replyTo, { kind: 'readFailed', id })
    if (this.#formerTicks > 0 && --this.#formerTicks === 0) {
      this.#formerNodes = []
      this.#tellMembers()
    }
  }

  /** To the log on the leader, otherwise on to it as they are. Without a leader the streams keep them. */
  #propose(): void {
    if (this.#proposals.length === 0) return
    const proposals = this.#proposals
    this.#proposals = []
    if (this.#role === 'leader') this.#proposeHere(proposals)
    else if (this.#leader !== 0) this.#forward(proposals)
    else for (const { count } of proposals) this.#refused += count
  }

  #proposeHere(proposals: ProposedBatch[]): void {
    const batches = this.#diskFull ? none : proposals.filter(p => isProposable(p.entries, p.count))
    for (const { count } of proposals) this.#refused += count
    for (const { count } of batches) this.#refused -= count
    if (batches.length === 0) return
    this.#step({ kind: 'proposed', batches, now: this.#context.host.clock.wallMillis() })
  }

  #forward(proposals: readonly ProposedBatch[]): void {
    const leader = this.#peer(this.#leader)
    let bytes = 0
    for (const { entries, count } of proposals) {
      bytes += entries.length
      if (bytes > forwardBytesMax || !this.#context.hasRoom(leader)) this.#refused += count
      else leader.tell({ kind: 'forward', from: this.#setup.node, entries, count })
    }
  }

  #startReads(): void {
    if (this.#reads.waitingCount === 0 || this.#leader === 0) return
    const id = this.#reads.start()
    if (id === undefined) return
    if (this.#role === 'leader') this.#step({ kind: 'readRequested', id })
    else this.#peer(this.#leader).tell({ kind: 'readIndex', from: this.#setup.node, id })
  }

  #readForPeer(node: number, id: number): void {
    if (this.#role !== 'leader') {
      this.#answerPeerRead(node, id, -1)
      return
    }
    this.#step({ kind: 'readRequested', id: this.#reads.startRemote({ node, id }) })
  }

  #readReady(id: number, position: number): void {
    const attempt = this.#reads.take(id)
    if (attempt === undefined) return
    if (attempt.remote !== undefined) {
      this.#answerPeerRead(attempt.remote.node, attempt.remote.id, position)
    }
    for (const { replyTo, id: reader } of attempt.readers) {
      this.#tell(replyTo, { kind: 'readReady', id: reader, position })
    }
  }

  #readFailed(id: number): void {
    const remote = this.#reads.giveUp(id)
    if (remote !== undefined) this.#answerPeerRead(remote.node, remote.id, -1)
  }

  #answerPeerRead(node: number, id: number, position: number): void {
    this.#peer(node).tell({ kind: 'readIndexReply', from: this.#setup.node, id, position })
  }

  #roleChanged(role: Role, epoch: number, leader: number): void {
    const moved = leader !== this.#leader || (leader !== 0 && epoch !== this.#epoch)
    this.#role = role
    this.#epoch = epoch
    this.#leader = leader
    this.#context.log.info('Role in the consensus', { role, epoch, leader })
    if (!moved) return
    this.#reads.giveUpAll()
    const self = leader === this.#setup.node
    for (const actor of this.#noticed) actor.tell({ kind: 'leader', epoch, leader, self })
  }

  #feedState(machine: StepMachine<RaftMessage>): void {
    for (;;) {
      const batch = this.#feed.next((first, bytesMax) => machine.committedEntries(first, bytesMax))
      if (batch === undefined) return
      const { first, count, bytes: entries } = batch
      this.#state.tell({ kind: 'committed', first, count, entries })
    }
  }

  #diskIsFull(full: boolean): void {
    this.#diskFull = full
    if (full)
      this.#context.log.error('No space for the journal: nothing is accepted until it returns')
    else this.#context.log.info('The journal has space again')
  }

  /** A node that leaves keeps its link for a moment, to learn that it left. */
  #membershipChanged(membership: Membership): void {
    if (this.#membership !== undefined) this.#formerNodes = nodesOf(this.#membership)
    this.#membership = membership
    this.#formerTicks = ticksOf(2 * this.#setup.electionMillis)
    this.#tellMembers()
  }

  #tellMembers(): void {
    if (this.#membership === undefined || this.#membership.voters.length === 0) return
    const { voters, outgoing, learners } = this.#membership
    const known = new Map<number, string>()
    for (const { node, address } of [...outgoing, ...voters, ...learners]) known.set(node, address)
    if (this.#formerNodes.some(node => !known.has(node))) return
    const members = [...known].map(([node, address]) => ({ node, ...hostAndPort(address) }))
    this.#peersActor.tell({ kind: 'members', members })
  }

  #transfer(replyTo: string, id: number, target: number): void {
    if (this.#transferAsked !== undefined || this.#role !== 'leader') {
      this.#done(
        { replyTo, id },
        this.#role === 'leader' ? 'a transfer is under way' : this.#whoLeads(),
      )
      return
    }
    this.#transferAsked = { replyTo, id }
    this.#step({ kind: 'transferRequested', target })
  }

  #answerTransfer(error: string): void {
    const asker = this.#transferAsked
    this.#transferAsked = undefined
    if (asker !== undefined) this.#done(asker, error)
  }

  #changeMembership(replyTo: string, id: number, bytes: Uint8Array): void {
    const change = decodeChange(bytes)
    const asker = { replyTo, id }
    if (typeof change === 'string') return this.#done(asker, change)
    if (this.#role !== 'leader') return this.#done(asker, this.#whoLeads())
    if (this.#changeAsked !== undefined) return this.#done(asker, 'refused: changePending')
    this.#changeAsked = asker
    const now = this.#context.host.clock.wallMillis()
    this.#step({ kind: 'membershipProposed', change, now })
  }

  #answerChange(error: string): void {
    const asker = this.#changeAsked
    this.#changeAsked = undefined
    if (asker !== undefined) this.#done(asker, error)
  }

  #whoLeads(): string {
    return this.#leader === 0
      ? 'no leader is known'
      : `not the leader: that is node ${this.#leader}`
  }

  #done({ replyTo, id }: Asker, error: string): void {
    this.#context.find<ControlMessage>({ name: replyTo }).tell({ kind: 'done', id, error })
  }

  #answerStatus(replyTo: string, id: number): void {
    const status = this.#machine?.status()
    const json = JSON.stringify({
      role: status?.role ?? 'recovering',
      epoch: status?.epoch ?? 0,
      leader: this.#leader,
      commit: status?.commit ?? 0,
      applied: this.#feed.applied,
      first: status?.first ?? 0,
      last: status?.last ?? 0,
      durable: status?.durable ?? 0,
      logBytes: status?.logBytes ?? 0,
      membership: status?.membership,
      peers: status?.peers.map(peer => ({ ...peer, lag: status.last - peer.match })),
      links: [...this.#linked],
      readAttempts: this.#reads.attemptCount,
      refusedProposals: this.#refused,
      diskFull: this.#diskFull,
      damage: this.#damage,
    })
    const answer = { kind: 'statusAnswer', from: 'consensus', id, json } as const
    this.#context.find<ControlMessage>({ name: replyTo }).tell(answer)
  }

  #tell(
    actor: string,
    notice: Extract<ConsensusNotice, { kind: 'readReady' | 'readFailed' }>,
  ): void {
    this.#context.find<ConsensusNotice>({ name: actor }).tell(notice)
  }

  #peer(node: number): Ref<ConsensusMessage> {
    let ref = this.#peers.get(node)
    if (ref === undefined) {
      ref = this.#context.find<ConsensusMessage>(directory.consensus, node)
      this.#peers.set(node, ref)
    }
    return ref
  }
}

/** The journal takes one blob; a round seldom crosses from one slab of the log to the next. */
function joined(batches: readonly Batch[]): Uint8Array {
  if (batches.length === 0) return noBytes
  if (batches.length === 1) return batches[0]!.bytes
  const whole = new Uint8Array(batches.reduce((sum, batch) => sum + batch.bytes.length, 0))
  let at = 0
  for (const { bytes } of batches) {
    whole.set(bytes, at)
    at += bytes.length
  }
  return whole
}

function limitsOf(setup: ConsensusSetup): ConsensusLimits {
  return {
    ...consensusLimits,
    heartbeatTicks: ticksOf(setup.heartbeatMillis),
    electionTicksMin: ticksOf(setup.electionMillis),
    ...setup.limits,
  }
}

function ticksOf(millis: number): number {
  return Math.max(1, Math.round(millis / tickMillis))
}

function hostAndPort(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) }
}

const noBytes = new Uint8Array(0)
const none: ProposedBatch[] = []

/**
 * Drives a step machine: gathers a round, stamps and proposes, sends to peers before the journal
 * writes, hands committed entries to the state machine, and forwards what only a leader can do.
 */
import type { Context, Definition, Ref } from '../../../runtime/actor.ts'
import { unreachable } from '../../../runtime/invariant.ts'
import type { Logger } from '../../../runtime/log.ts'
import { type Telemetry, telemetryOff } from '../../../runtime/telemetry.ts'
import type { ControlMessage } from '../../control.ts'
import { directory } from '../../directory.ts'
import type { PeersMessage } from '../../peers/messages.ts'
import { CommittedFeed } from './committed-feed.ts'
import { DiskSpace } from './disk-space.ts'
import type { InitialMember } from '../formation.ts'
import type { Batch, CheckpointMark, Effect, Event, Role, StepMachine } from '../interface.ts'
import { JournalLink } from './journal-link.ts'
import { type ConsensusLimits, consensusLimits } from '../limits.ts'
import { LinearReads } from './linear-reads.ts'
import { MemberLinks } from './member-links.ts'
import type { ConsensusMessage, ConsensusNotice, SpaceNotice } from '../messages.ts'
import { decodeMembership } from '../membership.ts'
import { OwnMembership } from '../own-membership.ts'
import { OperatorRequests } from './operator-requests.ts'
import { Pacing, pacing } from './pacing.ts'
import { ProposalInbox } from './proposal-inbox.ts'
import type { RaftMessage } from '../raft/messages.ts'
import { Raft } from '../raft/raft.ts'
import { type ClockState, LogTime } from './log-time.ts'
import { observeLog } from './log-metrics.ts'
import { LogTraces } from './log-traces.ts'
import { WaitingNotice } from './waiting-notice.ts'

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
  readonly telemetry?: Telemetry
}

export const tickMillis = 10

/** Processes of a node begin to count their reads in different places; all stay below 2^53. */
const readIdsApart = 2 ** 20
/** How often nodes with little space say so again, and a leader tries to hand over. */
const spaceTicks = 50
/** A cluster that starts waits for a moment: only what lasts longer is worth a warning. */
const waitingMillis = 3000

export const consensusActor: Definition<ConsensusMessage, ConsensusSetup> = {
  ...directory.consensus,
  start(context, setup) {
    const shell = new Shell(context, setup)
    context.onRoundEnd(() => shell.endRound())
    context.every(tickMillis, { kind: 'tick' })
    return message => shell.handle(message)
  },
}

type LeaderNotice = Extract<ConsensusNotice, { kind: 'leader' }>
type StateNotice = Exclude<ConsensusNotice, HandInNotice>
type HandInNotice = Extract<ConsensusNotice, { kind: 'handInAgain' }>

class Shell {
  readonly #context: Context<ConsensusMessage>
  readonly #setup: ConsensusSetup
  readonly #journal: JournalLink<RaftMessage>
  readonly #peersActor: Ref<PeersMessage>
  readonly #state: Ref<StateNotice>
  readonly #noticed: readonly Ref<LeaderNotice>[]
  /** The actors that propose. */
  readonly #streams: readonly Ref<HandInNotice>[]
  readonly #peers = new Map<number, Ref<ConsensusMessage>>()
  readonly #linked = new Set<number>()
  readonly #proposals: ProposalInbox
  readonly #pacing = new Pacing()
  #isWaking = false
  readonly #time: LogTime
  readonly #reads: LinearReads
  readonly #members: MemberLinks
  readonly #requests: OperatorRequests
  readonly #waiting: WaitingNotice
  readonly #own: OwnMembership
  readonly #traces: LogTraces | undefined
  /** Undefined until the state machine and the journal have said where they stand. */
  #machine: StepMachine<RaftMessage> | undefined
  #checkpoint: CheckpointMark | undefined
  #recovered: Batch[] = []
  #feed = new CommittedFeed(0)
  #role: Role = 'waiting'
  #leader = 0
  #epoch = 0
  #leaderChanges = 0
  #diskFull = false
  readonly #space: DiskSpace
  /** As the doors were told. */
  #spaceLevel = 0
  #spaceTicks = 0
  readonly #doors: readonly Ref<SpaceNotice>[]
  readonly #event = { tick: { kind: 'tick' }, roundEnded: { kind: 'roundEnded' } } as const

  constructor(context: Context<ConsensusMessage>, setup: ConsensusSetup) {
    this.#context = context
    this.#setup = setup
    this.#journal = new JournalLink(context.find(directory.journal))
    this.#peersActor = context.find<PeersMessage>(directory.peers)
    this.#state = context.find<StateNotice>(directory.state)
    this.#noticed = [directory.state, directory.sessions, directory.zookeeper, directory.etcd].map(
      actor => context.find<LeaderNotice>(actor),
    )
    this.#space = new DiskSpace(setup.node)
    this.#doors = [directory.zookeeper, directory.etcd].map(door => context.find<SpaceNotice>(door))
    this.#streams = [directory.sessions, directory.zookeeper, directory.etcd].map(actor =>
      context.find<HandInNotice>(actor),
    )
    this.#proposals = new ProposalInbox(
      setup.node,
      ref => context.hasRoom(ref),
      bytes => context.recycle(bytes),
    )
    this.#own = new OwnMembership(setup.node)
    this.#time = new LogTime((state, apartMillis) => logClock(context.log, state, apartMillis))
    this.#members = new MemberLinks(this.#peersActor, ticksOf(2 * setup.electionMillis))
    this.#waiting = new WaitingNotice(context.log, setup.storeId, ticksOf(waitingMillis))
    this.#reads = this.#newReads()
    this.#requests = new OperatorRequests({
      step: event => this.#step(event),
      done: ({ replyTo, id }, error) =>
        context.find<ControlMessage>({ name: replyTo }).tell({ kind: 'done', id, error }),
      logTime: () => this.#logTime(),
      elsewhere: () => this.#elsewhere(),
    })
    const { tracing, metrics } = setup.telemetry ?? telemetryOff
    observeLog(metrics, {
      status: () => this.#machine?.status(),
      leader: () => this.#leader,
      leaderChanges: () => this.#leaderChanges,
      spaceLevel: () => this.#space.own,
      refusesWrites: () => this.#spaceLevel > 0,
      refused: () => this.#proposals.refused,
    })
    this.#traces = tracing.enabled ? new LogTraces(tracing) : undefined
  }

  handle(message: ConsensusMessage): void {
    switch (message.kind) {
      case 'propose':
        return this.#proposals.add(message, this.#setup.node)
      case 'forward':
        return this.#addForwarded(message)
      case 'append':
        this.#traces?.received(message.entries)
        if (message.count > 0) this.#time.witnessed(this.#nowMillis())
        this.#step({ kind: 'received', message })
        // The log has copied them.
        return this.#context.recycle(message.entries)
      case 'appendReply':
      case 'voteRequest':
      case 'voteReply':
      case 'timeoutNow':
      case 'formation':
        return this.#step({ kind: 'received', message })
      case 'proposeNow':
        this.#isWaking = false
        return
      case 'persisted':
        return this.#persisted(message.id)
      case 'applied':
        return this.#feed.release(message.position)
      case 'tick':
        return this.#tick()
      case 'forwardRefused':
        return this.#tellStreams()
      case 'readRequest':
        return this.#reads.add(message.replyTo, message.id)
      case 'readIndex':
        return this.#reads.askFor(message.from, message.id, this.#leadsFor(message.from))
      case 'readIndexReply':
        return this.#reads.answered(message.id, message.position)
      case 'checkpointed':
        return this.#step({ kind: 'checkpointed', position: message.position })
      case 'checkpointInstalled':
        return this.#stateStandsOn(message)
      case 'checkpointSent':
        return this.#step({ kind: 'snapshotSent', node: message.node, sent: message.sent })
      case 'linkUp':
        this.#linked.add(message.node)
        if (this.#space.own > 0) this.#tellSpace(message.node)
        // What was on its way to the leader when the link broke is lost.
        if (message.node === this.#leader) this.#tellStreams()
        return this.#step({ kind: 'linkUp', node: message.node })
      case 'linkDown':
        this.#linked.delete(message.node)
        this.#space.lost(message.node)
        return this.#step(message)
      case 'recoveredEntries':
        this.#recovered.push({ first: message.first, count: message.count, bytes: message.entries })
        return this.#journal.tell({ kind: 'recoverMore' })
      case 'recovered':
        return this.#start(message.hardState, message.damage)
      case 'diskFull':
        return this.#diskIsFull(true)
      case 'spaceReturned':
        return this.#diskIsFull(false)
      case 'ownSpace':
        this.#space.journal(message.level)
        return this.#spaceChanged()
      case 'checkpointSpace':
        this.#space.checkpoints(message.lacking)
        return this.#spaceChanged()
      case 'spaceTold':
        this.#space.heard(message.from, message.level)
        return this.#judgeSpace()
      case 'transfer':
        return this.#requests.transfer(message, message.target)
      case 'changeMembership':
        return this.#requests.change(message, message.change)
      case 'leaderQuestion':
        return this.#answerLeader(message.replyTo)
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
    this.#reads.start(this.#leader)
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
        this.#noteAppended(effect.entries)
        return this.#journal.persist(
          effect,
          this.#traces?.persisting(effect.id, effect.entries, this.#role === 'leader'),
        )
      case 'committedTo':
        this.#pacing.committed(effect.position, this.#proposals, this.#nowMillis())
        this.#traces?.committedTo(effect.position)
        this.#feed.committedTo(effect.position)
        this.#members.committedTo(effect.position)
        if (this.#own.committedTo(effect.position)) this.#removed()
        return
      case 'readReady':
        return this.#reads.ready(effect.id, effect.position)
      case 'readFailed':
        return this.#reads.failed(effect.id)
      case 'roleChanged':
        return this.#roleChanged(effect.role, effect.epoch, effect.leader)
      case 'snapshotNeeded':
        return this.#peersActor.tell({ kind: 'sendCheckpoint', node: effect.node })
      case 'reset':
        return this.#journal.reset(effect.position, effect.epoch)
      case 'compactJournal':
        return this.#journal.tell({ kind: 'compact', position: effect.position })
      case 'proposalsRefused':
        return this.#proposals.refuse(effect.count)
      case 'membershipChanged':
        this.#own.changed(effect.membership, effect.position)
        this.#space.membershipChanged(effect.membership)
        return this.#members.changed(effect.membership, effect.position)
      case 'membershipDone':
        return this.#requests.changeEnded('')
      case 'membershipRefused':
        return this.#requests.changeEnded(
          `refused: ${effect.reason} ${effect.silent.join(',')}`.trimEnd(),
        )
      case 'transferEnded':
        return this.#requests.transferEnded(
          effect.done ? '' : `node ${effect.target} did not take over`,
        )
      case 'waiting':
        return this.#waiting.waits(effect.reason)
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
    this.#journal.damage = damage
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
    const { last, epoch, membership } = this.#machine.status()
    const position = this.#checkpoint.position
    this.#members.start(membership, decodeMembership(this.#checkpoint.membership), position)
    this.#context.log.info('The log is in memory', { last, epoch, checkpoint: position })
  }

  /** Of a node that is no member any more nothing is taken: it would go on serving clients. */
  #addForwarded(message: Extract<ConsensusMessage, { kind: 'forward' }>): void {
    if (this.#members.has(message.from)) return this.#proposals.add(message, message.from)
    this.#context.recycle(message.entries)
  }

  #leadsFor(node: number): boolean {
    return this.#role === 'leader' && this.#members.has(node)
  }

  #persisted(id: number): void {
    for (const { to, message } of this.#journal.persisted(id)) this.#peer(to).tell(message)
    this.#traces?.persisted(id)
    this.#step({ kind: 'persisted', id })
  }

  #tick(): void {
    this.#step(this.#event.tick)
    if (++this.#spaceTicks % spaceTicks === 0) this.#spaceTick()
    this.#reads.tick()
    this.#members.tick()
    this.#waiting.tick(this.#role)
  }

  /** Without a leader, or without space, the streams keep what they have. */
  #propose(): void {
    if (this.#proposals.isEmpty) return
    if (this.#leader === 0 || this.#diskFull) this.#proposals.drop()
    else if (this.#role !== 'leader') this.#proposals.forward(this.#peer(this.#leader))
    else if (this.#mustWait()) return this.#wakeLater()
    else {
      const batches = this.#proposals.takeSound()
      this.#step({ kind: 'proposed', batches, now: this.#logTime() })
    }
    this.#proposals.release()
    this.#tellDropped()
  }

  /** Where nobody leads nothing is told: the next leader is, and that is when streams hand in again. */
  #tellDropped(): void {
    for (const node of this.#proposals.takeDropped()) {
      if (this.#leader === 0) continue
      if (node === this.#setup.node) this.#tellStreams()
      else this.#peer(node).tell({ kind: 'forwardRefused', from: this.#setup.node })
    }
  }

  #tellStreams(): void {
    for (const actor of this.#streams) actor.tell({ kind: 'handInAgain' })
  }

  #mustWait(): boolean {
    return this.#pacing.mustWait(this.#proposals, this.#nowMillis())
  }

  /** Commits end the wait as a rule; should none come, this does. */
  #wakeLater(): void {
    if (this.#isWaking) return
    this.#isWaking = true
    this.#context.after(pacing.waitMillisMax, { kind: 'proposeNow' })
  }

  /** What entries of this leader are stamped with now. */
  #logTime(): number {
    return this.#time.now(this.#context.host.clock.wallMillis(), this.#nowMillis())
  }

  #nowMillis(): number {
    return this.#context.host.clock.monotonicMillis()
  }

  #noteAppended(batches: readonly Batch[]): void {
    const last = batches.at(-1)
    if (last === undefined || this.#role !== 'leader') return
    const count = batches.reduce((sum, batch) => sum + batch.count, 0)
    this.#pacing.appended(last.first + last.count - 1, count, this.#nowMillis())
  }

  #roleChanged(role: Role, epoch: number, leader: number): void {
    const moved = leader !== this.#leader || (leader !== 0 && epoch !== this.#epoch)
    if (this.#role === 'leader' && role !== 'leader') this.#traces?.leadershipLost()
    if (leader !== 0 && leader !== this.#leader) this.#leaderChanges += 1
    this.#role = role
    this.#epoch = epoch
    this.#leader = leader
    this.#context.log.info('The node has another role in the consensus', { role, epoch, leader })
    if (role === 'leader') this.#beginTime()
    if (!moved) return
    this.#reads.leaderChanged()
    const self = leader === this.#setup.node
    for (const actor of this.#noticed) actor.tell({ kind: 'leader', epoch, leader, self })
  }

  #beginTime(): void {
    const { wallMillis } = this.#context.host.clock
    this.#time.begin(this.#machine!.status().lastTime, wallMillis(), this.#nowMillis())
  }

  #feedState(machine: StepMachine<RaftMessage>): void {
    for (;;) {
      const batch = this.#feed.next((first, bytesMax) => machine.committedEntries(first, bytesMax))
      if (batch === undefined) return
      const { first, count, bytes: entries } = batch
      this.#state.tell({ kind: 'committed', first, count, entries })
    }
  }

  /** The journal says it for every write that waits. */
  #diskIsFull(full: boolean): void {
    if (full === this.#diskFull) return
    this.#diskFull = full
    if (full)
      this.#context.log.error('No space for the journal: nothing is accepted until it returns')
    else this.#context.log.info('The journal has space again')
  }

  #spaceChanged(): void {
    for (const node of this.#linked) this.#tellSpace(node)
    this.#judgeSpace()
  }

  /** Links and members come and go, a message may be lost with its link, and a handing over may fail. */
  #spaceTick(): void {
    if (this.#space.own > 0) for (const node of this.#linked) this.#tellSpace(node)
    this.#judgeSpace()
    if (this.#role !== 'leader') return
    const target = this.#space.successor(this.#linked, this.#machine?.status().peers ?? [])
    if (target === 0) return
    this.#context.log.warn('No space on the disk: leadership is handed over', { to: target })
    this.#step({ kind: 'transferRequested', target })
  }

  #tellSpace(node: number): void {
    this.#peer(node).tell({ kind: 'spaceTold', from: this.#setup.node, level: this.#space.own })
  }

  #judgeSpace(): void {
    const level = this.#space.verdict(this.#linked)
    if (level === this.#spaceLevel) return
    this.#spaceLevel = level
    const nodes = this.#space.lacking()
    if (level > 0) this.#context.log.error('Writes are refused: no space on the disks', { nodes })
    else this.#context.log.info('There is space again: writes are taken', {})
    for (const door of this.#doors) door.tell({ kind: 'space', level })
  }

  #removed(): void {
    this.#context.find<ControlMessage>(directory.control).tell({ kind: 'removed' })
  }

  #elsewhere(): string {
    if (this.#role === 'leader') return ''
    return this.#leader === 0
      ? 'no leader is known'
      : `not the leader: that is node ${this.#leader}`
  }

  #answerLeader(replyTo: string): void {
    const [leader, epoch, self] = [this.#leader, this.#epoch, this.#leader === this.#setup.node]
    this.#context
      .find<LeaderNotice>({ name: replyTo })
      .tell({ kind: 'leader', epoch, leader, self })
    if (this.#spaceLevel > 0)
      this.#context
        .find<SpaceNotice>({ name: replyTo })
        .tell({ kind: 'space', level: this.#spaceLevel })
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
      waiting: status?.waiting ?? '',
      peers: status?.peers.map(peer => ({ ...peer, lag: status.last - peer.match })),
      links: [...this.#linked],
      readAttempts: this.#reads.attemptCount,
      refusedProposals: this.#proposals.refused,
      diskFull: this.#diskFull,
      space: {
        own: this.#space.own,
        cluster: this.#spaceLevel,
        lacking: this.#space.lacking(),
        reason: this.#space.sentence(this.#spaceLevel),
      },
      damage: this.#journal.damage,
    })
    const answer = { kind: 'statusAnswer', from: 'consensus', id, json } as const
    this.#context.find<ControlMessage>({ name: replyTo }).tell(answer)
  }

  #newReads(): LinearReads {
    const { node, readRetryMillis = 500, readTimeoutMillis = 5000 } = this.#setup
    const around = {
      node,
      ask: (id: number) => this.#step({ kind: 'readRequested', id }),
      peer: (of: number) => this.#peer(of),
      tell: (actor: string, notice: ConsensusNotice) =>
        this.#context.find<ConsensusNotice>({ name: actor }).tell(notice),
    }
    const ticks = { retryTicks: ticksOf(readRetryMillis), timeoutTicks: ticksOf(readTimeoutMillis) }
    return new LinearReads(around, ticks, this.#context.host.random.uint32() * readIdsApart)
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

function logClock(log: Logger, state: ClockState, apartMillis: number): void {
  if (state === 'together') log.info('The time of the log is that of the clock again')
  else if (state === 'logAhead')
    log.warn('The time of the log is ahead of the clock: it goes half as fast', { apartMillis })
  else log.warn('The clock is ahead of the time of the log: it goes twice as fast', { apartMillis })
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

/**
 * The deterministic state machine (DESIGN.md D19): applies committed entries in order, once each,
 * runs reads at the right moment, and emits one ordered stream to the watch actor. Durable as a
 * checkpoint plus the log above it.
 */
import type { Context, Definition, Ref } from '../../runtime/actor.ts'
import { invariant } from '../../runtime/invariant.ts'
import { spanNames } from '../../runtime/span-names.ts'
import { type Telemetry, telemetryOff } from '../../runtime/telemetry.ts'
import type { Span, Tracing } from '../../runtime/tracing.ts'
import { decodeMembership, nodesOf } from '../consensus/membership.ts'
import { entryHeaderBytes, entryKind, offset, readUint64 } from '../consensus/entry.ts'
import type { StatusAnswer } from '../control.ts'
import { directory } from '../directory.ts'
import { isTraced, traceAt } from '../entry-traces.ts'
import type { GatewayMessage } from '../gateways/messages.ts'
import { lifetime, lifetimeEnd } from '../sessions/messages.ts'
import { CheckpointDriver, type CheckpointSetup } from './checkpoint-driver.ts'
import { StreamEmitter } from './emitter.ts'
import { etcdFace, mustBeAlone } from './etcd-face.ts'
import { EtcdTally } from './etcd-tally.ts'
import { HashComparison, hashEveryPositions } from './hash-comparison.ts'
import { HeldMail, passes } from './held-mail.ts'
import { announceMillis, Levels, levelSupported } from './levels.ts'
import { LogClock } from './log-clock.ts'
import { LongReads } from './long-reads.ts'
import { doorOf, type StateMessage, stream } from './messages.ts'
import { ReadSchedule } from './read-schedule.ts'
import { type DutiesSetup, LeaderDuties } from './leader-duties.ts'
import { Replica } from './replica.ts'
import { Slice, type SliceSetup, sliceDefaults, type Steps } from './slices.ts'
import { StateDifference } from './state-difference.ts'
import { StateMetrics } from './state-metrics.ts'
import type { WaitingRead } from './waiting-reads.ts'
import type { Command, Face, Identity, Read, World } from './world.ts'
import { commandConnection } from './zookeeper-commands.ts'
import { zookeeperFace } from './zookeeper-face.ts'

export interface StateSetup extends DutiesSetup {
  /** Default: that of this version. */
  readonly levelSupported?: number
  readonly identity: Identity
  readonly incarnation: number
  readonly checkpoints: CheckpointSetup
  readonly telemetry?: Telemetry
  /** Empty, where somebody else looks into it: the simulator. */
  readonly replica?: Replica
  /** How long a slice of long work is. */
  readonly slice?: SliceSetup
}

/** Far above what the gateways let wait: 32,768 reads of one door, 100,000 linearizable ones of the other. */
const readsWaitingMax = 524_288
const tickMillis = 20
/** The gateways are told this often what time it is in the log. */
const logTimeMillis = 500
/** No walk through history has this id. */
const noWalk = -1
const compactionEntriesPerTick = 2_500
/** So much compacted history does not wait for the next checkpoint that is due anyway. */
const obsoleteBytesMax = 1024 * 1024

export const stateActor: Definition<StateMessage, StateSetup> = {
  ...directory.state,
  mailboxMessagesMax: readsWaitingMax,
  start(context, setup) {
    const machine = new StateMachine(context, setup)
    return message => machine.handle(message)
  },
}

class StateMachine {
  readonly #context: Context<StateMessage>
  readonly #setup: StateSetup
  readonly #replica: Replica
  #world: World
  readonly #emitter: StreamEmitter
  readonly #reads: ReadSchedule
  readonly #barriers: { replyTo: string; id: number; position: number }[] = []
  readonly #command: Command = newCommand()
  readonly #hashes: HashComparison
  readonly #difference: StateDifference
  readonly #levels: Levels
  readonly #duties: LeaderDuties
  #levelToldMillis = 0
  readonly #logClock = new LogClock()
  #logTimeToldMillis = 0
  /** What the log has said last. */
  #wasFull = false
  #peerNodes: number[] = []
  #peers: Ref<StateMessage>[] = []
  #memberCount = 0
  readonly #checkpoints: CheckpointDriver
  readonly #tracing: Tracing
  readonly #metrics: StateMetrics
  readonly #tally = new EtcdTally()
  readonly #slice: Slice
  readonly #longReads: LongReads
  /** The committed entries in hand, of which some are applied. */
  #batch: Batch | undefined
  /** The rest of the command in hand. */
  #steps: Steps | undefined
  #span: Span | undefined
  /** The rest of a read between whose slices nothing is applied. */
  #alone: Steps | undefined
  readonly #held = new HeldMail()
  #isGoingOn = false
  /** A peer's checkpoint that waits until our own is written. */
  #arrived: Extract<StateMessage, { kind: 'checkpointArrived' }> | undefined

  constructor(context: Context<StateMessage>, setup: StateSetup) {
    this.#context = context
    this.#setup = setup
    const { tracing, metrics } = setup.telemetry ?? telemetryOff
    this.#tracing = tracing
    this.#replica = setup.replica ?? new Replica(context.host.random.uint32())
    this.#reads = new ReadSchedule({
      run: read => this.#run(read),
      ownSequence: ofStream => this.#ownSequence(ofStream),
      position: () => this.#replica.position,
      needsRoom: (read, bytes) => this.#askForRoom(read, bytes),
      runLent: (read, aboveBytes) => this.#emitter.lend(aboveBytes, () => this.#run(read)),
      overtaken: (ofStream, connection) => this.#overtaken(ofStream, connection),
    })
    this.#metrics = new StateMetrics(metrics, this.#replica, this.#reads)
    this.#slice = new Slice(context.host.clock, setup.slice)
    this.#longReads = new LongReads(read => this.#reads.again(read))
    this.#tally.observe(metrics)
    this.#checkpoints = new CheckpointDriver(context, this.#replica, setup.checkpoints, millis =>
      this.#metrics.checkpointed(millis),
    )
    this.#levels = new Levels(setup.levelSupported ?? levelSupported)
    this.#checkpoints.restore()
    this.#levels.check(this.#replica.numbers.level)
    this.#emitter = new StreamEmitter(
      context.find(directory.watches),
      context.find(directory.sessions),
      (read, bytes) => this.#reads.park(read as WaitingRead, bytes),
    )
    this.#world = this.#makeWorld()
    // Until a membership is known nobody can be in a majority.
    const memberCount = (): number => this.#memberCount || Number.POSITIVE_INFINITY
    this.#hashes = new HashComparison(setup.identity.node, memberCount)
    this.#difference = new StateDifference({
      hashes: this.#hashes,
      log: context.log,
      tell: differ => this.#tellDoors({ kind: 'statesDiffer', differ }),
    })
    this.#metrics.differing(metrics, () => this.#difference.sentence !== '')
    const sessions = context.find(directory.sessions)
    this.#duties = new LeaderDuties(setup, this.#replica, this.#nowMillis(), message =>
      sessions.tell(message),
    )
    this.#membershipChanged()
    this.#announceLifetimes()
    this.#announcePosition()
    context.every(tickMillis, { kind: 'tick' })
  }

  handle(message: StateMessage): void {
    if (this.#isBusy() && !passes(message)) this.#held.push(message)
    else this.#take(message)
  }

  #take(message: StateMessage): void {
    switch (message.kind) {
      case 'committed':
        return this.#applyAll(message.first, message.count, message.entries)
      case 'read':
        return this.#reads.arrived(message)
      case 'room': {
        const { stream: ofStream, connection, tag, bytes } = message
        return this.#reads.granted(ofStream, connection, tag, bytes)
      }
      case 'readCancelled':
        return this.#reads.cancelled(message.stream, message.connection, message.tag)
      case 'roomLent':
        if (doorOf(message.stream) === stream.zookeeper) return this.#reads.lent(message.bytes)
        return this.#emitter.lentForWrites(message.stream, message.bytes)
      case 'connectionGone':
        return this.#connectionGone(message.stream, message.connection)
      case 'propose':
        return this.#context.find(directory.consensus).tell(message)
      case 'leader':
        this.#setup.identity.epoch = message.epoch
        this.#setup.identity.leader = message.leader
        return
      case 'barrier':
        this.#barriers.push(message)
        return this.#releaseBarriers()
      case 'hash':
        return this.#compareHash(message.node, message.position, message)
      case 'level':
        return this.#levels.announced(message.node, message.level, this.#nowMillis())
      case 'gatewayStarted':
        this.#reads.forgetOthers(message.stream)
        this.#longReads.forgetOthers(message.stream)
        this.#tellLogTime()
        if (this.#difference.sentence !== '')
          this.#tellDoors({ kind: 'statesDiffer', differ: true })
        return this.#emitter.emit(message)
      case 'unwatched':
        return this.#emitter.unwatched(message.keys, message.registrations)
      case 'checkpointArrived':
        return this.#checkpointArrived(message)
      case 'status':
        return this.#answerStatus(message.replyTo, message.id)
      case 'tick':
        return this.#tick()
      case 'goOn':
        return this.#goOn()
      case 'checkpointSlice':
        return this.#checkpoints.slice()
      case 'checkpointWritten':
        return this.#checkpointWritten()
      case 'readReady':
      case 'readFailed':
        // Gateways and sessions ask for themselves and hand in the position with the read.
        return
      default:
        return unreachable(message)
    }
  }

  #makeWorld(): World {
    const { keyspace, tree, lifetimes, space, numbers } = this.#replica
    const { identity } = this.#setup
    const [emitter, applied] = [this.#emitter, this.#replica]
    const tally = this.#tally
    const { unslicedKeysMax } = this.#setup.slice ?? sliceDefaults
    const slices = { slice: this.#slice, room: this.#longReads.room, unslicedKeysMax }
    return { keyspace, tree, lifetimes, space, numbers, identity, emitter, applied, tally, slices }
  }

  #tick(): void {
    // What a command holds pointers to stays where it is until it is done.
    if (!this.#replica.isWhole || this.#alone !== undefined) return
    const { keyspace, tree } = this.#replica
    this.#longReads.tidied()
    keyspace.compactStep(compactionEntriesPerTick)
    if (this.#wantsCheckpoint()) this.#checkpoints.hasten()
    keyspace.maintain()
    tree.maintain()
    if (keyspace.compactionDone) etcdFace.compacted(this.#world)
    this.#reads.tick()
    this.#checkpoints.tick()
    const now = this.#nowMillis()
    if (now - this.#levelToldMillis >= announceMillis) this.#announceLevel()
    if (now - this.#logTimeToldMillis >= logTimeMillis) this.#tellLogTime()
    const { node, leader } = this.#setup.identity
    this.#duties.tick(now, leader === node)
    this.#difference.tick(now)
  }

  /** Not before this process has caught up with its own beginning: until then entries may be of long ago. */
  #tellLogTime(): void {
    if (this.#ownSequence(stream.sessions) === 0) return
    const now = this.#nowMillis()
    this.#logTimeToldMillis = now
    this.#tellDoors({ kind: 'logTime', time: this.#logClock.now(now) })
  }

  #tellDoors(message: GatewayMessage): void {
    this.#context.find<GatewayMessage>(directory.zookeeper).tell(message)
    this.#context.find<GatewayMessage>(directory.etcd).tell(message)
  }

  /** History that a client wants gone, or that is much, waits for a checkpoint: the next one still lists it. */
  #wantsCheckpoint(): boolean {
    const { keyspace } = this.#replica
    if (!keyspace.compactionWaits) return false
    return etcdFace.compactionAwaited(this.#world) || keyspace.obsoleteBytes >= obsoleteBytesMax
  }

  #nowMillis(): number {
    return this.#context.host.clock.monotonicMillis()
  }

  /** The leader raises it once everybody in force, learners too, knows more than is replicated. */
  #announceLevel(): void {
    const now = this.#nowMillis()
    this.#levelToldMillis = now
    const { node, leader } = this.#setup.identity
    const { supported } = this.#levels
    for (const peer of this.#peers) peer.tell({ kind: 'level', node, level: supported })
    if (leader !== node || this.#memberCount === 0) return
    const level = this.#levels.common(this.#peerNodes, now)
    if (level > this.#replica.numbers.level)
      this.#context.find(directory.sessions).tell({ kind: 'raiseLevel', level })
  }

  #checkpointArrived(message: Extract<StateMessage, { kind: 'checkpointArrived' }>): void {
    if (!this.#checkpoints.busy) return this.#install(message.directory, message.position)
    if (this.#arrived !== undefined) this.#checkpoints.discard(this.#arrived.directory)
    this.#arrived = message
  }

  #checkpointWritten(): void {
    this.#checkpoints.written()
    const arrived = this.#arrived
    this.#arrived = undefined
    if (arrived !== undefined) this.#install(arrived.directory, arrived.position)
  }

  /** Between slices: what comes meanwhile waits in its order. */
  #isBusy(): boolean {
    return this.#batch !== undefined || this.#alone !== undefined || !this.#held.isEmpty
  }

  #goOnSoon(): void {
    if (this.#isGoingOn) return
    this.#isGoingOn = true
    // Behind what is there by now, and after the thread's other actors had their turn.
    this.#context.self.tell({ kind: 'goOn' })
  }

  /** A slice of what is in hand, then one of a long read. */
  #goOn(): void {
    this.#isGoingOn = false
    this.#slice.begin()
    if (this.#alone !== undefined && this.#alone.next().done === true) this.#alone = undefined
    if (this.#batch !== undefined) this.#applyOn(this.#batch)
    else this.#longReads.room.applied()
    this.#takeHeld()
    if (!this.#longReads.isIdle) {
      const now = this.#nowMillis()
      this.#slice.begin(now)
      this.#longReads.step(now, this.#replica.isWhole)
    }
    if (this.#isBusy() || !this.#longReads.isIdle) this.#goOnSoon()
  }

  #takeHeld(): void {
    while (this.#batch === undefined && this.#alone === undefined && !this.#slice.spent(1)) {
      const message = this.#held.shift()
      if (message === undefined) return
      this.#take(message)
    }
  }

  #applyAll(first: number, count: number, entries: Uint8Array): void {
    // A checkpoint that a peer sent covers all of it: consensus may use its memory again by now.
    if (first + count - 1 <= this.#replica.position) return this.#appliedAll(entries)
    const beganMillis = this.#nowMillis()
    const command = this.#command
    command.bytes = entries
    command.view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength)
    this.#batch = { first, count, entries, beganMillis, index: 0, at: 0 }
    this.#slice.begin(beganMillis)
    this.#applyOn(this.#batch)
  }

  /** Until all of it is applied, or the slice is over. */
  #applyOn(batch: Batch): void {
    const { view } = this.#command
    for (;;) {
      if (this.#steps !== undefined) {
        if (this.#steps.next().done !== true) return this.#goOnSoon()
        this.#steps = undefined
        this.#commandApplied(this.#command)
        this.#entryApplied(this.#command.position)
      }
      if (batch.index === batch.count) return this.#batchApplied(batch)
      const { at } = batch
      const length = view.getUint32(at + offset.length, true)
      if (this.#mustWaitForReads(at)) return this.#goOnSoon()
      const position = readUint64(view, at + offset.position)
      invariant(position === batch.first + batch.index, 'committed entries come in order')
      batch.index += 1
      batch.at += length
      // A checkpoint that a peer sent may have covered what was already under way.
      if (position > this.#replica.position) this.#applyOne(at, length, position)
      const isOver = this.#steps === undefined && this.#slice.spent(1 + (length >>> 7))
      if (isOver && batch.index < batch.count) return this.#goOnSoon()
    }
  }

  /** A listing for which the tree stands still, or an earlier read of the same ZooKeeper connection. */
  #mustWaitForReads(at: number): boolean {
    if (this.#longReads.isIdle) return false
    if (this.#longReads.room.standsStill) return true
    const { view } = this.#command
    if (view.getUint8(at + offset.kind) !== entryKind.zookeeper || !this.#isOwn(at)) return false
    return this.#longReads.mustPrecede(commandConnection(view, at + offset.body))
  }

  #isOwn(at: number): boolean {
    const { view } = this.#command
    const { identity, incarnation } = this.#setup
    return (
      view.getUint32(at + offset.node, true) === identity.node &&
      readUint64(view, at + offset.incarnation) === incarnation
    )
  }

  #batchApplied(batch: Batch): void {
    this.#batch = undefined
    this.#longReads.room.applied()
    this.#logClock.applied(this.#replica.time, this.#nowMillis())
    this.#releaseBarriers()
    this.#checkpoints.applied(batch.entries.length)
    this.#metrics.applied(this.#nowMillis() - batch.beganMillis)
    this.#appliedAll(batch.entries)
  }

  #appliedAll(entries: Uint8Array): void {
    const { position } = this.#replica
    this.#context.find(directory.consensus).tell({ kind: 'applied', position })
    // Whatever apply keeps it has copied.
    this.#context.recycle(entries)
  }

  #applyOne(at: number, length: number, position: number): void {
    const command = this.#command
    const { view } = command
    invariant(position === this.#replica.position + 1, 'no position is skipped')
    command.position = position
    command.epoch = readUint64(view, at + offset.epoch)
    command.time = readUint64(view, at + offset.time)
    command.kind = view.getUint8(at + offset.kind)
    command.node = view.getUint32(at + offset.node, true)
    command.stream = view.getUint32(at + offset.stream, true)
    command.sequence = readUint64(view, at + offset.sequence)
    command.start = at + offset.body
    command.end = at + length
    const incarnation = readUint64(view, at + offset.incarnation)
    command.local =
      command.node === this.#setup.identity.node && incarnation === this.#setup.incarnation
    this.#replica.isWhole = false
    this.#replica.advance(position, command.epoch, command.time)
    if (command.kind === entryKind.membership) {
      this.#replica.membership = command.bytes.slice(command.start, command.end)
      this.#membershipChanged()
    }
    if (command.kind >= entryKind.register) this.#applyCommand(command, incarnation)
    if (this.#steps === undefined) this.#entryApplied(position)
  }

  #entryApplied(position: number): void {
    this.#replica.isWhole = true
    if (position % hashEveryPositions === 0) this.#announceHash(position)
    if (position >= this.#reads.nextPosition) this.#reads.positionApplied(position)
  }

  #applyCommand(command: Command, incarnation: number): void {
    const { node, sequence } = command
    if (!this.#replica.origins.accept(node, incarnation, command.stream, sequence)) return
    if (this.#reads.parkedCount > 0) this.#beforeWrite(command)
    const deadline = readUint64(command.view, command.start - entryHeaderBytes + offset.deadline)
    if (deadline !== 0 && command.time > deadline) this.#refuse(command)
    else {
      if (this.#tracing.enabled) this.#beginSpan(command)
      this.#steps = this.#execute(command)
    }
    if (this.#steps === undefined) this.#commandApplied(command)
  }

  #commandApplied({ local, stream: ofStream, sequence }: Command): void {
    if (this.#replica.space.isFull || this.#wasFull) this.#settleSpace()
    if (this.#span !== undefined) this.#endSpan(this.#span)
    if (!local) return
    if (ofStream === stream.sessions) {
      this.#context.find(directory.sessions).tell({ kind: 'appliedOwn', sequence })
    } else {
      this.#reads.sequenceApplied(ofStream, sequence)
    }
  }

  /** Nobody waits for it any more: it changes nothing, and keeps its place in the stream. */
  #refuse(command: Command): void {
    if (command.kind === entryKind.zookeeper) zookeeperFace.refuse(this.#world, command)
    else if (command.kind === entryKind.etcd) etcdFace.refuse(this.#world, command)
  }

  #beginSpan({ bytes, start, position }: Command): void {
    const entry = start - entryHeaderBytes
    if (!isTraced(bytes, entry)) return
    this.#span = this.#tracing.startSpan(spanNames.apply, traceAt(bytes, entry))
    this.#span.set('position', position)
    this.#emitter.cause(this.#span.context)
  }

  #endSpan(span: Span): void {
    this.#span = undefined
    this.#emitter.cause(undefined)
    span.end()
  }

  #execute(command: Command): Steps | undefined {
    switch (command.kind) {
      case entryKind.register:
        if (command.local) this.#registered(command)
        return undefined
      case entryKind.zookeeper:
        return zookeeperFace.apply(this.#world, command)
      case entryKind.etcd:
        return etcdFace.apply(this.#world, command)
      case entryKind.lifetime:
        return this.#endLifetime(command)
      case entryKind.level:
        this.#raiseLevel(command.view.getUint32(command.start, true))
        return undefined
      case entryKind.quota:
        this.#replica.space.setQuota(command.view.getFloat64(command.start))
        return undefined
      default:
        // A later version wrote it, and its level should have kept this node from seeing it.
        throw new Error(`entry ${command.position} has the unknown kind ${command.kind}`)
    }
  }

  #settleSpace(): void {
    const { space } = this.#replica
    space.settle()
    const { isFull, heldBytes, quotaBytes } = space
    if (isFull === this.#wasFull) return
    this.#wasFull = isFull
    const { log } = this.#context
    if (isFull)
      log.warn('The state has reached its quota: what grows it is refused', {
        heldBytes,
        quotaBytes,
      })
    else log.info('The state has room again: writes are taken', { heldBytes, quotaBytes })
  }

  /** This process is known to the cluster: what its clients ask for may be handed in. */
  #registered({ time }: Command): void {
    this.#logClock.applied(time, this.#nowMillis())
    this.#tellLogTime()
  }

  #raiseLevel(level: number): void {
    const { numbers } = this.#world
    if (level <= numbers.level) return
    this.#levels.check(level)
    numbers.level = level
    this.#context.log.info('The cluster has another level', { level })
  }

  /**
   * Void in any epoch but that in which the leader decided it, once the session is attached anew, and
   * for a lease that was granted under the same id since.
   */
  #endLifetime(command: Command): Steps | undefined {
    const { view, start } = command
    if (view.getFloat64(start + lifetimeEnd.epoch) !== command.epoch) return undefined
    const session = view.getUint8(start + lifetimeEnd.lifetime) === lifetime.session
    const id = view.getBigInt64(start + lifetimeEnd.id)
    const { lifetimes } = this.#world
    const ended = session ? lifetimes.session(id) : lifetimes.lease(id)
    if (ended === undefined) return undefined
    if (view.getUint32(start + lifetimeEnd.node) !== ended.node) return undefined
    if (view.getFloat64(start + lifetimeEnd.connection) !== ended.connection) return undefined
    if (view.getFloat64(start + lifetimeEnd.openedAt) !== ended.openedAt) return undefined
    const face: Face = session ? zookeeperFace : etcdFace
    return face.expire(this.#world, command, ended)
  }

  #run(read: WaitingRead): void {
    if (this.#longReads.waitsBehind(read)) return
    const face = doorOf(read.stream) === stream.zookeeper ? zookeeperFace : etcdFace
    const steps = face.read(this.#world, read)
    if (steps === undefined) return
    if (mustBeAlone(read)) {
      invariant(this.#alone === undefined && this.#batch === undefined, 'it comes between commands')
      this.#alone = steps
    } else this.#longReads.add(read, steps)
    this.#goOnSoon()
  }

  #askForRoom({ stream: ofStream, connection, tag }: Read, bytes: number): void {
    this.#gateway(ofStream).tell({ kind: 'needsRoom', stream: ofStream, connection, tag, bytes })
  }

  /** What a client asked before it wrote must not show what it wrote. */
  #beforeWrite(command: Command): void {
    if (!command.local || command.kind !== entryKind.zookeeper) return
    this.#reads.beforeWrite(command.stream, commandConnection(command.view, command.start))
  }

  #overtaken(ofStream: number, connection: number): void {
    this.#gateway(ofStream).tell({ kind: 'closeConnection', connection })
  }

  /** Behind all that registered a watch for it. */
  #connectionGone(ofStream: number, connection: number): void {
    this.#reads.connectionGone(ofStream, connection)
    this.#longReads.forgetConnection(ofStream, connection)
    this.#emitter.emit({ kind: 'connectionClosed', stream: ofStream, connection })
  }

  #gateway(ofStream: number): Ref<GatewayMessage> {
    const isZookeeper = doorOf(ofStream) === stream.zookeeper
    return this.#context.find<GatewayMessage>(isZookeeper ? directory.zookeeper : directory.etcd)
  }

  #ownSequence(ofStream: number): number {
    const { identity, incarnation } = this.#setup
    return this.#replica.origins.lastSequence(identity.node, incarnation, ofStream)
  }

  #releaseBarriers(): void {
    while ((this.#barriers[0]?.position ?? Number.POSITIVE_INFINITY) <= this.#replica.position) {
      const reached = this.#barriers.shift()
      if (reached === undefined) return
      const answer = { kind: 'barrierReached', id: reached.id } as const
      if (reached.replyTo === 'control') this.#context.find(directory.control).tell(answer)
      else this.#context.find(directory.sessions).tell(answer)
    }
  }

  /** Consensus goes on from where the state stands: at the start, and after a peer's checkpoint. */
  #announcePosition(): void {
    const { position, epoch, time, membership } = this.#replica
    this.#context
      .find(directory.consensus)
      .tell({ kind: 'checkpointInstalled', position, epoch, time, membership })
  }

  #announceLifetimes(): void {
    for (const opened of this.#world.lifetimes.all()) this.#emitter.lifetimeOpened(opened)
  }

  /** Those whose state is compared with ours: all members, learners too. */
  #membershipChanged(): void {
    const { membership } = this.#replica
    const nodes = membership.length === 0 ? [] : nodesOf(decodeMembership(membership))
    this.#memberCount = nodes.length
    this.#peerNodes = nodes.filter(node => node !== this.#setup.identity.node)
    this.#peers = this.#peerNodes.map(node => this.#context.find(directory.state, node))
  }

  #announceHash(position: number): void {
    const { node } = this.#setup.identity
    const { low, high } = this.#replica.hash()
    for (const peer of this.#peers) peer.tell({ kind: 'hash', node, position, low, high })
    this.#compareHash(node, position, { low, high })
  }

  #compareHash(node: number, position: number, { low, high }: { low: number; high: number }): void {
    const contradiction = this.#hashes.add(node, position, { low, high })
    if (contradiction === undefined) return
    const { agreedAt, majority } = contradiction
    const own = this.#setup.identity.node
    throw new Error(
      `the state of node ${own} at position ${contradiction.position} differs from that of the majority ` +
        `(nodes ${majority.join(', ')}; they last agreed at ${agreedAt}): it stops`,
    )
  }

  #install(from: string, position: number): void {
    if (position <= this.#replica.position) return this.#checkpoints.discard(from)
    if (!this.#checkpoints.install(from)) return
    this.#levels.check(this.#replica.numbers.level)
    this.#world = this.#makeWorld()
    this.#membershipChanged()
    invariant(this.#replica.position === position, 'the checkpoint stands where the peer said')
    this.#context.find(directory.sessions).tell({ kind: 'forgetAll' })
    this.#announceLifetimes()
    this.#announceUnanswered()
    this.#logClock.applied(this.#replica.time, this.#nowMillis())
    this.#tellLogTime()
    this.#announceRevision()
    this.#announcePosition()
    this.#reads.positionApplied(position)
    this.#longReads.restart()
    this.#releaseBarriers()
  }

  /** Key watches look up in history what changed in the checkpoint: a slice that nobody asked for says so. */
  #announceRevision(): void {
    const { revision, compactRevision } = this.#replica.keyspace
    const about = { id: noWalk, upTo: 0, revision, compactRevision, changes: [], more: false }
    this.#emitter.emit({ kind: 'keyHistory', ...about })
  }

  /** What the checkpoint contains of our own commands will not be answered; reads behind them may run. */
  #announceUnanswered(): void {
    const sessions = this.#ownSequence(stream.sessions)
    this.#context.find(directory.sessions).tell({ kind: 'appliedOwn', sequence: sessions })
    const { identity, incarnation } = this.#setup
    const count = this.#replica.origins.streamCount(identity.node, incarnation)
    for (let ofStream = 1; ofStream < count; ofStream += 1) {
      const door = doorOf(ofStream)
      if (door !== stream.zookeeper && door !== stream.etcd) continue
      const through = this.#ownSequence(ofStream)
      const unanswered = { kind: 'unanswered', stream: ofStream, through } as const
      this.#gateway(ofStream).tell(unanswered)
      this.#reads.sequencesCovered(ofStream, through)
    }
  }

  #answerStatus(replyTo: string, id: number): void {
    const { position, keyspace, tree, lifetimes, numbers } = this.#replica
    const { low, high } = this.#replica.hash()
    const json = JSON.stringify({
      applied: position,
      revision: keyspace.revision,
      compactRevision: keyspace.compactRevision,
      zxid: numbers.zxid,
      level: numbers.level,
      keys: keyspace.keyCount,
      znodes: tree.nodeCount,
      znodeBytes: tree.textBytes,
      ephemerals: tree.ephemeralCount,
      sessions: lifetimes.sessionCount,
      leases: lifetimes.leaseCount,
      waitingReads: this.#reads.waitingCount,
      parkedReads: this.#reads.parkedCount,
      heldBytes: this.#replica.space.heldBytes,
      quotaBytes: this.#replica.space.quotaBytes,
      noSpace: this.#replica.space.isFull,
      longReads: this.#longReads.count,
      difference: this.#difference.sentence,
      hash: ((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)).toString(16).padStart(16, '0'),
    })
    const asker = replyTo === 'zookeeper' ? directory.zookeeper : directory.control
    this.#context.find<StatusAnswer>(asker).tell({ kind: 'statusAnswer', from: 'state', id, json })
  }
}

/** Committed entries, and how far they are applied. */
interface Batch {
  readonly first: number
  readonly count: number
  readonly entries: Uint8Array
  readonly beganMillis: number
  /** The next of them, and where it is. */
  index: number
  at: number
}

function newCommand(): Command {
  const bytes = new Uint8Array(0)
  const view = new DataView(bytes.buffer)
  const numbers = { position: 0, epoch: 0, time: 0, kind: 0, node: 0, stream: 0, sequence: 0 }
  return { ...numbers, local: false, bytes, view, start: 0, end: 0 }
}

function unreachable(message: never): never {
  throw new Error(`unknown message ${JSON.stringify(message)}`)
}

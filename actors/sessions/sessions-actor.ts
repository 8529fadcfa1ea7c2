/**
 * Keeps sessions and leases alive. On every node it knows what is open; on the leader it keeps the
 * deadlines and proposes the end of what nobody renewed; elsewhere it passes touches and questions
 * on to the leader, in batches. Touches are never logged (DESIGN.md D10).
 */
import type { Context, Definition, Handler, Ref } from '../../runtime/actor.ts'
import { entryKind } from '../consensus/entry.ts'
import { directory } from '../directory.ts'
import { stream } from '../state/messages.ts'
import { Proposals } from '../state/proposals.ts'
import { type Deadline, Deadlines } from './deadlines.ts'
import { type LeaseBatch, LeaseQuestions, leaseTimesBytes } from './lease-questions.ts'
import {
  heardBytes,
  lifetime,
  lifetimeEnd,
  type LeaseAnswers,
  type SessionsMessage,
} from './messages.ts'
import { OwnTouches, touchBytes } from './own-touches.ts'
import { type TouchBatch, TouchConfirmations } from './touch-confirmations.ts'

export interface SessionsSetup {
  readonly node: number
  readonly incarnation: number
  /** Touches of clients are passed on to the leader this often. */
  readonly touchMillis: number
  /** A question that no leader answered in this time has failed. */
  readonly questionMillis: number
  readonly electionMillis: number
}

const tickMillis = 100
const endsPerTickMax = 1000
const none = new Uint8Array(0)
/** Lives of a node begin to count their batches of touches in different places; all stay below 2^53. */
const batchesApart = 2 ** 20

export const sessionsActor: Definition<SessionsMessage, SessionsSetup> = {
  ...directory.sessions,
  // At a start it hears of all sessions and leases at once.
  mailboxMessagesMax: 4_194_304,
  start: (context, setup) => new Sessions(context, setup).handler,
}

class Sessions {
  readonly handler: Handler<SessionsMessage> = message => this.#handle(message)
  readonly #context: Context<SessionsMessage>
  readonly #setup: SessionsSetup
  readonly #deadlines = new Deadlines()
  readonly #proposals: Proposals
  readonly #gateway: Ref<LeaseAnswers>
  readonly #questions: LeaseQuestions
  readonly #touches: OwnTouches
  /** Of all nodes, while this one leads. */
  readonly #confirmations: TouchConfirmations
  #leader = 0
  #epoch = 0
  /** Time during which this process did not run counts for nobody's deadline. */
  #pausedMillis = 0
  #lastTickMillis: number

  constructor(context: Context<SessionsMessage>, setup: SessionsSetup) {
    this.#context = context
    this.#setup = setup
    this.#gateway = context.find(directory.etcd)
    const consensus = context.find(directory.consensus)
    this.#proposals = new Proposals({
      node: setup.node,
      incarnation: setup.incarnation,
      stream: stream.sessions,
      entriesMax: 100_000,
      bytesMax: 64 * 1024 * 1024,
      resendMillis: 2 * setup.electionMillis,
      clock: () => context.host.clock.monotonicMillis(),
      tell: message => consensus.tell(message),
    })
    this.#questions = new LeaseQuestions({
      node: setup.node,
      questionMillis: setup.questionMillis,
      againMillis: setup.electionMillis,
      askLeader: batch => this.#askLeader(batch),
      confirm: id => consensus.tell({ kind: 'readRequest', replyTo: 'sessions', id }),
      answer: batch => this.#answer(batch),
      failed: ({ tag, ids }) => this.#gateway.tell(leaseAnswers(tag, ids, none, true)),
    })
    const againMillis = setup.electionMillis
    this.#touches = new OwnTouches({
      // Answers to an earlier life of this node may still come.
      firstBatch: context.host.random.uint32() * batchesApart,
      touchMillis: setup.touchMillis,
      emptyMillis: setup.electionMillis / 2,
      againMillis,
      send: (batch, touches) => this.#sendTouches({ node: setup.node, batch, touches }),
    })
    this.#confirmations = new TouchConfirmations({
      againMillis,
      confirm: id => consensus.tell({ kind: 'readRequest', replyTo: 'sessions', id }),
      answer: batch => this.#confirmTouches(batch),
    })
    this.#lastTickMillis = context.host.clock.monotonicMillis()
    this.#register()
    context.every(tickMillis, { kind: 'tick' })
    context.onRoundEnd(() => this.#proposals.flush())
  }

  #handle(message: SessionsMessage): void {
    switch (message.kind) {
      case 'touched':
        return this.#heard(message.ids)
      case 'touchedRemotely':
        return this.#touched(message)
      case 'touchesConfirmed':
        return this.#touchesConfirmed(message.batch, message.lost)
      case 'opened':
        return this.#deadlines.open(
          message.lifetime,
          idOf(message.id, 0),
          message.ttlMillis,
          this.#now(),
          message,
        )
      case 'closed':
        return this.#deadlines.close(message.lifetime, idOf(message.id, 0))
      case 'raiseLevel':
        return this.#raiseLevel(message.level)
      case 'stateCommand':
        return this.#proposeForState(message.entryKind, message.body)
      case 'forgetAll':
        return this.#deadlines.clear()
      case 'appliedOwn':
        return this.#proposals.applied(message.sequence, this.#context.host.clock.monotonicMillis())
      case 'leader':
        return this.#leaderChanged(message.leader, message.epoch)
      case 'handInAgain':
        return this.#proposals.refused(this.#context.host.clock.monotonicMillis())
      case 'leaseQuestions':
        return this.#ask(this.#setup.node, message)
      case 'leaseQuestionsRemote':
        return this.#ask(message.node, message)
      case 'leaseAnswers':
        if (this.#questions.answered(message.tag, message.ids)) this.#gateway.tell(message)
        return
      case 'readReady':
        return this.#context.find(directory.state).tell({
          kind: 'barrier',
          replyTo: 'sessions',
          id: message.id,
          position: message.position,
        })
      case 'barrierReached':
        return this.#confirmed(message.id)
      case 'readFailed':
        this.#confirmations.unconfirmed(message.id)
        return this.#questions.unconfirmed(message.id)
      case 'tick':
        return this.#tick()
      default:
        return unreachable(message)
    }
  }

  get #leading(): boolean {
    return this.#leader === this.#setup.node
  }

  #now(): number {
    return this.#context.host.clock.monotonicMillis() - this.#pausedMillis
  }

  /** Older incarnations of this node end here: their commands no longer apply. */
  #register(): void {
    this.#proposals.reserve(0)
    this.#proposals.commit(entryKind.register, 0)
  }

  #raiseLevel(level: number): void {
    const { view, start } = this.#proposals.reserve(4)
    view.setUint32(start, level, true)
    this.#proposals.commit(entryKind.level, 4)
  }

  #proposeForState(kind: number, body: Uint8Array): void {
    if (this.#proposals.full) return
    const { target, start } = this.#proposals.reserve(body.length)
    target.set(body, start)
    this.#proposals.commit(kind, body.length)
  }

  #heard(ids: Uint8Array): void {
    const now = this.#context.host.clock.monotonicMillis()
    for (let at = 0; at + 8 <= ids.length; at += 8) this.#touches.heard(idOf(ids, at), now)
  }

  #sendTouches(batch: TouchBatch): void {
    if (this.#leading) this.#touched(batch)
    else {
      const leader = this.#context.find(directory.sessions, this.#leader)
      leader.tell({ kind: 'touchedRemotely', ...batch })
    }
  }

  /** One that came to a node that does not lead is sent again, to the one that does. */
  #touched(batch: TouchBatch): void {
    if (!this.#leading) return
    const now = this.#now()
    const { touches } = batch
    const view = new DataView(touches.buffer, touches.byteOffset, touches.byteLength)
    for (let at = 0; at + touchBytes <= touches.length; at += touchBytes) {
      const deadline = this.#deadlines.find(lifetime.session, view.getBigInt64(at))
      if (deadline === undefined) continue
      const untilMillis = now - view.getUint32(at + 8) + deadline.ttlMillis
      deadline.atMillis = Math.max(deadline.atMillis, untilMillis)
    }
    const kept = { node: batch.node, batch: batch.batch, touches: new Uint8Array(touches) }
    this.#confirmations.add(kept, this.#context.host.clock.monotonicMillis())
  }

  #confirmed(id: number): void {
    const nowMillis = this.#context.host.clock.monotonicMillis()
    if (!this.#leading) return
    this.#confirmations.confirmed(id, nowMillis)
    this.#questions.confirmed(id, nowMillis)
  }

  #confirmTouches({ node, batch, touches }: TouchBatch): void {
    const lost = new Uint8Array((touches.length / touchBytes) * 8)
    let lostBytes = 0
    for (let at = 0; at + touchBytes <= touches.length; at += touchBytes) {
      const deadline = this.#deadlines.find(lifetime.session, idOf(touches, at))
      if (deadline !== undefined && deadline.proposedIn !== this.#epoch) continue
      lost.set(touches.subarray(at, at + 8), lostBytes)
      lostBytes += 8
    }
    const answer = { kind: 'touchesConfirmed', batch, lost: lost.slice(0, lostBytes) } as const
    if (node === this.#setup.node) this.#touchesConfirmed(batch, answer.lost)
    else this.#context.find(directory.sessions, node).tell(answer)
  }

  #touchesConfirmed(batch: number, lost: Uint8Array): void {
    const confirmed = this.#touches.confirmed(batch, lost)
    if (confirmed === undefined) return
    const { askedMillis, heardMillis } = confirmed
    const heard = new Uint8Array(heardMillis.size * heardBytes)
    const view = new DataView(heard.buffer)
    let at = 0
    for (const [id, millis] of heardMillis) {
      view.setBigInt64(at, id)
      view.setFloat64(at + 8, millis)
      at += heardBytes
    }
    const told = { kind: 'sessionsConfirmed', askedMillis, heard } as const
    this.#context.find(directory.zookeeper).tell(told)
  }

  #leaderChanged(leader: number, epoch: number): void {
    const led = this.#leading && this.#epoch === epoch
    this.#leader = leader
    this.#epoch = epoch
    const nowMillis = this.#context.host.clock.monotonicMillis()
    this.#proposals.leaderChanged(leader, nowMillis)
    if (!this.#leading) this.#deadlines.stop()
    else if (!led) this.#deadlines.restart(this.#now(), this.#setup.electionMillis)
    this.#questions.leaderChanged(leader, nowMillis)
    this.#touches.leaderChanged()
    this.#confirmations.leaderChanged()
  }

  #tick(): void {
    const now = this.#context.host.clock.monotonicMillis()
    const gap = now - this.#lastTickMillis - tickMillis
    // After a pause touches that came meanwhile are not read yet.
    if (gap > 3 * tickMillis) this.#pausedMillis += gap
    this.#lastTickMillis = now
    this.#proposals.tick(now)
    if (this.#leader !== 0) this.#touches.tick(now)
    if (this.#leading) {
      this.#confirmations.tick(now)
      for (const ended of this.#deadlines.due(this.#now(), endsPerTickMax)) this.#proposeEnd(ended)
    }
    this.#questions.tick(now)
  }

  /**
   * Void unless it is committed in the epoch in which this leader decided it, and while the session
   * is attached as it was then (state-actor.ts).
   */
  #proposeEnd(ended: Deadline): void {
    if (ended.proposedIn === this.#epoch) return
    ended.proposedIn = this.#epoch
    const { view, start } = this.#proposals.reserve(lifetimeEnd.bytes)
    view.setUint8(start + lifetimeEnd.lifetime, ended.lifetime)
    view.setBigInt64(start + lifetimeEnd.id, ended.id)
    view.setFloat64(start + lifetimeEnd.epoch, this.#epoch)
    view.setUint32(start + lifetimeEnd.node, ended.node)
    view.setFloat64(start + lifetimeEnd.connection, ended.connection)
    view.setFloat64(start + lifetimeEnd.openedAt, ended.openedAt)
    this.#proposals.commit(entryKind.lifetime, lifetimeEnd.bytes)
  }

  #ask(node: number, { tag, ids, renew }: Omit<LeaseBatch, 'node'>): void {
    const nowMillis = this.#context.host.clock.monotonicMillis()
    this.#questions.ask({ node, tag, ids: new Uint8Array(ids), renew }, nowMillis)
  }

  #askLeader({ node, tag, ids, renew }: LeaseBatch): void {
    const leader = this.#context.find(directory.sessions, this.#leader)
    leader.tell({ kind: 'leaseQuestionsRemote', node, tag, ids, renew })
  }

  #answer({ node, tag, ids, renew }: LeaseBatch): void {
    const now = this.#now()
    const times = new Uint8Array((ids.length / 8) * leaseTimesBytes)
    const view = new DataView(times.buffer)
    for (let at = 0; at + 8 <= ids.length; at += 8) {
      const deadline = this.#deadlines.find(lifetime.lease, idOf(ids, at))
      const alive = deadline !== undefined && deadline.proposedIn !== this.#epoch
      if (alive && renew) deadline.atMillis = now + deadline.ttlMillis
      view.setFloat64(at * 2, alive ? Math.max(0, deadline.atMillis - now) : -1, true)
      view.setFloat64(at * 2 + 8, alive ? deadline.ttlMillis : 0, true)
    }
    const answers = leaseAnswers(tag, ids, times, false)
    if (node === this.#setup.node) this.#gateway.tell(answers)
    else this.#context.find(directory.sessions, node).tell(answers)
  }
}

function leaseAnswers(
  tag: number,
  ids: Uint8Array,
  times: Uint8Array,
  failed: boolean,
): LeaseAnswers {
  return { kind: 'leaseAnswers', tag, ids, times, failed }
}

function idOf(bytes: Uint8Array, at: number): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset + at, 8).getBigInt64(0)
}

function unreachable(message: never): never {
  throw new Error(`unknown message ${JSON.stringify(message)}`)
}

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
import { lifetime, lifetimeEnd, type LeaseAnswer, type SessionsMessage } from './messages.ts'

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
const questionsMax = 10_000

interface Question {
  readonly node: number
  readonly connection: number
  readonly tag: number
  readonly id: Uint8Array
  readonly renew: boolean
  readonly untilMillis: number
  /** When it went to the leader last. */
  askedMillis: number
  /** The batch that it waits for on the leader; 0: not asked yet. */
  batch: number
}

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
  readonly #gateway: Ref<LeaseAnswer>
  /** Touches of this node's clients since the last batch. */
  readonly #touched = new Set<bigint>()
  #questions: Question[] = []
  #leader = 0
  #epoch = 0
  #batch = 0
  /** Time during which this process did not run counts for nobody's deadline. */
  #pausedMillis = 0
  #lastTickMillis: number
  #touchesSentMillis = 0

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
      tell: message => consensus.tell(message),
    })
    this.#lastTickMillis = context.host.clock.monotonicMillis()
    this.#register()
    context.every(tickMillis, { kind: 'tick' })
    context.onRoundEnd(() => this.#proposals.flush())
  }

  #handle(message: SessionsMessage): void {
    switch (message.kind) {
      case 'touched':
        return this.#touch(message.ids, true)
      case 'touchedRemotely':
        return this.#touch(message.ids, false)
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
      case 'forgetAll':
        return this.#deadlines.clear()
      case 'appliedOwn':
        return this.#proposals.applied(message.sequence, this.#context.host.clock.monotonicMillis())
      case 'leader':
        return this.#leaderChanged(message.leader, message.epoch)
      case 'leaseQuestion':
        return this.#ask(this.#setup.node, message)
      case 'leaseQuestionRemote':
        return this.#ask(message.node, message)
      case 'leaseAnswer':
        return this.#answered(message)
      case 'readReady':
        return this.#context.find(directory.state).tell({
          kind: 'barrier',
          replyTo: 'sessions',
          id: message.id,
          position: message.position,
        })
      case 'barrierReached':
        return this.#answerBatch(message.id)
      case 'readFailed':
        for (const question of this.#questions)
          if (question.batch === message.id) question.batch = 0
        return this.#confirm()
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

  #touch(ids: Uint8Array, local: boolean): void {
    const now = this.#now()
    for (let at = 0; at + 8 <= ids.length; at += 8) {
      const id = idOf(ids, at)
      if (!this.#leading) {
        // One that came to a node that no longer leads is the new leader's to restart.
        if (local) this.#touched.add(id)
        continue
      }
      const deadline = this.#deadlines.find(lifetime.session, id)
      if (deadline !== undefined) deadline.atMillis = now + deadline.ttlMillis
    }
  }

  #leaderChanged(leader: number, epoch: number): void {
    const led = this.#leading && this.#epoch === epoch
    this.#leader = leader
    this.#epoch = epoch
    this.#proposals.leaderChanged(leader, this.#context.host.clock.monotonicMillis())
    if (!this.#leading) this.#deadlines.stop()
    else if (!led) this.#deadlines.restart(this.#now(), this.#setup.electionMillis)
    const waiting = this.#questions
    this.#questions = []
    for (const question of waiting) {
      if (question.node === this.#setup.node) this.#route({ ...question, batch: 0 })
    }
  }

  #tick(): void {
    const now = this.#context.host.clock.monotonicMillis()
    const gap = now - this.#lastTickMillis - tickMillis
    // After a pause touches that came meanwhile are not read yet.
    if (gap > 3 * tickMillis) this.#pausedMillis += gap
    this.#lastTickMillis = now
    this.#proposals.tick(now)
    this.#sendTouches(now)
    if (this.#leading) {
      for (const ended of this.#deadlines.due(this.#now(), endsPerTickMax)) this.#proposeEnd(ended)
    }
    this.#failOldQuestions(now)
    if (!this.#leading && this.#leader !== 0) this.#askAgain(now)
  }

  /** A link that broke has lost them, or their answers; the leader may answer twice. */
  #askAgain(now: number): void {
    for (const question of this.#questions) {
      if (question.node !== this.#setup.node) continue
      if (now - question.askedMillis < this.#setup.electionMillis) continue
      question.askedMillis = now
      this.#askLeader(question)
    }
  }

  #sendTouches(now: number): void {
    if (this.#touched.size === 0 || now - this.#touchesSentMillis < this.#setup.touchMillis) return
    if (this.#leader === 0) return
    this.#touchesSentMillis = now
    const ids = new Uint8Array(this.#touched.size * 8)
    const view = new DataView(ids.buffer)
    let at = 0
    for (const id of this.#touched) {
      view.setBigInt64(at, id)
      at += 8
    }
    this.#touched.clear()
    if (this.#leading) this.#touch(ids, true)
    else this.#context.find(directory.sessions, this.#leader).tell({ kind: 'touchedRemotely', ids })
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

  #ask(
    node: number,
    asked: { connection: number; tag: number; id: Uint8Array; renew: boolean },
  ): void {
    const nowMillis = this.#context.host.clock.monotonicMillis()
    const untilMillis = nowMillis + this.#setup.questionMillis
    const { connection, tag, id, renew } = asked
    const question: Question = {
      node,
      connection,
      tag,
      id: id.slice(),
      renew,
      untilMillis,
      askedMillis: nowMillis,
      batch: 0,
    }
    if (this.#questions.length >= questionsMax) this.#fail(question)
    else this.#route(question)
  }

  #route(question: Question): void {
    this.#questions.push(question)
    if (this.#leading) return this.#confirm()
    if (this.#leader !== 0 && question.node === this.#setup.node) this.#askLeader(question)
  }

  #askLeader(question: Question): void {
    const { node, connection, tag, id, renew } = question
    this.#context
      .find(directory.sessions, this.#leader)
      .tell({ kind: 'leaseQuestionRemote', node, connection, tag, id, renew })
  }

  /** One confirmation of leadership at a time serves all questions that came before it was asked for. */
  #confirm(): void {
    if (this.#questions.some(question => question.batch !== 0)) return
    if (this.#questions.length === 0) return
    this.#batch += 1
    for (const question of this.#questions) question.batch = this.#batch
    this.#context
      .find(directory.consensus)
      .tell({ kind: 'readRequest', replyTo: 'sessions', id: this.#batch })
  }

  #answerBatch(batch: number): void {
    const rest: Question[] = []
    for (const question of this.#questions) {
      if (question.batch === batch) this.#answer(question)
      else rest.push(question)
    }
    this.#questions = rest
    this.#confirm()
  }

  #answer(question: Question): void {
    const now = this.#now()
    const deadline = this.#deadlines.find(lifetime.lease, idOf(question.id, 0))
    const alive = deadline !== undefined && deadline.proposedIn !== this.#epoch
    if (alive && question.renew) deadline.atMillis = now + deadline.ttlMillis
    const remainingMillis = alive ? Math.max(0, deadline.atMillis - now) : -1
    this.#reply(question, remainingMillis, alive ? deadline.ttlMillis : 0, false)
  }

  #reply(question: Question, remainingMillis: number, ttlMillis: number, failed: boolean): void {
    const { connection, tag, id } = question
    const answer: LeaseAnswer = {
      kind: 'leaseAnswer',
      connection,
      tag,
      id,
      remainingMillis,
      ttlMillis,
      failed,
    }
    if (question.node === this.#setup.node) this.#gateway.tell(answer)
    else this.#context.find(directory.sessions, question.node).tell(answer)
  }

  /** The leader answered a question that was passed on. */
  #answered(answer: LeaseAnswer): void {
    const id = idOf(answer.id, 0)
    const at = this.#questions.findIndex(
      one =>
        one.connection === answer.connection && one.tag === answer.tag && idOf(one.id, 0) === id,
    )
    if (at < 0) return
    this.#questions.splice(at, 1)
    this.#gateway.tell(answer)
  }

  #failOldQuestions(now: number): void {
    if (!this.#questions.some(question => question.untilMillis <= now)) return
    const old = this.#questions.filter(question => question.untilMillis <= now)
    this.#questions = this.#questions.filter(question => question.untilMillis > now)
    for (const question of old) this.#fail(question)
  }

  #fail(question: Question): void {
    if (question.node === this.#setup.node) this.#reply(question, -1, 0, true)
  }
}

function idOf(bytes: Uint8Array, at: number): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset + at, 8).getBigInt64(0)
}

function unreachable(message: never): never {
  throw new Error(`unknown message ${JSON.stringify(message)}`)
}

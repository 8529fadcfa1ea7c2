/**
 * Watches every message of a simulated world and holds it against what must be true at every step
 * (Ongaro's properties, and D12-D15): one leader an epoch, logs that match, hard state that only
 * grows, nothing committed that a quorum does not have on disk, and nothing committed twice differently.
 */
import { entryHeaderBytes, offset, readUint64 } from '../../actors/consensus/entry.ts'
import { formationEpoch } from '../../actors/consensus/formation.ts'
import { decodeHardState, type HardState } from '../../actors/consensus/raft/hard-state.ts'
import type { ConsensusMessage, ConsensusNotice } from '../../actors/consensus/messages.ts'
import type { JournalMessage, JournalNotice } from '../../actors/journal/messages.ts'
import type { StateMessage } from '../../actors/state/messages.ts'
import type { Replica } from '../../actors/state/replica.ts'
import type { Message } from '../../runtime/actor.ts'
import { crc32c } from '../../runtime/crc32c.ts'
import type { Disk } from '../../runtime/host.ts'
import { checkpointDirectory, type Tap } from './node.ts'
import { EtcdHistory } from './etcd-history.ts'
import { Replicas } from './replicas.ts'
import type { Scheduler } from './scheduler.ts'

interface LogEntry {
  readonly epoch: number
  readonly checksum: number
}

/** What one node's disk has been told, through all lives of its process. */
interface NodeLog {
  /** By position; what an unfinished persist brings is not here yet. */
  readonly durable: Map<number, LogEntry>
  /** All up to here is in a checkpoint. */
  base: number
  recoveredFrom: number
  recovered: Map<number, LogEntry>
  pending: Extract<JournalMessage, { kind: 'persist' }>[]
  /** From here on entries were to be cut off when the process ended, which had happened or not. */
  mayLackFrom: number
  hardState: HardState
  durableHardState: HardState
  committed: number
}

const noHardState: HardState = { epoch: 0, votedFor: 0, formed: false }

export class Observer implements Tap {
  readonly violations: string[] = []
  readonly lines: string[] = []
  /** Of all lines: equal for two runs of one seed. */
  traceChecksum = 0
  leaderChanges = 0
  /** Of the newest epoch; 0 before the first. */
  leader = 0
  readonly etcd = new EtcdHistory()
  readonly replicas = new Replicas((node, sentence) => this.violate(node, sentence))
  readonly #scheduler: Scheduler
  readonly #nodeCount: number
  readonly #linesKept: number
  readonly #logs = new Map<number, NodeLog>()
  /** Of disks that were lost: what was said when they were there is still on its way. */
  readonly #lostLogs = new Map<number, NodeLog>()
  readonly #leaders = new Map<number, number>()
  /** By position: what is committed, for ever. */
  readonly #committed = new Map<number, LogEntry>()
  /** The highest commit position that any leader has told, or knew when it became one. */
  #commitTold = 0
  /** By `position:epoch`: what any node ever wrote there, and the epoch before it. */
  readonly #written = new Map<string, { checksum: number; previousEpoch: number }>()

  constructor(scheduler: Scheduler, nodeCount: number, linesKept: number) {
    this.#scheduler = scheduler
    this.#nodeCount = nodeCount
    this.#linesKept = linesKept
  }

  get committedPositions(): number {
    return this.#committed.size
  }

  note(node: number, event: string): void {
    const millis = this.#scheduler.nowMillis.toFixed(3).padStart(11)
    const line = `${millis} ${node === 0 ? '     ' : `node${node}`} ${event}`
    this.traceChecksum = crc32c(Buffer.from(line), this.traceChecksum)
    this.lines.push(line)
    if (this.lines.length > 2 * this.#linesKept) this.lines.splice(0, this.#linesKept)
  }

  violate(node: number, sentence: string): void {
    this.violations.push(
      `${sentence} (node ${node}, at ${this.#scheduler.nowMillis.toFixed(3)} ms)`,
    )
    this.note(node, `VIOLATION ${sentence}`)
  }

  stopped(node: number): void {
    const log = this.#log(node)
    for (const { truncateFrom } of log.pending)
      if (truncateFrom > 0) log.mayLackFrom = Math.min(log.mayLackFrom, truncateFrom)
    log.pending = []
    log.hardState = log.durableHardState
    this.replicas.stopped(node)
    log.committed = 0
  }

  /** Nothing that it had is there any more. */
  lostDisk(node: number): void {
    this.#lostLogs.set(node, this.#log(node))
    this.#logs.delete(node)
  }

  started(node: number, actor: string, setup: unknown): void {
    if (actor === 'state') this.replicas.started(node, (setup as { replica: Replica }).replica)
  }

  handled(node: number, message: Message, disk: Disk): void {
    const { kind } = message as StateMessage
    if (kind === 'committed' || kind === 'checkpointArrived' || kind === 'goOn') {
      this.replicas.compare(node)
      const revision = this.replicas.of(node)?.keyspace.revision ?? 0
      this.etcd.revisionReached(revision, this.#scheduler.nowMillis)
    }
    if (kind === 'checkpointWritten') this.replicas.restore(node, disk, checkpointDirectory)
  }

  message(node: number, actor: string, message: Message): void {
    if (actor === 'journal') this.#toJournal(node, message as JournalMessage)
    else if (actor === 'consensus') this.#toConsensus(node, message as ConsensusMessage)
    else if (actor === 'state') this.#toState(node, message as ConsensusNotice)
  }

  failed(node: number, actor: string, error: unknown): void {
    this.violate(node, `${actor} failed: ${error instanceof Error ? error.stack : String(error)}`)
  }

  logged(node: number, line: string): void {
    if (this.#linesKept > 1000) this.note(node, line.slice(25))
  }

  #toJournal(node: number, message: JournalMessage): void {
    const log = this.#log(node)
    if (message.kind === 'recover') {
      log.recoveredFrom = message.position
      log.recovered = new Map()
    }
    if (message.kind === 'persist') {
      log.pending.push({
        ...message,
        entries: message.entries.slice(),
        hardState: message.hardState.slice(),
      })
      if (message.hardState.length > 0)
        this.#checkHardState(node, log, decodeHardState(message.hardState))
      if (message.truncateFrom > 0) this.#checkTruncation(node, message.truncateFrom)
    } else if (message.kind === 'reset') {
      // The checkpoint takes the place of the log: none of it has to be there again.
      log.base = message.position
      log.durable.clear()
      log.pending = log.pending.map(persist => ({ ...persist, entries: nothing }))
    }
  }

  #toConsensus(node: number, message: ConsensusMessage): void {
    switch (message.kind) {
      case 'persisted':
        return this.#settleUpTo(node, message.id)
      case 'recoveredEntries':
        return forEachEntry(message.entries, (position, epoch, checksum) => {
          this.#log(node).recovered.set(position, { epoch, checksum })
        })
      case 'recovered':
        return this.#checkRecovered(node, message)
      case 'checkpointed':
        return this.replicas.checkpointed(node, message.position)
      case 'voteReply':
        if (message.granted && !message.pre) this.#checkVote(message.from, message.epoch, node)
        return
      case 'appendReply':
        if (message.accepted) this.#checkAccepted(message.from, message.epoch, message.position)
        return
      case 'append':
        this.#checkCommitTold(message)
    }
  }

  #settleUpTo(node: number, id: number): void {
    const log = this.#log(node)
    while (log.pending.length > 0 && log.pending[0]!.id <= id)
      this.#settle(node, log, log.pending.shift()!)
  }

  /** What was ever said to be durable is there after a crash; more may be. */
  #checkRecovered(
    node: number,
    { hardState, damage }: Extract<JournalNotice, { kind: 'recovered' }>,
  ): void {
    const log = this.#log(node)
    if (damage !== '') return this.violate(node, `recovered a damaged journal: ${damage}`)
    for (const [position, { epoch, checksum }] of log.durable) {
      if (position <= log.recoveredFrom || position >= log.mayLackFrom) continue
      const found = log.recovered.get(position)
      if (found?.epoch === epoch && found.checksum === checksum) continue
      return this.violate(
        node,
        `persisted entry ${position} of epoch ${epoch} is gone after a crash`,
      )
    }
    dropFrom(log.durable, log.mayLackFrom)
    log.mayLackFrom = Number.POSITIVE_INFINITY
    for (const [position, entry] of log.recovered) log.durable.set(position, entry)
    log.hardState = log.durableHardState
    this.#checkHardState(node, log, decodeHardState(hardState))
    log.durableHardState = log.hardState
  }

  /** A vote needs its disk (D14): it counts elsewhere only when it is durable here. */
  #checkVote(voter: number, epoch: number, candidate: number): void {
    const hasVoted = (hardState: HardState | undefined): boolean =>
      hardState !== undefined &&
      (hardState.epoch > epoch || (hardState.epoch === epoch && hardState.votedFor === candidate))
    if (hasVoted(this.#log(voter).durableHardState)) return
    if (hasVoted(this.#lostLogs.get(voter)?.durableHardState)) return
    this.violate(voter, `voted for ${candidate} in epoch ${epoch} and has not that on its disk`)
  }

  #checkAccepted(follower: number, epoch: number, position: number): void {
    const log = this.#log(follower)
    if (log.durableHardState.epoch !== epoch || position <= log.base || log.durable.has(position))
      return
    this.violate(follower, `accepted up to ${position} and has not that on its disk`)
  }

  /** A leader counts copies only of entries of its own epoch; older ones come along (Raft 5.4.2). */
  #checkCommitTold({ from, epoch, commit }: Extract<ConsensusMessage, { kind: 'append' }>): void {
    if (commit <= this.#commitTold) return
    this.#commitTold = commit
    // What a process began with, in its own checkpoint, had been committed before.
    if (commit <= this.#log(from).recoveredFrom) return
    const entry = this.#committed.get(commit) ?? this.#log(from).durable.get(commit)
    // The first membership is committed by all having recorded it, before there is a leader.
    if (entry === undefined || entry.epoch === epoch || entry.epoch === formationEpoch) return
    this.violate(from, `committed ${commit} of epoch ${entry.epoch} by counting in epoch ${epoch}`)
  }

  #toState(node: number, message: ConsensusNotice): void {
    if (message.kind === 'committed') this.#checkCommitted(node, message)
    else if (message.kind === 'leader' && message.self) this.#checkLeader(node, message.epoch)
  }

  #checkLeader(node: number, epoch: number): void {
    const known = this.#leaders.get(epoch)
    if (known === node) return
    if (known !== undefined)
      this.violate(node, `epoch ${epoch} has two leaders, ${known} and ${node}`)
    this.#leaders.set(epoch, node)
    this.leaderChanges++
    // A node whose state machine was paused says it when another leads already.
    if (epoch === Math.max(...this.#leaders.keys())) this.leader = node
    // Known here before this epoch: it need not be counted to be told.
    this.#commitTold = Math.max(this.#commitTold, this.#log(node).committed)
    this.note(node, `leads epoch ${epoch}`)
  }

  #checkHardState(node: number, log: NodeLog, next: HardState): void {
    const last = log.hardState
    log.hardState = next
    if (next.epoch < last.epoch)
      this.violate(node, `epoch went back from ${last.epoch} to ${next.epoch}`)
    if (next.epoch === last.epoch && last.votedFor !== 0 && next.votedFor !== last.votedFor) {
      this.violate(
        node,
        `vote of epoch ${next.epoch} changed from ${last.votedFor} to ${next.votedFor}`,
      )
    }
    if (last.formed && !next.formed)
      this.violate(node, 'the node forgot that its cluster has formed')
  }

  #checkTruncation(node: number, from: number): void {
    const { committed } = this.#log(node)
    if (from <= committed)
      this.violate(node, `truncates from ${from}, though ${committed} is committed here`)
  }

  /** Durable from now on; every entry must fit what others wrote at its position and epoch. */
  #settle(node: number, log: NodeLog, persist: Extract<JournalMessage, { kind: 'persist' }>): void {
    if (persist.hardState.length > 0) log.durableHardState = decodeHardState(persist.hardState)
    if (persist.truncateFrom > 0) dropFrom(log.durable, persist.truncateFrom)
    forEachEntry(persist.entries, (position, epoch, checksum) => {
      const previousEpoch = log.durable.get(position - 1)?.epoch ?? -1
      log.durable.set(position, { epoch, checksum })
      this.#checkWritten(node, position, epoch, checksum, previousEpoch)
    })
  }

  #checkWritten(
    node: number,
    position: number,
    epoch: number,
    checksum: number,
    previousEpoch: number,
  ): void {
    const key = `${position}:${epoch}`
    const known = this.#written.get(key)
    if (known === undefined) {
      this.#written.set(key, { checksum, previousEpoch })
      return
    }
    if (known.checksum !== checksum) {
      this.violate(node, `entry ${position} of epoch ${epoch} differs from what another node has`)
    }
    if (known.previousEpoch >= 0 && previousEpoch >= 0 && known.previousEpoch !== previousEpoch) {
      this.violate(node, `logs match at ${position} in epoch ${epoch}, but not before it`)
    }
  }

  #checkCommitted(node: number, message: Extract<ConsensusNotice, { kind: 'committed' }>): void {
    const log = this.#log(node)
    let expected = message.first
    forEachEntry(message.entries, (position, epoch, checksum, kind) => {
      if (position !== expected++)
        this.violate(node, `committed ${position} where ${expected - 1} was due`)
      const known = this.#committed.get(position)
      if (known === undefined) this.#firstCommit(node, position, kind, { epoch, checksum })
      else if (known.epoch !== epoch || known.checksum !== checksum) {
        this.violate(
          node,
          `committed entry ${position} of epoch ${known.epoch} changed: now of epoch ${epoch}`,
        )
      }
      log.committed = Math.max(log.committed, position)
    })
    if (expected !== message.first + message.count) {
      this.violate(node, `committed ${message.count} entries, but ${expected - message.first} came`)
    }
  }

  #firstCommit(node: number, position: number, kind: number, entry: LogEntry): void {
    this.#committed.set(position, entry)
    this.etcd.committed(this.#scheduler.nowMillis)
    const { epoch, checksum } = entry
    this.note(node, `commits ${position} of epoch ${epoch} kind ${kind} ${checksum.toString(16)}`)
    const holds = (log: NodeLog | undefined): boolean =>
      log?.durable.get(position)?.checksum === checksum
    let copies = 0
    for (let one = 1; one <= this.#nodeCount; one++) {
      if (holds(this.#logs.get(one)) || holds(this.#lostLogs.get(one))) copies++
    }
    if (copies * 2 <= this.#nodeCount) {
      this.violate(
        node,
        `entry ${position} is committed, but on ${copies} of ${this.#nodeCount} disks`,
      )
    }
  }

  #log(node: number): NodeLog {
    let log = this.#logs.get(node)
    if (log === undefined) {
      log = {
        durable: new Map(),
        base: 0,
        recoveredFrom: 0,
        recovered: new Map(),
        pending: [],
        mayLackFrom: Number.POSITIVE_INFINITY,
        hardState: noHardState,
        durableHardState: noHardState,
        committed: 0,
      }
      this.#logs.set(node, log)
    }
    return log
  }
}

const nothing = new Uint8Array(0)

function dropFrom(entries: Map<number, LogEntry>, position: number): void {
  for (let at = position; entries.delete(at); at++);
}

function forEachEntry(
  entries: Uint8Array,
  visit: (position: number, epoch: number, checksum: number, kind: number) => void,
): void {
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength)
  for (let at = 0; at < entries.length; ) {
    const length = view.getUint32(at + offset.length, true)
    if (length < entryHeaderBytes || at + length > entries.length)
      throw new Error('entries are cut off')
    const position = readUint64(view, at + offset.position)
    const epoch = readUint64(view, at + offset.epoch)
    visit(position, epoch, crc32c(entries, 0, at, at + length), view.getUint8(at + offset.kind))
    at += length
  }
}

/**
 * Runs a transcript: lines that begin with `>` are commands, what follows is what the machines did.
 * `npm test` compares; with TRANSCRIPTS=rewrite the files are written anew, to be read as a diff.
 *
 *     > limits inflightMessagesMax 2 …   of the clusters made after it
 *     > cluster 3               three nodes that have formed, and of which node 1 leads
 *     > nodes 3 | start 1 2 3 | stop 1 (its process ends) | silence 1 (it just stops) | lose-disk 1
 *     > settle [1-2 3-1 …]      persist and deliver until nothing moves; these links carry nothing
 *     > persist 1 | deliver 1-2 [count] | drop 1-2 [count] | tick 1 [count] | elect 1
 *     > propose 1 a b | read 1 7 | transfer 1 2 | checkpoint 1 | send-checkpoint 1
 *     > add 1 4 | promote 1 4 | remove 1 3 | replace 1 3      (the first number is the leader)
 *     > link-up 1 2 | log 1 | status 1
 */
import { entryKind, offset } from '../../../actors/consensus/entry.ts'
import type { Batch, Membership } from '../../../actors/consensus/interface.ts'
import type { RaftMessage } from '../../../actors/consensus/raft/messages.ts'
import {
  bodyOf,
  Cluster,
  type Envelope,
  type RaftEffect,
  type Stored,
  storedOf,
  testLimits,
} from './cluster.ts'

export function runTranscript(text: string): string {
  const runner = new Runner()
  const output: string[] = []
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) {
      if (!output.at(-1)?.startsWith('#')) output.push('')
      output.push(line)
    }
    if (line.startsWith('> ')) output.push('', line, ...runner.run(line.slice(2)))
  }
  return `${output.join('\n').trim()}\n`
}

class Runner {
  #cluster = new Cluster({ nodes: 0 })
  #limits: Record<string, number> = {}
  #lines: string[] = []

  run(command: string): string[] {
    this.#lines = []
    const [name = '', ...words] = command.split(/\s+/)
    this.#command(name, words)
    return this.#lines.map(line => `  ${line}`)
  }

  #command(name: string, words: string[]): void {
    const numbers = words.map(Number)
    const [first = 0, second = 0] = numbers
    const cluster = this.#cluster
    switch (name) {
      case 'limits':
        for (let index = 0; index < words.length; index += 2)
          this.#limits[words[index]!] = Number(words[index + 1])
        return
      case 'nodes':
        this.#cluster = new Cluster({
          nodes: first,
          limits: this.#limits,
          observe: (id, effect) => this.#show(id, effect),
        })
        return
      case 'cluster':
        this.#command('nodes', words)
        this.#cluster.startAll()
        this.#cluster.stabilize()
        this.#lines = []
        return
      case 'start':
        for (const id of numbers) this.#start(id)
        return
      case 'stop':
        return cluster.crash(first)
      case 'silence':
        return cluster.crash(first, false)
      case 'lose-disk':
        return cluster.loseDisk(first)
      case 'settle':
        return this.#settle(new Set(words))
      case 'persist':
        return this.#persist(first)
      case 'deliver':
        return this.#move(words[0] ?? '', second || 1, true)
      case 'drop':
        return this.#move(words[0] ?? '', second || 1, false)
      case 'tick':
        return cluster.tick(first, second || 1)
      case 'elect':
        return this.#elect(first)
      case 'propose':
        return cluster.propose(first, ...words.slice(1))
      case 'read':
        return cluster.round(first, { kind: 'readRequested', id: second })
      case 'transfer':
        return cluster.round(first, { kind: 'transferRequested', target: second })
      case 'checkpoint':
        return cluster.checkpoint(first)
      case 'send-checkpoint':
        cluster.transferCheckpoint(first)
        return
      case 'add':
      case 'replace':
        return this.#member(name, first, second)
      case 'promote':
      case 'remove':
        return cluster.change(first, { kind: name, node: second })
      case 'link-up':
        cluster.round(first, { kind: 'linkUp', node: second })
        return cluster.round(second, { kind: 'linkUp', node: first })
      case 'log':
        return this.#log(first)
      case 'status':
        return this.#status(first)
      default:
        throw new Error(`a transcript has no command ${name}`)
    }
  }

  #start(id: number): void {
    if (!this.#cluster.nodes.has(id)) this.#cluster.addNode(id)
    this.#cluster.start(id)
  }

  #settle(cut: Set<string>): void {
    this.#cluster.stabilize(({ from, to }) => cut.has(`${from}-${to}`))
  }

  #persist(id: number): void {
    if (!this.#cluster.persistOne(id)) this.#lines.push('nothing to persist')
  }

  #move(link: string, count: number, arrives: boolean): void {
    const [from, to] = link.split('-').map(Number)
    for (let index = 0; index < count; index++) {
      const at = this.#cluster.queue.findIndex(one => one.from === from && one.to === to)
      if (at < 0) {
        this.#lines.push('nothing is under way there')
        return
      }
      if (arrives) this.#cluster.deliver(at)
      else this.#drop(at)
    }
  }

  #drop(at: number): void {
    const [envelope] = this.#cluster.queue.splice(at, 1)
    this.#lines.push(`lost ${arrow(envelope!)}`)
  }

  #elect(id: number): void {
    for (const node of this.#cluster.running)
      this.#cluster.tick(node.id, testLimits.electionTicksMin)
    for (let ticks = 0; ticks < testLimits.electionTicksMin; ticks++) {
      this.#cluster.stabilize()
      if (this.#cluster.status(id).role === 'leader') return
      this.#cluster.tick(id)
    }
    this.#lines.push(`node ${id} is not elected`)
  }

  #member(name: 'add' | 'replace', leader: number, node: number): void {
    const kind = name === 'add' ? 'addLearner' : name
    const member = { node, store: this.#cluster.node(node).store, address: `n${node}` }
    this.#cluster.change(leader, { kind, member })
  }

  #log(id: number): void {
    const { base, entries } = this.#cluster.node(id).disk
    this.#lines.push(`on disk above ${base}: ${entries.map(entryText).join(' ')}`)
  }

  #status(id: number): void {
    const { role, epoch, leader, first, last, durable, commit, membership, peers } =
      this.#cluster.status(id)
    const numbers = `epoch ${epoch} leader ${leader} log ${first}..${last} durable ${durable} commit ${commit}`
    this.#lines.push(`${role} ${numbers}`, membershipText(membership))
    for (const peer of peers)
      this.#lines.push(`peer ${peer.node} ${peer.state} match ${peer.match}`)
  }

  #show(id: number, effect: RaftEffect): void {
    this.#lines.push(`${id}: ${effectText(effect)}`)
  }
}

function effectText(effect: RaftEffect): string {
  switch (effect.kind) {
    case 'send':
      return `to ${effect.to} ${messageText(effect.message)}`
    case 'persist':
      return persistText(effect)
    case 'committedTo':
      return `committed to ${effect.position}`
    case 'readReady':
      return `read ${effect.id} waits for ${effect.position}`
    case 'readFailed':
      return `read ${effect.id} failed`
    case 'roleChanged':
      return `is ${effect.role} in epoch ${effect.epoch}, leader ${effect.leader}`
    case 'snapshotNeeded':
      return `wants a checkpoint sent to ${effect.node}, which is at ${effect.next}`
    case 'reset':
      return `starts its log anew above ${effect.position} of epoch ${effect.epoch}`
    case 'compactJournal':
      return `journal may go up to ${effect.position}`
    case 'proposalsRefused':
      return `refuses ${effect.count} proposals: ${effect.reason}`
    case 'membershipChanged':
      return `membership at ${effect.position}: ${membershipText(effect.membership)}`
    case 'membershipDone':
      return 'membership change is done'
    case 'membershipRefused':
      return `membership change refused: ${effect.reason}`
    case 'transferEnded':
      return `transfer to ${effect.target} ${effect.done ? 'done' : 'given up'}`
    case 'waiting':
      return `neither votes nor counts: ${effect.reason}`
  }
}

function persistText(effect: Extract<RaftEffect, { kind: 'persist' }>): string {
  const parts = [`persist ${effect.id}`]
  if (effect.truncateFrom > 0) parts.push(`cut from ${effect.truncateFrom}`)
  const entries = effect.entries.map(batchText).filter(text => text !== '')
  if (entries.length > 0) parts.push(entries.join(' '))
  if (effect.hardState.length > 0) parts.push('hard state')
  for (const { to, message } of effect.thenSend) {
    parts.push(`then to ${to} ${messageText(message)}`)
  }
  return parts.join('; ')
}

function messageText(message: RaftMessage): string {
  switch (message.kind) {
    case 'append': {
      const { previous, previousEpoch, commit, count, entries, confirm } = message
      const batch: Batch = { first: previous + 1, count, bytes: entries }
      const confirming = confirm > 0 ? ` confirm ${confirm}` : ''
      const after = `after ${previous}/${previousEpoch} commit ${commit}${confirming}`
      return `append e${message.epoch} ${after} ${batchText(batch)}`.trim()
    }
    case 'appendReply': {
      const { accepted, position, hint, hintEpoch, confirm } = message
      const confirming = confirm > 0 ? ` confirm ${confirm}` : ''
      const outcome = accepted
        ? `has ${position}`
        : `refuses ${position}, hint ${hint}/${hintEpoch}`
      return `reply e${message.epoch} ${outcome}${confirming}`
    }
    case 'voteRequest': {
      const { pre, transfer, last, lastEpoch, epoch } = message
      const forced = transfer ? ' by transfer' : ''
      return `${pre ? 'pre-vote' : 'vote'}? e${epoch} with ${last}/${lastEpoch}${forced}`
    }
    case 'voteReply':
      return `${message.pre ? 'pre-vote' : 'vote'} ${message.granted ? 'granted' : 'refused'} e${message.epoch}`
    case 'timeoutNow':
      return `campaign now e${message.epoch}`
    case 'formation':
      return `formation${message.recorded.length > 0 ? ' recorded' : ''}${message.formed ? ' formed' : ''}`
  }
}

function batchText(batch: Batch): string {
  return batch.count === 0 ? '' : storedOf(batch).map(entryText).join(' ')
}

function entryText(stored: Stored): string {
  const kind = stored.bytes[offset.kind]
  const at = `${stored.position}/${stored.epoch}`
  if (kind === entryKind.empty) return `${at}:empty`
  return kind === entryKind.membership ? `${at}:membership` : `${at}:${bodyOf(stored)}`
}

function membershipText({ voters, outgoing, learners }: Membership): string {
  const set = (members: Membership['voters']) =>
    members
      .map(({ node, store }) => (store === `s${node}` ? `${node}` : `${node}(${store})`))
      .join(' ')
  const parts = [`voters ${set(voters)}`.trim()]
  if (outgoing.length > 0) parts.push(`outgoing ${set(outgoing)}`)
  if (learners.length > 0) parts.push(`learners ${set(learners)}`)
  return parts.join(', ')
}

function arrow({ from, to, message }: Envelope): string {
  return `${from}→${to} ${messageText(message)}`
}

/**
 * Four-letter words. What they tell about the store is asked of the actors that know it, and a word
 * is answered when they have, or as not serving when they take too long.
 */
import { openFiles, openFilesMax } from '../../runtime/process-metrics.ts'
import {
  answerWord,
  notInWhitelist,
  type ConnectionReport,
  type QuorumReport,
  type ServerReport,
  type StateReport,
} from '../../transport/zookeeper/four-letter-words.ts'
import type { MachineStatus } from '../consensus/interface.ts'
import type { StatusAnswer } from '../control.ts'
import type { Connection } from './zookeeper-connection.ts'

export interface WordEffects {
  /** Whether the configuration lets it be answered. */
  allows(word: string): boolean
  /** Asks state, watches and consensus for their status; `statusAnswer`s come back with the id. */
  ask(id: number): void
  /** Writes the text and closes the connection. */
  answer(connection: Connection, text: string): void
  /** What the gateway itself knows; `undefined` while there is no leader. */
  report(state: StateReport): ServerReport | undefined
}

/** These tell about the store. */
const storeWords = new Set(['srvr', 'stat', 'mntr'])
const patienceMillis = 1_000

interface Question {
  readonly id: number
  readonly connection: Connection
  readonly word: string
  readonly untilMillis: number
  readonly facts: Map<string, Readonly<Record<string, unknown>>>
}

export class Words {
  readonly #effects: WordEffects
  #questions: Question[] = []
  #id = 0

  constructor(effects: WordEffects) {
    this.#effects = effects
  }

  asked(connection: Connection, word: string, nowMillis: number): void {
    if (!this.#effects.allows(word)) {
      this.#effects.answer(connection, notInWhitelist(word))
      return
    }
    if (!storeWords.has(word)) {
      this.#effects.answer(connection, answerWord(word, this.#effects.report(unknownState)))
      return
    }
    this.#id += 1
    const untilMillis = nowMillis + patienceMillis
    this.#questions.push({ id: this.#id, connection, word, untilMillis, facts: new Map() })
    this.#effects.ask(this.#id)
  }

  answered({ from, id, json }: StatusAnswer): void {
    const question = this.#questions.find(one => one.id === id)
    if (question === undefined) return
    question.facts.set(from, JSON.parse(json) as Record<string, unknown>)
    if (question.facts.size < 3) return
    const state = stateReport(question.facts)
    const files = { openFiles: openFiles(), openFilesMax: openFilesMax() }
    const report = this.#effects.report(question.word === 'mntr' ? { ...state, ...files } : state)
    this.#finish(question, report)
  }

  tick(nowMillis: number): void {
    for (const question of this.#questions.filter(one => one.untilMillis <= nowMillis)) {
      this.#finish(question, undefined)
    }
  }

  #finish(question: Question, report: ServerReport | undefined): void {
    this.#questions = this.#questions.filter(one => one !== question)
    this.#effects.answer(question.connection, answerWord(question.word, report))
  }
}

export function connectionReport(connection: Connection): ConnectionReport {
  return {
    address: connection.address,
    port: connection.socket.remotePort,
    outstandingRequests: connection.outstanding.count,
    packetsReceived: connection.received,
    packetsSent: connection.sent,
  }
}

export const unknownState: StateReport = {
  zxid: 0,
  nodeCount: 0,
  watchCount: 0,
  ephemeralCount: 0,
  sessionCount: 0,
  dataBytes: 0,
  quorum: { voters: 0, learners: 0, syncedFollowers: 0, syncedNonVoters: 0 },
  openFiles: undefined,
  openFilesMax: undefined,
}

function stateReport(facts: ReadonlyMap<string, Readonly<Record<string, unknown>>>): StateReport {
  const state = facts.get('state') ?? {}
  return {
    ...unknownState,
    zxid: numberOf(state['zxid']),
    // ZooKeeper counts the root twice, and scripts compare.
    nodeCount: numberOf(state['znodes']) + 1,
    watchCount: numberOf(facts.get('watches')?.['znodeWatches']),
    ephemeralCount: numberOf(state['ephemerals']),
    sessionCount: numberOf(state['sessions']),
    dataBytes: numberOf(state['znodeBytes']),
    quorum: quorumReport(facts.get('consensus') ?? {}),
  }
}

type Consensus = Partial<Pick<MachineStatus, 'membership' | 'peers'>>

function quorumReport({ membership, peers = [] }: Consensus): QuorumReport {
  const voters = membership?.voters ?? []
  const following = peers.filter(({ active }) => active)
  const synced = following.filter(({ state }) => state === 'replicate')
  const votes = ({ node }: { readonly node: number }): boolean =>
    voters.some(voter => voter.node === node)
  const syncedFollowers = synced.filter(votes).length
  return {
    voters: voters.length,
    learners: following.length,
    syncedFollowers,
    syncedNonVoters: synced.length - syncedFollowers,
  }
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0
}
